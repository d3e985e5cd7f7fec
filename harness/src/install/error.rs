//! What can go wrong, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use semver::Version;

use super::{BASE_URL_VARIABLE, Source};

/// Why an etcd could not be installed or used.
///
/// Every message names the thing at fault and says what to do next, so a caller can print it
/// as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// A store's name could not be understood.
    #[error(
        "`{spec}` does not name a store: {reason}. Write `embedded`, `etcd@<version>` (such as \
         `etcd@3.5.1`), the path of an etcd binary (such as `./bin/etcd`), or `cmd:` and the command \
         of another store"
    )]
    BadStore {
        /// The name as given.
        spec: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The path given does not exist.
    #[error(
        "there is no etcd binary at {path}: check the path, or write `etcd@<version>` to have one \
         installed"
    )]
    Missing {
        /// The path given.
        path: PathBuf,
    },
    /// The path given is a directory or some other thing that is not a regular file.
    #[error(
        "{path} is not a file: name the etcd binary itself (such as {}), or write \
         `etcd@<version>` to have one installed",
        .path.join("etcd").display()
    )]
    NotAFile {
        /// The path given.
        path: PathBuf,
    },
    /// The file may not be executed by this user.
    #[error(
        "{path} is not executable by this user: run `chmod +x {path}`, or check that its \
         filesystem is not mounted noexec"
    )]
    NotExecutable {
        /// The path given.
        path: PathBuf,
    },
    /// The file runs, or fails to, but does not answer `--version` as etcd does.
    #[error(
        "{path} is not an etcd this machine can run: {detail}. Check that `{path} --version` \
         prints `etcd Version: …`, or write `etcd@<version>` to have one installed"
    )]
    NotEtcd {
        /// The path given.
        path: PathBuf,
        /// What it did instead.
        detail: String,
    },
    /// An archive is not the one its publisher listed. No other source is tried after this.
    #[error(
        "CHECKSUM MISMATCH: {url} has sha256 {actual}, but {sums_url} lists {expected}. Nothing \
         was installed and no other source was tried: the archive is damaged or has been tampered \
         with. Try again, and if it stays so, do not trust that server: set {BASE_URL_VARIABLE} \
         to another one"
    )]
    ChecksumMismatch {
        /// Where the archive came from.
        url: String,
        /// Where the list of checksums came from.
        sums_url: String,
        /// The checksum listed.
        expected: String,
        /// The checksum of what was received.
        actual: String,
    },
    /// Every source was tried, and none had this version.
    #[error(
        "etcd {version} could not be installed. Tried:{}\nCheck the version, the network, or set \
         {BASE_URL_VARIABLE} to a mirror of etcd's releases; or give the path of an etcd binary \
         you have",
        Bullets(.attempts)
    )]
    NoSource {
        /// The version asked for.
        version: Version,
        /// Each source tried, in order, and why it did not serve.
        attempts: Vec<Attempt>,
    },
    /// The version is not in the cache, and installing it was not asked for.
    #[error("etcd {version} is not installed: run `gauntlet etcd install {version}`")]
    NotInstalled {
        /// The version asked for.
        version: Version,
    },
    /// No directory to install into is known.
    #[error("there is nowhere to install etcd: set HOME or XDG_CACHE_HOME to an absolute path")]
    NoCacheDir,
    /// Another process held the lock of this version for too long.
    #[error(
        "another process has been installing etcd {version} for over {waited_s} s (it holds \
         {lock}): wait for it or end it, then try again"
    )]
    Busy {
        /// The version asked for.
        version: Version,
        /// The lock file held.
        lock: PathBuf,
        /// For how long this process waited, in seconds.
        waited_s: u64,
    },
    /// The cache could not be read or written.
    #[error("could not {action} {path}: {source}. Check its permissions and the free disk space")]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

/// One source that was tried and did not serve.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The source.
    pub source: Source,
    /// Why it did not serve.
    pub reason: String,
}

struct Bullets<'a>(&'a [Attempt]);

impl fmt::Display for Bullets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Attempt { source, reason } in self.0 {
            write!(f, "\n  - {source}: {reason}")?;
        }
        Ok(())
    }
}

/// Why one source did not deliver: the next one may, or nothing else is to be tried.
#[derive(Debug)]
pub(super) enum Failure {
    Next(String),
    Fatal(InstallError),
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        Self::Fatal(error)
    }
}

impl From<super::command::CommandError> for Failure {
    fn from(error: super::command::CommandError) -> Self {
        Self::Next(error.to_string())
    }
}

/// Turns an I/O result into one that names the path and what was being done to it.
pub(super) trait Doing<T> {
    fn doing(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, InstallError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, InstallError> {
        self.map_err(|source| InstallError::Io {
            action,
            path: path.into(),
            source,
        })
    }
}
