//! The judgement of a run: every check, combined.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read as _};
use std::path::Path;

use crate::checks::{self, Run};
use crate::history::{
    FaultPhase, FaultRecord, ObservationRecord, ReadError, Reader, Record, SCHEMA_MAJOR,
    SCHEMA_MINOR, StreamRecord,
};
use crate::linearizable;
use crate::stats;
use crate::transactions::{self, SecondOpinion};
use crate::verdict::{CheckReport, Exit, FINDINGS_MAX, Finding, Guarantee, Judgement, Verdict};
use crate::zones::{self, CrossCheck};

/// A recorded run: the records of its three streams, and which of them ended with their footer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunRecords {
    /// `history.jsonl`.
    pub history: Vec<Record>,
    /// `faults.jsonl`.
    pub faults: Vec<FaultRecord>,
    /// `observations.jsonl`.
    pub observations: Vec<ObservationRecord>,
    /// Which of them are whole.
    pub complete: Complete,
}

/// Which streams of a run are whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Complete {
    /// `history.jsonl` is.
    pub history: bool,
    /// `faults.jsonl` is.
    pub faults: bool,
    /// `observations.jsonl` is.
    pub observations: bool,
}

impl Complete {
    /// All of them.
    pub const ALL: Self = Self {
        history: true,
        faults: true,
        observations: true,
    };

    /// Whether all of them are.
    #[must_use]
    pub fn all(self) -> bool {
        self == Self::ALL
    }

    fn missing(self) -> Vec<&'static str> {
        let streams = [
            (self.history, "history.jsonl"),
            (self.faults, "faults.jsonl"),
            (self.observations, "observations.jsonl"),
        ];
        streams
            .into_iter()
            .filter(|(whole, _)| !whole)
            .map(|(_, name)| name)
            .collect()
    }
}

/// Reads the three streams of a run directory. A stream that is missing, or that ends before its
/// footer, is not complete, and what there is of it is read.
///
/// # Errors
/// When the directory holds none of the streams, when a file cannot be read, is of a newer major
/// version, or has a line before its last that is not a record.
pub fn load(dir: &Path) -> Result<RunRecords, ReadError> {
    let history = stream::<Record>(&dir.join(Record::NAME))?;
    let faults = stream::<FaultRecord>(&dir.join(FaultRecord::NAME))?;
    let observations = stream::<ObservationRecord>(&dir.join(ObservationRecord::NAME))?;
    if history.is_none() && faults.is_none() && observations.is_none() {
        return Err(ReadError::Io {
            what: Record::NAME,
            source: std::io::Error::new(ErrorKind::NotFound, "no such run directory"),
        });
    }
    let (history, whole_history) = history.unwrap_or_default();
    let (faults, whole_faults) = faults.unwrap_or_default();
    let (observations, whole_observations) = observations.unwrap_or_default();
    let complete = Complete {
        history: whole_history,
        faults: whole_faults,
        observations: whole_observations,
    };
    Ok(RunRecords {
        history,
        faults,
        observations,
        complete,
    })
}

fn stream<T: StreamRecord>(path: &Path) -> Result<Option<(Vec<T>, bool)>, ReadError> {
    let io = |source| ReadError::Io {
        what: T::NAME,
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut reader = match Reader::<_, T>::new(BufReader::new(file)) {
        Ok(reader) => reader,
        Err(ReadError::NoHeader { .. }) if is_cut_in_first_line(path).map_err(io)? => {
            return Ok(Some((vec![], false)));
        }
        Err(error) => return Err(error),
    };
    let records = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
    let whole = reader
        .footer()
        .is_some_and(|footer| footer.records == records.len() as u64);
    Ok(Some((records, whole)))
}

/// Whether a file ends within its first line: the run was cut short as it began.
fn is_cut_in_first_line(path: &Path) -> std::io::Result<bool> {
    for byte in BufReader::new(File::open(path)?).bytes() {
        if byte? == b'\n' {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a judgement depends on besides the records.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// The build that judges, for example `gauntlet 0.1.0`.
    pub build: String,
    /// Set if the harness itself failed, to what failed: the exit code is then at least
    /// [`Exit::HarnessFault`].
    pub harness_fault: Option<String>,
    /// Known bugs that were put into the store for this run, a line each.
    pub planted: Vec<String>,
    /// The store has no HashKV.
    pub no_hashes: bool,
    /// Bounds of the linearizability check.
    pub linearizable: linearizable::Options<'a>,
}

/// Judges a run: runs every check and combines what they say.
///
/// The run's verdict is violated if a guarantee other than [`Guarantee::Live`] is broken. A run in
/// which nothing else is broken but the cluster did not recover in time was safe: its check says
/// violated, the run says inconclusive with `guarantee` live and exit code 3.
///
/// If a stream is not whole, no check holds: what was kept in a prefix may be broken in the rest.
#[must_use]
pub fn judge(run: &RunRecords, options: &Options<'_>) -> Judgement {
    let view = Run {
        history: &run.history,
        faults: &run.faults,
        observations: &run.observations,
        history_complete: run.complete.history,
        observations_complete: run.complete.observations,
        foreign_compactions: options.linearizable.foreign_compactions,
        no_hashes: options.no_hashes,
    };
    let (report, disagreement) = linearizable(&view, &options.linearizable);
    let harness_fault = options.harness_fault.clone().or(disagreement);
    let mut checks = vec![report];
    checks.extend(checks::all(&view));
    if !run.complete.all() {
        let missing = run.complete.missing().join(", ");
        let title = format!(
            "the run directory is a prefix ({missing} did not reach the end): the promise was kept up to there"
        );
        withhold(
            &mut checks,
            &title,
            "kept so far, but the records are a prefix",
        );
    }
    for skipped in skipped_faults(&run.faults) {
        withhold(
            &mut checks,
            &skipped,
            "kept, but a fault of the plan never happened",
        );
    }
    let (verdict, guarantee, exit) = combine(&checks, run.complete.all(), harness_fault.is_some());
    let linearizable::Options {
        steps_max,
        bytes_max,
        foreign_compactions,
        fast_path: _,
        stop: _,
    } = options.linearizable;
    let mut named = vec![
        ("linearizable.steps_max".to_owned(), steps_max.to_string()),
        ("linearizable.bytes_max".to_owned(), bytes_max.to_string()),
        (
            "linearizable.foreign_compactions".to_owned(),
            foreign_compactions.to_string(),
        ),
    ];
    if options.no_hashes {
        named.push(("no_hashes".to_owned(), "true".to_owned()));
    }
    if let Some(fault) = harness_fault {
        named.push(("harness_fault".to_owned(), fault));
    }
    Judgement {
        major: SCHEMA_MAJOR,
        minor: SCHEMA_MINOR,
        build: options.build.clone(),
        options: named,
        planted: options.planted.clone(),
        complete: run.complete.all(),
        verdict,
        exit: exit.code(),
        guarantee,
        checks,
        operations: stats::operations(&run.history),
    }
}

/// Calls the linearizability engine, in a prefix with what both streams are known to cover, and has
/// it cross-checked by zones, and by the anomalies of transactions where keys hold lists. The
/// second part says how the engines disagree, if they do.
fn linearizable(
    run: &Run<'_>,
    options: &linearizable::Options<'_>,
) -> (CheckReport, Option<String>) {
    let both = |history: &[Record], observations: &[ObservationRecord]| {
        let report = linearizable::report(history, observations, options);
        let (report, torn) = reconcile(report, &zones::cross_check(history, observations));
        let options = transactions::Options::default();
        let opinion = transactions::second_opinion(history, observations, &options);
        let (report, torn_too) = hear(report, &opinion);
        (report, torn.or(torn_too))
    };
    if run.history_complete && run.observations_complete {
        return both(run.history, run.observations);
    }
    let (history, observations) = checks::prefix::common(run);
    both(&history, &observations)
}

/// Takes the second opinion of the engine that is blind to revisions. What it rejects cannot hold:
/// then one of the two engines is wrong, which is a fault of the harness and no verdict. The reverse
/// is normal, since revisions show more than values.
fn reconcile(mut report: CheckReport, cross: &CrossCheck) -> (CheckReport, Option<String>) {
    report.figures.extend(cross.named_figures());
    if report.verdict != Verdict::Holds || cross.violations.is_empty() {
        return (report, None);
    }
    let (report, fault) = torn(report, zones::ENGINE, &cross.violations);
    (report, Some(fault))
}

/// Takes the second opinion on transactions. What it finds against an order is a fault of the
/// harness, as above. Where there is no order, its findings are listed after the others; and where
/// the first engine could not decide, they do: each is a proof.
fn hear(mut report: CheckReport, opinion: &SecondOpinion) -> (CheckReport, Option<String>) {
    report.figures.extend(opinion.named_figures());
    let Some(first) = opinion.violations.first() else {
        return (report, None);
    };
    if report.verdict == Verdict::Holds {
        let (report, fault) = torn(report, transactions::ENGINE, &opinion.violations);
        return (report, Some(fault));
    }
    if report.verdict == Verdict::Inconclusive {
        report.verdict = Verdict::Violated;
        report.summary = format!("{}, by {}", first.title, transactions::ENGINE);
        report.findings.splice(0..0, opinion.violations.clone());
    } else {
        report.findings.extend(opinion.violations.clone());
    }
    let omitted = report.findings.len().saturating_sub(FINDINGS_MAX);
    report.findings.truncate(FINDINGS_MAX);
    report.findings_omitted += omitted as u64;
    (report, None)
}

/// The report of two engines that disagree, and what to say of it.
fn torn(mut report: CheckReport, engine: &str, violations: &[Finding]) -> (CheckReport, String) {
    let fault = format!(
        "{engine} rejects what {} accepts: {}",
        report.engine, violations[0].title
    );
    report.verdict = Verdict::Inconclusive;
    report.summary.clone_from(&fault);
    report.findings = violations.to_vec();
    report.findings.truncate(FINDINGS_MAX);
    (report, fault)
}

/// Faults that the plan counts on and that never happened. A run without them says nothing about the
/// store, so it is not green.
fn skipped_faults(faults: &[FaultRecord]) -> Vec<String> {
    let skipped = faults.iter().filter_map(|record| match record {
        FaultRecord::Fault {
            phase: FaultPhase::Skipped,
            detail,
            ..
        } => Some(detail.clone()),
        _ => None,
    });
    skipped.collect()
}

/// Turns what holds as far as the records go into what is not known.
fn withhold(checks: &mut [CheckReport], title: &str, summary: &str) {
    for check in checks
        .iter_mut()
        .filter(|check| check.verdict == Verdict::Holds)
    {
        check.verdict = Verdict::Inconclusive;
        check.summary = format!("{summary}: {}", check.summary);
        check.findings.insert(
            0,
            Finding {
                title: title.to_owned(),
                explanation: vec![check.summary.clone()],
                operations: vec![],
                observations: vec![],
                members: vec![],
                revisions: vec![],
                keys: vec![],
                at: None,
            },
        );
    }
}

/// Combines checks into the run's verdict, the guarantee to name, and the exit code: violated
/// before a harness fault, before liveness, before inconclusive, before nothing ran, before holds.
#[must_use]
pub fn combine(
    checks: &[CheckReport],
    complete: bool,
    harness_fault: bool,
) -> (Verdict, Option<Guarantee>, Exit) {
    let first = |wanted: Verdict| {
        Guarantee::ALL.into_iter().find(|guarantee| {
            checks
                .iter()
                .any(|check| check.guarantee == *guarantee && check.verdict == wanted)
        })
    };
    let ran = checks.iter().any(|check| check.verdict != Verdict::NotRun);
    // `Live` is the last in order: it is the first broken one only if it is the only one.
    let broken = first(Verdict::Violated);
    let undecided = first(Verdict::Inconclusive);
    let (verdict, exit) = match broken {
        Some(Guarantee::Live) => (Verdict::Inconclusive, Exit::Liveness),
        Some(_) => (Verdict::Violated, Exit::Violated),
        None if undecided.is_some() || !complete => (Verdict::Inconclusive, Exit::Inconclusive),
        None if ran => (Verdict::Holds, Exit::Holds),
        None => (Verdict::NotRun, Exit::NothingRan),
    };
    let exit = if harness_fault {
        exit.merge(Exit::HarnessFault)
    } else {
        exit
    };
    let verdict = match verdict {
        Verdict::Holds if harness_fault => Verdict::Inconclusive,
        verdict => verdict,
    };
    (verdict, broken.or(undecided), exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdict: Verdict) -> CheckReport {
        CheckReport {
            guarantee: Guarantee::Linearizable,
            verdict,
            engine: linearizable::ENGINE.to_owned(),
            summary: "as the engine said".to_owned(),
            findings: Vec::new(),
            findings_omitted: 0,
            figures: Vec::new(),
        }
    }

    fn stale() -> Finding {
        Finding {
            title: "k is stale".to_owned(),
            explanation: Vec::new(),
            operations: Vec::new(),
            observations: Vec::new(),
            members: Vec::new(),
            revisions: Vec::new(),
            keys: Vec::new(),
            at: None,
        }
    }

    #[test]
    fn anomalies_of_transactions_disagree_decide_or_are_listed() {
        let mut opinion = transactions::second_opinion(&[], &[], &transactions::Options::default());
        let (agreed, fault) = hear(report(Verdict::Holds), &opinion);
        assert_eq!((agreed, fault), (report(Verdict::Holds), None));

        opinion.violations.push(stale());
        let (torn, fault) = hear(report(Verdict::Holds), &opinion);
        assert_eq!(torn.verdict, Verdict::Inconclusive);
        assert!(fault.is_some_and(|fault| fault.contains("list-append")));

        let (decided, fault) = hear(report(Verdict::Inconclusive), &opinion);
        assert_eq!((decided.verdict, fault), (Verdict::Violated, None));

        let mut violated = report(Verdict::Violated);
        violated.findings = vec![stale(); FINDINGS_MAX];
        let (listed, fault) = hear(violated, &opinion);
        assert_eq!((listed.verdict, fault), (Verdict::Violated, None));
        assert_eq!(
            (listed.findings.len(), listed.findings_omitted),
            (FINDINGS_MAX, 1)
        );
    }

    #[test]
    fn engines_that_disagree_are_a_harness_fault_and_no_verdict() {
        let mut cross = zones::cross_check(&[], &[]);
        let (agreed, fault) = reconcile(report(Verdict::Holds), &cross);
        assert_eq!((agreed.verdict, fault), (Verdict::Holds, None));

        cross.violations.push(stale());
        let (torn, fault) = reconcile(report(Verdict::Holds), &cross);
        assert_eq!(torn.verdict, Verdict::Inconclusive);
        assert!(fault.is_some_and(|fault| fault.contains("k is stale")));
        assert_eq!(combine(&[torn], true, true).2, Exit::HarnessFault);

        let (violated, fault) = reconcile(report(Verdict::Violated), &cross);
        assert_eq!((violated.verdict, fault), (Verdict::Violated, None));
    }
}
