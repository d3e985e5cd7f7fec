//! A server with one disk, as the tests use it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use failpoints::disk::{Disk, DiskServer, Options, PowerLoss, Survival};
use tempfile::TempDir;

pub(crate) const SUBJECT: &str = env!("CARGO_BIN_EXE_failpoints-subject");

/// A disk over `dir/data`, seen from outside its namespace at `at`.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) server: DiskServer,
    pub(crate) disk: Disk,
    pub(crate) at: PathBuf,
}

/// Says so and answers `false` where disks cannot work; as root they must.
pub(crate) fn able() -> bool {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        eprintln!("skipped: a mount namespace needs root");
    }
    root
}

impl Bench {
    pub(crate) async fn start() -> Option<Self> {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Option<Self> {
        if !able() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        let server = DiskServer::start(Path::new(SUBJECT)).await.unwrap();
        let disk = server.mount("m1", &data, &data, options).await.unwrap();
        let at = disk.outside();
        Some(Self {
            dir,
            server,
            disk,
            at,
        })
    }

    /// The plain directory below.
    pub(crate) fn plain(&self, name: &str) -> PathBuf {
        self.dir.path().join("data").join(name)
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }

    pub(crate) async fn lose(&self) -> PowerLoss {
        self.disk.power_loss(Survival::SyncedOnly).await.unwrap()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        names(&self.at)
    }
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
