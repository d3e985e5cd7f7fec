//! A member's command line.

use std::path::Path;

use scenarios::plan::ClusterPlan;

use super::tls::MemberFiles;

/// What the command line of one member is made of.
pub(super) struct Flags<'a> {
    pub(super) name: &'a str,
    pub(super) data_dir: &'a Path,
    pub(super) client_port: u16,
    /// Where peers dial: loopback, or its address in a namespace.
    pub(super) address: std::net::Ipv4Addr,
    /// Where the member really listens for peers.
    pub(super) peer_port: u16,
    /// `name=url` of every member, this one included.
    pub(super) initial_cluster: &'a str,
    /// The peer address that others are told: the proxy's, where there is one.
    pub(super) advertised_peer_port: u16,
    pub(super) existing: bool,
    pub(super) token: &'a str,
    pub(super) tls: Option<&'a MemberFiles>,
    pub(super) auth: bool,
    pub(super) plan: &'a ClusterPlan,
    /// The flag of a bug that is planted.
    pub(super) planted: Option<&'a str>,
}

/// Where members listen for clients.
const CLIENT_HOST: &str = "127.0.0.1";

impl Flags<'_> {
    fn url(&self, host: &str, port: u16) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{port}")
    }

    fn state(&self) -> &'static str {
        if self.existing { "existing" } else { "new" }
    }

    /// What one of [`PLACEHOLDERS`](super::template::PLACEHOLDERS) stands for; nothing where there
    /// is none, as the files of TLS where it is off.
    pub(super) fn place(&self, name: &str) -> String {
        let file = |file: fn(&MemberFiles) -> &std::path::PathBuf| {
            let path = self.tls.map(|files| file(files).display().to_string());
            path.unwrap_or_default()
        };
        match name {
            "name" => self.name.to_owned(),
            "data_dir" => self.data_dir.display().to_string(),
            "client_host" => CLIENT_HOST.to_owned(),
            "client_port" => self.client_port.to_string(),
            "client_url" => self.url(CLIENT_HOST, self.client_port),
            "peer_host" => self.address.to_string(),
            "peer_port" => self.peer_port.to_string(),
            "peer_url" => self.url(&self.address.to_string(), self.peer_port),
            "advertised_peer_url" => self.url(&self.address.to_string(), self.advertised_peer_port),
            "initial_cluster" => self.initial_cluster.to_owned(),
            "initial_cluster_state" => self.state().to_owned(),
            "token" => self.token.to_owned(),
            "heartbeat_ms" => self.plan.heartbeat_ms.to_string(),
            "election_ms" => self.plan.election_ms.to_string(),
            "snapshot_count" => self.plan.snapshot_count.to_string(),
            "cert_file" => file(|files| &files.cert),
            "key_file" => file(|files| &files.key),
            "ca_file" => file(|files| &files.ca),
            "etcd_flags" => self.to_args().join(" "),
            _ => String::new(),
        }
    }

    pub(super) fn to_args(&self) -> Vec<String> {
        let url = |port: u16| self.url(CLIENT_HOST, port);
        let peer_url = |port: u16| self.url(&self.address.to_string(), port);
        let mut args = vec![
            format!("--name={}", self.name),
            format!("--data-dir={}", self.data_dir.display()),
            format!("--listen-client-urls={}", url(self.client_port)),
            format!("--advertise-client-urls={}", url(self.client_port)),
            format!("--listen-peer-urls={}", peer_url(self.peer_port)),
            format!(
                "--initial-advertise-peer-urls={}",
                peer_url(self.advertised_peer_port)
            ),
            format!("--initial-cluster={}", self.initial_cluster),
            format!("--initial-cluster-state={}", self.state()),
            format!("--initial-cluster-token={}", self.token),
            format!("--heartbeat-interval={}", self.plan.heartbeat_ms),
            format!("--election-timeout={}", self.plan.election_ms),
            format!("--snapshot-count={}", self.plan.snapshot_count),
            // Purged WAL and snapshot files would take the ground truth with them.
            "--max-wals=0".into(),
            "--max-snapshots=0".into(),
            "--logger=zap".into(),
            "--log-outputs=stderr".into(),
        ];
        if self.auth {
            args.push("--bcrypt-cost=4".into());
        }
        if let Some(files) = self.tls {
            for kind in ["", "peer-"] {
                args.push(format!("--{kind}cert-file={}", files.cert.display()));
                args.push(format!("--{kind}key-file={}", files.key.display()));
            }
            // Only between peers: for clients etcd would ask for a certificate too, whose name then
            // counts as a user.
            args.push(format!("--peer-trusted-ca-file={}", files.ca.display()));
            args.push("--peer-client-cert-auth".into());
        }
        args.extend(self.plan.flags.iter().cloned());
        args.extend(self.planted.map(str::to_owned));
        args
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn plan() -> ClusterPlan {
        ClusterPlan {
            members: 1,
            tls: false,
            peer_proxies: true,
            client_proxies: false,
            network: scenarios::plan::Network::Proxies,
            disk: None,
            heartbeat_ms: 50,
            election_ms: 500,
            snapshot_count: 100,
            flags: vec!["--quota-backend-bytes=1".into()],
            env: Vec::new(),
        }
    }

    pub(in super::super) fn flags(plan: &ClusterPlan) -> Flags<'_> {
        Flags {
            name: "m1",
            data_dir: Path::new("d"),
            client_port: 1,
            address: std::net::Ipv4Addr::LOCALHOST,
            peer_port: 2,
            initial_cluster: "m1=http://127.0.0.1:3",
            advertised_peer_port: 3,
            existing: false,
            token: "t",
            tls: None,
            auth: false,
            plan,
            planted: None,
        }
    }

    #[test]
    fn the_proxy_is_advertised_and_the_member_listens_behind_it() {
        let args = flags(&plan()).to_args();
        assert!(args.contains(&"--listen-peer-urls=http://127.0.0.1:2".to_owned()));
        assert!(args.contains(&"--initial-advertise-peer-urls=http://127.0.0.1:3".to_owned()));
        assert_eq!(
            args.last().unwrap(),
            "--quota-backend-bytes=1",
            "user flags win by coming last"
        );
        assert!(!args.iter().any(|arg| arg.starts_with("--bcrypt-cost")));
    }
}
