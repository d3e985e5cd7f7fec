//! The plain search of Wing and Gong with Lowe's cache, for tests and as what the engines are
//! measured against: G. Lowe, *Testing for linearizability*, Concurrency and Computation 29(4),
//! 2017, and Porcupine's `checker.go`. No partitions, no reductions.

use std::collections::HashSet;
use std::hash::Hash;

/// A sequential object.
pub(crate) trait Model {
    /// Its state.
    type State: Clone + Eq + Hash;
    /// An operation with its answer.
    type Operation;

    /// The state after an operation, if its answer is right in this one.
    fn step(state: &Self::State, operation: &Self::Operation) -> Option<Self::State>;
}

/// An operation with the times of its call and of its return, if it did return.
pub(crate) type Timed<O> = (O, u64, Option<u64>);

const HEAD: usize = 0;

/// Calls and returns in a doubly linked list, in the order of time; a call comes before a return at
/// the same time. Unanswered operations have no return and need not be linearized.
struct Entries {
    next: Vec<usize>,
    previous: Vec<usize>,
    /// The operation, and whether this is its call.
    what: Vec<(usize, bool)>,
    returns: Vec<usize>,
}

impl Entries {
    fn of<O>(operations: &[Timed<O>]) -> Self {
        let mut order = Vec::new();
        for (op, (_, call, ret)) in operations.iter().enumerate() {
            order.push((*call, 0, op));
            order.extend(ret.map(|ret| (ret, 1, op)));
        }
        order.sort_unstable();
        let count = order.len() + 1;
        let mut what = vec![(usize::MAX, false)];
        let mut returns = vec![HEAD; operations.len()];
        for (_, kind, op) in order {
            if kind == 1 {
                returns[op] = what.len();
            }
            what.push((op, kind == 0));
        }
        Self {
            next: (1..=count).map(|at| at % count).collect(),
            previous: (0..count).map(|at| (at + count - 1) % count).collect(),
            what,
            returns,
        }
    }

    fn unlink(&mut self, at: usize) {
        let (previous, next) = (self.previous[at], self.next[at]);
        self.next[previous] = next;
        self.previous[next] = previous;
    }

    fn relink(&mut self, at: usize) {
        let (previous, next) = (self.previous[at], self.next[at]);
        self.next[previous] = at;
        self.previous[next] = at;
    }

    fn lift(&mut self, call: usize) {
        self.unlink(call);
        let ret = self.returns[self.what[call].0];
        if ret != HEAD {
            self.unlink(ret);
        }
    }

    fn unlift(&mut self, call: usize) {
        let ret = self.returns[self.what[call].0];
        if ret != HEAD {
            self.relink(ret);
        }
        self.relink(call);
    }
}

/// Whether some order of all answered and any of the unanswered operations explains everything;
/// None if that would take more than so many configurations.
pub(crate) fn is_linearizable<M: Model>(
    initial: M::State,
    operations: &[Timed<M::Operation>],
    configurations_max: usize,
) -> Option<bool> {
    let mut entries = Entries::of(operations);
    let mut done = vec![0_u64; operations.len().div_ceil(64)];
    let mut seen: HashSet<(Vec<u64>, M::State)> = HashSet::new();
    let mut stack: Vec<(usize, M::State)> = Vec::new();
    let mut state = initial;
    let mut at = entries.next[HEAD];
    loop {
        if at == HEAD {
            return Some(true);
        }
        let (op, is_call) = entries.what[at];
        if is_call {
            if let Some(next) = M::step(&state, &operations[op].0) {
                done[op / 64] ^= 1 << (op % 64);
                if seen.insert((done.clone(), next.clone())) {
                    if seen.len() > configurations_max {
                        return None;
                    }
                    entries.lift(at);
                    stack.push((at, std::mem::replace(&mut state, next)));
                    at = entries.next[HEAD];
                    continue;
                }
                done[op / 64] ^= 1 << (op % 64);
            }
            at = entries.next[at];
        } else {
            let Some((call, before)) = stack.pop() else {
                return Some(false);
            };
            let op = entries.what[call].0;
            done[op / 64] ^= 1 << (op % 64);
            state = before;
            entries.unlift(call);
            at = entries.next[call];
        }
    }
}
