//! Filling a history: requests and answers become numbers.

use hashbrown::HashMap;

use super::history::{
    Action, Delete, Dense, Guard, Kv, NONE, OBSERVED, Op, Part, PutForm, Range, Slice, Span,
    Target, Txn,
};
use crate::history::{
    Bytes, Compare, CompareTarget, DeleteRequest, Event, EventKind, KeyValue, Outcome as Heard,
    PutRequest, RangeRequest, RangeResponse, Request, Response, SortOrder, SortTarget, TxnOp,
    TxnOpResponse, TxnRequest, TxnResponse,
};
use crate::linearizable::operation::{
    NEVER, OperationId, Role, Seen, interpret, is_local, is_modelled, role,
};

/// What cannot be expressed; told to whoever asks why no order was found.
pub(super) type Outside = &'static str;

impl Dense {
    /// An empty history.
    #[must_use]
    pub fn new() -> Self {
        Self {
            leases: vec![0],
            lease_numbers: HashMap::from([(0, 0)]),
            ..Self::default()
        }
    }

    /// An empty history of operations whose answers do not show versions and create revisions;
    /// those that are 0 are then taken for not recorded.
    #[must_use]
    pub fn lean() -> Self {
        Self {
            lean: true,
            ..Self::new()
        }
    }

    /// How many operations of the key-value and lease API there are, those included whose error
    /// says nothing.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.pushed
    }

    /// Adds an operation: times in nanoseconds, none where it has not returned. Requests of other
    /// APIs are left out.
    pub fn push(
        &mut self,
        id: OperationId,
        call: u64,
        ret: Option<u64>,
        request: &Request,
        heard: Option<&Heard>,
    ) {
        if !is_modelled(request) {
            return;
        }
        self.pushed += 1;
        if let Err(why) = self.add(id, (call, ret.unwrap_or(NEVER)), request, heard) {
            self.outside.get_or_insert(why);
        }
    }

    /// Adds a watch event, from which is guessed what made a revision that nobody acknowledged.
    pub fn event(&mut self, event: &Event) {
        let Ok(revision) = u32::try_from(event.kv.mod_revision) else {
            return;
        };
        let Some(key) = self.keys.intern(event.kv.key.as_slice()) else {
            return;
        };
        let value = match event.kind {
            EventKind::Put => match self.values.intern(event.kv.value.as_slice()) {
                None => return,
                value => value,
            },
            EventKind::Delete => None,
        };
        self.events.push((revision, key, value));
    }

    fn add(
        &mut self,
        id: OperationId,
        (call, ret): (u64, u64),
        request: &Request,
        heard: Option<&Heard>,
    ) -> Result<(), Outside> {
        let seen = heard.map_or(Seen::Unknown, |heard| interpret(request, heard));
        if ret < call {
            return Err("an operation returned before it was invoked");
        }
        let response = match seen {
            Seen::Answer(response) => Some(response),
            _ => None,
        };
        let (part, revision) = match role(request, seen)? {
            Role::Write(r) => (Part::Write, r),
            Role::Read(r) => (Part::Read, r),
            Role::Revoke(r) => (Part::Revoke, r),
            Role::LocalRead(r) => (Part::LocalRead, r),
            Role::Compaction(r) => (Part::Compaction, r),
            Role::SawCompacted(r) if is_local(request) => (Part::SawCompactedLocally, r),
            Role::SawCompacted(r) => (Part::SawCompacted, r),
            Role::SawFuture(r) => (Part::SawFuture, r),
            Role::Renewal(lease) => {
                let lease = self.lease(lease)?;
                self.renewals.push((lease, ret, call));
                return Ok(());
            }
            Role::Maybe => (Part::Maybe, 0),
            Role::MaybeCompaction(_) => (Part::MaybeCompaction, 0),
            Role::Nothing => return Ok(()),
        };
        let ret = match part {
            Part::Maybe | Part::MaybeCompaction => NEVER,
            _ => ret,
        };
        let action = match part {
            Part::SawCompacted | Part::SawCompactedLocally | Part::SawFuture => Action::Error,
            _ => self.action(request, response)?,
        };
        let id = match id {
            OperationId::History(id) if id < OBSERVED => id,
            OperationId::Observation(id) if id < OBSERVED => id | OBSERVED,
            _ => return Err("numbers of operations beyond 63 bits"),
        };
        let revision = small(revision)?;
        self.ops.push(Op {
            id,
            call,
            ret,
            revision,
            part,
            action,
        });
        Ok(())
    }

    fn action(
        &mut self,
        request: &Request,
        response: Option<&Response>,
    ) -> Result<Action, Outside> {
        match (request, response) {
            (Request::Range(range), Some(Response::Range(answer))) => {
                self.range(range, Some(answer))
            }
            (Request::Put(put), Some(Response::Put(answer))) => {
                self.put(put, answer.prev_kv.as_ref())
            }
            (Request::Put(put), None) => self.put(put, None),
            (Request::Delete(delete), Some(Response::Delete(answer))) => {
                self.delete(delete, answer.deleted, &answer.prev_kvs)
            }
            (Request::Delete(delete), None) => self.delete(delete, 0, &[]),
            (Request::Txn(txn), Some(Response::Txn(answer))) => self.txn(txn, Some(answer)),
            (Request::Txn(txn), None) => self.txn(txn, None),
            (Request::Compact { revision, .. }, _) => Ok(Action::Compact(small(*revision)?)),
            (Request::LeaseGrant { .. }, Some(Response::LeaseGrant { id, ttl, .. })) => {
                self.grant(*id, *ttl)
            }
            (Request::LeaseGrant { id, ttl }, _) => self.grant(*id, *ttl),
            (Request::LeaseRevoke { id }, _) => Ok(Action::Revoke(self.lease(*id)?)),
            _ => Err("an answer to another kind of request"),
        }
    }

    fn grant(&mut self, id: i64, ttl: i64) -> Result<Action, Outside> {
        if id == 0 {
            return Err("a lease of id 0");
        }
        Ok(Action::Grant {
            lease: self.lease(id)?,
            ttl: small(ttl)?,
        })
    }

    fn range(
        &mut self,
        range: &RangeRequest,
        answer: Option<&RangeResponse>,
    ) -> Result<Action, Outside> {
        let span = self.span(&range.key, &range.range_end)?;
        if let (Span::One(key), true) = (span, is_plain(range)) {
            let found = match answer.map(|answer| (&answer.kvs[..], answer.count, answer.more)) {
                None | Some(([], 0, false)) => Some(NONE),
                Some(([kv], 1, false)) if kv.key == range.key => Some(self.kv(kv)?),
                Some(_) => None,
            };
            if let Some(kv) = found {
                return Ok(Action::Get { key, kv });
            }
        }
        let start = self.kvs.len();
        for kv in answer.map_or(&[][..], |answer| &answer.kvs) {
            self.kv(kv)?;
        }
        let range = Range {
            span,
            limit: small(range.limit.max(0))?,
            pin: small(range.revision.max(0))?,
            sorted_by: range.sort_target,
            descending: range.sort_order == SortOrder::Descend,
            keys_only: range.keys_only,
            count_only: range.count_only,
            min_mod: small(range.min_mod_revision)?,
            max_mod: small(range.max_mod_revision)?,
            min_create: small(range.min_create_revision)?,
            max_create: small(range.max_create_revision)?,
            kvs: slice(start, self.kvs.len())?,
            count: small(answer.map_or(0, |answer| answer.count))?,
            more: answer.is_some_and(|answer| answer.more),
        };
        Ok(Action::Range(push(&mut self.ranges, range)?))
    }

    fn put(&mut self, put: &PutRequest, previous: Option<&KeyValue>) -> Result<Action, Outside> {
        let usual = !put.prev_kv && !put.ignore_value && !put.ignore_lease && previous.is_none();
        let form = if usual {
            NONE
        } else {
            let form = PutForm {
                ask_previous: put.prev_kv,
                keep_value: put.ignore_value,
                keep_lease: put.ignore_lease,
                previous: previous.map_or(Ok(NONE), |kv| self.kv(kv))?,
            };
            push(&mut self.puts, form)?
        };
        Ok(Action::Put {
            key: self.key(&put.key)?,
            value: self.value(&put.value)?,
            lease: self.lease(put.lease)?,
            form,
        })
    }

    fn delete(
        &mut self,
        delete: &DeleteRequest,
        deleted: i64,
        previous: &[KeyValue],
    ) -> Result<Action, Outside> {
        let start = self.kvs.len();
        for kv in previous {
            self.kv(kv)?;
        }
        let delete = Delete {
            span: self.span(&delete.key, &delete.range_end)?,
            ask_previous: delete.prev_kv,
            deleted: small(deleted)?,
            previous: slice(start, self.kvs.len())?,
        };
        Ok(Action::Delete(push(&mut self.deletes, delete)?))
    }

    fn txn(&mut self, txn: &TxnRequest, answer: Option<&TxnResponse>) -> Result<Action, Outside> {
        let guards = txn
            .compare
            .iter()
            .map(|compare| self.guard(compare))
            .collect::<Result<Vec<_>, _>>()?;
        let guards = extend(&mut self.guards, guards)?;
        let responses = answer.map_or(&[][..], |answer| &answer.responses);
        let succeeded = answer.is_some_and(|answer| answer.succeeded);
        let (yes, no) = if succeeded {
            (responses, &[][..])
        } else {
            (&[][..], responses)
        };
        let success = self.branch(&txn.success, yes)?;
        let failure = self.branch(&txn.failure, no)?;
        let taken = if succeeded { success } else { failure };
        let pinned = answer.is_some()
            && taken.of(&self.parts).iter().any(|part| match part {
                Action::Range(range) => self.ranges[*range as usize].pin > 0,
                Action::Txn(inner) => self.txns[*inner as usize].pinned,
                _ => false,
            });
        let txn = Txn {
            guards,
            success,
            failure,
            succeeded,
            pinned,
        };
        Ok(Action::Txn(push(&mut self.txns, txn)?))
    }

    fn branch(&mut self, ops: &[TxnOp], answers: &[TxnOpResponse]) -> Result<Slice, Outside> {
        let mut answers = answers.iter();
        let mut parts = Vec::with_capacity(ops.len());
        for op in ops {
            parts.push(match (op, answers.next()) {
                (TxnOp::Range(range), Some(TxnOpResponse::Range(answer))) => {
                    self.range(range, Some(answer))?
                }
                (TxnOp::Range(range), _) => self.range(range, None)?,
                (TxnOp::Put(put), Some(TxnOpResponse::Put(answer))) => {
                    self.put(put, answer.prev_kv.as_ref())?
                }
                (TxnOp::Put(put), _) => self.put(put, None)?,
                (TxnOp::Delete(delete), Some(TxnOpResponse::Delete(answer))) => {
                    self.delete(delete, answer.deleted, &answer.prev_kvs)?
                }
                (TxnOp::Delete(delete), _) => self.delete(delete, 0, &[])?,
                (TxnOp::Txn(inner), Some(TxnOpResponse::Txn(answer))) => {
                    self.txn(inner, Some(answer))?
                }
                (TxnOp::Txn(inner), _) => self.txn(inner, None)?,
            });
        }
        extend(&mut self.parts, parts)
    }

    fn guard(&mut self, compare: &Compare) -> Result<Guard, Outside> {
        Ok(Guard {
            span: self.span(&compare.key, &compare.range_end)?,
            result: compare.result,
            target: match &compare.target {
                CompareTarget::Version(given) => Target::Version(*given),
                CompareTarget::Create(given) => Target::Create(*given),
                CompareTarget::Mod(given) => Target::Mod(*given),
                CompareTarget::Lease(given) => Target::Lease(*given),
                CompareTarget::Value(given) => Target::Value(self.value(given)?),
            },
        })
    }

    fn span(&mut self, key: &Bytes, end: &Bytes) -> Result<Span, Outside> {
        if end.is_empty() {
            return Ok(Span::One(self.key(key)?));
        }
        let span = (key.clone(), end.clone());
        if let Some(number) = self.span_numbers.get(&span) {
            return Ok(Span::Many(*number));
        }
        let number = push(&mut self.spans, span.clone())?;
        self.span_numbers.insert(span, number);
        Ok(Span::Many(number))
    }

    fn kv(&mut self, kv: &KeyValue) -> Result<u32, Outside> {
        let kv = Kv {
            key: self.key(&kv.key)?,
            value: self.value(&kv.value)?,
            create: small(kv.create_revision)?,
            modified: small(kv.mod_revision)?,
            version: small(kv.version)?,
            lease: self.lease(kv.lease)?,
        };
        push(&mut self.kvs, kv)
    }

    fn key(&mut self, key: &Bytes) -> Result<u32, Outside> {
        self.keys.intern(key.as_slice()).ok_or(TOO_MUCH)
    }

    fn value(&mut self, value: &Bytes) -> Result<u32, Outside> {
        self.values.intern(value.as_slice()).ok_or(TOO_MUCH)
    }

    fn lease(&mut self, id: i64) -> Result<u32, Outside> {
        if let Some(number) = self.lease_numbers.get(&id) {
            return Ok(*number);
        }
        let number = push(&mut self.leases, id)?;
        self.lease_numbers.insert(id, number);
        Ok(number)
    }
}

/// Whether nothing but the newest of the keys is asked for.
fn is_plain(range: &RangeRequest) -> bool {
    let RangeRequest {
        key: _,
        range_end: _,
        limit,
        revision,
        sort_order,
        sort_target,
        serializable: _,
        keys_only,
        count_only,
        min_mod_revision,
        max_mod_revision,
        min_create_revision,
        max_create_revision,
    } = range;
    let numbers = [
        limit,
        revision,
        min_mod_revision,
        max_mod_revision,
        min_create_revision,
        max_create_revision,
    ];
    numbers.iter().all(|number| **number == 0)
        && *sort_order == SortOrder::None
        && *sort_target == SortTarget::Key
        && !keys_only
        && !count_only
}

pub(super) const TOO_MUCH: Outside = "more than 32 bits can number";

pub(super) fn small(number: i64) -> Result<u32, Outside> {
    match u32::try_from(number) {
        Ok(number) if number < NONE - 1 => Ok(number),
        _ => Err("numbers beyond 32 bits, or negative ones"),
    }
}

pub(super) fn push<T>(vector: &mut Vec<T>, item: T) -> Result<u32, Outside> {
    let index = u32::try_from(vector.len()).map_err(|_| TOO_MUCH)?;
    vector.push(item);
    Ok(index)
}

fn extend<T>(vector: &mut Vec<T>, items: Vec<T>) -> Result<Slice, Outside> {
    let start = vector.len();
    vector.extend(items);
    slice(start, vector.len())
}

fn slice(start: usize, end: usize) -> Result<Slice, Outside> {
    Ok(Slice {
        start: u32::try_from(start).map_err(|_| TOO_MUCH)?,
        len: u32::try_from(end - start).map_err(|_| TOO_MUCH)?,
    })
}
