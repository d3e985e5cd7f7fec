//! One direction of one connection, under the rules of its link.

use std::collections::VecDeque;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Link;
use super::effect::Slow;
use super::wire::{Rules, Wire};

/// Read at once, and kept back by a hold: beyond that the sender waits.
const BUFFER: usize = 64 * 1024;

/// Under way on a slow link, per connection and direction.
const UNDER_WAY_MAX: usize = 4 << 20;

/// Why a connection is to be reset.
#[derive(Debug)]
pub(super) enum End {
    /// One end is gone, and the other may know.
    Broken,
    /// Bytes of it were lost, and it would go on behind the hole.
    Torn,
}

struct Chunk {
    bytes: Vec<u8>,
    sent: usize,
    due: Instant,
}

/// Carries bytes from one socket to the other.
///
/// News travels as bytes do: that an end is closed or gone is told to the
/// other only while the link towards it passes.
pub(super) struct Pump<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    link: &'a Link,
    wire: &'a Wire,
    back: &'a Wire,
    changes: watch::Receiver<Rules>,
    /// What could not be sent yet, oldest first.
    queue: VecDeque<Chunk>,
    queued: usize,
    last_due: Instant,
    /// Chunks that this slowness has seen.
    slow: Slow,
    number: u64,
    ended: bool,
    torn: bool,
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        (from, to): (ReadHalf<'a>, WriteHalf<'a>),
        link: &'a Link,
        wire: &'a Wire,
        back: &'a Wire,
    ) -> Self {
        Self {
            from,
            to,
            link,
            wire,
            back,
            changes: wire.rules.subscribe(),
            queue: VecDeque::new(),
            queued: 0,
            last_due: Instant::now(),
            slow: Slow::default(),
            number: 0,
            ended: false,
            torn: false,
        }
    }

    /// To the direction's end: the other may go on when this one is closed.
    pub(super) async fn run(mut self) -> Result<(), End> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let rules = *self.changes.borrow_and_update();
            if rules.loses() {
                self.lose();
            } else if rules.passes() && self.torn {
                return Err(End::Torn);
            } else if rules.passes() && self.ended && self.queue.is_empty() {
                return match self.to.shutdown().await {
                    Ok(()) => Ok(()),
                    Err(_) => self.receiver_is_gone().await,
                };
            }
            let due = self.due(&rules);
            let now = due.is_some_and(|due| due <= Instant::now());
            let room = self.room(&rules);
            tokio::select! {
                biased;
                _ = self.changes.changed() => {}
                writable = self.to.writable(), if now => {
                    if writable.and_then(|()| self.send()).is_err() {
                        return self.receiver_is_gone().await;
                    }
                }
                () = sleep_until(due.unwrap_or(self.last_due)), if due.is_some() && !now => {}
                read = self.from.read(&mut buffer[..room]), if room > 0 => match read {
                    Ok(0) => self.end(),
                    Ok(read) => {
                        if self.take(&buffer[..read]).is_err() {
                            return self.receiver_is_gone().await;
                        }
                    }
                    Err(_) => {
                        self.wire.passing().await;
                        return Err(End::Broken);
                    }
                },
            }
        }
    }

    /// That is news for the sender, and comes from the receiver.
    async fn receiver_is_gone(&self) -> Result<(), End> {
        self.back.passing().await;
        Err(End::Broken)
    }

    /// When the next bytes may be sent; none if there are none, or none may.
    fn due(&self, rules: &Rules) -> Option<Instant> {
        let front = self.queue.front().filter(|_| rules.passes())?;
        Some(if rules.slow.is_slow() {
            front.due
        } else {
            // Healed: nothing waits any longer.
            Instant::now()
        })
    }

    /// How many bytes to read at most; 0 for none.
    fn room(&self, rules: &Rules) -> usize {
        if self.ended {
            0
        } else if rules.loses() {
            BUFFER
        } else if !rules.passes() || !rules.slow.is_slow() {
            if self.queue.is_empty() { BUFFER } else { 0 }
        } else {
            let slow = rules.slow;
            let Some(rate) = slow.bytes_per_second else {
                return if self.queued < UNDER_WAY_MAX {
                    BUFFER
                } else {
                    0
                };
            };
            // What is on the way for as long as it takes, and a little more;
            // in chunks of 20 ms, so that connections share the link evenly.
            let seconds = (slow.delay + slow.jitter).as_secs_f64() + 0.1;
            let under_way = (rate as f64 * seconds) as usize;
            if self.queued < under_way.clamp(1, UNDER_WAY_MAX) {
                usize::try_from(rate / 50).map_or(BUFFER, |chunk| chunk.clamp(64, BUFFER))
            } else {
                0
            }
        }
    }

    fn end(&mut self) {
        self.ended = true;
        if self.changes.borrow().loses() {
            self.torn = true;
        }
    }

    /// Throws away what waits.
    fn lose(&mut self) {
        self.torn |= self.ended || !self.queue.is_empty();
        self.wire.lost.add(std::mem::take(&mut self.queued));
        self.queue.clear();
    }

    /// Sends what was read, as far as it may be sent now, and queues the rest.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let rules = self.wire.rules.borrow();
        if rules.loses() {
            self.wire.lost.add(bytes.len());
            self.torn = true;
            return Ok(());
        }
        let mut sent = 0;
        let mut due = Instant::now();
        if !rules.passes() {
            self.wire.held.add(bytes.len());
        } else if rules.slow.is_slow() {
            if self.slow != rules.slow {
                (self.slow, self.number) = (rules.slow, 0);
            }
            due += rules.slow.wait(self.link, self.number);
            self.number += 1;
            if let Some(rate) = rules.slow.bytes_per_second {
                due += self.wire.reserve(bytes.len(), rate);
            }
            self.wire.slowed.add(bytes.len());
        } else if self.queue.is_empty() {
            sent = match self.to.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                written => written?,
            };
            self.wire.bytes.add(sent);
        }
        drop(rules);
        if sent < bytes.len() {
            self.last_due = self.last_due.max(due);
            self.queued += bytes.len() - sent;
            self.queue.push_back(Chunk {
                bytes: bytes[sent..].to_vec(),
                sent: 0,
                due: self.last_due,
            });
        }
        Ok(())
    }

    /// Sends what is due, as far as the socket takes it.
    fn send(&mut self) -> io::Result<()> {
        let rules = self.wire.rules.borrow();
        let now = Instant::now();
        while let Some(chunk) = self.queue.front_mut() {
            if !rules.passes() || (rules.slow.is_slow() && chunk.due > now) {
                break;
            }
            match self.to.try_write(&chunk.bytes[chunk.sent..]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
                Ok(sent) => {
                    self.wire.bytes.add(sent);
                    self.queued -= sent;
                    chunk.sent += sent;
                }
            }
            if chunk.sent == chunk.bytes.len() {
                self.queue.pop_front();
            }
        }
        Ok(())
    }
}
