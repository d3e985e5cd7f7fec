//! Where installed versions lie, and how they get there all at once or not at all.
//!
//! ```text
//! <cache>/3.5.1/etcd              the binary
//!               etcdctl           when its source has it
//!               install.json      written last: without it the version is not installed
//! <cache>/.lock-3.5.1             held by the process that is installing 3.5.1
//! <cache>/.staging-3.5.1-x7Bq9e/  what that process has so far
//! ```

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use semver::Version;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::error::Doing;
use super::{InstallError, Installed, probe};

const SCHEMA: u32 = 1;
const MANIFEST: &str = "install.json";
const STAGING: &str = ".staging-";
const LOCK: &str = ".lock-";
/// Longer than every source's own limits together.
const LOCK_PATIENCE: Duration = Duration::from_secs(30 * 60);

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    schema: u32,
    version: Version,
    source: String,
    sha256: String,
    installed_at: u64,
}

pub(super) struct Cache<'a> {
    root: &'a Path,
}

/// The right to install one version, until dropped.
pub(super) struct Lock {
    _held: File,
}

/// A directory beside the installed versions, removed when dropped.
pub(super) struct Staging {
    dir: TempDir,
}

impl<'a> Cache<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root }
    }

    /// What the cache says about a version, without reading the binary. `None` if it is not
    /// there, or not whole.
    pub(super) fn find(&self, version: &Version) -> Option<Installed> {
        let dir = self.root.join(version.to_string());
        let manifest: Manifest =
            serde_json::from_slice(&fs::read(dir.join(MANIFEST)).ok()?).ok()?;
        let binary = dir.join("etcd");
        let whole =
            manifest.schema == SCHEMA && manifest.version == *version && probe::executable(&binary);
        whole.then(|| Installed {
            version: manifest.version,
            etcdctl: probe::etcdctl_beside(&binary),
            binary,
            sha256: manifest.sha256,
            source: manifest.source,
            installed_at: manifest.installed_at,
        })
    }

    /// As [`find`](Self::find), and the binary is still the one that was installed.
    pub(super) fn find_intact(
        &self,
        version: &Version,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Option<Installed>, InstallError> {
        let Some(found) = self.find(version) else {
            return Ok(None);
        };
        if probe::sha256_of(&found.binary)? == found.sha256 {
            return Ok(Some(found));
        }
        progress(&format!(
            "etcd {version}: {} is no longer the file that was installed; installing it again",
            found.binary.display()
        ));
        Ok(None)
    }

    /// Every whole version, oldest first.
    pub(super) fn installed(&self) -> Result<Vec<Installed>, InstallError> {
        let mut found: Vec<Installed> = self
            .names()?
            .iter()
            .filter_map(|name| self.find(&Version::parse(name).ok()?))
            .collect();
        found.sort_by(|a, b| a.version.cmp(&b.version));
        Ok(found)
    }

    /// Removes what interrupted installations left. Those under way hold their lock, and are
    /// left alone; what cannot be removed now is left for the next time.
    pub(super) fn sweep(&self) -> Result<(), InstallError> {
        for name in self.names()? {
            let Some(version) = staged_version(&name) else {
                continue;
            };
            if let Some(lock) = self.try_lock(&version)? {
                self.sweep_version(&lock, &version)?;
            }
        }
        Ok(())
    }

    pub(super) fn sweep_version(&self, _: &Lock, version: &Version) -> Result<(), InstallError> {
        for name in self.names()? {
            if staged_version(&name).as_ref() == Some(version) {
                let _ = fs::remove_dir_all(self.root.join(name));
            }
        }
        Ok(())
    }

    /// Waits for the right to install `version`.
    pub(super) fn lock(
        &self,
        version: &Version,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Lock, InstallError> {
        fs::create_dir_all(self.root).doing("create", self.root)?;
        let started = Instant::now();
        let mut told = false;
        loop {
            if let Some(lock) = self.try_lock(version)? {
                return Ok(lock);
            }
            if !told {
                progress(&format!(
                    "etcd {version}: another process is installing it; waiting"
                ));
                told = true;
            }
            if started.elapsed() > LOCK_PATIENCE {
                return Err(InstallError::Busy {
                    version: version.clone(),
                    lock: self.lock_path(version),
                    waited_s: LOCK_PATIENCE.as_secs(),
                });
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn try_lock(&self, version: &Version) -> Result<Option<Lock>, InstallError> {
        let path = self.lock_path(version);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .doing("open the lock file", &path)?;
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => Ok(Some(Lock { _held: file })),
            Err(fs4::TryLockError::WouldBlock) => Ok(None),
            Err(fs4::TryLockError::Error(error)) => Err(error).doing("lock", path),
        }
    }

    pub(super) fn stage(&self, _: &Lock, version: &Version) -> Result<Staging, InstallError> {
        let dir = tempfile::Builder::new()
            .prefix(&format!("{STAGING}{version}-"))
            .tempdir_in(self.root)
            .doing("create a directory in", self.root)?;
        Ok(Staging { dir })
    }

    /// Makes what is staged the installed version, in one step.
    pub(super) fn publish(
        &self,
        staging: Staging,
        version: &Version,
        source: String,
    ) -> Result<Installed, InstallError> {
        let tree = staging.tree();
        let manifest = Manifest {
            schema: SCHEMA,
            version: version.clone(),
            source,
            sha256: probe::sha256_of(&tree.join("etcd"))?,
            installed_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        };
        let path = tree.join(MANIFEST);
        let text = serde_json::to_string_pretty(&manifest)
            .map_err(io::Error::from)
            .doing("write", &path)?;
        fs::write(&path, text + "\n").doing("write", path)?;
        for name in ["etcd", "etcdctl", MANIFEST] {
            let file = tree.join(name);
            if file.exists() {
                sync(&file)?;
            }
        }
        sync(&tree)?;
        let home = self.root.join(version.to_string());
        if home.symlink_metadata().is_ok() {
            let aside = staging.dir.path().join("replaced");
            fs::rename(&home, &aside).doing("move aside", &home)?;
        }
        fs::rename(&tree, &home).doing("create", &home)?;
        sync(self.root)?;
        self.find(version)
            .ok_or_else(|| io::Error::other("it is gone right after it was written"))
            .doing("find", home)
    }

    fn lock_path(&self, version: &Version) -> PathBuf {
        self.root.join(format!("{LOCK}{version}"))
    }

    fn names(&self) -> Result<Vec<String>, InstallError> {
        let entries = match fs::read_dir(self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).doing("read", self.root),
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<io::Result<_>>().doing("read", self.root)
    }
}

impl Staging {
    /// Where a source leaves `etcd` and, if it has one, `etcdctl`.
    pub(super) fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    /// Where a source keeps downloads and anything else it needs for a while.
    pub(super) fn scratch(&self) -> PathBuf {
        self.dir.path().join("scratch")
    }

    /// Empties both directories, for the next source.
    pub(super) fn clear(&self) -> Result<(), InstallError> {
        for dir in [self.tree(), self.scratch()] {
            if dir.exists() {
                fs::remove_dir_all(&dir).doing("empty", &dir)?;
            }
            fs::create_dir(&dir).doing("create", &dir)?;
        }
        Ok(())
    }

    pub(super) fn make_executable(&self) -> Result<(), InstallError> {
        for name in ["etcd", "etcdctl"] {
            let file = self.tree().join(name);
            if file.exists() {
                fs::set_permissions(&file, Permissions::from_mode(0o755))
                    .doing("make executable", file)?;
            }
        }
        Ok(())
    }
}

fn staged_version(name: &str) -> Option<Version> {
    let (version, _random) = name.strip_prefix(STAGING)?.rsplit_once('-')?;
    Version::parse(version).ok()
}

fn sync(path: &Path) -> Result<(), InstallError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .doing("flush to disk", path)
}
