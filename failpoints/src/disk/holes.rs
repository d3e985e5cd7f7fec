//! Holes in backing files: found, kept and made.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::unistd::{Whence, lseek};

use super::image::{Image, Piece, Ranges};

/// Copied at a time.
const CHUNK: u64 = 1 << 20;

/// Reads a range; holes are not read.
pub(super) fn copy(file: &File, range: Range<u64>, into: &mut Image) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let data = next_data(file, at).unwrap_or(at).clamp(at, range.end);
        if data > at {
            into.put(at, Piece::Zeros(data - at));
        }
        let end = range.end.min(data + CHUNK);
        if data < end {
            let mut bytes = vec![0; (end - data) as usize];
            file.read_exact_at(&mut bytes, data)?;
            let piece = if bytes.iter().all(|byte| *byte == 0) {
                Piece::Zeros(end - data)
            } else {
                Piece::Bytes(bytes)
            };
            into.put(data, piece);
        }
        at = end;
    }
    Ok(())
}

/// Where the next bytes that are not a hole begin; none is the end of all.
fn next_data(file: &File, at: u64) -> Option<u64> {
    match lseek(file, at.try_into().ok()?, Whence::SeekData) {
        Ok(data) => data.try_into().ok(),
        Err(nix::errno::Errno::ENXIO) => Some(u64::MAX),
        Err(_) => None,
    }
}

/// The parts of a file that take space (lseek(2), `SEEK_DATA`), or all of it
/// if it has as many blocks as its size needs: preallocated space reads as a
/// hole.
pub(super) fn allocated(file: &File) -> io::Result<Ranges> {
    let meta = file.metadata()?;
    let mut found = Ranges::default();
    if meta.blocks() * 512 >= meta.len() {
        found.add(0..meta.len());
        return Ok(found);
    }
    let mut at = 0;
    while at < meta.len() {
        let data = next_data(file, at).unwrap_or(at).min(meta.len());
        let hole = i64::try_from(data)
            .ok()
            .and_then(|data| lseek(file, data, Whence::SeekHole).ok())
            .and_then(|hole| u64::try_from(hole).ok())
            .unwrap_or(meta.len());
        found.add(data..hole);
        at = hole.max(data + 1);
    }
    Ok(found)
}

pub(super) fn zero(file: &File, range: Range<u64>) -> io::Result<()> {
    let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    if allocate(file, mode, &range).is_ok() {
        return Ok(());
    }
    let zeros = vec![0; CHUNK.min(range.end - range.start) as usize];
    let mut at = range.start;
    while at < range.end {
        let len = (range.end - at).min(CHUNK) as usize;
        file.write_all_at(&zeros[..len], at)?;
        at += len as u64;
    }
    Ok(())
}

pub(super) fn allocate(file: &File, mode: FallocateFlags, range: &Range<u64>) -> io::Result<()> {
    let too_big = |_| io::Error::from_raw_os_error(libc::EFBIG);
    let start = i64::try_from(range.start).map_err(too_big)?;
    let len = i64::try_from(range.end - range.start).map_err(too_big)?;
    Ok(fallocate(file, mode, start, len)?)
}
