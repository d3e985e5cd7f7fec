//! Histories of etcd's key-value API: by revision order, cross-checked by zones.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::{Judged, Options, regardless, withhold};
use crate::checks::{Run, watch};
use crate::history::{Invoke, RangeRequest, RangeResponse, Record, Request, Response};
use crate::import::EtcdHistory;
use crate::import::etcd_report::partial::{Compactions, Completed, complete};
use crate::linearizable::{self, OperationId, OrderStep};
use crate::verdict::{CheckReport, Verdict};
use crate::zones;

pub(super) fn judge(history: &EtcdHistory, options: &Options<'_>) -> Judged {
    let defaults = linearizable::Options::default();
    let bounds = linearizable::Options {
        steps_max: options.configurations_max.unwrap_or(defaults.steps_max),
        bytes_max: options.bytes_max,
        // A file does not say how the store was started, a report does.
        foreign_compactions: !history.is_partial,
        stop: options.stop,
        ..defaults
    };
    let observations = &history.observations;
    let check = |records: &[Record]| linearizable::report(records, observations, &bounds);
    let mut completed = Completed::default();
    let mut report;
    if history.is_partial {
        completed = complete(history, Compactions::Latest);
        report = check(&completed.records);
        if report.verdict == Verdict::Violated && completed.compactions > 0 {
            report = without_compactions(history, report, check);
        }
    } else {
        report = check(&history.records);
    }
    report
        .figures
        .push(("left out".to_owned(), history.left_out));

    let cross = zones::cross_check(&history.records, observations);
    report.figures.extend(cross.named_figures());
    let mut fault = None;
    if report.verdict == Verdict::Holds
        && let Some(violation) = cross.violations.first()
    {
        let text = format!(
            "{} rejects what {} accepts: {}; please report this with the file",
            zones::ENGINE,
            report.engine,
            violation.title
        );
        report.verdict = Verdict::Inconclusive;
        report.summary.clone_from(&text);
        report.findings.clone_from(&cross.violations);
        fault = Some(text);
    }
    if report.verdict == Verdict::Holds && completed.counted_only > 0 {
        let why = format!(
            "{} ranges in transactions that had written the same keys before were judged by their \
             counts alone; all else fits one order",
            completed.counted_only
        );
        withhold(&mut report, why);
    }
    if report.verdict == Verdict::Holds && !history.persisted.is_empty() {
        persisted(history, &completed.records, &bounds, &mut report);
    }
    if report.verdict == Verdict::Violated
        && !history.is_whole
        && !options.is_whole
        && !regardless::is_violated(&history.records)
    {
        may_lack_writes(&mut report);
    }
    watches(history, &mut report);
    place(history, &completed.inferred, &mut report);
    Judged {
        model: "etcd",
        report,
        fault,
    }
}

/// A violation counts only if there is one whatever compactions came to.
fn without_compactions(
    history: &EtcdHistory,
    first: CheckReport,
    check: impl Fn(&[Record]) -> CheckReport,
) -> CheckReport {
    let completed = complete(history, Compactions::Unknown);
    let mut second = check(&completed.records);
    if second.verdict == Verdict::Holds {
        second.summary = first.summary;
        withhold(
            &mut second,
            "the answers to compactions lack their revisions, and this is undecided without them"
                .to_owned(),
        );
    }
    second
}

/// Judges the watches of a report, where everything else fits one order, as etcd's test does. What
/// compacted the store is not always in it.
fn watches(history: &EtcdHistory, report: &mut CheckReport) {
    if !history.is_partial || report.verdict != Verdict::Holds {
        return;
    }
    let judged = watch::check(&Run {
        foreign_compactions: true,
        ..Run::whole(&history.records, &[], &history.observations)
    });
    match judged.verdict {
        Verdict::Violated => *report = judged,
        Verdict::Holds => report.figures.extend(judged.figures),
        Verdict::Inconclusive | Verdict::NotRun => {}
    }
}

/// What was persisted must be in the order.
fn persisted(
    history: &EtcdHistory,
    records: &[Record],
    bounds: &linearizable::Options<'_>,
    report: &mut CheckReport,
) {
    let outcome = linearizable::check(records, &history.observations, bounds);
    let linearizable::Outcome::Holds { order } = outcome else {
        return withhold(report, "the order found was not found again".to_owned());
    };
    let placed: HashSet<u64> = order
        .iter()
        .filter_map(|step| match step {
            OrderStep::Operation(OperationId::History(id)) => Some(*id),
            _ => None,
        })
        .collect();
    let missing = history.persisted.iter().filter(|id| !placed.contains(id));
    let missing: Vec<_> = missing.filter_map(|id| history.place(*id)).collect();
    if let Some(first) = missing.first() {
        let why = format!(
            "{} requests that are said to be persisted are not in the order found, the first at \
             {first}: another order may have them",
            missing.len()
        );
        withhold(report, why);
    }
}

/// Without the requests that the file lacks, what is missing may explain a contradiction.
fn may_lack_writes(report: &mut CheckReport) {
    let gaps = report.figures.iter().find(|(name, _)| name == "gaps");
    let gaps = gaps.map_or(0, |(_, gaps)| *gaps);
    if gaps == 0 {
        return;
    }
    let contradiction = report.summary.clone();
    report.verdict = Verdict::Inconclusive;
    report.summary = format!(
        "{gaps} revisions were made by requests that are not acknowledged in this file, and the \
         file may lack requests: give the run directory or report directory, or vouch with --whole \
         that nothing is missing"
    );
    if let Some(finding) = report.findings.first_mut() {
        finding
            .explanation
            .insert(0, format!("If nothing is missing: {contradiction}."));
        finding.title.clone_from(&report.summary);
    }
}

/// Says where the operations of findings stand, and, where they were judged in another form, what
/// was recorded of them.
fn place(history: &EtcdHistory, inferred: &HashMap<u64, i64>, report: &mut CheckReport) {
    let number = |id: &u64| history.position(*id).map(|at| history.lines[at].id);
    let all = report.findings.iter().flat_map(|f| &f.operations);
    let ranges = Ranges::of(history, all.filter_map(number).collect());
    for finding in &mut report.findings {
        let mut told = HashSet::new();
        for id in finding.operations.iter().filter_map(number) {
            if let Some(place) = history.place(id)
                && told.insert(id)
            {
                let recorded = match inferred.get(&id) {
                    Some(revision) => format!(
                        ": it was not answered, but what was read shows that it made revision {revision}"
                    ),
                    None => ranges.say(id).unwrap_or_default(),
                };
                let line = format!("operation {id} is {place}{recorded}");
                finding.explanation.push(line);
            }
        }
    }
}

/// Key-values told at most.
const KEY_VALUES_MAX: usize = 4;

/// Ranges that were judged in another form, with their answers.
#[derive(Default)]
struct Ranges<'a> {
    asked: HashMap<u64, &'a RangeRequest>,
    answered: HashMap<u64, &'a RangeResponse>,
}

impl<'a> Ranges<'a> {
    fn of(history: &'a EtcdHistory, ids: HashSet<u64>) -> Self {
        let mut this = Self::default();
        if !history.is_partial {
            return this;
        }
        for record in &history.records {
            match record {
                Record::Invoke(Invoke {
                    id,
                    request: Request::Range(range),
                    ..
                }) if ids.contains(id) => drop(this.asked.insert(*id, range)),
                Record::Return(end) if ids.contains(&end.id) => {
                    if let Some(Response::Range(answer)) = end.outcome.response() {
                        this.answered.insert(end.id, answer);
                    }
                }
                _ => {}
            }
        }
        this
    }

    fn say(&self, id: u64) -> Option<String> {
        Some(told(self.asked.get(&id)?, self.answered.get(&id)?))
    }
}

/// A range with its answer, as the file has it.
fn told(range: &RangeRequest, answer: &RangeResponse) -> String {
    let mut text = format!(": a range of {}", range.key);
    if !range.range_end.is_empty() {
        let _ = write!(text, " to {}", range.range_end);
    }
    if range.revision > 0 {
        let _ = write!(text, " at revision {}", range.revision);
    }
    let _ = write!(text, ", answered at revision {}:", answer.header.revision);
    for kv in answer.kvs.iter().take(KEY_VALUES_MAX) {
        let _ = write!(
            text,
            " {} = {} (mod revision {}, version {}),",
            kv.key, kv.value, kv.mod_revision, kv.version
        );
    }
    if answer.kvs.len() > KEY_VALUES_MAX {
        let _ = write!(text, " {} more,", answer.kvs.len() - KEY_VALUES_MAX);
    }
    let _ = write!(
        text,
        " count {}; judged as a transaction that succeeds where all of this is so",
        answer.count
    );
    text
}
