//! The flags of `gauntlet store`: etcd's own, as far as they mean something here
//! (server/etcdmain/config.go, server/embed/config.go).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::bugs::{Bug, Bugs};

/// What a member is started with. A flag that is given twice counts as given last.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gauntlet store",
    about = "A member of an embedded etcd-compatible store, in which known bugs can be switched on",
    args_override_self = true
)]
#[allow(missing_docs)]
pub struct Flags {
    /// Print the version and exit
    #[arg(long)]
    pub version: bool,
    /// Switch on a bug, by its number among etcd's issues or its name; may be repeated
    #[arg(long = "bug", value_name = "ID")]
    bugs: Vec<Bug>,
    /// Human-readable name of this member
    #[arg(long, default_value = "default")]
    pub name: String,
    /// Path to the data directory [default: NAME.etcd]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// URLs to listen on for clients
    #[arg(long, value_delimiter = ',', default_value = "http://localhost:2379")]
    pub listen_client_urls: Vec<Url>,
    /// URLs that clients are told
    #[arg(long, value_delimiter = ',', default_value = "http://localhost:2379")]
    pub advertise_client_urls: Vec<String>,
    /// URLs to listen on for peers
    #[arg(long, value_delimiter = ',', default_value = "http://localhost:2380")]
    pub listen_peer_urls: Vec<Url>,
    /// This member's peer URLs as others are told them
    #[arg(long, value_delimiter = ',', default_value = "http://localhost:2380")]
    pub initial_advertise_peer_urls: Vec<String>,
    /// First members, as name=url,… [default: this one]
    #[arg(long)]
    initial_cluster: Option<String>,
    /// Whether the cluster begins with this member's start
    #[arg(long, value_enum, default_value = "new")]
    pub initial_cluster_state: ClusterState,
    /// Tells clusters with the same addresses apart
    #[arg(long, default_value = "etcd-cluster")]
    pub initial_cluster_token: String,
    /// Milliseconds between heartbeats
    #[arg(long, default_value = "100")]
    heartbeat_interval: u64,
    /// Milliseconds until a silent leader is replaced
    #[arg(long, default_value = "1000")]
    election_timeout: u64,
    /// Applied entries between two raft snapshots
    #[arg(long, default_value = "100000")]
    pub snapshot_count: u64,
    /// Entries kept for followers that are behind a raft snapshot
    #[arg(long, default_value = "5000")]
    pub experimental_snapshot_catchup_entries: u64,
    /// WAL files to keep: all are kept, whatever is said
    #[arg(long, default_value = "0")]
    max_wals: u64,
    /// Snapshot files to keep: all are kept, whatever is said
    #[arg(long, default_value = "0")]
    max_snapshots: u64,
    /// How lines are logged
    #[arg(long, default_value = "zap", value_parser = ["zap"])]
    logger: String,
    /// Where lines are logged
    #[arg(long, default_value = "stderr", value_parser = ["stderr", "default"])]
    log_outputs: String,
    /// Which lines are logged: info and above, whatever is said
    #[arg(long, default_value = "info", value_parser = ["debug", "info", "warn", "error", "panic", "fatal"])]
    log_level: String,
    /// Cost of hashing passwords
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(4..=31))]
    pub bcrypt_cost: u32,
    /// Kind of tokens
    #[arg(long, default_value = "simple", value_parser = ["simple"])]
    auth_token: String,
    /// Seconds until an unused token is forgotten
    #[arg(long, default_value = "300")]
    pub auth_token_ttl: u64,
    /// Bytes that the database may have; 0: 2 GiB, less: any
    #[arg(long, default_value = "0", allow_negative_numbers = true)]
    pub quota_backend_bytes: i64,
    /// Longest time between two commits; 0: 100ms
    #[arg(long, default_value = "0", value_parser = duration)]
    backend_batch_interval: Duration,
    /// Most writes between two commits; 0: 10000
    #[arg(long, default_value = "0")]
    backend_batch_limit: usize,
    /// Most revisions that a compaction deletes at once
    #[arg(long, default_value = "1000")]
    pub experimental_compaction_batch_limit: usize,
    /// Pause between two batches of a compaction
    #[arg(long, default_value = "10ms", value_parser = duration)]
    pub experimental_compaction_sleep_interval: Duration,
    /// Time between two progress notifications
    #[arg(long, default_value = "10m", value_parser = duration)]
    pub experimental_watch_progress_notify_interval: Duration,
    /// Most operations in a transaction
    #[arg(long, default_value = "128")]
    pub max_txn_ops: usize,
    /// Most bytes in a request
    #[arg(long, default_value = "1572864")]
    pub max_request_bytes: usize,
    /// Ask before standing for election
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub pre_vote: bool,
    /// Refuse changes of the configuration that could lose the quorum
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub strict_reconfig_check: bool,
    /// Certificate for clients
    #[arg(long)]
    cert_file: Option<PathBuf>,
    /// Its key
    #[arg(long)]
    key_file: Option<PathBuf>,
    /// Who signs clients' certificates
    #[arg(long)]
    trusted_ca_file: Option<PathBuf>,
    /// Demand certificates of clients
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    client_cert_auth: bool,
    /// Certificate for peers
    #[arg(long)]
    peer_cert_file: Option<PathBuf>,
    /// Its key
    #[arg(long)]
    peer_key_file: Option<PathBuf>,
    /// Who signs peers' certificates
    #[arg(long)]
    peer_trusted_ca_file: Option<PathBuf>,
    /// Demand certificates of peers: done wherever there is a CA
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    peer_client_cert_auth: bool,
}

/// `--initial-cluster-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[allow(missing_docs)]
pub enum ClusterState {
    New,
    Existing,
}

/// An address to listen on: `http://host:port` or `https://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether it is https.
    pub tls: bool,
    /// Host and port.
    pub authority: String,
}

impl std::str::FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err("a URL begins with http:// or https://".into()),
        };
        let port = rest
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            return Err("a URL to listen on is scheme://host:port".into());
        }
        Ok(Self {
            tls,
            authority: rest.to_owned(),
        })
    }
}

impl Url {
    /// The addresses that it stands for.
    ///
    /// # Errors
    /// When the host has none.
    pub fn addresses(&self) -> std::io::Result<Vec<std::net::SocketAddr>> {
        std::net::ToSocketAddrs::to_socket_addrs(&self.authority).map(Iterator::collect)
    }
}

/// Certificate, key and, where others must show theirs, who signs them; PEM.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Tls {
    pub cert: Vec<u8>,
    pub key: Vec<u8>,
    pub ca: Option<Vec<u8>>,
}

/// What a member runs with: [`Flags`] and what they stand for.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Config {
    pub flags: Flags,
    pub bugs: Bugs,
    pub data_dir: PathBuf,
    /// Peer URLs by the names of the first members.
    pub initial_cluster: BTreeMap<String, Vec<String>>,
    pub client_tls: Option<Tls>,
    pub peer_tls: Option<Tls>,
}

impl std::ops::Deref for Config {
    type Target = Flags;

    fn deref(&self) -> &Flags {
        &self.flags
    }
}

impl Flags {
    /// Reads the files that are named, and looks for contradictions.
    ///
    /// # Errors
    /// When they contradict one another, or a file cannot be read.
    pub fn settle(self) -> anyhow::Result<Config> {
        use anyhow::{Context as _, ensure};

        ensure!(
            self.heartbeat_interval > 0 && self.election_timeout >= 5 * self.heartbeat_interval,
            "--election-timeout[{}ms] should be at least as 5 times as --heartbeat-interval[{}ms]",
            self.election_timeout,
            self.heartbeat_interval
        );
        let own = || {
            let urls = self.initial_advertise_peer_urls.iter();
            let pairs: Vec<_> = urls.map(|url| format!("{}={url}", self.name)).collect();
            pairs.join(",")
        };
        let text = self.initial_cluster.clone().unwrap_or_else(own);
        let mut initial_cluster = BTreeMap::<String, Vec<String>>::new();
        for pair in text.split(',') {
            let (name, url) = pair
                .split_once('=')
                .with_context(|| format!("--initial-cluster: `{pair}` is not name=url"))?;
            let urls = initial_cluster.entry(name.to_owned()).or_default();
            urls.push(url.to_owned());
        }
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
        };
        let tls = |cert: &Option<PathBuf>, key: &Option<PathBuf>, ca: Option<&PathBuf>| {
            anyhow::Ok(match (cert, key) {
                (Some(cert), Some(key)) => Some(Tls {
                    cert: read(cert)?,
                    key: read(key)?,
                    ca: ca.map(read).transpose()?,
                }),
                (None, None) => None,
                _ => anyhow::bail!("a certificate needs its key, and a key its certificate"),
            })
        };
        let client_ca = self
            .trusted_ca_file
            .as_ref()
            .filter(|_| self.client_cert_auth);
        ensure!(
            client_ca.is_some() || !self.client_cert_auth,
            "--client-cert-auth needs --trusted-ca-file"
        );
        let client_tls = tls(&self.cert_file, &self.key_file, client_ca)?;
        let peer_tls = tls(
            &self.peer_cert_file,
            &self.peer_key_file,
            self.peer_trusted_ca_file.as_ref(),
        )?;
        ensure!(
            client_tls.is_some() || !self.listen_client_urls.iter().any(|url| url.tls),
            "--listen-client-urls has https, and there is no --cert-file"
        );
        let peers = self.initial_advertise_peer_urls.iter();
        let peer_https = self.listen_peer_urls.iter().any(|url| url.tls)
            || peers.into_iter().any(|url| url.starts_with("https:"));
        ensure!(
            peer_tls.is_some() || !peer_https,
            "peer URLs have https, and there is no --peer-cert-file"
        );
        let data_dir = self.data_dir.clone();
        Ok(Config {
            bugs: self
                .bugs
                .iter()
                .fold(Bugs::default(), |bugs, bug| bugs.with(*bug)),
            data_dir: data_dir.unwrap_or_else(|| format!("{}.etcd", self.name).into()),
            initial_cluster,
            client_tls,
            peer_tls,
            flags: self,
        })
    }

    /// `--heartbeat-interval`.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_interval)
    }

    /// `--election-timeout`.
    #[must_use]
    pub fn election_timeout(&self) -> Duration {
        Duration::from_millis(self.election_timeout)
    }

    /// How the database commits.
    #[must_use]
    pub fn batch(&self) -> (Duration, usize) {
        let interval = match self.backend_batch_interval {
            Duration::ZERO => Duration::from_millis(100),
            interval => interval,
        };
        let limit = match self.backend_batch_limit {
            0 => 10_000,
            limit => limit,
        };
        (interval, limit)
    }
}

/// A duration as Go writes it: `100ms`, `1m30s`, `0`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as 100ms, 10s or 1m30s");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let (number, unit_on) = rest.split_at(number_end);
        let unit_end = unit_on.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, next) = unit_on.split_at(unit_end.unwrap_or(unit_on.len()));
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        seconds += number.parse::<f64>().map_err(|_| wrong())? * unit;
        rest = next;
    }
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !text.is_empty() => Ok(duration),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(args: &[&str]) -> anyhow::Result<Config> {
        Flags::try_parse_from([&["store"], args].concat())?.settle()
    }

    #[test]
    fn durations_are_written_as_in_go() {
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in ["", "5", "s", "5x", "-1s", "1m3"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_are_given_either_way_and_the_last_wins() {
        let config = config(&[
            "--name=a",
            "--name",
            "b",
            "--bug",
            "14685",
            "--bug=prev-kv",
            "--pre-vote=false",
            "--quota-backend-bytes=-1",
        ])
        .unwrap();
        assert_eq!(config.name, "b");
        assert_eq!(
            config.bugs,
            Bugs::default().with(Bug::DefragIndex).with(Bug::PrevKv)
        );
        assert!(!config.pre_vote);
        assert!(config.strict_reconfig_check);
        assert_eq!(config.quota_backend_bytes, -1);
        assert_eq!(config.data_dir, PathBuf::from("b.etcd"));
        assert_eq!(config.initial_cluster["b"], ["http://localhost:2380"]);
        assert_eq!(config.batch(), (Duration::from_millis(100), 10_000));
    }

    #[test]
    fn contradictions_are_refused() {
        for args in [
            &["--election-timeout=100"][..],
            &["--listen-client-urls=https://127.0.0.1:1"],
            &["--client-cert-auth"],
            &["--initial-cluster=a"],
            &["--listen-peer-urls=127.0.0.1:2"],
            &["--auth-token=jwt"],
            &["--no-such-flag"],
        ] {
            assert!(config(args).is_err(), "{args:?}");
        }
    }
}
