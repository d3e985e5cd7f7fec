//! Members' logs: lines that say the member gave up, and the last lines before an end.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// Longest line looked at, in bytes.
const LINE_BYTES_MAX: usize = 64 << 10;

/// A log that is being written, read from some place on.
pub struct LogTail {
    file: File,
    /// The line that is not whole yet.
    partial: Vec<u8>,
}

impl LogTail {
    pub(super) fn open(path: &Path, from: u64) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        Ok(Self {
            file,
            partial: Vec::new(),
        })
    }

    /// Looks at every line that has been finished since the last look.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn each_line(&mut self, mut look: impl FnMut(&str)) -> anyhow::Result<()> {
        let mut chunk = [0; 16 << 10];
        loop {
            let read = self.file.read(&mut chunk)?;
            if read == 0 {
                return Ok(());
            }
            for part in chunk[..read].split_inclusive(|byte| *byte == b'\n') {
                let room = LINE_BYTES_MAX.saturating_sub(self.partial.len());
                self.partial
                    .extend_from_slice(&part[..part.len().min(room)]);
                if part.ends_with(b"\n") {
                    look(&String::from_utf8_lossy(&self.partial));
                    self.partial.clear();
                }
            }
        }
    }

    /// Whether one of those lines contains this text.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn finds(&mut self, text: &str) -> anyhow::Result<bool> {
        let mut found = false;
        self.each_line(|line| found |= line.contains(text))?;
        Ok(found)
    }
}

/// Whether a line of a log says fatal or panic. Both of etcd's loggers and Go's own runtime are
/// known: `"level":"fatal"`, `F | …`, `panic: …`, `fatal error: …`.
pub(super) fn is_fatal(line: &str) -> bool {
    line.starts_with("panic:")
        || line.starts_with("fatal error:")
        || line.contains(r#""level":"fatal""#)
        || line.contains(r#""level":"panic""#)
        || line.contains(r#""level":"dpanic""#)
        || line
            .get(20..)
            .is_some_and(|rest| rest.contains(" F | ") || rest.contains(" C | "))
}

/// Every fatal line of a log that does not begin in one of these parts, at most `max`.
pub(super) fn fatal_lines(
    path: &Path,
    excused: &[Range<u64>],
    max: usize,
) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        let line = line?;
        let start = at;
        at += line.len() as u64 + 1;
        if excused.iter().any(|part| part.contains(&start)) {
            continue;
        }
        let line = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_MAX)]).into_owned();
        if is_fatal(&line) {
            found.push(line);
            if found.len() == max {
                break;
            }
        }
    }
    Ok(found)
}

/// The last lines of a log, at most `max`.
pub(super) fn last_lines(path: &Path, max: usize) -> Vec<String> {
    let read = || -> std::io::Result<Vec<String>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(
            length.saturating_sub(LINE_BYTES_MAX as u64),
        ))?;
        let lines: Vec<_> = BufReader::new(file)
            .split(b'\n')
            .map(|line| line.map(|line| String::from_utf8_lossy(&line).into_owned()))
            .collect::<Result<_, _>>()?;
        let skip = lines.len().saturating_sub(max);
        Ok(lines.into_iter().skip(skip).collect())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_tail_shows_each_line_once_and_only_when_it_is_whole() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        log.write_all(b"old\n").unwrap();
        let mut tail = LogTail::open(log.path(), 4).unwrap();
        assert!(!tail.finds("old").unwrap());
        log.write_all(b"a new li").unwrap();
        assert!(!tail.finds("new").unwrap());
        log.write_all(b"ne\n").unwrap();
        assert!(tail.finds("new line").unwrap());
        assert!(!tail.finds("new line").unwrap());
    }

    #[test]
    fn fatal_lines_of_each_logger_are_told_from_mentions() {
        assert!(is_fatal(
            r#"{"level":"fatal","ts":"…","msg":"discovery failed"}"#
        ));
        assert!(is_fatal(
            r#"{"level":"panic","msg":"tocommit(8) is out of range"}"#
        ));
        assert!(is_fatal("panic: runtime error: index out of range"));
        assert!(is_fatal(
            "2026-11-22 13:00:00.000000 C | raft: tocommit is out of range"
        ));
        assert!(!is_fatal(
            r#"{"level":"warn","msg":"health check failed: panic"}"#
        ));
        assert!(!is_fatal("2026-11-22 13:00:00.000000 W | etcdserver: slow"));
    }

    #[test]
    fn excused_parts_of_a_log_say_nothing_fatal() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::write(&log, "panic: one\nfine\npanic: two\npanic: three\n").unwrap();
        let found = |excused: &[Range<u64>]| fatal_lines(&log, excused, 9).unwrap();
        assert_eq!(found(&[]), ["panic: one", "panic: two", "panic: three"]);
        assert_eq!(found(&[16..27]), ["panic: one", "panic: three"]);
        assert_eq!(found(&[0..1, 27..u64::MAX]), ["panic: two"]);
    }
}
