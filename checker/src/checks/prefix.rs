//! Streams that were cut short, made to end at one time.
//!
//! Each stream is the prefix of its own records, and the ends need not match. What is missing from
//! one shows in the other: a revision that nobody seems to have made. So both are cut at a time up
//! to which both are known to be whole.

use super::Run;
use crate::history::{Asked, ErrorOrigin, ObservationRecord, Outcome, Record};

/// An observation is recorded when it is answered. What the harness asked and had not heard of when
/// its records end is missing from them, though it may have had an effect; no write of the harness
/// waits longer than this.
const IN_FLIGHT_NS: u64 = 6_000_000_000;

/// History and observations as they were at the last time up to which nothing is missing.
pub(crate) fn common(run: &Run<'_>) -> (Vec<Record>, Vec<ObservationRecord>) {
    let mut end = u64::MAX;
    if !run.history_complete {
        end = end.min(run.history.iter().rev().find_map(time).unwrap_or(0));
    }
    if !run.observations_complete {
        let last = run
            .observations
            .iter()
            .rev()
            .find_map(observed)
            .unwrap_or(0);
        end = end.min(last.saturating_sub(IN_FLIGHT_NS));
    }
    let history = run
        .history
        .iter()
        .filter(|record| time(record).is_none_or(|at| at <= end));
    let observations = run.observations.iter().map(|record| match record {
        ObservationRecord::Asked(asked) if asked.until > end => {
            ObservationRecord::Asked(unheard(asked))
        }
        other => other.clone(),
    });
    (history.cloned().collect(), observations.collect())
}

fn time(record: &Record) -> Option<u64> {
    match record {
        Record::Invoke(invoke) => Some(invoke.at),
        Record::Return(end) => Some(end.at),
        Record::Watch(delivery) => Some(delivery.at),
        Record::Header(_) | Record::Footer(_) => None,
    }
}

fn observed(record: &ObservationRecord) -> Option<u64> {
    match record {
        ObservationRecord::Asked(asked) => Some(asked.until),
        ObservationRecord::Phase { at, .. }
        | ObservationRecord::Membership { at, .. }
        | ObservationRecord::Note { at, .. } => Some(*at),
        ObservationRecord::Process(event) => Some(event.at),
        ObservationRecord::FatalLog(line) => Some(line.at),
        ObservationRecord::Header(_) | ObservationRecord::Footer(_) => None,
    }
}

/// A request whose answer came after the cut: it may have taken effect.
fn unheard(asked: &Asked) -> Asked {
    let message = "answered after the end of the other records".to_owned();
    Asked {
        outcome: Outcome::Error {
            code: 4,
            message,
            origin: ErrorOrigin::Deadline,
        },
        ..asked.clone()
    }
}
