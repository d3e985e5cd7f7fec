//! The run directory, read as far as it goes.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use checker::history::{FaultRecord, ObservationRecord, ReadError, Reader, Record, StreamRecord};
use checker::verdict::Judgement;
use scenarios::plan::Plan;
use thiserror::Error;

use crate::Run;

/// How much of a stream there was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// The file's name.
    pub name: &'static str,
    /// Records read.
    pub records: u64,
    /// Whether the file ended with its footer.
    pub complete: bool,
    /// What is wrong with it, in words; empty where nothing is.
    pub trouble: String,
}

/// Why a directory could not be read.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// A file without which there is nothing to report.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// `plan.toml` is no plan.
    #[error("{path}: {source}")]
    Plan {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Box<toml::de::Error>,
    },
    /// `verdict.json` is no judgement.
    #[error("{path}: {source}")]
    Judgement {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// A stream of a newer build.
    #[error(transparent)]
    Stream(#[from] ReadError),
}

/// What a run directory holds.
#[derive(Clone, Debug)]
pub struct Directory {
    /// `plan.toml`.
    pub plan: Plan,
    /// `history.jsonl`.
    pub history: Vec<Record>,
    /// `faults.jsonl`.
    pub faults: Vec<FaultRecord>,
    /// `observations.jsonl`.
    pub observations: Vec<ObservationRecord>,
    /// `verdict.json`, where there is one.
    pub judgement: Option<Judgement>,
    /// How much of each stream there was.
    pub streams: Vec<StreamState>,
    /// When the run began, in nanoseconds since the Unix epoch.
    pub started_unix_ns: Option<u64>,
}

impl Directory {
    /// Reads `dir`. Streams that are missing, cut short or spoilt from some line on give what stands
    /// before that.
    ///
    /// # Errors
    /// When there is no readable plan, when `verdict.json` is there but not readable, or when a
    /// stream is of a newer major version.
    pub fn read(dir: &Path) -> Result<Self, DirectoryError> {
        let path = dir.join("plan.toml");
        let text = std::fs::read_to_string(&path).map_err(|source| DirectoryError::Io {
            path: path.clone(),
            source,
        })?;
        let plan = toml::from_str(&text).map_err(|source| DirectoryError::Plan {
            path,
            source: Box::new(source),
        })?;
        let mut started = None;
        let (history, history_state) = stream::<Record>(dir, &mut started)?;
        let (faults, faults_state) = stream::<FaultRecord>(dir, &mut started)?;
        let (observations, observations_state) = stream::<ObservationRecord>(dir, &mut started)?;
        Ok(Self {
            plan,
            history,
            faults,
            observations,
            judgement: judgement(dir)?,
            streams: vec![history_state, faults_state, observations_state],
            started_unix_ns: started,
        })
    }

    /// The run to report, with this judgement of it.
    #[must_use]
    pub fn run<'a>(&'a self, judgement: &'a Judgement, dir: &'a str) -> Run<'a> {
        let (history, faults) = (&self.history, &self.faults);
        Run {
            streams: &self.streams,
            started_unix_ns: self.started_unix_ns,
            ..Run::new(
                &self.plan,
                history,
                faults,
                &self.observations,
                judgement,
                dir,
            )
        }
    }
}

fn judgement(dir: &Path) -> Result<Option<Judgement>, DirectoryError> {
    let path = dir.join("verdict.json");
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| DirectoryError::Judgement { path, source }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DirectoryError::Io { path, source }),
    }
}

fn stream<T: StreamRecord>(
    dir: &Path,
    started: &mut Option<u64>,
) -> Result<(Vec<T>, StreamState), ReadError> {
    let mut records = Vec::new();
    let mut state = StreamState {
        name: T::NAME,
        records: 0,
        complete: false,
        trouble: String::new(),
    };
    let trouble = |error: ReadError| match error {
        ReadError::FutureVersion { .. } => Err(error),
        other => Ok(other.to_string()),
    };
    let opened = File::open(dir.join(T::NAME))
        .map_err(|source| ReadError::Io {
            what: T::NAME,
            source,
        })
        .and_then(|file| Reader::<_, T>::new(BufReader::new(file)));
    match opened {
        Err(error) => state.trouble = trouble(error)?,
        Ok(mut reader) => {
            let clock = reader.header().clock;
            if clock.wall_unix_ns > 0 {
                started.get_or_insert(clock.wall_unix_ns.saturating_sub(clock.at));
            }
            for record in reader.by_ref() {
                match record {
                    Ok(record) => records.push(record),
                    Err(error) => state.trouble = trouble(error)?,
                }
            }
            state.complete = reader.is_complete();
            if reader.is_cut_short() {
                state.trouble = "the last line is cut short".into();
            } else if !state.complete && state.trouble.is_empty() {
                state.trouble = "no footer: the run did not end in order".into();
            }
        }
    }
    state.records = records.len() as u64;
    Ok((records, state))
}
