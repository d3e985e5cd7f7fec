//! Transactions that append to lists: values as in `checker::transactions::parse`.
//!
//! A client reads some lists in one transaction. If that is answered, it appends to one or two of
//! them in another, guarded by the mod revisions that it was shown: of these, or of all it read.
//! Where a guard does not hold, the transaction reads instead. An element is appended once in the
//! run: its number is made of the client's and a count. A list that has grown long is left for a
//! new one, so that what is read and put does not grow with the run.

use checker::history::{
    Bytes, Compare, CompareResult, CompareTarget, Outcome, PutRequest, RangeRequest, Response,
    TxnOp, TxnOpResponse, TxnRequest,
};
use checker::transactions::{format, parse};
use rand::RngExt as _;
use rand_chacha::ChaCha20Rng;
use scenarios::stream::Stream;

/// Elements after which a list is left.
const LENGTH_MAX: usize = 64;
/// Appends of a client at most, so that elements of two clients differ.
const APPENDS_MAX: u64 = 1_000_000_000;

/// A client's lists, and its own stream of choices about them.
pub(super) struct Lists {
    rng: ChaCha20Rng,
    client: u32,
    appends: u64,
    /// How many lists this client has seen grow long, by their place.
    left: Vec<u32>,
    /// The places that are being read.
    reading: Vec<usize>,
    /// What to send next.
    next: Option<TxnRequest>,
}

impl Lists {
    pub(super) fn new(seed: u64, client: u32, count: u32) -> Self {
        Self {
            rng: Stream::new(seed, "lists").into_rng(),
            client,
            appends: 0,
            left: vec![0; count.max(1) as usize],
            reading: Vec::new(),
            next: None,
        }
    }

    /// The transaction that follows from the last answer, if one does.
    pub(super) fn take(&mut self) -> Option<TxnRequest> {
        self.next.take()
    }

    /// A read of one to three lists.
    pub(super) fn read(&mut self) -> TxnRequest {
        let first = self.rng.random_range(0..self.left.len());
        let count = self.rng.random_range(1..=3.min(self.left.len()));
        self.reading = (first..first + count)
            .map(|place| place % self.left.len())
            .collect();
        let reads = self.reading.iter().map(|place| self.get(*place));
        TxnRequest {
            success: reads.collect(),
            ..Default::default()
        }
    }

    fn key(&self, place: usize) -> Bytes {
        Bytes::from(format!("lists/{place}-{}", self.left[place]))
    }

    fn get(&self, place: usize) -> TxnOp {
        TxnOp::Range(RangeRequest {
            key: self.key(place),
            ..Default::default()
        })
    }

    /// Takes in what the read of lists came to, if one was sent.
    pub(super) fn learn(&mut self, outcome: &Outcome) {
        let reading = std::mem::take(&mut self.reading);
        let Some(Response::Txn(answer)) = outcome.response() else {
            return;
        };
        let mut shown = Vec::new();
        for (place, answer) in reading.into_iter().zip(&answer.responses) {
            let TxnOpResponse::Range(answer) = answer else {
                continue;
            };
            let (revision, list) = match answer.kvs.first() {
                None => (0, Vec::new()),
                Some(kv) => match parse(&kv.value) {
                    Some(list) => (kv.mod_revision, list),
                    None => continue,
                },
            };
            if list.len() < LENGTH_MAX {
                shown.push((place, revision, list));
            } else {
                self.left[place] += 1;
            }
        }
        if !shown.is_empty() && self.appends < APPENDS_MAX {
            self.next = Some(self.append(shown));
        }
    }

    fn append(&mut self, mut shown: Vec<(usize, i64, Vec<u64>)>) -> TxnRequest {
        let appended = self.rng.random_range(1..=2.min(shown.len()));
        let start = self.rng.random_range(0..shown.len());
        shown.rotate_left(start);
        if self.rng.random_bool(0.5) {
            shown.truncate(appended);
        }
        let mut txn = TxnRequest::default();
        for (nth, (place, revision, mut list)) in shown.into_iter().enumerate() {
            txn.compare.push(Compare {
                key: self.key(place),
                range_end: Bytes::default(),
                result: CompareResult::Equal,
                target: CompareTarget::Mod(revision),
            });
            txn.failure.push(self.get(place));
            if nth < appended {
                self.appends += 1;
                list.push(u64::from(self.client) * APPENDS_MAX + self.appends);
                txn.success.push(TxnOp::Put(PutRequest {
                    key: self.key(place),
                    value: format(&list),
                    ..Default::default()
                }));
            }
        }
        txn
    }
}

#[cfg(test)]
mod tests {
    use checker::history::{KeyValue, RangeResponse, TxnResponse};

    use super::*;

    fn answer(txn: &TxnRequest, list: &[u64]) -> Outcome {
        let kv = |op: &TxnOp| match op {
            TxnOp::Range(range) => KeyValue {
                key: range.key.clone(),
                mod_revision: 7,
                value: format(list),
                ..Default::default()
            },
            other => panic!("{other:?}"),
        };
        let range = |op| {
            TxnOpResponse::Range(RangeResponse {
                kvs: vec![kv(op)],
                ..Default::default()
            })
        };
        Outcome::Ok {
            response: Response::Txn(TxnResponse {
                responses: txn.success.iter().map(range).collect(),
                succeeded: true,
                ..Default::default()
            }),
        }
    }

    #[test]
    fn what_was_read_is_appended_to_under_its_guards() {
        let mut lists = Lists::new(1, 3, 10);
        let mut sizes = [0; 4];
        for n in 1..200 {
            assert_eq!(lists.take(), None);
            let read = lists.read();
            assert!((1..=3).contains(&read.success.len()));
            lists.learn(&answer(&read, &[5, 6]));
            let append = lists.take().expect("an append follows");
            let (guards, puts) = (append.compare.len(), append.success.len());
            assert!((1..=2).contains(&puts) && puts <= guards && guards <= read.success.len());
            assert_eq!(append.failure.len(), guards);
            sizes[puts] += 1;
            for (guard, op) in append.compare.iter().zip(&append.success) {
                assert_eq!(guard.target, CompareTarget::Mod(7));
                let TxnOp::Put(put) = op else {
                    panic!("{op:?}")
                };
                let list = parse(&put.value).expect("a list");
                assert_eq!((&put.key, &list[..2]), (&guard.key, &[5, 6][..]));
                assert!(list[2] > 3 * APPENDS_MAX && list[2] <= 3 * APPENDS_MAX + 2 * n);
            }
            // The answer to an append leads to nothing.
            lists.learn(&answer(&read, &[5, 6]));
        }
        assert!(sizes[1] > 20 && sizes[2] > 20, "{sizes:?}");
    }

    #[test]
    fn nothing_follows_a_read_without_an_answer_and_long_lists_are_left() {
        let mut lists = Lists::new(1, 3, 1);
        let read = lists.read();
        lists.learn(&Outcome::Error {
            code: 14,
            message: String::new(),
            origin: checker::history::ErrorOrigin::Client,
        });
        assert_eq!(lists.take(), None);
        assert_eq!(lists.read(), read);
        lists.learn(&answer(&read, &[1; LENGTH_MAX]));
        assert_eq!(lists.take(), None);
        assert_ne!(lists.read(), read);
    }
}
