//! Independent objects, each judged by the generic engine.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::words::Words;
use super::{Judged, Options, finding, report};
use crate::generic::{self, Operation, Witness, check};
use crate::import::Objects;
use crate::models::CasRegisterOp;
use crate::verdict::{CheckReport, Verdict};
use crate::zones;

/// How the verdict is reached, as in reports.
const ENGINE: &str = "frontier 1";

/// Results of a core, and states, told at most.
const TOLD_MAX: usize = 12;
const STATES_MAX: usize = 4;

/// A history is linearizable if and only if that of each object is (Herlihy and Wing 1990,
/// locality): so each is judged alone.
pub(super) fn judge<M: Words>(
    model: &M,
    name: &'static str,
    all: &Objects<M::Op>,
    options: &Options<'_>,
) -> Judged {
    let mut parts: Vec<Vec<usize>> = vec![Vec::new(); all.names.len().max(1)];
    for (operation, object) in all.objects.iter().enumerate() {
        parts[*object as usize].push(operation);
    }
    let workers = options.threads.clamp(1, parts.len());
    let defaults = generic::Options::default();
    let bounds = generic::Options {
        configurations_max: options
            .configurations_max
            .unwrap_or(defaults.configurations_max),
        core_max: options
            .configurations_max
            .map_or(defaults.core_max, |max| max.min(defaults.core_max)),
        bytes_max: options.bytes_max / workers,
        threads: (options.threads / workers).max(1),
        stop: options.stop,
        ..defaults
    };
    let next = AtomicUsize::new(0);
    let is_violated = AtomicBool::new(false);
    let verdicts = Mutex::new(Vec::new());
    let work = || {
        while !is_violated.load(Ordering::Relaxed) {
            let object = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(object) else { break };
            let history: Vec<_> = part.iter().map(|i| all.operations[*i].clone()).collect();
            let verdict = check(model, &history, &bounds);
            if matches!(verdict, generic::Verdict::Violated { .. }) {
                is_violated.store(true, Ordering::Relaxed);
            }
            if !matches!(verdict, generic::Verdict::Holds { .. }) {
                let mut verdicts = verdicts.lock().unwrap_or_else(|e| e.into_inner());
                verdicts.push((object, verdict));
            }
        }
    };
    if workers == 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(work);
            }
        });
    }
    let mut verdicts = verdicts.into_inner().unwrap_or_else(|e| e.into_inner());
    // Objects are begun in order: whatever comes before a violated one has been judged.
    verdicts.sort_by_key(|(object, verdict)| {
        (
            !matches!(verdict, generic::Verdict::Violated { .. }),
            *object,
        )
    });
    let mut report = match verdicts.into_iter().next() {
        None => {
            let count = all.operations.len();
            let objects = match parts.len() {
                1 => String::new(),
                many => format!(" on {many} independent objects"),
            };
            let summary = format!(
                "{count} operations{objects} fit one order, which was replayed; {} more failed \
                 or say nothing",
                all.left_out
            );
            report(Verdict::Holds, ENGINE, summary)
        }
        Some((object, generic::Verdict::Violated { witness })) => {
            violated::<M>(all, &parts[object], object, &witness)
        }
        Some((object, generic::Verdict::Inconclusive { reached, why })) => {
            let total = parts[object].len();
            let on = object_name(all, object);
            let title =
                format!("undecided{on} after {reached} of {total} operations were placed: {why}");
            let mut report = report(Verdict::Inconclusive, ENGINE, title.clone());
            let advice = "Neither an order nor a contradiction was found. More may be allowed \
                          with --budget-configurations and --budget-bytes.";
            report
                .findings
                .push(finding(title, vec![advice.to_owned()]));
            report
        }
        Some((_, generic::Verdict::Holds { .. })) => {
            unreachable!("those that hold are not collected")
        }
    };
    report.figures = vec![
        ("operations".to_owned(), all.operations.len() as u64),
        ("objects".to_owned(), parts.len() as u64),
        ("left out".to_owned(), all.left_out),
    ];
    Judged {
        model: name,
        report,
        fault: None,
    }
}

fn object_name<Op>(all: &Objects<Op>, object: usize) -> String {
    match all.names.get(object) {
        Some(Some(name)) => format!(" on key {name}"),
        _ => String::new(),
    }
}

fn violated<M: Words>(
    all: &Objects<M::Op>,
    part: &[usize],
    object: usize,
    witness: &Witness<M::State, M::Op>,
) -> CheckReport {
    let values = &all.values;
    let told = |index: usize, op: &M::Op, is_known: bool| {
        let origin = all.origins[part[index]];
        let what = M::say(op, is_known, values);
        format!("{origin}: process {} {what}", origin.process)
    };
    let last = part[witness.operation];
    let on = object_name(all, object);
    let title = format!(
        "no order of the operations{on} explains how process {} {} ({})",
        all.origins[last].process,
        M::say(&all.operations[last].op, true, values),
        all.origins[last]
    );
    let mut explanation = Vec::new();
    let (known, open): (Vec<_>, Vec<_>) = witness
        .core
        .iter()
        .partition(|core| core.operation.ret.is_some());
    explanation.push(format!(
        "These {} results cannot all be true of one {}:",
        known.len(),
        M::OBJECT
    ));
    for core in known.iter().take(TOLD_MAX) {
        explanation.push(format!("  {}", told(core.index, &core.operation.op, true)));
    }
    if known.len() > TOLD_MAX {
        explanation.push(format!("  and {} more", known.len() - TOLD_MAX));
    }
    if !open.is_empty() {
        explanation.push(format!(
            "That is so whether or not these took effect ({}), and whenever after their calls:",
            open.len()
        ));
        for core in open.iter().take(TOLD_MAX) {
            let recorded = &all.operations[part[core.index]];
            let line = told(core.index, &recorded.op, recorded.ret.is_some());
            explanation.push(format!("  {line}"));
        }
        if open.len() > TOLD_MAX {
            explanation.push(format!("  and {} more", open.len() - TOLD_MAX));
        }
    }
    if !witness.is_minimal {
        explanation.push("Fewer might do: the budget for finding out was used up.".to_owned());
    }
    for survivor in witness.survivors.iter().take(STATES_MAX) {
        let state = M::state(&survivor.state, values);
        let mut refused = Vec::new();
        for pending in survivor.pending.iter().take(STATES_MAX) {
            let index = pending.operation;
            let origin = all.origins[part[index]];
            let op = &all.operations[part[index]].op;
            let is_known = all.operations[part[index]].ret.is_some();
            let what = M::say(op, is_known, values);
            let why = match pending.refusal {
                Some(_) => "does not fit",
                None => "fits, but leads nowhere",
            };
            refused.push(format!(
                "process {} {what} ({origin}) {why}",
                origin.process
            ));
        }
        explanation.push(format!(
            "Where everything before has its place, {state}: {}.",
            refused.join("; ")
        ));
    }
    if witness.survivors.len() > STATES_MAX {
        let more = witness.survivors.len() - STATES_MAX;
        explanation.push(format!("{more} more states were possible."));
    }
    let mut report = report(Verdict::Violated, ENGINE, title.clone());
    let mut finding = finding(title, explanation);
    finding.operations = known.iter().map(|core| part[core.index] as u64).collect();
    finding.keys = all.names[object..]
        .iter()
        .take(1)
        .flatten()
        .map(ToString::to_string)
        .collect();
    report.findings.push(finding);
    report
}

/// Judges by zones the registers that are only read and written, each value once, and compares.
/// There both engines are exact: if they disagree, one of them is wrong.
pub(super) fn cross_check(all: &Objects<CasRegisterOp>, judged: &mut Judged) {
    let mut written: HashSet<(u32, i64)> = HashSet::new();
    let mut unfit: HashSet<u32> = HashSet::new();
    for (operation, object) in all.operations.iter().zip(&all.objects) {
        let fits = match operation.op {
            CasRegisterOp::Read(_) => true,
            CasRegisterOp::Write(Some(value)) => written.insert((*object, value)),
            CasRegisterOp::Write(None) | CasRegisterOp::Cas { .. } => false,
        };
        if !fits {
            unfit.insert(*object);
        }
    }
    let mut projected = Vec::new();
    let mut indices = Vec::new();
    for (index, (operation, object)) in all.operations.iter().zip(&all.objects).enumerate() {
        let Operation { op, call, ret } = *operation;
        let kind = match op {
            _ if unfit.contains(object) => continue,
            CasRegisterOp::Read(value) => zones::Kind::Read(value),
            CasRegisterOp::Write(Some(value)) => zones::Kind::Write(value),
            CasRegisterOp::Write(None) | CasRegisterOp::Cas { .. } => continue,
        };
        let key = *object;
        projected.push(zones::Operation {
            key,
            kind,
            call,
            ret,
        });
        indices.push(index);
    }
    let zones::Checked { outcome, figures } = zones::check(&projected);
    let figure = ("registers cross-checked by zones".to_owned(), figures.keys);
    judged.report.figures.push(figure);
    let witnesses = match outcome {
        zones::Outcome::Holds => Vec::new(),
        zones::Outcome::Violated { witnesses } => witnesses,
    };
    let found = judged.report.findings.first();
    let judged_object = found
        .and_then(|finding| finding.operations.first())
        .map(|operation| all.objects[*operation as usize]);
    let objects: HashSet<u32> = witnesses
        .iter()
        .filter_map(|w| w.operations.first())
        .map(|at| projected[*at].key)
        .collect();
    let fault = match judged.report.verdict {
        Verdict::Holds if !witnesses.is_empty() => "holds",
        Verdict::Violated
            if judged_object.is_some_and(|o| !unfit.contains(&o) && !objects.contains(&o)) =>
        {
            "violated"
        }
        Verdict::Inconclusive => {
            if let Some(witness) = witnesses.first() {
                let operations = witness.operations.iter().map(|at| indices[*at]);
                by_zones(all, operations.collect(), judged);
            }
            return;
        }
        _ => return,
    };
    let fault = format!(
        "{} says {fault} of registers of which {} says the opposite: please report this with the \
         file",
        judged.report.engine,
        zones::ENGINE
    );
    judged.report.verdict = Verdict::Inconclusive;
    judged.report.summary.clone_from(&fault);
    judged.fault = Some(fault);
}

/// Takes the proof of a violation that only the zones found.
fn by_zones(all: &Objects<CasRegisterOp>, operations: Vec<usize>, judged: &mut Judged) {
    use crate::models::CasRegister;
    let told = |index: &usize| {
        let origin = all.origins[*index];
        let operation = &all.operations[*index];
        let what = CasRegister::say(&operation.op, operation.ret.is_some(), &all.values);
        format!("  {origin}: process {} {what}", origin.process)
    };
    let object = operations.first().map_or(0, |i| all.objects[*i] as usize);
    let title = format!(
        "no order of the operations{} explains these {} results",
        object_name(all, object),
        operations.len()
    );
    let mut finding = finding(title.clone(), operations.iter().map(told).collect());
    finding.operations = operations.into_iter().map(|i| i as u64).collect();
    judged.report.verdict = Verdict::Violated;
    judged.report.engine = zones::ENGINE.to_owned();
    judged.report.summary = title;
    judged.report.findings = vec![finding];
}
