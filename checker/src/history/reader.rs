//! Reading a stream back, line by line, from a whole file or from the prefix a crash left.

use std::io::BufRead;

use serde::de::DeserializeOwned;
use thiserror::Error;

use super::{FaultRecord, Footer, Header, ObservationRecord, Record, SCHEMA_MAJOR, Stream};

/// Longest line accepted, in bytes. etcd's own request limit is 1.5 MiB; a range of everything can
/// be larger, and JSON grows it.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Why a stream could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file could not be read.
    #[error("cannot read {what}: {source}")]
    Io {
        /// Which stream.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// A line that is not a record; the last line of a file without a footer is forgiven.
    #[error("{what} line {line}, column {column}: {message}")]
    Malformed {
        /// Which stream.
        what: &'static str,
        /// 1-based.
        line: usize,
        /// 1-based.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// Written by a newer build with another major version.
    #[error(
        "{what} has format version {found}.x, this build reads up to {SCHEMA_MAJOR}.x: use a newer build of gauntlet"
    )]
    FutureVersion {
        /// Which stream.
        what: &'static str,
        /// The file's major version.
        found: u32,
    },
    /// The first line is not a header of this stream.
    #[error("{what} line 1: expected a {what} header, found {found}")]
    NoHeader {
        /// Which stream.
        what: &'static str,
        /// What stands there.
        found: String,
    },
}

/// A record of one of the streams.
pub trait StreamRecord: DeserializeOwned {
    /// Which stream it belongs to.
    const STREAM: Stream;
    /// The stream's name in errors.
    const NAME: &'static str;
    /// The header, if it is one.
    fn as_header(&self) -> Option<&Header>;
    /// The footer, if it is one.
    fn as_footer(&self) -> Option<&Footer>;
}

macro_rules! stream_record {
    ($record:ident, $stream:expr, $name:literal) => {
        impl StreamRecord for $record {
            const STREAM: Stream = $stream;
            const NAME: &'static str = $name;
            fn as_header(&self) -> Option<&Header> {
                match self {
                    Self::Header(header) => Some(header),
                    _ => None,
                }
            }
            fn as_footer(&self) -> Option<&Footer> {
                match self {
                    Self::Footer(footer) => Some(footer),
                    _ => None,
                }
            }
        }
    };
}
stream_record!(Record, Stream::History, "history.jsonl");
stream_record!(FaultRecord, Stream::Faults, "faults.jsonl");
stream_record!(
    ObservationRecord,
    Stream::Observations,
    "observations.jsonl"
);

/// An iterator over a stream's records, header and footer left out.
///
/// ```
/// use checker::history::{Reader, Record};
/// let text = concat!(
///     r#"{"type":"header","stream":"history","major":1,"minor":0,"build":"doc","clock":{"at":0,"wall_unix_ns":0}}"#, "\n",
///     r#"{"type":"invoke","id":0,"at":5,"client":1,"member":"m1","request":{"op":"put","key":"a","value":"1"}}"#, "\n",
/// );
/// let mut reader = Reader::<_, Record>::new(text.as_bytes()).unwrap();
/// assert_eq!(reader.by_ref().count(), 1);
/// assert!(!reader.is_complete(), "no footer: a prefix");
/// ```
pub struct Reader<R, T> {
    input: R,
    line: usize,
    buffer: Vec<u8>,
    header: Header,
    footer: Option<Footer>,
    cut_short: bool,
    done: bool,
    record: std::marker::PhantomData<T>,
}

impl<R: BufRead, T: StreamRecord> Reader<R, T> {
    /// Reads the header.
    ///
    /// # Errors
    /// When the first line is missing, is no header of this stream, or is of a newer major version.
    pub fn new(input: R) -> Result<Self, ReadError> {
        let mut reader = Self {
            input,
            line: 0,
            buffer: Vec::new(),
            header: Header {
                stream: T::STREAM,
                major: SCHEMA_MAJOR,
                minor: 0,
                build: String::new(),
                clock: super::ClockPair {
                    at: 0,
                    wall_unix_ns: 0,
                },
            },
            footer: None,
            cut_short: false,
            done: false,
            record: std::marker::PhantomData,
        };
        let no_header = |found: String| ReadError::NoHeader {
            what: T::NAME,
            found,
        };
        if !reader.fill()? {
            return Err(no_header("an empty file".into()));
        }
        let value: serde_json::Value = serde_json::from_slice(&reader.buffer)
            .map_err(|error| no_header(format!("no JSON ({error})")))?;
        let found = value.get("major").and_then(serde_json::Value::as_u64);
        if let Some(found) = found.and_then(|major| u32::try_from(major).ok())
            && found > SCHEMA_MAJOR
        {
            return Err(ReadError::FutureVersion {
                what: T::NAME,
                found,
            });
        }
        let first: T =
            serde_json::from_value(value).map_err(|error| no_header(error.to_string()))?;
        match first.as_header() {
            Some(header) if header.stream == T::STREAM => reader.header = header.clone(),
            Some(header) => return Err(no_header(format!("a header of {:?}", header.stream))),
            None => return Err(no_header("another record".into())),
        }
        Ok(reader)
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The footer, once it was read.
    #[must_use]
    pub fn footer(&self) -> Option<&Footer> {
        self.footer.as_ref()
    }

    /// Whether the footer was reached: the run ended in order.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.footer.is_some()
    }

    /// Whether the file ends within a line.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    fn fill(&mut self) -> Result<bool, ReadError> {
        let io = |source| ReadError::Io {
            what: T::NAME,
            source,
        };
        self.buffer.clear();
        let mut limited = std::io::Read::take(&mut self.input, LINE_BYTES_MAX as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.buffer).map_err(io)?;
        self.line += 1;
        if read > LINE_BYTES_MAX {
            return Err(ReadError::Malformed {
                what: T::NAME,
                line: self.line,
                column: LINE_BYTES_MAX,
                message: format!("a line longer than {LINE_BYTES_MAX} bytes"),
            });
        }
        Ok(read > 0)
    }

    fn step(&mut self) -> Result<Option<T>, ReadError> {
        if !self.fill()? {
            return Ok(None);
        }
        let whole = self.buffer.ends_with(b"\n");
        match serde_json::from_slice::<T>(&self.buffer) {
            Ok(record) => {
                if let Some(footer) = record.as_footer() {
                    self.footer = Some(footer.clone());
                    return Ok(None);
                }
                Ok(Some(record))
            }
            Err(_) if !whole => {
                self.cut_short = true;
                Ok(None)
            }
            Err(error) => Err(ReadError::Malformed {
                what: T::NAME,
                line: self.line,
                column: error.column(),
                message: error.to_string(),
            }),
        }
    }
}

impl<R: BufRead, T: StreamRecord> Iterator for Reader<R, T> {
    type Item = Result<T, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step();
        self.done = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}

/// Reads a whole stream; the flag says whether it ended with its footer.
///
/// # Errors
/// As [`Reader`].
pub fn read_all<R: BufRead, T: StreamRecord>(input: R) -> Result<(Vec<T>, bool), ReadError> {
    let mut reader = Reader::<R, T>::new(input)?;
    let records = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
    Ok((records, reader.is_complete()))
}
