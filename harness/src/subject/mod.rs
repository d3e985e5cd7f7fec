//! The store under test: what it is called, what its members run, and what of etcd it has.
//!
//! `embedded` is the store within this executable; `etcd@3.5.1` a release, and anything with a `/`
//! a binary of etcd's ([`crate::install`]); `cmd:` begins the command of any other store, with
//! places for what the harness chooses, and `cmd-file:` names a file with such a command.

mod commands;
mod features;

use std::path::PathBuf;

use scenarios::plan::{Plan, StoreKind, StorePin};

use crate::cluster::{Program, TemplateError};
use crate::install::{self, InstallError, Store};
pub use features::{Feature, Without};

/// The embedded store's name.
pub const EMBEDDED: &str = "embedded";

/// A store that is ready to be started.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What plans are pinned to.
    pub pin: StorePin,
    /// What members run.
    pub program: Program,
    /// What it lacks.
    pub without: Without,
}

/// Why there is no such store.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// What was named is none.
    #[error("{0}")]
    Named(String),
    /// A command is no template.
    #[error("{0}; see docs/stores.md")]
    Template(#[from] TemplateError),
    /// A release could not be installed, or the executable not be read.
    #[error(transparent)]
    Install(#[from] InstallError),
}

impl SubjectError {
    /// Whether the user named something that is not there, rather than an installation failing.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Named(_) | Self::Template(_) => true,
            Self::Install(error) => matches!(
                error,
                InstallError::BadStore { .. }
                    | InstallError::Missing { .. }
                    | InstallError::NotAFile { .. }
                    | InstallError::NotExecutable { .. }
                    | InstallError::NotEtcd { .. }
            ),
        }
    }
}

/// Whether a plan's store lacks this.
#[must_use]
pub fn lacks(plan: &Plan, feature: Feature) -> bool {
    plan.store.without.iter().any(|name| name == feature.name())
}

/// Finds and pins a store; installs a release that is not there. What it lacks beside what is known
/// of it is given by name.
///
/// # Errors
/// [`SubjectError`].
pub fn resolve(
    spec: &str,
    without: &[String],
    progress: &mut dyn FnMut(&str),
) -> Result<Subject, SubjectError> {
    let mut lacks = Without::of_names(without).map_err(SubjectError::Named)?;
    let (mut pin, program) = if spec == EMBEDDED {
        embedded()?
    } else if let Some(command) = spec.strip_prefix("cmd:") {
        commands::resolve(spec, command, &mut lacks)?
    } else if let Some(path) = spec.strip_prefix("cmd-file:") {
        commands::resolve_file(path, &mut lacks)?
    } else {
        etcd(spec, progress)?
    };
    pin.without = lacks.names();
    Ok(Subject {
        pin,
        program,
        without: lacks,
    })
}

fn embedded() -> Result<(StorePin, Program), SubjectError> {
    let executable = std::env::current_exe()
        .map_err(|error| SubjectError::Named(format!("where is this executable? {error}")))?;
    let pin = StorePin {
        spec: EMBEDDED.into(),
        version: store::ETCD_VERSION.into(),
        sha256: install::sha256_of(&executable)?,
        kind: StoreKind::Embedded,
        points: true,
        without: Vec::new(),
    };
    Ok((pin, Program::embedded(executable)))
}

fn etcd(spec: &str, progress: &mut dyn FnMut(&str)) -> Result<(StorePin, Program), SubjectError> {
    let store = Store::parse(spec)?;
    let resolved = store.resolve(&install::Options::from_env()?, progress)?;
    // Releases are not built with gofail.
    let points = matches!(store, Store::Binary(_)) && install::has_gofail(&resolved.binary)?;
    let pin = StorePin {
        spec: spec.to_owned(),
        version: resolved.version.to_string(),
        sha256: resolved.sha256,
        kind: StoreKind::Etcd,
        points,
        without: Vec::new(),
    };
    Ok((pin, Program::etcd(resolved.binary)))
}

/// An executable by its path, or by its name in `PATH`.
fn find_program(name: &str) -> Result<PathBuf, SubjectError> {
    let missing = || {
        SubjectError::Named(format!(
            "there is no program {name:?}: give its path, or a name that is in PATH"
        ))
    };
    if name.contains('/') {
        let path = std::path::absolute(name).map_err(|_| missing())?;
        return match path.is_file() {
            true => Ok(path),
            false => Err(missing()),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .ok_or_else(missing)
}
