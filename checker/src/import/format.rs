//! Formats, and how they are told apart.

use std::fmt;
use std::io::BufRead;
use std::str::FromStr;

use super::compact_jsonl::compact_jsonl;
use super::{
    History, ImportError, Workload, etcd_report, jepsen_edn, jepsen_log, own_jsonl, porcupine_kv,
};

/// A format of histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// gauntlet's own `history.jsonl`.
    HistoryJsonl,
    /// Jepsen's `history.edn`.
    JepsenEdn,
    /// Jepsen's log.
    JepsenLog,
    /// Porcupine's key-value text.
    PorcupineKv,
    /// Puts and gets, one JSON object an operation.
    CompactJsonl,
    /// A report of etcd's `tests/robustness`: the directory, or one client's `operations.json`.
    EtcdRobustness,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::HistoryJsonl,
        Self::JepsenEdn,
        Self::JepsenLog,
        Self::PorcupineKv,
        Self::CompactJsonl,
        Self::EtcdRobustness,
    ];

    /// The name, as in flags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HistoryJsonl => "history-jsonl",
            Self::JepsenEdn => "jepsen-edn",
            Self::JepsenLog => "jepsen-log",
            Self::PorcupineKv => "porcupine-kv",
            Self::CompactJsonl => "compact-jsonl",
            Self::EtcdRobustness => "etcd-robustness",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("no format {text:?}; there are {names}")
            })
    }
}

/// How much of a file [`recognise`] looks at.
pub const PREFIX_BYTES: usize = 64 << 10;

/// Tells the format of a file by its first [`PREFIX_BYTES`].
///
/// # Errors
///
/// Why it cannot be told, and what to do.
pub fn recognise(prefix: &[u8]) -> Result<Format, String> {
    if prefix.starts_with(&[0x1f, 0x8b]) {
        return Err("it is compressed: unpack it with gunzip first".to_owned());
    }
    let text = String::from_utf8_lossy(&prefix[..prefix.len().min(PREFIX_BYTES)]);
    let start = text.trim_start();
    if start.is_empty() {
        return Err("it is empty".to_owned());
    }
    let line = start.lines().next().unwrap_or("");
    let json = start
        .strip_prefix('{')
        .is_some_and(|rest| rest.trim_start().starts_with('"'));
    if json {
        let has = |name: &str| start.contains(&format!("\"{name}\""));
        if has("stream") && line.contains("\"header\"") {
            return Ok(Format::HistoryJsonl);
        }
        if has("Input") && has("Call") {
            return Ok(Format::EtcdRobustness);
        }
        if has("call") && has("op") && has("k") {
            return Ok(Format::CompactJsonl);
        }
        return Err(unrecognised(
            "it is JSON, but none of the kinds that are known",
        ));
    }
    if text.lines().any(|line| line.contains("jepsen.util - ")) {
        return Ok(Format::JepsenLog);
    }
    if start.starts_with(['{', '[', '(', '#', ';']) && text.contains(":process") {
        // Only Porcupine's events name their key beside the value.
        let first = start.find('}').map_or(start, |end| &start[..end]);
        return Ok(
            if first.contains(":key ") && !first.contains(":type :invoke, :f :txn") {
                Format::PorcupineKv
            } else {
                Format::JepsenEdn
            },
        );
    }
    Err(unrecognised("its beginning is of no kind that is known"))
}

fn unrecognised(what: &str) -> String {
    let names = Format::ALL.map(Format::name).join(", ");
    format!("{what}: say which it is with --format, one of {names}")
}

/// Reads a file's history. Jepsen's EDN needs its workload, which [`super::workload`] tells; for
/// the others it does not matter.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn read(
    input: impl BufRead,
    format: Format,
    workload: Workload,
) -> Result<History, ImportError> {
    Ok(match format {
        Format::HistoryJsonl => History::Etcd(own_jsonl(input)?),
        Format::JepsenEdn => jepsen_edn(input, workload)?,
        Format::JepsenLog => History::Registers(jepsen_log(input)?),
        Format::PorcupineKv => History::KeyValue(porcupine_kv(input)?),
        Format::CompactJsonl => compact_jsonl(input)?,
        Format::EtcdRobustness => History::Etcd(etcd_report::read_operations(input)?),
    })
}
