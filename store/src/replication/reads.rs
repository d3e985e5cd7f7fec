//! Linearizable reads: who waits for a read index, and which answer is whose (etcd's
//! `linearizableReadLoop`, server/etcdserver/v3_server.go).
//!
//! One round is under way at a time; who comes meanwhile waits for the next. A round that gets no
//! answer is asked again every 500 ms, with whoever has come, under a new id (etcd 3.5.28): an answer
//! counts only for those who waited before the question was asked.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::Error;

/// When a question is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// Who may wait at once.
const WAITERS: usize = 65_536;

/// Who wants to know.
pub(super) type Reply = oneshot::Sender<Result<u64, Error>>;

struct Waiter {
    until: Instant,
    reply: Reply,
}

/// A question that was sent, for the first `covers` of those who wait.
struct Attempt {
    context: Vec<u8>,
    covers: usize,
}

/// The reads of one member.
pub(super) struct Reads {
    member: u64,
    next: u64,
    limit: Duration,
    reuse: bool,
    retry: Duration,
    waiters: VecDeque<Waiter>,
    attempts: VecDeque<Attempt>,
    sent: Instant,
}

impl Reads {
    /// `reuse` is #20418.
    pub(super) fn new(member: u64, limit: Duration, reuse: bool) -> Self {
        Self {
            member,
            // Ids of before a restart are not used again.
            next: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos() as u64),
            limit,
            reuse,
            // Planted #20418: retries come sooner, so that more answers come after one; the right
            // code waits for the whole time.
            retry: if reuse { RETRY / 5 } else { RETRY },
            waiters: VecDeque::new(),
            attempts: VecDeque::new(),
            sent: Instant::now(),
        }
    }

    /// Somebody wants a read index.
    pub(super) fn ask(&mut self, reply: Reply, now: Instant) {
        if self.waiters.len() >= WAITERS {
            // Whoever is gone need not hear it.
            let _ = reply.send(Err(Error::TooManyRequests));
            return;
        }
        self.waiters.push_back(Waiter {
            until: now + self.limit,
            reply,
        });
    }

    /// The question to send now, if any.
    pub(super) fn question(&mut self, now: Instant) -> Option<Vec<u8>> {
        let under_way = !self.attempts.is_empty();
        if self.waiters.is_empty() || under_way && !self.overdue(now) {
            return None;
        }
        self.sent = now;
        let covers = self.waiters.len();
        // Planted #20418: a retry asks under the id of the first attempt, so that the answer to the
        // first is taken by those who came between; the right code asks under a new one.
        if self.reuse
            && let Some(first) = self.attempts.front_mut()
        {
            first.covers = covers;
            return Some(first.context.clone());
        }
        self.next += 1;
        let mut context = self.member.to_be_bytes().to_vec();
        context.extend(self.next.to_be_bytes());
        self.attempts.push_back(Attempt {
            context: context.clone(),
            covers,
        });
        Some(context)
    }

    fn overdue(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.sent) >= self.retry
    }

    /// An answer has come.
    pub(super) fn answer(&mut self, context: &[u8], index: u64, now: Instant) {
        let Some(at) = self.attempts.iter().position(|a| a.context == context) else {
            crate::warning!(
                "ignored out-of-date read index response; local node read indexes queueing up and waiting to be in sync with leader"
            );
            return;
        };
        let mut covers = self.attempts[at].covers;
        // Planted #20418: as above, for a retry that is due but not sent yet.
        if self.reuse && self.overdue(now) {
            covers = self.waiters.len();
        }
        self.attempts.drain(..=at);
        for attempt in &mut self.attempts {
            attempt.covers -= covers;
        }
        for waiter in self.waiters.drain(..covers) {
            let _ = waiter.reply.send(Ok(index));
        }
    }

    /// There is another leader: the round under way has failed.
    pub(super) fn leader_changed(&mut self) {
        // Planted #20418: the round goes on, and an answer of the leader before is still taken; the
        // right code fails it.
        if self.reuse {
            return;
        }
        let covers = self.attempts.back().map_or(0, |last| last.covers);
        self.attempts.clear();
        for waiter in self.waiters.drain(..covers) {
            let _ = waiter.reply.send(Err(Error::LeaderChanged));
        }
    }

    /// Tells those who have waited too long.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.waiters.front().is_some_and(|w| w.until <= now) {
            if let Some(waiter) = self.waiters.pop_front() {
                let _ = waiter.reply.send(Err(Error::Timeout));
            }
            for attempt in &mut self.attempts {
                attempt.covers = attempt.covers.saturating_sub(1);
            }
        }
        if self.waiters.is_empty() {
            self.attempts.clear();
        }
    }

    /// When [`Reads::question`] may have something again.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.waiters.is_empty()).then(|| self.sent + self.retry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<u64, Error>>;

    fn reads(reuse: bool) -> Reads {
        Reads::new(1, Duration::from_secs(7), reuse)
    }

    fn ask(reads: &mut Reads, now: Instant) -> Answer {
        let (reply, answer) = oneshot::channel();
        reads.ask(reply, now);
        answer
    }

    /// A reader, a pause, another reader, a retry; then the answer to the first question. Comes back
    /// with what the second reader got.
    fn pause(reads: &mut Reads) -> (Option<Result<u64, Error>>, Vec<u8>) {
        let now = Instant::now();
        let mut first = ask(reads, now);
        let question = reads.question(now).unwrap();
        assert_eq!(reads.question(now), None, "one round at a time");
        let later = now + Duration::from_secs(2);
        let mut second = ask(reads, later);
        let again = reads.question(later).unwrap();
        reads.answer(&question, 5, later);
        assert_eq!(first.try_recv(), Ok(Ok(5)));
        let got = second.try_recv().ok();
        reads.answer(&again, 9, later);
        (got.or_else(|| second.try_recv().ok()), again)
    }

    #[test]
    fn an_answer_counts_only_for_those_who_waited_before_the_question() {
        assert_eq!(pause(&mut reads(false)).0, Some(Ok(9)));
    }

    #[test]
    fn planted_20418_gives_a_reader_the_answer_to_an_earlier_question() {
        assert_eq!(pause(&mut reads(true)).0, Some(Ok(5)));
    }

    #[test]
    fn another_leader_fails_the_round_and_late_answers_are_ignored() {
        let now = Instant::now();
        let mut reads = reads(false);
        let mut first = ask(&mut reads, now);
        let question = reads.question(now).unwrap();
        let mut second = ask(&mut reads, now);
        reads.leader_changed();
        assert_eq!(first.try_recv(), Ok(Err(Error::LeaderChanged)));
        reads.answer(&question, 5, now);
        assert!(second.try_recv().is_err());
        let question = reads.question(now).unwrap();
        reads.answer(&question, 9, now);
        assert_eq!(second.try_recv(), Ok(Ok(9)));
    }

    #[test]
    fn who_waits_too_long_is_told() {
        let now = Instant::now();
        let mut reads = reads(false);
        let mut first = ask(&mut reads, now);
        reads.question(now).unwrap();
        reads.expire(now + Duration::from_secs(7));
        assert_eq!(first.try_recv(), Ok(Err(Error::Timeout)));
        assert_eq!(reads.due(), None);
    }
}
