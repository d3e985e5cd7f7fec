//! One member of its own, asked through its JSON gateway.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use failpoints::ports::{self, PortLease};
use failpoints::process::{Process, SpawnSpec, Spawner};

/// Tracer and launcher in one.
pub(crate) const TRACED: &str = env!("CARGO_BIN_EXE_failpoints-traced");
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn etcd() -> PathBuf {
    std::env::var_os("ETCD").expect("ETCD=/path/to/etcd").into()
}

pub(crate) struct Member {
    pub(crate) process: Process,
    pub(crate) dir: tempfile::TempDir,
    ports: [PortLease; 2],
}

impl Member {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = [(); 2].map(|()| ports::lease().unwrap());
        let process = Self::spawn(dir.path(), &ports).await;
        let member = Self {
            process,
            dir,
            ports,
        };
        member.until_ready().await;
        member
    }

    async fn spawn(dir: &Path, ports: &[PortLease; 2]) -> Process {
        let [client, peer] = ports
            .each_ref()
            .map(|p| format!("http://127.0.0.1:{}", p.port()));
        let mut spec = SpawnSpec::new(TRACED, etcd(), dir.join("log"));
        spec.args = [
            "--name=m1".into(),
            format!("--data-dir={}", dir.join("data").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=m1={peer}"),
            // No commit of the backend in between, so that files keep still.
            "--backend-batch-interval=1h".into(),
            "--backend-batch-limit=1000000".into(),
        ]
        .map(Into::into)
        .into();
        // A stop-the-world would wait for a held thread.
        spec.envs = vec![
            ("GOMAXPROCS".into(), "8".into()),
            ("GOGC".into(), "off".into()),
        ];
        Spawner::new().unwrap().spawn(spec).await.unwrap()
    }

    pub(crate) async fn restart(&mut self) {
        self.process = Self::spawn(self.dir.path(), &self.ports).await;
        self.until_ready().await;
    }

    async fn until_ready(&self) {
        let start = Instant::now();
        while self
            .client()
            .and_then(|mut client| client.put("ready", "1"))
            .is_err()
        {
            assert!(start.elapsed() < PATIENCE, "the member does not serve");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("data/member").join(name)
    }

    pub(crate) fn port(&self) -> u16 {
        self.ports[0].port()
    }

    pub(crate) fn client(&self) -> io::Result<Client> {
        Client::connect(self.port())
    }

    /// Does this in a thread of its own, since it blocks.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Client) -> io::Result<T> + Send + 'static,
    ) -> JoinHandle<io::Result<T>> {
        let port = self.port();
        std::thread::spawn(move || what(&mut Client::connect(port)?))
    }

    /// Nobody traces it and nothing keeps it stopped.
    pub(crate) fn assert_untouched(&self) {
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.pid()))
            .unwrap()
            .flatten()
        {
            let Ok(status) = std::fs::read_to_string(thread.path().join("status")) else {
                continue;
            };
            assert!(status.contains("TracerPid:\t0\n"), "{status}");
            assert!(
                !status.contains("State:\tt") && !status.contains("State:\tT"),
                "{status}"
            );
        }
    }
}

/// One connection to the gateway.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> io::Result<String> {
        let length = body.len();
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: m1\r\nContent-Length: {length}\r\n\r\n{body}");
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut length = 0;
        let mut status = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if status.is_empty() {
                status = line;
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().map_err(io::Error::other)?;
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        match status.contains(" 200") {
            true => Ok(body),
            false => Err(io::Error::other(format!("{status}: {body}"))),
        }
    }

    pub(crate) fn put(&mut self, key: &str, value: &str) -> io::Result<String> {
        let (key, value) = (base64(key), base64(value));
        self.post(
            "/v3/kv/put",
            &format!(r#"{{"key":"{key}","value":"{value}"}}"#),
        )
    }

    /// Whether the key has this value.
    pub(crate) fn has(&mut self, key: &str, value: &str) -> io::Result<bool> {
        let body = format!(r#"{{"key":"{}"}}"#, base64(key));
        let answer = self.post("/v3/kv/range", &body)?;
        Ok(answer.contains(&format!(r#""value":"{}""#, base64(value))))
    }

    pub(crate) fn defragment(&mut self) -> io::Result<String> {
        self.post("/v3/maintenance/defragment", "{}")
    }
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0, |bits, n| {
            bits << 8 | u32::from(*chunk.get(n).unwrap_or(&0))
        });
        for n in 0..4 {
            out.push(match n <= chunk.len() {
                true => DIGITS[(bits >> (18 - 6 * n)) as usize & 63] as char,
                false => '=',
            });
        }
    }
    out
}

/// Threads that write until dropped.
pub(crate) struct Writers {
    pub(crate) done: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    pub(crate) fn start(member: &Member, count: usize) -> Self {
        let (done, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count).map(|n| {
            let (done, failed, stop) = (done.clone(), failed.clone(), stop.clone());
            let mut client = member.client().unwrap();
            std::thread::spawn(move || {
                let key = format!("writer{n}");
                while !stop.load(Ordering::Relaxed) {
                    let put = client.put(&key, "some value of no great length");
                    let count = if put.is_ok() { &done } else { &failed };
                    count.fetch_add(1, Ordering::Relaxed);
                    if put.is_err() {
                        return;
                    }
                }
            })
        });
        Self {
            threads: threads.collect(),
            done,
            failed,
            stop,
        }
    }

    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
