//! Reports of etcd's `tests/robustness`: a directory with `client-N/operations.json` and
//! `client-N/watch.json`, as `report.persistClientReports` writes it (read at etcd's commit
//! c34dc7ee0 of 2026-08-20).
//!
//! What the report does not record:
//!
//! * the create revision and lease of a key-value, and values of 20 bytes and more (their hash
//!   stands for them): answers are judged by everything else, see [`partial`];
//! * the revision of a compaction's answer: it is judged with the latest that real time allows, and
//!   a violation counts only if it is one without that too;
//! * a lease's time to live: it is the 7200 s that the test's traffic asks for;
//! * status codes: a request that ended in an error is of unknown result, but for a compaction's
//!   `ClientError`, which is definite.
//!
//! Defragmentations are passed over. A request that is said to be `Persisted` is of unknown result
//! that must be used: an order without it proves nothing. The test begins with an empty store; a
//! report whose answers begin later lacks requests, and then only an order is a proof.

mod convert;
pub mod partial;
mod shapes;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::json::Objects;
use super::{ImportError, Place};
use crate::history::{ObservationRecord, Record};
use convert::Converter;

/// Bytes of one watch with all that it delivered, at most.
const WATCH_BYTES_MAX: usize = 64 << 20;

/// A history of etcd's key-value API.
#[derive(Clone, Debug, PartialEq)]
pub struct EtcdHistory {
    /// What clients asked and heard.
    pub records: Vec<Record>,
    /// What the harness asked on its own account.
    pub observations: Vec<ObservationRecord>,
    /// Where each operation stands, by its number.
    pub lines: Vec<Lines>,
    /// The files that `lines` speaks of.
    pub files: Vec<String>,
    /// Whether key-values lack their create revision, their lease, and perhaps their version, and
    /// compactions the revision of their answer. Then operations have even numbers.
    pub is_partial: bool,
    /// Whether every request since the store was empty is here.
    pub is_whole: bool,
    /// Operations that are known to have taken effect, though nobody heard.
    pub persisted: Vec<u64>,
    /// Requests that are not judged.
    pub left_out: u64,
    /// Set if a file ends where more is due: then this is a prefix of a history.
    pub cut: Option<ImportError>,
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The operation's number.
    pub id: u64,
    /// An index into [`EtcdHistory::files`].
    pub file: usize,
    /// Whose it is.
    pub client: u64,
    /// The line where it begins, from 1.
    pub call: u64,
    /// The line of its return, where that is a line of its own.
    pub ret: Option<u64>,
}

impl EtcdHistory {
    /// Nothing yet, from one file.
    pub(super) fn new(file: String) -> Self {
        Self {
            records: Vec::new(),
            observations: Vec::new(),
            lines: Vec::new(),
            files: vec![file],
            is_partial: false,
            is_whole: false,
            persisted: Vec::new(),
            left_out: 0,
            cut: None,
        }
    }

    /// Where an operation stands in `lines`.
    #[must_use]
    pub fn position(&self, id: u64) -> Option<usize> {
        let find = |id| self.lines.binary_search_by_key(&id, |lines| lines.id).ok();
        // The second half of an operation that was split.
        find(id).or_else(|| find(id.checked_sub(1).filter(|_| self.is_partial)?))
    }

    /// Where an operation stands, in words.
    #[must_use]
    pub fn place(&self, id: u64) -> Option<String> {
        let lines = self.lines[self.position(id)?];
        let place = match lines.ret {
            Some(ret) => format!("lines {} and {ret}", lines.call),
            None => format!("line {}", lines.call),
        };
        Some(match self.files.get(lines.file).map(String::as_str) {
            None | Some("") => place,
            Some(file) => format!("{file} {place}"),
        })
    }
}

/// Reads one client's `operations.json`.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn read_operations(input: impl BufRead) -> Result<EtcdHistory, ImportError> {
    let mut converter = Converter::new();
    let mut cut = None;
    operations(input, "", &mut converter, &mut cut)?;
    let mut history = converter.finish();
    history.cut = cut;
    // The others' requests are missing.
    history.is_whole = false;
    Ok(history)
}

/// Reads one client's `watch.json`. Its events say what is likely to the order's search, and are judged
/// where an order was found.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn read_watches(input: impl BufRead) -> Result<EtcdHistory, ImportError> {
    let mut converter = Converter::new();
    let mut cut = None;
    watches(input, 0, &mut converter, &mut cut)?;
    let mut history = converter.finish();
    history.cut = cut;
    Ok(history)
}

/// A file of a report that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file or directory cannot be opened.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// There is no client in it.
    #[error(
        "{path} is no report of etcd's robustness test: it has no client-N/operations.json. Give \
         the directory that holds client-1, client-2 and so on"
    )]
    NoClients {
        /// The directory.
        path: String,
    },
    /// A file is malformed.
    #[error("{path}: {error}")]
    Malformed {
        /// Which.
        path: String,
        /// What is wrong, and where.
        error: ImportError,
    },
}

/// Whether a directory looks like a report.
#[must_use]
pub fn is_report(dir: &Path) -> bool {
    clients(dir).is_ok_and(|clients| !clients.is_empty())
}

/// The clients' numbers, ascending.
fn clients(dir: &Path) -> std::io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("client-"));
        if let Some(number) = number.and_then(|number| number.parse().ok())
            && entry.path().is_dir()
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads a report directory.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn read_dir(dir: &Path) -> Result<EtcdHistory, ReportError> {
    let io = |path: &Path, source| ReportError::Io {
        path: path.display().to_string(),
        source,
    };
    let clients = clients(dir).map_err(|error| io(dir, error))?;
    let mut converter = Converter::new();
    let mut cut = None;
    let mut has_operations = false;
    for client in clients {
        for name in ["operations.json", "watch.json"] {
            let file = format!("client-{client}/{name}");
            let path = dir.join(&file);
            let input = match File::open(&path) {
                Ok(input) => BufReader::new(input),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io(&path, error)),
            };
            let read = if name == "watch.json" {
                watches(input, client, &mut converter, &mut cut)
            } else {
                has_operations = true;
                operations(input, &file, &mut converter, &mut cut)
            };
            read.map_err(|error| ReportError::Malformed {
                path: path.display().to_string(),
                error,
            })?;
            if let Some(error) = &mut cut
                && !error.what.contains("client-")
            {
                error.what = format!("{} ({file})", error.what);
            }
        }
    }
    if !has_operations {
        return Err(ReportError::NoClients {
            path: dir.display().to_string(),
        });
    }
    let mut history = converter.finish();
    history.cut = cut;
    Ok(history)
}

fn operations(
    input: impl BufRead,
    file: &str,
    converter: &mut Converter,
    cut: &mut Option<ImportError>,
) -> Result<(), ImportError> {
    let mut objects = Objects::new(input);
    let file = converter.file(file);
    while let Some((place, operation)) = objects.next_until_cut(cut)? {
        converter.operation(operation, file, place)?;
    }
    Ok(())
}

fn watches(
    input: impl BufRead,
    client: u32,
    converter: &mut Converter,
    cut: &mut Option<ImportError>,
) -> Result<(), ImportError> {
    let mut objects = Objects::with_limit(input, WATCH_BYTES_MAX);
    while let Some((place, watch)) = objects.next_until_cut(cut)? {
        converter.watch(watch, client, place)?;
    }
    Ok(())
}

fn time(nanos: i64, what: &str, place: Place) -> Result<u64, ImportError> {
    u64::try_from(nanos).map_err(|_| {
        place.error(format!(
            "{what} is {nanos}: a time since the test's start is due"
        ))
    })
}
