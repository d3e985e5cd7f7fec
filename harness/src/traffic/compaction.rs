//! Where a client compacts: at a put that it made.
//!
//! A store keeps what happened at the revision it is compacted at, for watches
//! that start there. etcd before 3.4.34 and 3.5.16 loses a delete at that very
//! revision, without any fault (<https://github.com/etcd-io/etcd/issues/18089>):
//! compacting anywhere, 2 of 85 runs of 3 s on 3.4.23 met it, so that no
//! scenario could have been expected to hold there. Compacting at deletes has a
//! weight of its own, `compact_delete`, and what it needs is in
//! [`super::tombstone`].

use std::collections::VecDeque;

use checker::history::{Outcome, Request, Response};

/// Puts of one's own that are kept, at most: the older are forgotten first.
const PUTS_KEPT_MAX: usize = 64;

/// The revisions a client may compact at.
#[derive(Default)]
pub(super) struct Compaction {
    /// Of acknowledged puts, ascending, all above what this client compacted.
    puts: VecDeque<i64>,
}

impl Compaction {
    /// The newest put at or below `newest`, or else the oldest; `None` where there is none since the
    /// last compaction.
    pub(super) fn at(&self, newest: i64) -> Option<i64> {
        let below = self.puts.partition_point(|&put| put <= newest);
        self.puts.get(below.saturating_sub(1)).copied()
    }

    /// Takes in what an answer shows.
    pub(super) fn learn(&mut self, request: &Request, outcome: &Outcome) {
        if let (Request::Compact { revision, .. }, Outcome::Ok { .. }) = (request, outcome) {
            self.puts.retain(|put| put > revision);
        }
        if let (Request::Put(_), Some(Response::Put(answer))) = (request, outcome.response()) {
            let revision = answer.header.revision;
            // A store that is broken may go backwards.
            if self.puts.back().is_none_or(|&newest| newest < revision) {
                if self.puts.len() == PUTS_KEPT_MAX {
                    self.puts.pop_front();
                }
                self.puts.push_back(revision);
            }
        }
        debug_assert!(self.puts.len() <= PUTS_KEPT_MAX);
        debug_assert!(self.puts.iter().is_sorted());
    }
}

#[cfg(test)]
mod tests {
    use checker::history::{ErrorOrigin, PutRequest, PutResponse, ResponseHeader};

    use super::*;

    fn header(revision: i64) -> ResponseHeader {
        ResponseHeader {
            revision,
            ..Default::default()
        }
    }

    fn put(compaction: &mut Compaction, revision: i64) {
        let response = Response::Put(PutResponse {
            header: header(revision),
            prev_kv: None,
        });
        let request = Request::Put(PutRequest::default());
        compaction.learn(&request, &Outcome::Ok { response });
    }

    fn compact(revision: i64) -> Request {
        Request::Compact {
            revision,
            physical: false,
        }
    }

    #[test]
    fn a_client_compacts_at_puts_of_its_own_above_what_it_compacted() {
        let mut compaction = Compaction::default();
        assert_eq!(compaction.at(100), None);
        for revision in [5, 9, 14] {
            put(&mut compaction, revision);
        }
        let at = [(4, 5), (5, 5), (8, 5), (9, 9), (13, 9), (100, 14)];
        for (newest, revision) in at {
            assert_eq!(compaction.at(newest), Some(revision), "below {newest}");
        }
        let unknown = Outcome::Error {
            code: 4,
            message: String::new(),
            origin: ErrorOrigin::Deadline,
        };
        compaction.learn(&compact(14), &unknown);
        assert_eq!(compaction.at(100), Some(14), "nothing is known of it");
        let response = Response::Compact { header: header(20) };
        compaction.learn(&compact(9), &Outcome::Ok { response });
        assert_eq!(compaction.at(1), Some(14));
    }

    #[test]
    fn the_newest_puts_are_kept_and_revisions_that_fall_are_not() {
        let mut compaction = Compaction::default();
        for revision in 1..=100 {
            put(&mut compaction, revision);
        }
        put(&mut compaction, 50);
        assert_eq!(compaction.at(0), Some(100 - 64 + 1));
        assert_eq!(compaction.at(1000), Some(100));
    }
}
