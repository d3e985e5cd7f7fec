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
}

impl Flags<'_> {
    pub(super) fn to_args(&self) -> Vec<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = |port: u16| format!("{scheme}://127.0.0.1:{port}");
        let peer_url = |port: u16| format!("{scheme}://{}:{port}", self.address);
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
            format!(
                "--initial-cluster-state={}",
                if self.existing { "existing" } else { "new" }
            ),
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
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_is_advertised_and_the_member_listens_behind_it() {
        let plan = ClusterPlan {
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
        };
        let args = Flags {
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
            plan: &plan,
        }
        .to_args();
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
