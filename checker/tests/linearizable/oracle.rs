//! The plain search over all orders, for small histories: no revision trick, no pruning but real
//! time. It shares the sequential store with the check, and nothing else.

use std::collections::HashSet;

use checker::history::*;
use checker::model::{RangeAnswer, Store};

use super::simulate::{History, Op};

struct Oracle<'a> {
    ops: &'a [Op],
    /// Headers of acknowledged compactions: the revision was reached before the answer.
    reached: Vec<(usize, i64)>,
    dead: HashSet<(u64, u64, String)>,
}

#[derive(Clone)]
struct State {
    done: u64,
    /// Latest call so far, in milliseconds.
    latest: u64,
    store: Store,
    /// When each lease was granted, and for how many milliseconds.
    granted: Vec<(i64, u64, u64)>,
}

/// Whether some order of all acknowledged and any of the unknown operations explains everything.
pub(crate) fn is_linearizable(history: &History) -> bool {
    let ops = &history.ops;
    let header = |op: &Op| match &op.outcome {
        Some(Outcome::Ok {
            response: Response::Compact { header },
        }) => Some(header.revision),
        _ => None,
    };
    let reached: Vec<_> = ops
        .iter()
        .enumerate()
        .filter_map(|(i, op)| Some((i, header(op)?)))
        .collect();
    assert!(ops.len() + reached.len() <= 64);
    let state = State {
        done: 0,
        latest: 0,
        store: Store::with_past(),
        granted: Vec::new(),
    };
    Oracle {
        ops,
        reached,
        dead: HashSet::new(),
    }
    .search(&state)
}

impl Oracle<'_> {
    /// Operations, then the moments at which compactions' headers were reached.
    fn interval(&self, i: usize) -> (u64, u64, bool) {
        let op = self
            .ops
            .get(i)
            .unwrap_or_else(|| &self.ops[self.reached[i - self.ops.len()].0]);
        let must = op.outcome.is_some() && !dropped(op);
        (op.call, if must { op.ret } else { u64::MAX }, must)
    }

    fn search(&mut self, state: &State) -> bool {
        let all = self.ops.len() + self.reached.len();
        let open: Vec<usize> = (0..all).filter(|i| state.done >> i & 1 == 0).collect();
        let musts = open.iter().filter(|i| self.interval(**i).2);
        let Some(first_return) = musts.map(|i| self.interval(*i).1).min() else {
            return true;
        };
        let lives: Vec<_> = state.store.key_values().collect();
        let leases: Vec<_> = state.store.leases().collect();
        let revisions = (state.store.revision(), state.store.compacted());
        let past: Vec<_> = (1..revisions.0)
            .map(|revision| everything(&state.store, revision))
            .collect();
        let print = format!(
            "{lives:?} {leases:?} {:?} {revisions:?} {past:?}",
            state.granted
        );
        if !self.dead.insert((state.done, state.latest, print)) {
            return false;
        }
        for i in open {
            let (call, ..) = self.interval(i);
            let latest = state.latest.max(call);
            if latest > first_return {
                continue;
            }
            let mut next = State {
                done: state.done | 1 << i,
                latest,
                ..state.clone()
            };
            if self.step(&mut next, i) && self.search(&next) {
                return true;
            }
        }
        for (lease, grant, ttl) in &state.granted {
            let mut next = state.clone();
            next.latest = self.expiry(*lease, grant + ttl, *ttl, state.latest);
            if next.latest <= first_return && next.store.revoke(*lease).is_ok() {
                next.granted.retain(|(other, ..)| other != lease);
                if self.search(&next) {
                    return true;
                }
            }
        }
        false
    }

    /// A renewal acknowledged before the expiry puts it off.
    fn expiry(&self, lease: i64, due: u64, ttl: u64, latest: u64) -> u64 {
        let mut time = due.max(latest);
        for _ in self.ops {
            for op in self.ops {
                if let Some(Outcome::Ok {
                    response: Response::LeaseKeepAlive { id, ttl: 1.., .. },
                }) = &op.outcome
                    && *id == lease
                    && op.ret < time
                {
                    time = time.max(op.call + ttl);
                }
            }
        }
        time
    }

    fn step(&self, state: &mut State, i: usize) -> bool {
        let Some(op) = self.ops.get(i) else {
            return state.store.revision() >= self.reached[i - self.ops.len()].1;
        };
        if let (
            Request::Range(range),
            Some(Outcome::Ok {
                response: Response::Range(answer),
            }),
        ) = (&op.request, &op.outcome)
            && range.serializable
        {
            let seen = answer.header.revision;
            let at = if range.revision > 0 {
                range.revision
            } else {
                seen
            };
            let then = RangeRequest {
                revision: at,
                ..range.clone()
            };
            // The member may not have compacted yet.
            let past = state.store.read_past(&then).expect("the past is kept");
            return seen <= state.store.revision()
                && at <= seen
                && past.agrees_with(answer).is_ok();
        }
        let answer = state.store.apply(&op.request);
        if answer.is_ok() {
            match op.request {
                Request::LeaseGrant { id, ttl } => {
                    state
                        .granted
                        .push((id, op.call, u64::try_from(ttl).unwrap_or(0) * 1_000));
                }
                Request::LeaseRevoke { id } => state.granted.retain(|(other, ..)| *other != id),
                _ => {}
            }
        }
        let revision = state.store.revision();
        match (&op.outcome, answer) {
            (None, _) => true,
            (Some(Outcome::Ok { response }), Ok(answer)) => {
                let header = response.header().unwrap().revision;
                let fits = match response {
                    Response::Compact { .. } => revision <= header,
                    _ => revision == header,
                };
                fits && answer.agrees_with(response).is_ok()
            }
            (Some(Outcome::Ok { .. }), Err(_)) => false,
            (Some(error @ Outcome::Error { .. }), answer) => {
                answer.is_err_and(|refusal| super::simulate::error(refusal) == *error)
            }
        }
    }
}

fn everything(store: &Store, revision: i64) -> Option<RangeAnswer> {
    let (key, range_end) = ("\0".into(), "\0".into());
    store.read_past(&RangeRequest {
        key,
        range_end,
        revision,
        ..Default::default()
    })
}

/// Says nothing about the order: keep-alives, and errors that tell nothing of revisions.
fn dropped(op: &Op) -> bool {
    match (&op.request, &op.outcome) {
        (Request::LeaseKeepAlive { .. }, _) => true,
        (Request::Range(range), Some(Outcome::Error { message, .. })) if range.serializable => {
            message.contains("future")
        }
        (_, Some(Outcome::Error { code, .. })) => *code != 11,
        _ => false,
    }
}
