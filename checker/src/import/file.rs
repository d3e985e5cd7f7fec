//! Histories in files.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use super::etcd_report::{self, ReportError};
use super::{Format, History, ImportError, PREFIX_BYTES, Workload, read, recognise, workload};
use crate::history::{ObservationRecord, ReadError, StreamRecord as _, read_all};

/// A file whose history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Its format cannot be told.
    #[error("cannot tell the format of {path}: {why}")]
    Unrecognised {
        /// Which.
        path: String,
        /// Why not, and what to do.
        why: String,
    },
    /// It is malformed.
    #[error("{path}: {error}")]
    Malformed {
        /// Which.
        path: String,
        /// What is wrong, and where.
        error: ImportError,
    },
    /// The observations beside a `history.jsonl` cannot be read.
    #[error("{path}: {error}")]
    Observations {
        /// Which.
        path: String,
        /// What is wrong.
        error: ReadError,
    },
    /// A report directory cannot be read.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Reads a file, or the directory of a report, in the format given or told by content. Beside a
/// `history.jsonl`, an `observations.jsonl` is read too.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn read_path(path: &Path, format: Option<Format>) -> Result<(Format, History), FileError> {
    if path.is_dir() {
        let report = etcd_report::read_dir(path)?;
        return Ok((Format::EtcdRobustness, History::Etcd(report)));
    }
    let name = path.display().to_string();
    let io = |source| FileError::Io {
        path: name.clone(),
        source,
    };
    let malformed = |error| FileError::Malformed {
        path: name.clone(),
        error,
    };
    let open = || File::open(path).map(|file| BufReader::with_capacity(1 << 16, file));
    let format = match format {
        Some(format) => format,
        None => {
            let mut prefix = Vec::new();
            let file = open().map_err(io)?;
            file.take(PREFIX_BYTES as u64)
                .read_to_end(&mut prefix)
                .map_err(io)?;
            recognise(&prefix).map_err(|why| FileError::Unrecognised {
                path: name.clone(),
                why,
            })?
        }
    };
    let workload = match format {
        Format::JepsenEdn => workload(open().map_err(io)?).map_err(malformed)?,
        _ => Workload::Register,
    };
    let mut history = read(open().map_err(io)?, format, workload).map_err(malformed)?;
    if let (Format::HistoryJsonl, History::Etcd(history)) = (format, &mut history) {
        let beside = path.with_file_name(ObservationRecord::NAME);
        if let Ok(file) = File::open(&beside) {
            let (observations, is_complete) =
                read_all(BufReader::new(file)).map_err(|error| FileError::Observations {
                    path: beside.display().to_string(),
                    error,
                })?;
            history.observations = observations;
            history.is_whole |= is_complete;
        }
    }
    Ok((format, history))
}

/// Reads bytes in any format; for those who have no file, such as fuzzers.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn read_bytes(bytes: &[u8], format: Format) -> Result<History, ImportError> {
    let workload = match format {
        Format::JepsenEdn => workload(bytes)?,
        _ => Workload::Register,
    };
    read(bytes, format, workload)
}
