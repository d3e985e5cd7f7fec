//! Is this file an etcd, and which one?

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::{AccessFlags, eaccess};
use semver::Version;
use sha2::{Digest, Sha256};

use super::InstallError;
use super::command::{self, tail};
use super::error::Doing;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Runs `binary --version` in an empty directory and reads the version it states.
pub(super) fn version_of(binary: &Path) -> Result<Version, InstallError> {
    let path = binary.to_path_buf();
    let metadata = match fs::metadata(binary) {
        Ok(metadata) => metadata,
        Err(error) if absent(&error) => return Err(InstallError::Missing { path }),
        Err(error) => return Err(error).doing("look at", path),
    };
    if !metadata.is_file() {
        return Err(InstallError::NotAFile { path });
    }
    if !executable(binary) {
        return Err(InstallError::NotExecutable { path });
    }
    let not_etcd = |detail| InstallError::NotEtcd {
        path: path.clone(),
        detail,
    };
    let nowhere = tempfile::tempdir().doing("make a directory in", std::env::temp_dir())?;
    let mut command = Command::new(std::path::absolute(binary).doing("find", &path)?);
    command
        .arg("--version")
        .current_dir(nowhere.path())
        .env_clear()
        .env("HOME", nowhere.path())
        .env("ETCD_UNSUPPORTED_ARCH", "arm64");
    if let Some(search) = std::env::var_os("PATH") {
        command.env("PATH", search);
    }
    let finished =
        command::run(&mut command, ANSWER_WITHIN).map_err(|error| not_etcd(error.to_string()))?;
    if let Some(version) = stated_version(&finished.stdout) {
        return Ok(version);
    }
    let said = if finished.stdout.trim().is_empty() {
        tail(&finished.stderr)
    } else {
        tail(&finished.stdout)
    };
    Err(not_etcd(format!(
        "`--version` ended with {} and no `etcd Version:` line{said}",
        finished.status
    )))
}

/// The `etcdctl` that lies beside an etcd binary.
pub(super) fn etcdctl_beside(binary: &Path) -> Option<PathBuf> {
    let beside = binary.with_file_name("etcdctl");
    (beside.is_file() && executable(&beside)).then_some(beside)
}

pub(super) fn executable(path: &Path) -> bool {
    eaccess(path, AccessFlags::X_OK).is_ok()
}

/// Whether a binary was built with gofail: then it knows the variable that its endpoint is told by.
///
/// # Errors
///
/// [`InstallError::Io`] if it cannot be read.
pub fn has_gofail(path: &Path) -> Result<bool, InstallError> {
    const VARIABLE: &[u8] = b"GOFAIL_HTTP";
    let binary = fs::read(path).doing("read", path)?;
    Ok(binary.windows(VARIABLE.len()).any(|part| part == VARIABLE))
}

/// The file's SHA-256, in lower-case hexadecimal.
///
/// # Errors
///
/// [`InstallError::Io`] if it cannot be read.
pub fn sha256_of(path: &Path) -> Result<String, InstallError> {
    let mut file = File::open(path).doing("open", path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let read = file.read(&mut buffer).doing("read", path)?;
        if read == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(&buffer[..read]);
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn stated_version(output: &str) -> Option<Version> {
    let stated = output
        .lines()
        .find_map(|line| line.trim().strip_prefix("etcd Version:"))?;
    Version::parse(stated.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_etcds_answer() {
        let answer = "etcd Version: 3.6.0-rc.1\nGit SHA: e8732fb5f\nGo Version: go1.16.3\n";
        assert_eq!(stated_version(answer), Version::parse("3.6.0-rc.1").ok());
        assert_eq!(stated_version("etcdctl version: 3.5.1"), None);
        assert_eq!(stated_version("etcd Version: unknown"), None);
    }
}
