//! Bad input: a clear error that says what to do, and its exit code.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Gauntlet, dir_of, one_at_a_time};

fn refused(gauntlet: &Gauntlet, args: &[&str], code: i32, says: &[&str]) {
    let output = gauntlet.call(args);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    for part in says {
        assert!(
            stderr.contains(part),
            "{args:?} does not say {part:?}: {stderr}"
        );
    }
}

#[test]
fn an_unknown_scenario_is_met_with_the_nearest_names() {
    refused(
        &Gauntlet::new(),
        &["run", "defrag-crush"],
        64,
        &["defrag-crush", "defrag-crash"],
    );
}

#[test]
fn a_malformed_scenario_names_file_line_and_field() {
    let gauntlet = Gauntlet::new();
    let path = gauntlet.out.path().join("mine.toml");
    std::fs::write(
        &path,
        "name = \"mine\"\ntitle = \"t\"\n[[step]]\ndo = \"kil\"\n",
    )
    .unwrap();
    refused(
        &gauntlet,
        &["run", "./mine.toml"],
        64,
        &["mine.toml:4", "kil", "kill"],
    );
}

#[test]
fn a_missing_binary_and_one_that_is_not_etcd_are_told_apart() {
    let gauntlet = Gauntlet::new();
    refused(
        &gauntlet,
        &["run", "steady", "--store", "/nowhere/etcd"],
        64,
        &["/nowhere/etcd"],
    );
    refused(
        &gauntlet,
        &["run", "steady", "--store", "/bin/true"],
        64,
        &["/bin/true", "not"],
    );
    let plain = gauntlet.out.path().join("plain");
    std::fs::write(&plain, "text").unwrap();
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(
        &gauntlet,
        &["run", "steady", "--store", "./plain"],
        64,
        &["plain", "executable"],
    );
    refused(
        &gauntlet,
        &["run", "steady", "--store", "etcd@banana"],
        64,
        &["banana"],
    );
}

#[test]
fn a_port_in_use_is_named() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let taken = (12_000..20_000).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let taken = taken.expect("a free port below the ephemeral range");
    let port = taken.local_addr().unwrap().port().to_string();
    let args = ["run", "steady", "--first-port", &port];
    refused(&gauntlet, &args, 64, &[&port, "in use"]);
}

/// A file system of this size, unmounted when dropped. Mounting needs root; without it the test
/// says that it did not run.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(dir: &std::path::Path, mebibytes: u32) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: mounting a small file system needs root");
            return None;
        }
        std::fs::create_dir(dir).unwrap();
        let size = format!("size={mebibytes}m");
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "gauntlet-test"])
            .arg(dir)
            .status()
            .unwrap();
        assert!(status.success(), "mount");
        Some(Self(dir.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

#[test]
fn a_full_disk_is_refused_before_and_named_during_a_run() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let dir = gauntlet.out.path().join("small");
    let Some(_disk) = SmallDisk::mount(&dir, 20) else {
        return;
    };
    refused(
        &gauntlet,
        &["run", "steady", "--out", "small"],
        70,
        &["full", "MiB", "--out"],
    );

    let dir = gauntlet.out.path().join("larger");
    let Some(_disk) = SmallDisk::mount(&dir, 500) else {
        return;
    };
    let mut args = vec![
        "run",
        "steady",
        "--out",
        "larger",
        "--time",
        "60s",
        "--members",
        "1",
    ];
    args.extend(["--seed", "1", "--store", "etcd@3.5.16"]);
    let child = gauntlet
        .command(&args)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let history = dir.join("latest/history.jsonl");
    while std::fs::metadata(&history).map_or(0, |meta| meta.len()) < 100_000 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let mut filler = std::fs::File::create(dir.join("filler")).unwrap();
    while std::io::Write::write_all(&mut filler, &[1; 1 << 16]).is_ok() {}
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
}

#[test]
fn histories_that_are_truncated_malformed_or_of_the_future_are_named() {
    let _one = one_at_a_time();
    let gauntlet = Gauntlet::new();
    let (lines, _) = gauntlet.run(&["steady", "--members", "1", "--time", "300ms", "--seed", "2"]);
    let dir = dir_of(&lines[0]);
    let check = ["check", dir.to_str().unwrap()];
    let path = dir.join("history.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();

    std::fs::write(&path, &whole[..whole.len() * 2 / 3]).unwrap();
    let output = gauntlet.call(&check);
    assert_eq!(
        output.status.code(),
        Some(2),
        "a truncated history is inconclusive"
    );

    std::fs::write(&path, whole.replacen("\"major\":1", "\"major\":9", 1)).unwrap();
    refused(
        &gauntlet,
        &check,
        64,
        &["history.jsonl", "9", "newer build"],
    );

    let broken: Vec<_> = whole
        .lines()
        .enumerate()
        .map(|(at, line)| if at == 4 { "{\"type\":" } else { line })
        .collect();
    std::fs::write(&path, broken.join("\n") + "\n").unwrap();
    refused(&gauntlet, &check, 64, &["history.jsonl line 5"]);
    refused(&gauntlet, &["check", "nowhere"], 64, &["nowhere"]);
}
