//! Where a running process has a binary's functions.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::SymbolError;
use super::elf::{Image, word};

/// The file that was read, so that it is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
        }
    }
}

/// `AT_ENTRY` of getauxval(3).
const AT_ENTRY: u64 = 9;
/// How long exec may take to fill in the vector.
const EXEC_LIMIT: Duration = Duration::from_secs(2);

/// What to add to an address in the file to get the one in the process.
///
/// From the entry point that the kernel noted in `/proc/<pid>/auxv`. (The same
/// follows from the process's maps, but those name files by path only.)
pub(super) fn bias(
    image: &Image,
    path: &Path,
    identity: Identity,
    pid: i32,
) -> Result<u64, SymbolError> {
    let process = |reason| SymbolError::Process { pid, reason };
    let exe = format!("/proc/{pid}/exe");
    if Identity::of(&fs::metadata(&exe).map_err(process)?) != identity {
        return Err(SymbolError::OtherBinary {
            pid,
            path: path.to_owned(),
            runs: fs::read_link(&exe).map_err(process)?,
        });
    }
    let deadline = Instant::now() + EXEC_LIMIT;
    let entry = loop {
        let auxv = fs::read(format!("/proc/{pid}/auxv")).map_err(process)?;
        let mut pairs = auxv.chunks_exact(16);
        let entry = pairs
            .find(|pair| word(pair, 0) == Some(AT_ENTRY))
            .and_then(|pair| word(pair, 8));
        // In the middle of exec the file is known, but not mapped; the vector
        // is filled in once it is.
        if entry.is_some() || Instant::now() >= deadline {
            break entry;
        }
        thread::sleep(Duration::from_millis(1));
    };
    entry
        .and_then(|entry| entry.checked_sub(image.entry))
        .filter(|bias| bias % 4096 == 0 && (*bias == 0 || image.relocatable))
        .ok_or_else(|| {
            process(std::io::Error::other(
                "its auxiliary vector has no entry point of this binary",
            ))
        })
}
