//! A delete, a compaction at exactly its revision, and a watch of the key from there.

use checker::history::{Bytes, DeleteRequest, Outcome, Request, Response, WatchRequest};

/// How far a client is with it.
#[derive(Default)]
pub(super) struct Tombstone {
    /// The key, while an answer is awaited.
    key: Option<Bytes>,
    /// What to send next.
    next: Option<Request>,
}

impl Tombstone {
    /// The delete to begin with.
    pub(super) fn delete(&mut self, key: Bytes) -> Request {
        self.key = Some(key.clone());
        Request::Delete(DeleteRequest {
            key,
            ..Default::default()
        })
    }

    /// The request that follows from the last answer, if one does.
    pub(super) fn take(&mut self) -> Option<Request> {
        self.next.take()
    }

    /// Takes in an answer. What deleted nothing, or is unknown, leads to nothing.
    pub(super) fn learn(&mut self, request: &Request, outcome: &Outcome) {
        self.next = None;
        let Some((key, response)) = self.key.take().zip(outcome.response()) else {
            return;
        };
        match (request, response) {
            (Request::Delete(_), Response::Delete(answer)) if answer.deleted > 0 => {
                self.key = Some(key);
                self.next = Some(Request::Compact {
                    revision: answer.header.revision,
                    physical: true,
                });
            }
            (Request::Compact { revision, .. }, Response::Compact { .. }) => {
                self.next = Some(Request::Watch(WatchRequest {
                    key,
                    start_revision: *revision,
                    ..Default::default()
                }));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use checker::history::{DeleteResponse, ErrorOrigin, ResponseHeader};

    use super::*;

    fn deleted(deleted: i64) -> Outcome {
        let header = ResponseHeader {
            revision: 7,
            ..Default::default()
        };
        let response = Response::Delete(DeleteResponse {
            header,
            deleted,
            prev_kvs: Vec::new(),
        });
        Outcome::Ok { response }
    }

    #[test]
    fn a_delete_is_compacted_at_its_revision_and_watched_from_there() {
        let mut tombstone = Tombstone::default();
        let delete = tombstone.delete("k/1".into());
        assert_eq!(tombstone.take(), None);
        tombstone.learn(&delete, &deleted(1));
        let compact = tombstone.take().expect("a compaction follows");
        let wanted = Request::Compact {
            revision: 7,
            physical: true,
        };
        assert_eq!(compact, wanted);
        let response = Response::Compact {
            header: ResponseHeader::default(),
        };
        tombstone.learn(&compact, &Outcome::Ok { response });
        let Some(Request::Watch(watch)) = tombstone.take() else {
            panic!("a watch follows")
        };
        assert_eq!((watch.key, watch.start_revision), ("k/1".into(), 7));
        tombstone.learn(&delete, &deleted(1));
        assert_eq!(tombstone.take(), None, "another delete is none of it");
    }

    #[test]
    fn nothing_follows_what_deleted_nothing_or_is_unknown() {
        let unknown = Outcome::Error {
            code: 4,
            message: String::new(),
            origin: ErrorOrigin::Deadline,
        };
        for answer in [deleted(0), unknown.clone()] {
            let mut tombstone = Tombstone::default();
            let delete = tombstone.delete("k/1".into());
            tombstone.learn(&delete, &answer);
            assert_eq!(tombstone.take(), None);
        }
        let mut tombstone = Tombstone::default();
        let delete = tombstone.delete("k/1".into());
        tombstone.learn(&delete, &deleted(1));
        let compact = tombstone.take().expect("a compaction follows");
        tombstone.learn(&compact, &unknown);
        assert_eq!(tombstone.take(), None);
    }
}
