//! What the user names: a release, or a binary of their own.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use semver::Version;
use serde::Serialize;

use super::{InstallError, Options, install, probe};

/// A store under test, as named on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// `etcd@3.5.1`: that release, installed on first use.
    Release(Version),
    /// `/path/to/etcd`: that binary, used where it is.
    Binary(PathBuf),
}

/// A store that is ready to be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// The etcd binary, as an absolute path.
    pub binary: PathBuf,
    /// The version the binary states.
    pub version: Version,
    /// The binary's SHA-256, in lower-case hexadecimal.
    pub sha256: String,
    /// Where the binary came from.
    pub source: String,
    /// The `etcdctl` that came with it, if one did.
    pub etcdctl: Option<PathBuf>,
}

impl Store {
    /// Reads `etcd@<version>`, or a path (anything with a `/` in it).
    ///
    /// The path is not looked at before [`resolve`](Self::resolve).
    ///
    /// # Errors
    ///
    /// [`InstallError::BadStore`] if it is neither.
    pub fn parse(spec: &str) -> Result<Self, InstallError> {
        let bad = |reason: String| InstallError::BadStore {
            spec: spec.to_owned(),
            reason,
        };
        if spec.contains('/') {
            return Ok(Self::Binary(PathBuf::from(spec)));
        }
        match spec.split_once('@') {
            Some(("etcd", version)) => parse_version(version).map(Self::Release).map_err(bad),
            Some((other, _)) => Err(bad(format!("`{other}` is not a store that is known"))),
            None if spec == "etcd" => Err(bad("it gives no version".to_owned())),
            None => Err(bad(
                "it is neither `etcd@<version>` nor a path with a `/` in it".to_owned(),
            )),
        }
    }

    /// Makes the store ready: installs a release that is not installed yet, or checks that a
    /// binary is an etcd that runs here.
    ///
    /// # Errors
    ///
    /// For a release, what [`install`] returns. For a binary, [`InstallError::Missing`],
    /// [`InstallError::NotAFile`], [`InstallError::NotExecutable`] or
    /// [`InstallError::NotEtcd`], or [`InstallError::Io`] if it cannot be read.
    pub fn resolve(
        &self,
        options: &Options,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Resolved, InstallError> {
        match self {
            Self::Release(version) => {
                let installed = install(version, options, progress)?;
                Ok(Resolved {
                    binary: installed.binary,
                    version: installed.version,
                    sha256: installed.sha256,
                    source: installed.source,
                    etcdctl: installed.etcdctl,
                })
            }
            Self::Binary(path) => {
                let version = probe::version_of(path)?;
                let binary = std::path::absolute(path).map_err(|source| InstallError::Io {
                    action: "find",
                    path: path.clone(),
                    source,
                })?;
                Ok(Resolved {
                    sha256: probe::sha256_of(&binary)?,
                    source: format!("the file {}", binary.display()),
                    etcdctl: probe::etcdctl_beside(&binary),
                    version,
                    binary,
                })
            }
        }
    }
}

impl FromStr for Store {
    type Err = InstallError;

    fn from_str(spec: &str) -> Result<Self, InstallError> {
        Self::parse(spec)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(version) => write!(f, "etcd@{version}"),
            Self::Binary(path) => path.display().fmt(f),
        }
    }
}

fn parse_version(text: &str) -> Result<Version, String> {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).map_err(|error| {
        format!("`{text}` is not a full version of three numbers like 3.5.1 ({error})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let release = Store::Release(Version::new(3, 5, 1));
        assert_eq!(Store::parse("etcd@3.5.1").unwrap(), release);
        assert_eq!(Store::parse("etcd@v3.5.1").unwrap(), release);
        assert_eq!(release.to_string(), "etcd@3.5.1");
        for path in ["/opt/etcd", "./etcd", "bin/etcd@3.5.1"] {
            assert_eq!(Store::parse(path).unwrap(), Store::Binary(path.into()));
        }
    }

    #[test]
    fn bad_names_say_what_to_write() {
        for (spec, reason) in [
            ("etcd", "no version"),
            ("etcd@3.5", "three numbers"),
            ("etcd@", "three numbers"),
            ("consul@1.2.3", "`consul` is not a store"),
            ("3.5.1", "neither"),
            ("", "neither"),
        ] {
            let said = Store::parse(spec).unwrap_err().to_string();
            assert!(said.contains(reason), "{spec}: {said}");
            assert!(said.contains("etcd@3.5.1"), "{spec}: {said}");
        }
    }
}
