//! The one first-in-first-out recorder: every record of the run's three streams goes through one
//! bounded queue to one writer thread.
//!
//! An invocation is queued before its request is sent, so a prefix of the file is a legal history.
//! Memory is bounded by the queue; a disk that cannot keep up slows the clients, and a disk that
//! fails ends the run.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context as _, anyhow};
use checker::history::{
    Asked, FaultPhase, FaultRecord, Footer, Header, Invoke, ObservationRecord, Outcome, Purpose,
    Record, Request, Return, SCHEMA_MAJOR, SCHEMA_MINOR, Stream, WatchDelivery, WatchResponse,
};
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::clock::RunClock;

/// Records that may wait for the disk.
const QUEUE_RECORDS_MAX: usize = 16_384;

enum Line {
    History(Record),
    Fault(FaultRecord),
    Observation(ObservationRecord),
}

/// A handle on the recorder; clones share it.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Line>,
    clock: RunClock,
    operations: Arc<AtomicU64>,
    observations: Arc<AtomicU64>,
    failure: watch::Receiver<Option<String>>,
    abandoned: Arc<AtomicBool>,
}

/// The writer's end: [`Writer::finish`] writes the footers.
pub struct Writer {
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
}

/// The recorder is gone: its disk failed. The run cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the run can no longer be recorded: {0}")]
pub struct RecorderGone(String);

impl Recorder {
    /// Creates the three files in `dir` with their headers, and starts the writer.
    ///
    /// # Errors
    /// When a file cannot be created.
    pub fn create(dir: &Path, clock: RunClock, build: &str) -> anyhow::Result<(Self, Writer)> {
        let header = |stream| Header {
            stream,
            major: SCHEMA_MAJOR,
            minor: SCHEMA_MINOR,
            build: build.to_owned(),
            clock: clock.pair(),
        };
        let mut files = Files {
            history: Lines::create(dir.join("history.jsonl"))?,
            faults: Lines::create(dir.join("faults.jsonl"))?,
            observations: Lines::create(dir.join("observations.jsonl"))?,
        };
        files
            .history
            .write(&Record::Header(header(Stream::History)))?;
        files
            .faults
            .write(&FaultRecord::Header(header(Stream::Faults)))?;
        files
            .observations
            .write(&ObservationRecord::Header(header(Stream::Observations)))?;
        files.flush()?;

        let (queue, lines) = mpsc::channel(QUEUE_RECORDS_MAX);
        let (failed, failure) = watch::channel(None);
        let abandoned = Arc::new(AtomicBool::new(false));
        let no_footers = abandoned.clone();
        let thread = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || {
                let result = files.drain(lines, clock, &no_footers);
                if let Err(error) = &result {
                    let _ = failed.send(Some(format!("{error:#}")));
                }
                result
            })?;
        let recorder = Self {
            queue,
            clock,
            operations: Arc::default(),
            observations: Arc::default(),
            failure,
            abandoned,
        };
        Ok((recorder, Writer { thread }))
    }

    /// The run's clock.
    #[must_use]
    pub fn clock(&self) -> RunClock {
        self.clock
    }

    /// Leaves the streams without footers: the run did not end in order, and what is on disk is to
    /// be judged as a prefix.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
    }

    /// Operations invoked so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Waits until the writer has failed, and says how.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    async fn queue(&self, line: Line) -> Result<(), RecorderGone> {
        self.queue.send(line).await.map_err(|_| {
            RecorderGone(
                self.failure
                    .borrow()
                    .clone()
                    .unwrap_or_else(|| "it has ended".into()),
            )
        })
    }

    /// Records an invocation, then its answer once `call` has it. The operation's number goes to
    /// `call`, and comes back with the outcome.
    ///
    /// # Errors
    /// When the recorder is gone; the request is then not sent.
    pub async fn operation<F>(
        &self,
        client: u32,
        member: &str,
        user: Option<&str>,
        request: Request,
        call: F,
    ) -> Result<Outcome, RecorderGone>
    where
        F: AsyncFnOnce(&Request) -> Outcome,
    {
        let id = self.invoke(client, member, user, request.clone()).await?;
        let outcome = call(&request).await;
        self.returned(id, outcome.clone()).await?;
        Ok(outcome)
    }

    /// Records an invocation and gives its number.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn invoke(
        &self,
        client: u32,
        member: &str,
        user: Option<&str>,
        request: Request,
    ) -> Result<u64, RecorderGone> {
        let id = self.operations.fetch_add(1, Ordering::Relaxed);
        let record = Record::Invoke(Invoke {
            id,
            at: self.clock.now(),
            client,
            member: member.to_owned(),
            user: user.map(str::to_owned),
            request,
        });
        self.queue(Line::History(record)).await?;
        Ok(id)
    }

    /// Records the end of an operation.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn returned(&self, id: u64, outcome: Outcome) -> Result<(), RecorderGone> {
        let at = self.clock.now();
        self.queue(Line::History(Record::Return(Return { id, at, outcome })))
            .await
    }

    /// Records a watch message.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn delivered(&self, id: u64, response: WatchResponse) -> Result<(), RecorderGone> {
        let at = self.clock.now();
        self.queue(Line::History(Record::Watch(WatchDelivery {
            id,
            at,
            response,
        })))
        .await
    }

    /// Records what became of a step of the plan.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn fault(
        &self,
        step: usize,
        action: &str,
        targets: &[String],
        phase: FaultPhase,
        detail: impl Into<String>,
    ) -> Result<(), RecorderGone> {
        let record = FaultRecord::Fault {
            step,
            at: self.clock.now(),
            action: action.to_owned(),
            targets: targets.to_vec(),
            phase,
            detail: detail.into(),
        };
        self.queue(Line::Fault(record)).await
    }

    /// Records an observation that is not a request.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn observe(&self, record: ObservationRecord) -> Result<(), RecorderGone> {
        self.queue(Line::Observation(record)).await
    }

    /// Records a note.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn note(&self, text: impl Into<String>) -> Result<(), RecorderGone> {
        self.observe(ObservationRecord::Note {
            at: self.clock.now(),
            text: text.into(),
        })
        .await
    }

    /// Makes a request of the harness's own through `call`, and records it with its answer.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn ask<F>(
        &self,
        purpose: Purpose,
        round: u32,
        member: &str,
        user: Option<&str>,
        request: Request,
        call: F,
    ) -> Result<Outcome, RecorderGone>
    where
        F: AsyncFnOnce(&Request) -> Outcome,
    {
        let id = self.observations.fetch_add(1, Ordering::Relaxed);
        let at = self.clock.now();
        let outcome = call(&request).await;
        let record = ObservationRecord::Asked(Asked {
            id,
            at,
            until: self.clock.now(),
            purpose,
            round,
            member: member.to_owned(),
            user: user.map(str::to_owned),
            request,
            outcome: outcome.clone(),
        });
        self.observe(record).await?;
        Ok(outcome)
    }
}

impl Writer {
    /// Waits until every handle is dropped and everything is on disk, footers included.
    ///
    /// # Errors
    /// When writing failed.
    pub fn finish(self) -> anyhow::Result<()> {
        self.thread
            .join()
            .map_err(|_| anyhow!("the recorder panicked"))?
    }
}

struct Files {
    history: Lines,
    faults: Lines,
    observations: Lines,
}

impl Files {
    fn drain(
        mut self,
        mut lines: mpsc::Receiver<Line>,
        clock: RunClock,
        abandoned: &AtomicBool,
    ) -> anyhow::Result<()> {
        while let Some(first) = lines.blocking_recv() {
            self.write(&first)?;
            while let Ok(more) = lines.try_recv() {
                self.write(&more)?;
            }
            self.flush()?;
        }
        if abandoned.load(Ordering::SeqCst) {
            return Ok(());
        }
        let footer = |records| Footer {
            clock: clock.pair(),
            records,
        };
        let records = self.history.records - 1;
        self.history.write(&Record::Footer(footer(records)))?;
        let records = self.faults.records - 1;
        self.faults.write(&FaultRecord::Footer(footer(records)))?;
        let records = self.observations.records - 1;
        self.observations
            .write(&ObservationRecord::Footer(footer(records)))?;
        self.flush()
    }

    fn write(&mut self, line: &Line) -> anyhow::Result<()> {
        match line {
            Line::History(record) => self.history.write(record),
            Line::Fault(record) => self.faults.write(record),
            Line::Observation(record) => self.observations.write(record),
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        for lines in [&mut self.history, &mut self.faults, &mut self.observations] {
            lines.flush()?;
        }
        Ok(())
    }
}

struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
    records: u64,
}

impl Lines {
    fn create(path: PathBuf) -> anyhow::Result<Self> {
        let file =
            File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self {
            path,
            file: BufWriter::with_capacity(1 << 16, file),
            records: 0,
        })
    }

    fn write<T: Serialize>(&mut self, record: &T) -> anyhow::Result<()> {
        let line = serde_json::to_vec(record)?;
        self.file
            .write_all(&line)
            .and_then(|()| self.file.write_all(b"\n"))
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        self.records += 1;
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.file
            .flush()
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use checker::history::{Bytes, RangeRequest, Reader, Response};

    use super::*;

    async fn record(abandon: bool) -> (Vec<Record>, bool) {
        let dir = tempfile::tempdir().unwrap();
        let (recorder, writer) = Recorder::create(dir.path(), RunClock::start(), "test").unwrap();
        let get = Request::Range(RangeRequest {
            key: Bytes::from("a"),
            ..Default::default()
        });
        let answer = async |_: &Request| Outcome::Ok {
            response: Response::Range(checker::history::RangeResponse::default()),
        };
        recorder
            .operation(1, "m1", None, get.clone(), answer)
            .await
            .unwrap();
        recorder.invoke(2, "m2", Some("alice"), get).await.unwrap();
        if abandon {
            recorder.abandon();
        }
        drop(recorder);
        writer.finish().unwrap();
        let file = std::fs::File::open(dir.path().join("history.jsonl")).unwrap();
        let mut reader = Reader::<_, Record>::new(BufReader::new(file)).unwrap();
        let records = reader.by_ref().collect::<Result<Vec<_>, _>>().unwrap();
        (records, reader.is_complete())
    }

    #[tokio::test]
    async fn an_invocation_stands_before_its_return_and_the_footer_last() {
        let (records, complete) = record(false).await;
        assert!(complete);
        let ids: Vec<_> = records
            .iter()
            .map(|record| match record {
                Record::Invoke(invoke) => ("invoke", invoke.id),
                Record::Return(done) => ("return", done.id),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, [("invoke", 0), ("return", 0), ("invoke", 1)]);
    }

    #[tokio::test]
    async fn an_abandoned_run_has_no_footer() {
        let (records, complete) = record(true).await;
        assert_eq!(records.len(), 3);
        assert!(!complete, "it must be judged as a prefix");
    }
}
