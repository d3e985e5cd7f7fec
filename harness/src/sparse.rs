//! Keeping members' data without its empty space.
//!
//! etcd allocates WAL files of 64 MiB each and bbolt grows in steps, so that the data of three
//! members takes hundreds of megabytes of which a run fills a few. Blocks of zeros are given back to
//! the file system; every byte reads as before.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;
use nix::fcntl::{FallocateFlags, fallocate};

/// Zeros are looked for in blocks of this size, in bytes.
const BLOCK: usize = 64 << 10;

/// Makes every file below `dir` sparse. A file system that knows no holes is left as it is.
///
/// # Errors
/// When a file cannot be read.
pub fn make_sparse(dir: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        let meta = path.symlink_metadata()?;
        if meta.is_dir() {
            make_sparse(&path)?;
        } else if meta.is_file() && meta.blocks() * 512 > BLOCK as u64 {
            punch(&path).with_context(|| format!("cannot make {} sparse", path.display()))?;
        }
    }
    Ok(())
}

/// Punches one hole for each run of zero blocks: a call for every block costs seconds.
fn punch(path: &Path) -> anyhow::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let zeros = vec![0; BLOCK];
    let mut block = vec![0; BLOCK];
    let (mut at, mut run) = (0_i64, None);
    loop {
        let mut filled = 0;
        while filled < BLOCK {
            match file.read(&mut block[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        let empty = filled > 0 && block[..filled] == zeros[..filled];
        match run {
            None if empty => run = Some(at),
            Some(start) if !empty => {
                run = None;
                let hole =
                    FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
                match fallocate(&file, hole, start, at - start) {
                    Ok(()) => {}
                    Err(nix::errno::Errno::EOPNOTSUPP) => return Ok(()),
                    Err(errno) => return Err(errno.into()),
                }
            }
            _ => {}
        }
        if filled == 0 {
            return Ok(());
        }
        at += i64::try_from(filled)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_read_as_the_zeros_they_replace() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal");
        let mut content = vec![0; 8 << 20];
        content[5] = 1;
        content[(6 << 20) + 7] = 2;
        std::fs::write(&path, &content).unwrap();
        File::open(&path).unwrap().sync_all().unwrap();
        let before = std::fs::metadata(&path).unwrap().blocks();
        make_sparse(dir.path()).unwrap();
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), content);
        assert!(
            after.blocks() < before / 4,
            "{} of {before} blocks are left",
            after.blocks()
        );
    }
}
