//! The check itself: parts on a bounded number of threads, and their answers as one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::budget::{Budget, Exhausted, Purse};
use super::machine::{Found, Nowhere, SLOTS_MAX, search};
use super::plan::{BYTES_EACH, Plan};
use super::replay::replay;
use super::witness::Witness;
use super::{Model, Operation, Options, Verdict};

/// A part's answer.
enum Answer<S> {
    /// An order, by index into the history.
    Order(Vec<usize>),
    Nowhere {
        operation: usize,
        survivors: Vec<(S, Vec<usize>)>,
    },
    Undecided {
        reached: usize,
        why: String,
    },
}

/// Checks a history, whose operations may come in any order.
#[must_use]
pub fn check<M: Model>(
    model: &M,
    history: &[Operation<M::Op>],
    options: &Options,
) -> Verdict<M::State, M::Op> {
    let backwards = |o: &Operation<M::Op>| o.ret.is_some_and(|ret| ret < o.call);
    if let Some(i) = history.iter().position(backwards) {
        return undecided(0, format!("operation {i} returns before it is called"));
    }
    if u32::try_from(history.len()).is_err() {
        return undecided(0, "the history has more than 2^32 operations".to_owned());
    }
    let mut parts = if options.partition {
        model.partition(history)
    } else {
        vec![(0..history.len()).collect()]
    };
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));

    let threads = options.threads.clamp(1, parts.len().max(1));
    let budget = Budget::new(options, options.configurations_max, threads);
    let answers = ask_all(model, history, &parts, &budget, threads);
    conclude(model, history, &parts, answers, options)
}

fn undecided<S, O>(reached: usize, why: String) -> Verdict<S, O> {
    Verdict::Inconclusive { reached, why }
}

fn ask_all<M: Model>(
    model: &M,
    history: &[Operation<M::Op>],
    parts: &[Vec<usize>],
    budget: &Budget,
    threads: usize,
) -> Vec<Option<Answer<M::State>>> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::new());
    answers
        .lock()
        .expect("no holder panics")
        .resize_with(parts.len(), || None);
    let work = || {
        loop {
            let position = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(position) else {
                break;
            };
            let answer = ask(model, history, part, budget);
            if matches!(answer, Some(Answer::Nowhere { .. })) {
                budget.moot.store(true, Ordering::Relaxed);
            }
            answers.lock().expect("no holder panics")[position] = answer;
        }
    };
    if threads == 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
    answers.into_inner().expect("no holder panics")
}

fn ask<M: Model>(
    model: &M,
    history: &[Operation<M::Op>],
    part: &[usize],
    budget: &Budget,
) -> Option<Answer<M::State>> {
    if part.len() * BYTES_EACH > budget.bytes_each {
        let why = Exhausted::Bytes.why().to_owned();
        return Some(Answer::Undecided { reached: 0, why });
    }
    let plan = Plan::new(model, history, part);
    let at = |number: u32| plan.index[number as usize];
    let Some(found) = search(&plan, &mut Purse::new(budget)) else {
        let why = format!("more than {SLOTS_MAX} operations are pending at the same time");
        return Some(Answer::Undecided { reached: 0, why });
    };
    Some(match found {
        Found::Order(order) => Answer::Order(order.into_iter().map(at).collect()),
        Found::Nowhere(Nowhere { number, survivors }) => Answer::Nowhere {
            operation: at(number),
            survivors: survivors
                .into_iter()
                .map(|(state, pending)| (state, pending.into_iter().map(at).collect()))
                .collect(),
        },
        Found::Exhausted {
            why: Exhausted::Moot,
            ..
        } => return None,
        Found::Exhausted { reached, why } => Answer::Undecided {
            reached,
            why: why.why().to_owned(),
        },
    })
}

fn conclude<M: Model>(
    model: &M,
    history: &[Operation<M::Op>],
    parts: &[Vec<usize>],
    answers: Vec<Option<Answer<M::State>>>,
    options: &Options,
) -> Verdict<M::State, M::Op> {
    let mut orders = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (part, answer) in parts.iter().zip(answers) {
        match answer {
            Some(Answer::Order(order)) => orders.push(order),
            Some(Answer::Nowhere {
                operation,
                survivors,
            }) => {
                let witness = Witness::new(model, history, part, operation, survivors, options);
                return Verdict::Violated { witness };
            }
            Some(Answer::Undecided { reached, why }) => {
                let before = open.take().map_or(0, |(reached, _)| reached);
                open = Some((before + reached, why));
            }
            None => {}
        }
    }
    if let Some((reached, why)) = open {
        let settled: usize = orders.iter().map(Vec::len).sum();
        return undecided(settled + reached, why);
    }
    let order = merge(history, orders);
    match replay(model, history, &order) {
        Ok(()) => Verdict::Holds { order },
        Err(why) => undecided(
            order.len(),
            format!("the order found does not replay: {why}"),
        ),
    }
}

/// One order of all parts' orders. Each operation takes effect at the earliest moment that its
/// part's order allows; moments within intervals respect real time among parts too.
fn merge<Op>(history: &[Operation<Op>], orders: Vec<Vec<usize>>) -> Vec<usize> {
    if orders.len() == 1 {
        return orders.into_iter().flatten().collect();
    }
    let mut moments = Vec::new();
    for (part, order) in orders.into_iter().enumerate() {
        let mut moment = 0;
        for (position, i) in order.into_iter().enumerate() {
            moment = moment.max(history[i].call);
            moments.push((moment, part, position, i));
        }
    }
    moments.sort_unstable();
    moments.into_iter().map(|(.., i)| i).collect()
}
