//! Runs `etcdctl`, and keeps what it prints in a form that two members can be compared by.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::member::{Member, Program};

/// A watch that prints less than it is expected to is given up after this long.
const WATCH: Duration = Duration::from_secs(5);

/// Beside the etcd that `ETCD` names.
pub(crate) fn command(endpoints: &str) -> Command {
    let etcd = PathBuf::from(std::env::var("ETCD").expect("ETCD names etcd, beside etcdctl"));
    let mut command = Command::new(etcd.with_file_name("etcdctl"));
    command
        .env("ETCDCTL_API", "3")
        .env("ETCDCTL_ENDPOINTS", endpoints)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// For one member.
#[derive(Clone)]
pub(crate) struct Ctl {
    endpoint: String,
    /// What only this member prints, and what stands for it.
    words: Vec<(String, String)>,
}

/// Does the same with etcd and with the store; they have to print the same.
pub(crate) async fn compare(session: impl Fn(Ctl) -> Transcript + Clone + Send + 'static) {
    let mut transcripts = Vec::new();
    for program in [Program::reference(), Program::subject()] {
        let member = Member::start(&program).await;
        let ctl = Ctl::new(&member);
        let session = session.clone();
        let done = tokio::task::spawn_blocking(move || session(ctl)).await;
        transcripts.push(done.unwrap());
    }
    let [etcd, store] = &transcripts[..] else {
        unreachable!("two programs");
    };
    assert!(etcd.0.iter().any(|(_, printed)| printed[0] == "exit 0"));
    for ((command, etcd), (_, store)) in etcd.0.iter().zip(&store.0) {
        assert_eq!(etcd, store, "etcd on the left, of etcdctl {command}");
    }
    assert_eq!(etcd.0.len(), store.0.len());
}

impl Ctl {
    fn new(member: &Member) -> Self {
        let authority = member.client_url.trim_start_matches("http://");
        let peer = member.peer_url.trim_start_matches("http://");
        let words = [
            (authority.to_owned(), "CLIENT"),
            (peer.to_owned(), "PEER"),
            (format!("{:x}", member.id), "ID"),
            (member.id.to_string(), "ID"),
        ];
        Self {
            endpoint: member.client_url.clone(),
            words: words.map(|(from, to)| (from, to.to_owned())).into(),
        }
    }

    fn spawn(&self, line: &str) -> Child {
        let arguments = line.split_whitespace();
        command(&self.endpoint).args(arguments).spawn().unwrap()
    }

    /// Starts a command that does not end by itself.
    pub(crate) fn start(&self, line: &str) -> Live {
        let mut child = self.spawn(line);
        let mut readers = Vec::new();
        let (send, lines) = channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let (send, ctl) = (send.clone(), self.clone());
            readers.push(std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if send.send(ctl.plain(&line)).is_err() {
                        return;
                    }
                }
            }));
        }
        Live {
            child,
            lines,
            readers,
        }
    }

    fn output(&self, line: &str, input: &str) -> Vec<String> {
        let mut child = self.spawn(line);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let code = output.status.code();
        let mut lines = vec![format!("exit {}", code.unwrap_or(-1))];
        for (name, stream) in [("out", output.stdout), ("err", output.stderr)] {
            let text = String::from_utf8_lossy(&stream);
            lines.extend(
                text.lines()
                    .map(|line| format!("{name}: {}", self.plain(line))),
            );
        }
        // A lease's keys, one below the other: in the order of a Go map, which is random.
        let key = |line: &str| line.starts_with("out: \"Key\" : ");
        for keys in lines.chunk_by_mut(|a, b| key(a) && key(b)) {
            keys.sort();
        }
        lines
    }

    /// A line without what differs between members and times.
    fn plain(&self, line: &str) -> String {
        // etcdctl's own log of a request that failed has the time and addresses of objects.
        if line.starts_with("{\"level\":") {
            let log: Value = serde_json::from_str(line).unwrap();
            return format!(
                "log {} {}",
                log["msg"],
                self.replaced(log["error"].as_str().unwrap_or(""))
            );
        }
        match serde_json::from_str::<Value>(line) {
            Ok(mut value) if !value.is_number() => {
                strip(&mut value);
                self.replaced(&value.to_string())
            }
            _ => self.replaced(line),
        }
    }

    fn replaced(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (from, to) in &self.words {
            line = line.replace(from, to);
        }
        for (before, after) in [
            ("took = ", "ms"),
            ("remaining(", "s)"),
            ("\"TTL\" : ", "\n"),
        ] {
            if let Some(at) = line.find(before) {
                let start = at + before.len();
                let end = line[start..]
                    .find(after)
                    .map_or(line.len(), |end| start + end);
                line.replace_range(start..end, "N");
            }
        }
        if line.contains("\"ClusterID\"") || line.contains("\"RaftTerm\"") {
            return String::new();
        }
        line
    }
}

/// Takes out what the conformance test does not compare, either.
fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for name in [
                "cluster_id",
                "raft_term",
                "raftTerm",
                "raftIndex",
                "raftAppliedIndex",
                "dbSize",
                "dbSizeInUse",
            ] {
                map.remove(name);
            }
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Commands, and what each printed.
#[derive(Default)]
pub(crate) struct Transcript(Vec<(String, Vec<String>)>);

impl Transcript {
    pub(crate) fn run(&mut self, ctl: &Ctl, line: &str) {
        self.feed(ctl, line, "");
    }

    /// With this on its standard input.
    pub(crate) fn feed(&mut self, ctl: &Ctl, line: &str, input: &str) {
        let printed = ctl.output(line, input);
        self.note(&ctl.replaced(line), printed);
    }

    /// The first lines of a command that does not end by itself.
    pub(crate) fn watch(&mut self, ctl: &Ctl, line: &str, lines: usize) {
        let printed = ctl.start(line).lines(lines);
        self.note(line, printed);
    }

    /// Grants a lease; its id is `LEASE` from then on.
    pub(crate) fn lease(&mut self, ctl: &mut Ctl, line: &str) -> String {
        let printed = ctl.output(line, "");
        let id = printed[1].split_whitespace().nth(2).unwrap().to_owned();
        let decimal = i64::from_str_radix(&id, 16).unwrap();
        ctl.words.push((id.clone(), "LEASE".into()));
        ctl.words.push((decimal.to_string(), "LEASE".into()));
        let printed = printed.iter().map(|line| ctl.replaced(line)).collect();
        self.note(line, printed);
        id
    }

    pub(crate) fn note(&mut self, line: &str, printed: Vec<String>) {
        self.0.push((line.into(), printed));
    }
}

/// A command that does not end by itself.
pub(crate) struct Live {
    child: Child,
    lines: Receiver<String>,
    readers: Vec<JoinHandle<()>>,
}

impl Live {
    /// Its first lines, and what comes with the last of them; then it is ended.
    pub(crate) fn lines(&mut self, count: usize) -> Vec<String> {
        let until = Instant::now() + WATCH;
        let mut seen = Vec::new();
        while seen.len() < count {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => seen.push(line),
                Err(_) => break,
            }
        }
        while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(200)) {
            seen.push(line);
        }
        seen
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}
