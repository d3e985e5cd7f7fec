//! Histories as they are recorded: whole, record by record, or bare puts and gets.

use super::fill::{Outside, TOO_MUCH, push, small};
use super::history::{Action, Dense, Kv, NONE, OBSERVED, Op, Part};
use crate::history::{Invoke, ObservationRecord, Record};
use crate::linearizable::operation::{NEVER, OperationId, is_local, is_modelled};
use crate::linearizable::returns::Returns;
use crate::zones;

impl Dense {
    /// The operations of both streams, as [`check`](crate::linearizable::check) reads them.
    #[must_use]
    pub fn of(history: &[Record], observations: &[ObservationRecord]) -> Self {
        let mut this = Self::new();
        let mut returns = Returns::of(history);
        if returns.twice.is_some() {
            this.outside = Some("an operation returns twice");
        }
        for record in history {
            if let Record::Watch(delivery) = record {
                delivery.response.events.iter().for_each(|e| this.event(e));
            }
        }
        this.ops.reserve(history.len() / 2);
        this.values.reserve(history.len() / 4);
        for record in history {
            let Record::Invoke(invoke) = record else {
                continue;
            };
            this.number(invoke.id);
            let returned = returns.take(invoke.id);
            let (ret, heard) = (returned.map(|r| r.at), returned.map(|r| &r.outcome));
            let id = OperationId::History(invoke.id);
            this.push(id, invoke.at, ret, &invoke.request, heard);
        }
        for record in observations {
            if let ObservationRecord::Asked(asked) = record
                && !is_local(&asked.request)
            {
                let id = OperationId::Observation(asked.id);
                let (request, heard) = (&asked.request, Some(&asked.outcome));
                this.push(id, asked.at, Some(asked.until), request, heard);
            }
        }
        this
    }

    /// Takes the next record of `history.jsonl`. When all are taken, [`Dense::end`] is to be called.
    pub fn record(&mut self, record: Record) {
        match record {
            Record::Invoke(invoke) => {
                let id = invoke.id;
                self.number(id);
                let open = is_modelled(&invoke.request).then_some(invoke);
                self.open.insert(id, open);
            }
            Record::Return(r) => match self.open.remove(&r.id) {
                Some(Some(invoke)) => {
                    let id = OperationId::History(r.id);
                    let outcome = Some(&r.outcome);
                    self.push(id, invoke.at, Some(r.at), &invoke.request, outcome);
                }
                Some(None) => {}
                None => self.outside = Some("an operation returns that is not open"),
            },
            Record::Watch(delivery) => {
                delivery.response.events.iter().for_each(|e| self.event(e));
            }
            _ => {}
        }
    }

    /// Notes the number of an invocation: each comes once, and nearly in order.
    fn number(&mut self, id: u64) {
        const SKIPPED_MAX: u64 = 1 << 20;
        if id < self.next {
            if !self.skipped.remove(&id) {
                self.outside = Some("two invocations have one number");
            }
        } else if id - self.next > SKIPPED_MAX {
            self.outside = Some("numbers of invocations are far apart");
        } else {
            self.skipped.extend(self.next..id);
            self.next = id + 1;
        }
    }

    /// Ends a history of records: what has not returned by now has an unknown result.
    pub fn end(&mut self) {
        let mut open: Vec<Invoke> = self.open.drain().filter_map(|(_, invoke)| invoke).collect();
        open.sort_unstable_by_key(|invoke| invoke.id);
        for invoke in open {
            let id = OperationId::History(invoke.id);
            self.push(id, invoke.at, None, &invoke.request, None);
        }
    }

    /// Adds a put of a value, acknowledged at a revision and time if `ret` is there.
    pub fn put_of(
        &mut self,
        id: u64,
        call: u64,
        ret: Option<(u64, i64)>,
        key: &[u8],
        value: &[u8],
    ) {
        let (ret, revision) = ret.map_or((NEVER, None), |(ret, revision)| (ret, Some(revision)));
        let put = self.bare(key).and_then(|key| {
            Ok(Action::Put {
                key,
                value: self.values.intern(value).ok_or(TOO_MUCH)?,
                lease: 0,
                form: NONE,
            })
        });
        let part = if revision.is_some() {
            Part::Write
        } else {
            Part::Maybe
        };
        self.take(id, (call, ret), part, revision.unwrap_or(0), put);
    }

    /// Adds an answered get: the value and mod revision that it saw, if any, at a revision.
    pub fn get_of(
        &mut self,
        id: u64,
        (call, ret): (u64, u64),
        key: &[u8],
        seen: Option<(&[u8], i64)>,
        revision: i64,
    ) {
        let get = self.bare(key).and_then(|key| {
            let Some((value, modified)) = seen else {
                return Ok(Action::Get { key, kv: NONE });
            };
            let kv = Kv {
                key,
                value: self.values.intern(value).ok_or(TOO_MUCH)?,
                create: 0,
                modified: small(modified)?,
                version: 0,
                lease: 0,
            };
            let kv = push(&mut self.kvs, kv)?;
            Ok(Action::Get { key, kv })
        });
        self.take(id, (call, ret), Part::Read, revision, get);
    }

    fn bare(&mut self, key: &[u8]) -> Result<u32, Outside> {
        self.keys.intern(key).ok_or(TOO_MUCH)
    }

    fn take(
        &mut self,
        id: u64,
        (call, ret): (u64, u64),
        part: Part,
        revision: i64,
        action: Result<Action, Outside>,
    ) {
        self.pushed += 1;
        let made = || {
            if ret < call {
                return Err("an operation returned before it was invoked");
            }
            if part != Part::Maybe && revision < 1 {
                return Err("a revision below 1");
            }
            if id >= OBSERVED {
                return Err("numbers of operations beyond 63 bits");
            }
            Ok(Op {
                id,
                call,
                ret,
                revision: small(revision)?,
                part,
                action: action?,
            })
        };
        match made() {
            Ok(op) => self.ops.push(op),
            Err(why) => {
                self.outside.get_or_insert(why);
            }
        }
    }
}

impl Dense {
    /// A history of bare puts and gets as operations on registers, which know nothing of
    /// revisions; none where there is anything else.
    #[must_use]
    pub fn registers(&self) -> Option<Vec<zones::Operation<u32, u32>>> {
        let register = |op: &Op| {
            let (key, kind) = match op.action {
                Action::Put {
                    key,
                    value,
                    lease: 0,
                    form: NONE,
                } => (key, zones::Kind::Write(value)),
                Action::Get { key, kv } if op.part == Part::Read => {
                    let seen = self.kvs.get(kv as usize).map(|kv| kv.value);
                    (key, zones::Kind::Read(seen))
                }
                _ => return None,
            };
            Some(zones::Operation {
                key,
                kind,
                call: op.call,
                ret: (op.ret != NEVER).then_some(op.ret),
            })
        };
        self.ops.iter().map(register).collect()
    }
}
