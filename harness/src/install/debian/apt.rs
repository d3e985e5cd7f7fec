//! `apt-get` with a state, a cache and a configuration of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::install::InstallError;
use crate::install::command::{self, CommandError};
use crate::install::error::{Doing, Failure};

const ASK_WITHIN: Duration = Duration::from_secs(30);
const UPDATE_WITHIN: Duration = Duration::from_secs(180);
const DOWNLOAD_WITHIN: Duration = Duration::from_secs(300);

pub(super) struct Apt {
    config: PathBuf,
}

impl Apt {
    /// Lays out a private apt in `dir` whose sources are `entries`.
    ///
    /// Of the machine's configuration only the `Acquire` options (proxies, certificates and
    /// the like) are taken over: its hooks run commands on the machine's own caches.
    pub(super) fn prepare(dir: &Path, entries: &str) -> Result<Self, Failure> {
        let make = |name: &str| -> Result<PathBuf, InstallError> {
            let path = dir.join(name);
            fs::create_dir_all(&path).doing("create", &path)?;
            Ok(path)
        };
        let lists = make("state/lists/partial")?;
        let state = lists.ancestors().nth(2).unwrap_or(dir);
        make("cache/archives/partial")?;
        let write = |name: &str, text: &str| -> Result<PathBuf, InstallError> {
            let path = dir.join(name);
            fs::write(&path, text).doing("write", &path)?;
            Ok(path)
        };
        let status = write("state/status", "")?;
        let sources = write("private.sources", entries)?;
        let mut config = String::new();
        for (name, value) in [
            ("Dir::State", state),
            ("Dir::State::status", &status),
            ("Dir::Cache", &dir.join("cache")),
            ("Dir::Etc::sourcelist", &sources),
            ("Dir::Etc::sourceparts", Path::new("/dev/null")),
            ("Dir::Etc::preferencesparts", Path::new("/dev/null")),
            ("Dir::Etc::Main", Path::new("/dev/null")),
            ("Dir::Etc::Parts", Path::new("/dev/null")),
            ("APT::Sandbox::User", Path::new("root")),
            ("Acquire::Languages", Path::new("none")),
            ("Acquire::http::Timeout", Path::new("15")),
            ("Acquire::https::Timeout", Path::new("15")),
            ("Acquire::Retries", Path::new("1")),
        ] {
            config += &format!("{name} \"{}\";\n", value.display());
        }
        config += &acquire_options()?;
        Ok(Self {
            config: write("apt.conf", &config)?,
        })
    }

    /// Fetches the package lists. Lists that could be fetched are usable even if this fails
    /// because of others.
    pub(super) fn update(&self) -> Result<(), CommandError> {
        let mut update = self.command("apt-get");
        update.args(["-q", "update"]);
        command::run_ok(&mut update, UPDATE_WITHIN).map(drop)
    }

    /// The versions of `package` that the lists offer.
    pub(super) fn versions(&self, package: &str) -> Result<Vec<String>, CommandError> {
        let mut madison = self.command("apt-cache");
        madison.args(["madison", package]);
        let answer = command::run_ok(&mut madison, ASK_WITHIN)?.stdout;
        let mut versions: Vec<String> = answer
            .lines()
            .filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()))
            .collect();
        versions.dedup();
        Ok(versions)
    }

    /// Downloads one package into `into` and returns its path.
    pub(super) fn download(
        &self,
        package: &str,
        version: &str,
        into: &Path,
    ) -> Result<PathBuf, Failure> {
        let mut download = self.command("apt-get");
        download
            .args(["-q", "download"])
            .arg(format!("{package}={version}"))
            .current_dir(into);
        command::run_ok(&mut download, DOWNLOAD_WITHIN)?;
        for entry in fs::read_dir(into).doing("read", into)? {
            let path = entry.doing("read", into)?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                return Ok(path);
            }
        }
        Err(Failure::Next(format!(
            "apt-get left no package {package} {version}"
        )))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.config).env("LC_ALL", "C");
        command
    }
}

/// The machine's own `Acquire` options, as lines of a configuration file; but not the kinds of
/// index it fetches beside the package lists, which are of no use here.
fn acquire_options() -> Result<String, CommandError> {
    let mut dump = Command::new("apt-config");
    dump.arg("dump").env("LC_ALL", "C");
    let dumped = command::run_ok(&mut dump, ASK_WITHIN)?.stdout;
    Ok(dumped
        .lines()
        .filter(|line| {
            let name = line.to_ascii_lowercase();
            name.starts_with("acquire::")
                && !name.starts_with("acquire::indextargets")
                && !line.ends_with(" \"\";")
        })
        .flat_map(|line| [line, "\n"])
        .collect())
}
