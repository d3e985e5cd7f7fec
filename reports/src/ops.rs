//! Invocations and their returns, paired.

use std::collections::HashMap;

use checker::history::{Invoke, Outcome, Record, Request, WatchDelivery};

use crate::ended::Ended;

/// One operation of a client.
#[derive(Clone, Debug)]
pub(crate) struct Op<'a> {
    pub(crate) invoke: &'a Invoke,
    /// When it returned; none while there is no return in the file.
    pub(crate) end: Option<u64>,
    pub(crate) outcome: Option<&'a Outcome>,
    /// Messages of a watch.
    pub(crate) messages: Vec<&'a WatchDelivery>,
}

impl Op<'_> {
    pub(crate) fn ended(&self) -> Ended {
        Ended::of(&self.invoke.request, self.outcome)
    }

    pub(crate) fn revision(&self) -> Option<i64> {
        self.outcome.and_then(revision_of)
    }

    pub(crate) fn is_watch(&self) -> bool {
        matches!(self.invoke.request, Request::Watch(_))
    }
}

pub(crate) fn revision_of(outcome: &Outcome) -> Option<i64> {
    Some(outcome.response()?.header()?.revision)
}

/// All operations, in the order of queueing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ops<'a> {
    pub(crate) list: Vec<Op<'a>>,
    by_id: HashMap<u64, usize>,
    pub(crate) oddities: Oddities,
}

/// Signs that the recording itself is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Oddities {
    pub(crate) ids_twice: u64,
    pub(crate) returns_without_invocation: u64,
    pub(crate) returns_twice: u64,
    pub(crate) returns_before_invocation: u64,
    pub(crate) two_in_flight: u64,
}

impl<'a> Ops<'a> {
    pub(crate) fn new(history: &'a [Record]) -> Self {
        let mut ops = Self::default();
        for record in history {
            match record {
                Record::Invoke(invoke) => ops.begin(invoke),
                Record::Return(returned) => {
                    ops.end(returned.id, returned.at, &returned.outcome);
                }
                Record::Watch(delivery) => match ops.by_id.get(&delivery.id) {
                    Some(&index) => ops.list[index].messages.push(delivery),
                    None => ops.oddities.returns_without_invocation += 1,
                },
                Record::Header(_) | Record::Footer(_) => {}
            }
        }
        ops.oddities.two_in_flight = ops.overlaps();
        ops
    }

    fn begin(&mut self, invoke: &'a Invoke) {
        if self.by_id.insert(invoke.id, self.list.len()).is_some() {
            self.oddities.ids_twice += 1;
        }
        self.list.push(Op {
            invoke,
            end: None,
            outcome: None,
            messages: Vec::new(),
        });
    }

    fn end(&mut self, id: u64, at: u64, outcome: &'a Outcome) {
        let Some(&index) = self.by_id.get(&id) else {
            self.oddities.returns_without_invocation += 1;
            return;
        };
        let op = &mut self.list[index];
        if op.end.is_some() {
            self.oddities.returns_twice += 1;
            return;
        }
        if at < op.invoke.at {
            self.oddities.returns_before_invocation += 1;
        }
        op.end = Some(at.max(op.invoke.at));
        op.outcome = Some(outcome);
    }

    /// Unary requests that a client sent while it still waited for another.
    fn overlaps(&self) -> u64 {
        let mut busy_until: HashMap<u32, u64> = HashMap::new();
        let mut count = 0;
        for op in self.list.iter().filter(|op| !op.is_watch()) {
            let until = busy_until.entry(op.invoke.client).or_default();
            if op.invoke.at < *until {
                count += 1;
            }
            *until = op.end.unwrap_or(u64::MAX);
        }
        count
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Op<'a>> {
        self.index(id).map(|index| &self.list[index])
    }

    pub(crate) fn index(&self, id: u64) -> Option<usize> {
        self.by_id.get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use checker::history::{PutRequest, Response, Return};

    use super::*;

    fn invoke(id: u64, at: u64) -> Record {
        let request = Request::Put(PutRequest::default());
        Record::Invoke(Invoke {
            id,
            at,
            client: 1,
            member: "m1".into(),
            user: None,
            request,
        })
    }

    fn returned(id: u64, at: u64) -> Record {
        let outcome = Outcome::Ok {
            response: Response::Put(Default::default()),
        };
        Record::Return(Return { id, at, outcome })
    }

    #[test]
    fn what_cannot_be_is_counted_not_hidden() {
        let history = [
            invoke(0, 10),
            returned(0, 5),
            returned(0, 12),
            returned(9, 12),
            invoke(1, 20),
            invoke(2, 21),
        ];
        let ops = Ops::new(&history);
        let expected = Oddities {
            ids_twice: 0,
            returns_without_invocation: 1,
            returns_twice: 1,
            returns_before_invocation: 1,
            two_in_flight: 1,
        };
        assert_eq!(ops.oddities, expected);
        assert_eq!(ops.get(0).unwrap().ended(), Ended::Ok);
        assert_eq!(ops.get(1).unwrap().ended(), Ended::Unknown);
    }
}
