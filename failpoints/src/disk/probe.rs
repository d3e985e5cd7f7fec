//! Whether disks work on this machine.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Options;
use super::client::DiskServer;
use super::report::PowerLoss;
use super::survival::Survival;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// A directory of its own, removed in any case.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gauntlet-probe-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Tries disks on this machine: mounts one, writes, loses the power, and looks
/// at what is left. Takes well below a second.
///
/// # Errors
///
/// A sentence that says what is off, and what to do.
pub async fn probe(launcher: &Path) -> Result<(), String> {
    if let Err(error) = File::options().read(true).write(true).open("/dev/fuse") {
        return Err(format!(
            "/dev/fuse: {error} (load the kernel module `fuse`, and give the container the device)"
        ));
    }
    let scratch = Scratch::new().map_err(|e| format!("the temporary directory: {e}"))?;
    let tried = attempt(launcher, &scratch.0).await;
    tried.map_err(|error| error.to_string())
}

async fn attempt(launcher: &Path, dir: &Path) -> Result<(), crate::fault::BoxError> {
    let server = DiskServer::start(launcher).await?;
    let disk = server.mount("probe", dir, dir, Options::default()).await?;
    let at = disk.outside();
    tokio::task::spawn_blocking(move || write(&at)).await??;
    let lost = disk.power_loss(Survival::SyncedOnly).await?;
    let at = disk.outside();
    tokio::task::spawn_blocking(move || check(&at, &lost)).await??;
    Ok(disk.unmount().await?)
}

fn write(at: &Path) -> io::Result<()> {
    let mut file = File::create(at.join("kept"))?;
    file.write_all(b"kept")?;
    file.sync_all()?;
    file.write_all(b" and lost")?;
    fs::write(at.join("lost"), "lost")
}

fn check(at: &Path, lost: &PowerLoss) -> Result<(), crate::fault::BoxError> {
    let left = fs::read(at.join("kept"))?;
    if left != b"kept" || at.join("lost").exists() {
        return Err("a power loss took the wrong bytes on this machine".into());
    }
    match (lost.writes_lost, lost.changes_lost) {
        (2, 1) => Ok(()),
        other => Err(format!("a power loss counted {other:?} instead of (2, 1)").into()),
    }
}
