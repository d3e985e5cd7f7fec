//! Steps of the nemesis as spans of time.

use checker::history::{FaultPhase, FaultRecord};

/// One step, from its beginning to where its effect ends.
#[derive(Clone, Debug)]
pub(crate) struct FaultSpan<'a> {
    pub(crate) step: usize,
    pub(crate) action: &'a str,
    pub(crate) targets: &'a [String],
    pub(crate) from: u64,
    /// When the step itself ended; none while the file does not say.
    pub(crate) ended: Option<u64>,
    /// Until when its effect lasts: for a pause until the resume, for a cut until it is healed.
    pub(crate) until: u64,
    pub(crate) state: FaultState,
    pub(crate) details: Vec<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultState {
    Done,
    Skipped,
    Failed,
    /// Begun, and no end in the file.
    Open,
}

impl FaultState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Open => "no end recorded",
        }
    }
}

impl FaultSpan<'_> {
    /// Whether the cluster is disturbed while it lasts: the rest only marks when something was
    /// awaited, written or put right.
    pub(crate) fn disturbs(&self) -> bool {
        let quiet = ["sleep", "wait_caught_up", "puts", "resume", "heal_network"];
        self.state != FaultState::Skipped && !quiet.contains(&self.action)
    }
}

/// What undoes an action that lasts.
fn undone_by(action: &str) -> Option<&'static str> {
    match action {
        "pause" => Some("resume"),
        "cut" | "slow_link" => Some("heal_network"),
        _ => None,
    }
}

/// Pairs the records of each step. What nothing undoes lasts until `healed`.
pub(crate) fn spans(faults: &[FaultRecord], healed: u64) -> Vec<FaultSpan<'_>> {
    let mut spans: Vec<FaultSpan<'_>> = Vec::new();
    for record in faults {
        let FaultRecord::Fault {
            step,
            at,
            action,
            targets,
            phase,
            detail,
        } = record
        else {
            continue;
        };
        let open = spans
            .iter()
            .rposition(|span| span.step == *step && span.state == FaultState::Open);
        let index = open.unwrap_or_else(|| {
            spans.push(FaultSpan {
                step: *step,
                action,
                targets,
                from: *at,
                ended: None,
                until: *at,
                state: FaultState::Open,
                details: Vec::new(),
            });
            spans.len() - 1
        });
        let span = &mut spans[index];
        if !targets.is_empty() {
            span.targets = targets;
        }
        if !detail.is_empty() && !span.details.contains(&detail.as_str()) {
            span.details.push(detail);
        }
        span.state = match phase {
            FaultPhase::Begin => continue,
            FaultPhase::End => FaultState::Done,
            FaultPhase::Skipped => FaultState::Skipped,
            FaultPhase::Failed => FaultState::Failed,
        };
        span.ended = Some(*at);
        span.until = *at;
    }
    for index in 0..spans.len() {
        spans[index].until = effect_end(&spans, index, healed);
    }
    spans
}

fn effect_end(spans: &[FaultSpan<'_>], index: usize, healed: u64) -> u64 {
    let span = &spans[index];
    let own = span.ended.unwrap_or(healed).max(span.from);
    match (undone_by(span.action), span.state) {
        (Some(undo), FaultState::Done | FaultState::Open) => spans[index + 1..]
            .iter()
            .find(|later| {
                later.action == undo
                    && later
                        .targets
                        .iter()
                        .any(|target| span.targets.contains(target))
            })
            .map_or(healed, |later| later.from)
            .max(own.min(healed))
            .max(span.from),
        _ => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(step: usize, at: u64, action: &str, phase: FaultPhase) -> FaultRecord {
        FaultRecord::Fault {
            step,
            at,
            action: action.into(),
            targets: vec!["m2".into()],
            phase,
            detail: String::new(),
        }
    }

    #[test]
    fn a_pause_lasts_until_its_resume() {
        let faults = [
            fault(0, 10, "pause", FaultPhase::Begin),
            fault(0, 11, "pause", FaultPhase::End),
            fault(1, 50, "resume", FaultPhase::Begin),
            fault(1, 51, "resume", FaultPhase::End),
        ];
        let spans = spans(&faults, 100);
        assert_eq!(
            (spans[0].from, spans[0].ended, spans[0].until),
            (10, Some(11), 50)
        );
        assert_eq!((spans[1].from, spans[1].until), (50, 51));
    }

    #[test]
    fn what_nobody_undoes_lasts_until_healing() {
        let cut = [
            fault(0, 10, "cut", FaultPhase::Begin),
            fault(0, 11, "cut", FaultPhase::End),
        ];
        assert_eq!(spans(&cut, 100)[0].until, 100);
        let open = [fault(0, 10, "defragment", FaultPhase::Begin)];
        assert_eq!(spans(&open, 100)[0].until, 100);
        assert_eq!(spans(&open, 100)[0].state, FaultState::Open);
        let skipped = [fault(0, 10, "pause", FaultPhase::Skipped)];
        assert_eq!(spans(&skipped, 100)[0].until, 10);
    }
}
