//! The verdict on an imported history.

mod bare;
mod etcd;
mod lists;
mod objects;
mod regardless;
mod words;

pub use bare::judge_bare;

use std::sync::atomic::AtomicBool;

use super::History;
use crate::models::{CasRegister, CasRegisterOp, KeyValue, Mutex, Queue, Set};
use crate::verdict::{CheckReport, Exit, Finding, Guarantee, Verdict};

/// What objects a history is judged against, as `--model` has it.
pub const MODELS: [&str; 8] = [
    "register",
    "cas-register",
    "kv-append",
    "set",
    "queue",
    "mutex",
    "etcd",
    "list-append",
];

/// Bounds of a judgement.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The model, one of [`MODELS`]; else the one that the history's operations ask for.
    pub model: Option<&'a str>,
    /// Configurations that the search may create for each independent object, or steps of the
    /// search through revisions; else the engines' own bounds.
    pub configurations_max: Option<u64>,
    /// Bytes that the search may hold besides the history.
    pub bytes_max: usize,
    /// Independent objects judged at a time.
    pub threads: usize,
    /// Whether the caller vouches that an etcd history holds every write since the store was empty.
    pub is_whole: bool,
    /// Set by the caller to end the search early; the verdict is then inconclusive.
    pub stop: Option<&'a AtomicBool>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            model: None,
            configurations_max: None,
            bytes_max: 1 << 30,
            threads: 1,
            is_whole: false,
            stop: None,
        }
    }
}

/// A judgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The model it was judged against.
    pub model: &'static str,
    /// The verdict, with its proof in sentences.
    pub report: CheckReport,
    /// Set if two engines disagree: then there is no verdict, and the fault is ours.
    pub fault: Option<String>,
}

impl Judged {
    /// The exit code that follows.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match (self.report.verdict, &self.fault) {
            (Verdict::Violated, _) => Exit::Violated,
            (_, Some(_)) => Exit::HarnessFault,
            (Verdict::Inconclusive, None) => Exit::Inconclusive,
            (Verdict::Holds, None) => Exit::Holds,
            (Verdict::NotRun, None) => Exit::NothingRan,
        }
    }
}

/// Why a history cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// No model has that name.
    #[error("no model {name:?}; there are {}", MODELS.join(", "))]
    NoModel {
        /// The name.
        name: String,
    },
    /// The model cannot judge this history.
    #[error("the model {model} cannot judge a history of kind {kind}: {why}")]
    WrongModel {
        /// The model.
        model: String,
        /// The history's kind.
        kind: &'static str,
        /// Why not.
        why: &'static str,
    },
}

/// Judges a history by the engine that fits it: of etcd by revision order, cross-checked by zones;
/// of other objects by the generic engine, cross-checked by zones where registers allow it.
///
/// A history that was cut short never holds.
///
/// # Errors
///
/// When the model does not fit the history.
pub fn judge(history: &History, options: &Options<'_>) -> Result<Judged, JudgeError> {
    let model = model_of(history, options.model)?;
    let mut judged = match history {
        _ if history.is_empty() => Judged {
            model,
            report: report(
                Verdict::NotRun,
                "none",
                "there are no operations".to_owned(),
            ),
            fault: None,
        },
        History::Registers(all) => {
            let mut judged = objects::judge(&CasRegister, model, all, options);
            objects::cross_check(all, &mut judged);
            judged
        }
        History::KeyValue(all) => objects::judge(&KeyValue::default(), model, all, options),
        History::Sets(all) => objects::judge(&Set::default(), model, all, options),
        History::Queues(all) => objects::judge(&Queue, model, all, options),
        History::Mutexes(all) => objects::judge(&Mutex, model, all, options),
        History::ListAppend(all) => lists::judge(all, model),
        History::Etcd(all) => etcd::judge(all, options),
    };
    if let Some(cut) = history.cut()
        && judged.report.verdict == Verdict::Holds
    {
        withhold(
            &mut judged.report,
            format!("the file is cut short ({cut}): what is there holds, the rest is not known"),
        );
    }
    Ok(judged)
}

fn model_of(history: &History, asked: Option<&str>) -> Result<&'static str, JudgeError> {
    let kind = history.kind();
    let Some(asked) = asked else {
        return Ok(kind);
    };
    let Some(model) = MODELS.into_iter().find(|model| *model == asked) else {
        let name = asked.to_owned();
        return Err(JudgeError::NoModel { name });
    };
    let wrong = |why| JudgeError::WrongModel {
        model: model.to_owned(),
        kind,
        why,
    };
    match history {
        History::Registers(all) if model == "register" => {
            let is_cas = |op: &CasRegisterOp| matches!(op, CasRegisterOp::Cas { .. });
            if all.operations.iter().any(|o| is_cas(&o.op)) {
                return Err(wrong("it has compare-and-set: use cas-register"));
            }
            Ok(model)
        }
        _ if model == kind => Ok(model),
        _ => Err(wrong(
            "its operations are of another object; leave --model out",
        )),
    }
}

/// Turns what holds as far as known into what is not known.
fn withhold(report: &mut CheckReport, why: String) {
    report.verdict = Verdict::Inconclusive;
    let explanation = vec![report.summary.clone()];
    report.summary.clone_from(&why);
    report.findings.insert(0, finding(why, explanation));
}

fn report(verdict: Verdict, engine: &str, summary: String) -> CheckReport {
    CheckReport {
        guarantee: Guarantee::Linearizable,
        verdict,
        engine: engine.to_owned(),
        summary,
        findings: Vec::new(),
        findings_omitted: 0,
        figures: Vec::new(),
    }
}

fn finding(title: String, explanation: Vec<String>) -> Finding {
    Finding {
        title,
        explanation,
        operations: Vec::new(),
        observations: Vec::new(),
        members: Vec::new(),
        revisions: Vec::new(),
        keys: Vec::new(),
        at: None,
    }
}
