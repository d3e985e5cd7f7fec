//! Debian's packages, of the release this machine runs and of the next one.

mod apt;
mod sources;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use semver::Version;

use super::cache::Staging;
use super::command;
use super::error::{Doing, Failure};
use super::{Installable, Source};
use apt::Apt;

const UNPACK_WITHIN: Duration = Duration::from_secs(60);

/// Debian's releases, oldest first, and the etcd each is known to have.
static RELEASES: [(&str, Option<Version>); 5] = [
    ("bullseye", Some(Version::new(3, 3, 25))),
    ("bookworm", Some(Version::new(3, 4, 23))),
    ("trixie", Some(Version::new(3, 5, 16))),
    ("forky", None),
    ("duke", None),
];

pub(super) fn fetch(
    version: &Version,
    staging: &Staging,
    progress: &mut dyn FnMut(&str),
) -> Result<String, Failure> {
    let codename = codename().map_err(Failure::Next)?;
    let mut reasons = Vec::new();
    for suite in likeliest_first(suites(&codename), version) {
        progress(&format!(
            "etcd {version}: reading the package lists of Debian {suite}"
        ));
        match fetch_from(&suite, &codename, version, staging, progress) {
            Err(Failure::Next(reason)) => reasons.push(format!("{suite}: {reason}")),
            outcome => return outcome,
        }
    }
    Err(Failure::Next(reasons.join("; ")))
}

/// What the releases within reach are known to have.
pub(super) fn installable() -> Vec<Installable> {
    let Ok(codename) = codename() else {
        return Vec::new();
    };
    suites(&codename)
        .into_iter()
        .filter_map(|suite| {
            Some(Installable {
                version: known_version(&suite)?,
                source: Source::Debian,
                from: format!("Debian {suite}'s package etcd-server"),
            })
        })
        .collect()
}

fn fetch_from(
    suite: &str,
    codename: &str,
    version: &Version,
    staging: &Staging,
    progress: &mut dyn FnMut(&str),
) -> Result<String, Failure> {
    let scratch = staging.scratch().join(suite);
    fs::create_dir_all(&scratch).doing("create", &scratch)?;
    let entries = sources::for_suite(&sources::installed(), codename, suite);
    if entries.is_empty() {
        return Err(Failure::Next(format!(
            "this machine's apt sources name no mirror that has Debian {codename}"
        )));
    }
    let apt = Apt::prepare(&scratch, &entries)?;
    let lists = apt.update();
    let offered = apt.versions("etcd-server")?;
    let Some(server) = offered
        .iter()
        .find(|one| upstream(one) == version.to_string())
    else {
        return Err(match lists {
            Err(error) if offered.is_empty() => error.into(),
            _ if offered.is_empty() => Failure::Next("it has no etcd-server".to_owned()),
            _ => Failure::Next(format!("it has etcd-server {}", offered.join(", "))),
        });
    };
    let tree = staging.tree();
    progress(&format!(
        "etcd {version}: downloading etcd-server {server} of Debian {suite}"
    ));
    take(&apt, &scratch, "etcd-server", server, "etcd", &tree)?;
    let client = apt.versions("etcd-client")?;
    match client
        .iter()
        .find(|one| upstream(one) == version.to_string())
    {
        Some(client) => take(&apt, &scratch, "etcd-client", client, "etcdctl", &tree)?,
        None => progress(&format!(
            "etcd {version}: Debian {suite} has no etcdctl to go with it"
        )),
    }
    Ok(format!("Debian {suite}'s package etcd-server {server}"))
}

/// Downloads one package, unpacks it and keeps one program of it.
fn take(
    apt: &Apt,
    scratch: &Path,
    package: &str,
    version: &str,
    program: &str,
    tree: &Path,
) -> Result<(), Failure> {
    let into = scratch.join(package);
    fs::create_dir_all(&into).doing("create", &into)?;
    let deb = apt.download(package, version, &into)?;
    let unpacked = into.join("unpacked");
    command::run_ok(
        Command::new("dpkg-deb").arg("-x").arg(deb).arg(&unpacked),
        UNPACK_WITHIN,
    )?;
    let binary = unpacked.join("usr/bin").join(program);
    if !binary.is_file() {
        return Err(Failure::Next(format!(
            "{package} {version} has no /usr/bin/{program}"
        )));
    }
    fs::rename(&binary, tree.join(program)).doing("move", binary)?;
    Ok(())
}

/// The codename of the Debian release this machine runs, or why there is none.
fn codename() -> Result<String, String> {
    let text = fs::read_to_string("/etc/os-release")
        .map_err(|error| format!("this is not a Debian machine (/etc/os-release: {error})"))?;
    codename_in(&text)
}

fn codename_in(os_release: &str) -> Result<String, String> {
    let field = |name: &str| {
        let value = os_release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.map_or("", |value| value.trim().trim_matches('"'))
    };
    match (field("ID"), field("VERSION_CODENAME")) {
        ("debian", "") => Err("/etc/os-release gives no codename of this Debian".to_owned()),
        ("debian", codename) => Ok(codename.to_owned()),
        ("", _) => Err("this is not a Debian machine".to_owned()),
        (other, _) => Err(format!("this is not a Debian machine but `{other}`")),
    }
}

/// The release itself and the one after it, if that is known.
fn suites(codename: &str) -> Vec<String> {
    let at = RELEASES.iter().position(|(name, _)| *name == codename);
    let next = at.and_then(|at| RELEASES.get(at + 1));
    std::iter::once(codename.to_owned())
        .chain(next.map(|(name, _)| (*name).to_owned()))
        .collect()
}

fn likeliest_first(mut suites: Vec<String>, version: &Version) -> Vec<String> {
    suites.sort_by_key(|suite| known_version(suite).as_ref() != Some(version));
    suites
}

fn known_version(suite: &str) -> Option<Version> {
    let (_, version) = RELEASES.iter().find(|(name, _)| *name == suite)?;
    version.clone()
}

/// The upstream part of a package's version: `3.5.16` of `1:3.5.16+ds-4+b1`.
fn upstream(package_version: &str) -> &str {
    let no_epoch = package_version
        .split_once(':')
        .map_or(package_version, |(_, rest)| rest);
    let no_revision = no_epoch.rsplit_once('-').map_or(no_epoch, |(rest, _)| rest);
    no_revision.split(['+', '~']).next().unwrap_or(no_revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_versions_are_cut_out_of_package_versions() {
        for (package, expected) in [
            ("3.4.23-4+b4", "3.4.23"),
            ("3.5.16-4", "3.5.16"),
            ("1:3.5.16+ds1-4", "3.5.16"),
            ("3.6.0~rc.1-1", "3.6.0"),
            ("3.5.1", "3.5.1"),
        ] {
            assert_eq!(upstream(package), expected);
        }
    }

    #[test]
    fn the_release_that_has_the_version_is_asked_first() {
        assert_eq!(suites("bookworm"), ["bookworm", "trixie"]);
        assert_eq!(suites("trixie"), ["trixie", "forky"]);
        assert_eq!(suites("unheard-of"), ["unheard-of"]);
        let order = likeliest_first(suites("bookworm"), &Version::new(3, 5, 16));
        assert_eq!(order, ["trixie", "bookworm"]);
    }

    #[test]
    fn other_systems_are_turned_down_by_name() {
        let debian = "PRETTY_NAME=\"Debian\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(codename_in(debian), Ok("bookworm".to_owned()));
        let other = codename_in("ID=\"fedora\"\nVERSION_ID=42\n").unwrap_err();
        assert!(other.contains("fedora"), "{other}");
    }
}
