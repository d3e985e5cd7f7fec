//! Gathering what a check found, and how it is worded.

use crate::verdict::{CheckReport, FINDINGS_MAX, Finding, Guarantee, Verdict};

/// Longest piece of a value or log line that a sentence quotes, in characters.
const QUOTE_CHARS_MAX: usize = 60;

/// What a check found so far. Proofs come before hindrances, hindrances before remarks.
#[derive(Default)]
pub(super) struct Findings {
    broken: Vec<Finding>,
    undecided: Vec<Finding>,
    remarks: Vec<Finding>,
}

impl Findings {
    /// Adds a proof that the promise was broken.
    pub(super) fn broken(&mut self, finding: Finding) {
        self.broken.push(finding);
    }

    /// Adds a reason why the promise could not be judged, wholly or in part.
    pub(super) fn undecided(&mut self, finding: Finding) {
        self.undecided.push(finding);
    }

    /// Adds something worth knowing that changes no verdict.
    pub(super) fn remark(&mut self, finding: Finding) {
        self.remarks.push(finding);
    }

    /// The report: violated if anything is broken, else inconclusive if anything is undecided, else
    /// it holds, for which `holds` is the summary.
    pub(super) fn report(
        self,
        guarantee: Guarantee,
        engine: &str,
        holds: String,
        figures: Vec<(String, u64)>,
    ) -> CheckReport {
        let (verdict, decisive) = if self.broken.is_empty() {
            if self.undecided.is_empty() {
                (Verdict::Holds, &self.undecided)
            } else {
                (Verdict::Inconclusive, &self.undecided)
            }
        } else {
            (Verdict::Violated, &self.broken)
        };
        let summary = match decisive.as_slice() {
            [] => holds,
            [only] => only.title.clone(),
            [first, rest @ ..] => format!("{} (and {} more)", first.title, rest.len()),
        };
        let mut findings = self.broken;
        findings.extend(self.undecided);
        findings.extend(self.remarks);
        let omitted = findings.len().saturating_sub(FINDINGS_MAX);
        findings.truncate(FINDINGS_MAX);
        CheckReport {
            guarantee,
            verdict,
            engine: engine.to_owned(),
            summary,
            findings,
            findings_omitted: omitted as u64,
            figures,
        }
    }
}

/// The report of a check that does not apply to the run.
pub(super) fn not_run(guarantee: Guarantee, engine: &str, why: &str) -> CheckReport {
    CheckReport {
        guarantee,
        verdict: Verdict::NotRun,
        engine: engine.to_owned(),
        summary: why.to_owned(),
        findings: vec![finding(why, vec![])],
        findings_omitted: 0,
        figures: vec![],
    }
}

/// A finding with a title and an argument; the rest is filled in where it is known.
pub(super) fn finding(title: impl Into<String>, explanation: Vec<String>) -> Finding {
    Finding {
        title: title.into(),
        explanation,
        operations: vec![],
        observations: vec![],
        members: vec![],
        revisions: vec![],
        keys: vec![],
        at: None,
    }
}

/// A time as people read it: milliseconds since the run's start.
pub(super) fn ms(at: u64) -> String {
    format!("{}.{} ms", at / 1_000_000, at / 100_000 % 10)
}

/// `m1`, `m1 and m2`, `m1, m2 and m3`.
pub(super) fn and<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => "none".to_owned(),
        [only] => only.as_ref().to_owned(),
        [head @ .., last] => {
            let head: Vec<_> = head.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", head.join(", "), last.as_ref())
        }
    }
}

/// The verb form that goes with so many names.
pub(super) fn verb<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

/// `1 key`, `2 keys`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A text in quotes, cut where it is long.
pub(super) fn quote(text: &str) -> String {
    if text.chars().count() <= QUOTE_CHARS_MAX {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(QUOTE_CHARS_MAX).collect();
    format!("{head:?}… ({} bytes)", text.len())
}

/// Owned copies of names.
pub(super) fn owned<S: AsRef<str>>(names: &[S]) -> Vec<String> {
    names.iter().map(|name| name.as_ref().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times_read_as_sentences() {
        assert_eq!(and(&["m1", "m2", "m3"]), "m1, m2 and m3");
        assert_eq!(and(&["m1"]), "m1");
        assert_eq!(ms(1_234_567_890), "1234.5 ms");
        assert_eq!(count(1, "key"), "1 key");
        assert_eq!(count(0, "key"), "0 keys");
        assert!(quote(&"x".repeat(500)).ends_with("… (500 bytes)"));
    }

    #[test]
    fn a_flood_of_remarks_pushes_out_no_proof_and_is_counted() {
        let mut findings = Findings::default();
        for _ in 0..FINDINGS_MAX + 7 {
            findings.remark(finding("remark", vec![]));
        }
        findings.broken(finding("proof", vec![]));
        let report = findings.report(Guarantee::Live, "test", String::new(), vec![]);
        assert_eq!(report.verdict, Verdict::Violated);
        assert_eq!(report.findings[0].title, "proof");
        assert_eq!(report.findings.len(), FINDINGS_MAX);
        assert_eq!(report.findings_omitted, 8);
    }
}
