//! `member/snap`: the marks of raft snapshots, and databases that came from peers.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::wal::{Mark, sync_dir};

/// The directory.
#[derive(Clone, Debug)]
pub(super) struct Snapshots(PathBuf);

impl Snapshots {
    pub(super) fn open(dir: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        if let Some(parent) = dir.parent() {
            sync_dir(parent)?;
        }
        let snapshots = Self(dir);
        snapshots.remove(|name| name.ends_with(".tmp"))?;
        Ok(snapshots)
    }

    /// Writes `<term>-<index>.snap`, as etcd names it: a CRC-32 and the mark.
    pub(super) fn save(&self, mark: &Mark) -> std::io::Result<()> {
        let name = Self::name(mark);
        let temporary = self.0.join(format!("{name}.tmp"));
        let body = mark.encode()?;
        let mut file = File::create(&temporary)?;
        file.write_all(&crc32fast::hash(&body).to_le_bytes())?;
        file.write_all(&body)?;
        file.sync_all()?;
        fs::rename(&temporary, self.0.join(name))?;
        sync_dir(&self.0)
    }

    /// Whether the file of a mark says the same as the log.
    pub(super) fn holds(&self, mark: &Mark) -> bool {
        let mut bytes = Vec::new();
        let read = File::open(self.0.join(Self::name(mark)))
            .and_then(|mut file| file.read_to_end(&mut bytes));
        let Some((crc, body)) = bytes.split_first_chunk() else {
            return false;
        };
        read.is_ok()
            && crc32fast::hash(body) == u32::from_le_bytes(*crc)
            && Mark::decode(body).is_ok_and(|found| found == *mark)
    }

    fn name(mark: &Mark) -> String {
        format!("{:016x}-{:016x}.snap", mark.term, mark.index)
    }

    /// Where the database of a peer's snapshot is once it is whole.
    pub(super) fn database(&self, index: u64) -> PathBuf {
        self.0.join(format!("{index:016x}.snap.db"))
    }

    /// A name for a file that is still being written.
    pub(super) fn temporary(&self, what: &str) -> PathBuf {
        self.0.join(format!("{what}.tmp"))
    }

    /// Gives a received database, written and synced, its name.
    pub(super) fn keep_database(&self, temporary: &Path, index: u64) -> std::io::Result<PathBuf> {
        let path = self.database(index);
        fs::rename(temporary, &path)?;
        sync_dir(&self.0)?;
        Ok(path)
    }

    /// Removes databases of peers' snapshots up to an index: they have been taken over or are of no
    /// use.
    pub(super) fn release(&self, upto: u64) -> std::io::Result<()> {
        self.remove(|name| {
            name.strip_suffix(".snap.db")
                .and_then(|index| u64::from_str_radix(index, 16).ok())
                .is_some_and(|index| index <= upto)
        })
    }

    fn remove(&self, which: impl Fn(&str) -> bool) -> std::io::Result<()> {
        for file in fs::read_dir(&self.0)? {
            let file = file?;
            if which(&file.file_name().to_string_lossy()) {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }
}
