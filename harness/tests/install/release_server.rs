//! A server with the layout of etcd's releases, which misbehaves as it is told to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use harness::install::{Options, Source};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// What the release server does with one file.
pub(crate) enum Reply {
    Whole(Vec<u8>),
    /// Half the body, then the connection is closed.
    Cut(Vec<u8>),
    /// Half the body, then nothing.
    Stalled(Vec<u8>),
}

pub(crate) struct Server {
    pub(crate) base_url: String,
    archives_served: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn start(files: HashMap<String, Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/download", listener.local_addr().unwrap());
        let archives_served = Arc::new(AtomicUsize::new(0));
        let (files, served) = (Arc::new(files), Arc::clone(&archives_served));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (files, served) = (Arc::clone(&files), Arc::clone(&served));
                thread::spawn(move || answer(stream, &files, &served));
            }
        });
        Self {
            base_url,
            archives_served,
        }
    }

    /// A server with `script` as the etcd of `version`, its archive served as `reply` says.
    pub(crate) fn with(version: &str, script: &str, reply: fn(Vec<u8>) -> Reply) -> Self {
        let archive = archive(version, script);
        let sums = format!("{}  {}\n", sha256(&archive), archive_name(version));
        Self::start(release(version, reply(archive), sums))
    }

    /// How often an archive was asked for.
    pub(crate) fn archives_served(&self) -> usize {
        self.archives_served.load(Ordering::SeqCst)
    }

    pub(crate) fn options(&self, cache: &TempDir) -> Options {
        Options {
            base_url: self.base_url.clone(),
            cache: cache.path().join("etcd"),
            sources: vec![Source::Releases],
        }
    }
}

/// Every connection is for one request: it says so, lest the client asks again on a closed one.
fn answer(mut stream: TcpStream, files: &HashMap<String, Reply>, served: &AtomicUsize) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next().unwrap().unwrap();
    while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
    let name = request.split(' ').nth(1).unwrap();
    if name.ends_with(".tar.gz") {
        served.fetch_add(1, Ordering::SeqCst);
    }
    let (body, sent) = match files.get(name) {
        Some(Reply::Whole(body)) => (body, body.len()),
        Some(Reply::Cut(body) | Reply::Stalled(body)) => (body, body.len() / 2),
        None => {
            let _ = write!(
                stream,
                "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
            return;
        }
    };
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    let _ = stream.write_all(&body[..sent]);
    if let Some(Reply::Stalled(_)) = files.get(name) {
        thread::sleep(Duration::from_secs(120));
    }
}

pub(crate) fn release(version: &str, archive: Reply, sums: String) -> HashMap<String, Reply> {
    let under = format!("/download/v{version}");
    HashMap::from([
        (format!("{under}/{}", archive_name(version)), archive),
        (
            format!("{under}/SHA256SUMS"),
            Reply::Whole(sums.into_bytes()),
        ),
    ])
}

pub(crate) fn archive_name(version: &str) -> String {
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    format!("etcd-v{version}-linux-{arch}.tar.gz")
}

pub(crate) fn archive(version: &str, script: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let padding = "x".repeat(100_000);
    for (name, text) in [
        ("README.md", padding.as_str()),
        ("etcd", script),
        ("etcdctl", script),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        let dir = archive_name(version).replace(".tar.gz", "");
        tar.append_data(&mut header, format!("{dir}/{name}"), text.as_bytes())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(crate) fn etcd_script(version: &str) -> String {
    format!("#!/bin/sh\n[ \"$1\" = --version ] && echo 'etcd Version: {version}'\n")
}
