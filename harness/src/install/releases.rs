//! etcd's own release archives, in the layout they have on GitHub.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use flate2::read::GzDecoder;
use semver::Version;
use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::InstallError;
use super::cache::Staging;
use super::error::{Doing, Failure};
use super::probe::hex;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const STALLED_AFTER: Duration = Duration::from_secs(30);
const DOWNLOAD_WITHIN: Duration = Duration::from_secs(600);
const LARGEST_ARCHIVE: u64 = 512 * 1024 * 1024;
const LARGEST_LIST: u64 = 1024 * 1024;

pub(super) fn fetch(
    version: &Version,
    base_url: &str,
    staging: &Staging,
    progress: &mut dyn FnMut(&str),
) -> Result<String, Failure> {
    let Some(arch) = architecture() else {
        return Err(Failure::Next(format!(
            "etcd publishes no Linux archive for {}",
            std::env::consts::ARCH
        )));
    };
    let name = format!("etcd-v{version}-linux-{arch}.tar.gz");
    let base = format!("{}/v{version}", base_url.trim_end_matches('/'));
    let sums_url = format!("{base}/SHA256SUMS");
    let url = format!("{base}/{name}");
    let agent = agent();

    let mut sums = String::new();
    get(&agent, &sums_url, LARGEST_LIST)?
        .read_to_string(&mut sums)
        .map_err(|error| broken_off(&sums_url, &error))?;
    let expected = listed_sum(&sums, &name)
        .ok_or_else(|| Failure::Next(format!("{sums_url} does not list {name}")))?;

    progress(&format!("etcd {version}: downloading {url}"));
    let archive = staging.scratch().join(&name);
    let actual = download(&agent, &url, &archive)?;
    if actual != expected {
        return Err(Failure::Fatal(InstallError::ChecksumMismatch {
            url,
            sums_url,
            expected,
            actual,
        }));
    }
    unpack(&archive, &staging.tree())?;
    Ok(format!("release archive {url} (sha256 {actual})"))
}

fn architecture() -> Option<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Some("amd64"),
        "aarch64" => Some("arm64"),
        _ => None,
    }
}

fn agent() -> Agent {
    Agent::config_builder()
        .timeout_resolve(Some(CONNECT_WITHIN))
        .timeout_connect(Some(CONNECT_WITHIN))
        .timeout_recv_response(Some(ANSWER_WITHIN))
        .timeout_per_read(Some(STALLED_AFTER))
        .timeout_global(Some(DOWNLOAD_WITHIN))
        .tls_config(
            TlsConfig::builder()
                .root_certs(RootCerts::PlatformVerifier)
                .build(),
        )
        .build()
        .new_agent()
}

fn get(agent: &Agent, url: &str, limit: u64) -> Result<impl Read + use<>, Failure> {
    let response = agent.get(url).call().map_err(|error| {
        Failure::Next(match error {
            ureq::Error::StatusCode(404) => {
                format!("there is no {url} (HTTP 404): is the version right?")
            }
            error => format!("could not get {url}: {error}"),
        })
    })?;
    Ok(response
        .into_body()
        .into_with_config()
        .limit(limit)
        .reader())
}

/// Writes what `url` serves to `into` and returns its SHA-256.
fn download(agent: &Agent, url: &str, into: &Path) -> Result<String, Failure> {
    let mut body = get(agent, url, LARGEST_ARCHIVE)?;
    let mut file = File::create(into).doing("create", into)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = body
            .read(&mut buffer)
            .map_err(|error| broken_off(url, &error))?;
        if read == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(&buffer[..read]);
        file.write_all(&buffer[..read]).doing("write", into)?;
    }
}

fn broken_off(url: &str, error: &io::Error) -> Failure {
    Failure::Next(format!("the download of {url} broke off: {error}"))
}

fn listed_sum(sums: &str, name: &str) -> Option<String> {
    sums.lines().find_map(|line| {
        let (sum, listed) = line.split_once(char::is_whitespace)?;
        (listed.trim_start().trim_start_matches('*') == name).then(|| sum.to_ascii_lowercase())
    })
}

fn unpack(archive: &Path, tree: &Path) -> Result<(), Failure> {
    let unreadable = |error: io::Error| {
        Failure::Next(format!(
            "{} is not a readable archive: {error}",
            archive.display()
        ))
    };
    let file = File::open(archive).doing("open", archive)?;
    let mut entries = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    for entry in entries.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let path = entry.path().map_err(unreadable)?.into_owned();
        let Some(name @ ("etcd" | "etcdctl")) = path.file_name().and_then(|name| name.to_str())
        else {
            continue;
        };
        if entry.header().entry_type().is_file() && path.components().count() == 2 {
            entry.unpack(tree.join(name)).map_err(unreadable)?;
        }
    }
    if fs::exists(tree.join("etcd")).unwrap_or(false) {
        Ok(())
    } else {
        Err(Failure::Next(format!(
            "{} holds no etcd",
            archive.display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_found_by_exact_name() {
        let sums =
            "AA11  etcd-v3.5.1-linux-amd64.tar.gz.asc\nBB22 *etcd-v3.5.1-linux-amd64.tar.gz\n";
        let found = listed_sum(sums, "etcd-v3.5.1-linux-amd64.tar.gz");
        assert_eq!(found.as_deref(), Some("bb22"));
        assert_eq!(listed_sum(sums, "etcd-v3.5.1-linux-arm64.tar.gz"), None);
    }
}
