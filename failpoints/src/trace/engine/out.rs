//! What the tracer says, in order, without ever waiting for the reader: a
//! full pipe must not keep a thread stopped.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::trace::Event;
use crate::trace::wire::Said;

/// Events that wait for the reader; more are dropped and counted.
const EVENTS: usize = 4096;

pub(super) struct Out {
    pipe: std::io::Stdout,
    lines: VecDeque<Vec<u8>>,
    /// Bytes of the first line that are out already.
    written: usize,
    events: usize,
    lost: u64,
}

impl Out {
    pub(super) fn new() -> nix::Result<Self> {
        let pipe = std::io::stdout();
        let flags = OFlag::from_bits_truncate(fcntl(&pipe, FcntlArg::F_GETFL)?);
        fcntl(&pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Self {
            pipe,
            lines: VecDeque::new(),
            written: 0,
            events: 0,
            lost: 0,
        })
    }

    pub(super) fn event(&mut self, event: Event) {
        if self.events >= EVENTS {
            self.lost += 1;
            return;
        }
        self.events += 1;
        self.say(&Said::Event(event));
    }

    pub(super) fn say(&mut self, said: &Said) {
        // Plain data: it always serializes.
        let mut line = serde_json::to_vec(said).unwrap_or_default();
        line.push(b'\n');
        self.lines.push_back(line);
        self.flush();
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.lines.is_empty()
    }

    pub(super) fn flush(&mut self) {
        let mut raw = RawOut(&self.pipe);
        while let Some(line) = self.lines.front() {
            match raw.write(&line[self.written..]) {
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Nobody reads any more: standard input is about to end too.
                Err(_) => self.written = line.len(),
            }
            if self.written == line.len() {
                self.lines.pop_front();
                self.written = 0;
            }
        }
        self.events = 0;
        if self.lost > 0 {
            let count = std::mem::take(&mut self.lost);
            self.event(Event::Lost { count });
        }
    }
}

/// Past the standard library's line buffer, which loses what it could not
/// write.
struct RawOut<'a>(&'a std::io::Stdout);

impl Write for RawOut<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(nix::unistd::write(self.0, bytes)?)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
