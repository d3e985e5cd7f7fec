//! etcd's key-value and lease API.

mod map;
mod operation;
mod recorded;
mod state;
mod txn;

pub use operation::EtcdOp;
pub use recorded::{EtcdHistory, etcd_history};
pub use state::EtcdState;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::generic::{Model, Operation};
use crate::history::{Bytes, PutRequest, Request, Response};
use crate::model::{Difference, Refusal};
use operation::{What, each_pin, each_put};
use state::Change;

/// etcd's key-value and lease API as one sequential object: puts, deletes, ranges, transactions,
/// compactions, leases, with the revisions of every answer. With
/// [`StartingAt`](crate::generic::StartingAt) it judges a window of a longer history.
///
/// What the store does is written down a second time here, independently of
/// [`checker::model::Store`](crate::model::Store), on states that are copied at no cost; tests hold
/// the two against each other. [`etcd_history`] makes operations of recorded requests.
///
/// A state knows no time: an expiry is an operation of its own, and a renewal is none. Serializable
/// ranges are compared with the state at their revision, which must have come by their return.
/// Ranges pinned to a revision before the state that the history starts from are not judged.
///
/// ```
/// use checker::generic::{Operation, Options, Verdict, check};
/// use checker::history::{PutRequest, PutResponse, Request, Response, ResponseHeader};
/// use checker::models::{Etcd, EtcdOp};
///
/// let put = Request::Put(PutRequest { key: "k".into(), value: "v".into(), ..Default::default() });
/// let answer = |revision| {
///     let header = ResponseHeader { revision, ..Default::default() };
///     Response::Put(PutResponse { header, prev_kv: None })
/// };
/// let (two, three) = (answer(2), answer(3));
/// // The first to return made the second revision, although the other was called afterwards.
/// let history = [
///     Operation { op: EtcdOp::answered(&put, &three), call: 0, ret: Some(1) },
///     Operation { op: EtcdOp::answered(&put, &two), call: 2, ret: Some(3) },
/// ];
/// let verdict = check(&Etcd::default(), &history, &Options::default());
/// assert!(matches!(verdict, Verdict::Violated { .. }));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Etcd<'a> {
    hindsight: Arc<Hindsight<'a>>,
}

/// What a whole history shows.
#[derive(Debug, Default)]
struct Hindsight<'a> {
    /// Revisions whose keys some answer shows later.
    pins: BTreeSet<i64>,
    /// Revisions that known operations made.
    claimed: HashSet<i64>,
    /// Key and value that another one wrote, as far as an answer shows them.
    shown: HashMap<i64, (&'a Bytes, &'a Bytes)>,
    /// The revision of a value that was written once.
    place: HashMap<(&'a Bytes, &'a Bytes), i64>,
}

/// Why an operation does not fit a state.
enum Objection {
    /// The revision.
    Turn,
    Refused(Refusal),
    NotRefused,
    Differs(Difference),
    /// Another revision than answered.
    After(i64),
    /// Another operation made the revision.
    Hindsight,
}

impl From<Refusal> for Objection {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Difference> for Objection {
    fn from(difference: Difference) -> Self {
        Self::Differs(difference)
    }
}

impl<'a> Etcd<'a> {
    fn apply(&self, state: &EtcdState, op: &EtcdOp<'a>) -> Result<EtcdState, Objection> {
        let (lowest, highest) = op.turn;
        if state.revision < lowest || state.revision > highest {
            return Err(Objection::Turn);
        }
        let mut next = state.clone();
        match op.what {
            What::Reached => return Ok(next),
            What::Refused { request, refusal } => {
                return match Change::of(&mut next).apply(request) {
                    Err(own) if own == refusal => Ok(state.clone()),
                    Err(own) => Err(own.into()),
                    Ok(_) => Err(Objection::NotRefused),
                };
            }
            What::Local {
                request,
                response,
                revision,
            } => {
                if let Some(mut then) = state.at(revision) {
                    // The member may not have compacted yet.
                    then.compacted = -1;
                    let answer = Change::of(&mut then).apply(request)?;
                    answer.agrees_with(response)?;
                }
                return Ok(next);
            }
            What::Answered {
                request,
                response,
                revision,
            } => {
                let answer = match response {
                    Response::LeaseGrant { id, .. } => next.grant(*id)?,
                    _ => Change::of(&mut next).apply(request)?,
                };
                answer.agrees_with(response)?;
                if revision.is_some_and(|revision| revision != next.revision) {
                    return Err(Objection::After(next.revision));
                }
            }
            What::Unknown { request, lease } => {
                let applied = match request {
                    Request::LeaseGrant { .. } => next.grant(lease),
                    _ => Change::of(&mut next).apply(request),
                };
                if applied.is_err() {
                    return Ok(state.clone());
                }
                self.excludes(state, &next, Some(request))?;
            }
            What::Expiry { lease } => {
                Change::of(&mut next).apply(&Request::LeaseRevoke { id: lease })?;
                self.excludes(state, &next, None)?;
            }
        }
        if next.revision != state.revision && self.hindsight.pins.contains(&state.revision) {
            next.past.insert(state.revision, state.keys.clone());
        }
        Ok(next)
    }

    /// Objects if a later answer shows that the revision was made by something else.
    fn excludes(
        &self,
        state: &EtcdState,
        next: &EtcdState,
        request: Option<&Request>,
    ) -> Result<(), Objection> {
        if next.revision == state.revision {
            return Ok(());
        }
        let hindsight = &self.hindsight;
        let is_shown = match hindsight.shown.get(&next.revision) {
            None => true,
            Some((key, value)) => next
                .get(key)
                .is_some_and(|kv| kv.mod_revision == next.revision && kv.value == **value),
        };
        let is_elsewhere = match request {
            Some(Request::Put(PutRequest { key, value, .. })) => {
                let place = hindsight.place.get(&(key, value));
                place.is_some_and(|place| *place != next.revision)
            }
            _ => false,
        };
        if !is_shown || is_elsewhere || hindsight.claimed.contains(&next.revision) {
            return Err(Objection::Hindsight);
        }
        Ok(())
    }
}

impl<'a> Model for Etcd<'a> {
    type State = EtcdState;
    type Op = EtcdOp<'a>;

    fn initial(&self) -> EtcdState {
        EtcdState::default()
    }

    fn step(&self, state: &EtcdState, op: &EtcdOp<'a>) -> Option<EtcdState> {
        self.apply(state, op).ok()
    }

    fn is_read_only(&self, op: &EtcdOp<'a>) -> bool {
        op.is_read_only
    }

    fn forget(&self, op: &EtcdOp<'a>) -> EtcdOp<'a> {
        op.forget()
    }

    /// The revision never goes back.
    fn dead(&self, state: &EtcdState, op: &EtcdOp<'a>) -> bool {
        state.revision > op.turn.1
    }

    fn study(&self, start: &EtcdState, operations: &[&Operation<EtcdOp<'a>>]) -> Self {
        Self {
            hindsight: Arc::new(Hindsight::of(operations, start.revision)),
        }
    }

    fn bytes(&self, state: &EtcdState) -> usize {
        const NODE: usize = 128;
        const KEY_VALUE: usize = 160;
        let height = 2 * (state.keys.len() + 1).ilog2() as usize;
        size_of::<EtcdState>() + height * NODE + KEY_VALUE
    }

    fn refusal(&self, state: &EtcdState, op: &EtcdOp<'a>) -> String {
        let (lowest, highest) = op.turn;
        match self.apply(state, op) {
            Ok(_) => "nothing is against it".to_owned(),
            Err(Objection::Turn) if state.revision < lowest => format!(
                "it has its place at revision {lowest}, but the store is still at {}",
                state.revision
            ),
            Err(Objection::Turn) => format!(
                "it has its place at revision {highest} at the latest, but the store is at {}",
                state.revision
            ),
            Err(Objection::Refused(refusal)) => {
                format!("the store would have refused it: {}", refusal.words())
            }
            Err(Objection::NotRefused) => "the store would not have refused it".to_owned(),
            Err(Objection::Differs(difference)) => difference.to_string(),
            Err(Objection::After(revision)) => {
                format!("it would have been answered at revision {revision}")
            }
            Err(Objection::Hindsight) => format!(
                "an answer shows that something else made revision {}",
                state.revision + 1
            ),
        }
    }
}

impl<'a> Hindsight<'a> {
    fn of(operations: &[&Operation<EtcdOp<'a>>], start: i64) -> Self {
        let mut this = Self::default();
        for operation in operations {
            this.pin(&operation.op);
        }
        if operations.iter().all(|operation| operation.ret.is_some()) {
            return this;
        }
        this.claimed = operations.iter().filter_map(|o| o.op.made()).collect();
        for operation in operations {
            operation.op.each_shown(&mut |kv| {
                let made = kv.mod_revision;
                if made > start && !kv.value.is_empty() && !this.claimed.contains(&made) {
                    this.shown.insert(made, (&kv.key, &kv.value));
                }
            });
        }
        let mut times: HashMap<(&Bytes, &Bytes), u32> = HashMap::new();
        for operation in operations {
            let mut add = |key, value| *times.entry((key, value)).or_default() += 1;
            match operation.op.request() {
                Some(Request::Put(put)) => add(&put.key, &put.value),
                Some(Request::Txn(txn)) => each_put(txn, &mut add),
                _ => {}
            }
        }
        // A put that keeps the value that is there may write any value anew; its own is empty.
        let keeps_values = times.keys().any(|(_, value)| value.is_empty());
        if !keeps_values {
            let places = this.shown.iter().map(|(made, shown)| (*shown, *made));
            this.place = places.filter(|(kv, _)| times.get(kv) == Some(&1)).collect();
        }
        this
    }

    fn pin(&mut self, op: &EtcdOp) {
        match op.what {
            What::Local { revision, .. } => {
                self.pins.insert(revision);
            }
            What::Answered { .. } => {}
            _ => return,
        }
        match op.request() {
            Some(Request::Range(range)) => {
                self.pins.insert(range.revision);
            }
            Some(Request::Txn(txn)) => each_pin(txn, &mut |pin| {
                self.pins.insert(pin);
            }),
            _ => {}
        }
    }
}
