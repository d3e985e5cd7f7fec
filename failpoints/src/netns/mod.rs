//! Members in network namespaces of their own, where links lose packets.
//!
//! For root. Each member has an address, and a link to a hub that forwards
//! between them. The hub drops the packets of ordered pairs: a partition as
//! networks make it, with acknowledgements and resets lost too, whatever the
//! members speak (TLS). Nothing is slow here: that needs netem, which many
//! kernels lack, or the proxies of [`network`](crate::network).
//!
//! The namespaces are held by a helper process, our own executable started
//! again, and are gone once it and the members have ended. It ends with the
//! harness. Members are put in by
//! [`SpawnSpec::namespaces`](crate::process::SpawnSpec::namespaces).
//!
//! Nobody outside can dial into a namespace. For the ports that clients use,
//! the helper listens on the same port of 127.0.0.1 outside and carries
//! connections in; those links are never broken.
//!
//! Sources: network_namespaces(7), veth(4), ip-rule(8).

mod helper;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use helper::helper_main;

use crate::fault::{Fault, Step};
use crate::network::Link;

const MARK: &str = "__netns";

/// Where ip(8) may be.
const PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin";

/// How long the helper may take to answer; it takes milliseconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

#[derive(Serialize, Deserialize)]
enum Request {
    Add { member: String, ports: Vec<u16> },
    Block { from: String, to: String },
    Unblock { from: String, to: String },
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Added { address: Ipv4Addr, tid: i32 },
    Done,
    Error(String),
}

/// The address of the member of this number, from 1, in its namespace: the
/// second one of a subnet of four.
fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 215, number, 2)
}

/// The addresses that the first so many members of a cluster get.
pub fn addresses_of(members: u8) -> impl Iterator<Item = Ipv4Addr> {
    (1..=members).map(address)
}

/// Why namespaces do not do as told.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// The helper could not be started.
    #[error("cannot start the helper {launcher} for network namespaces: {source}")]
    Start {
        /// The executable.
        launcher: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The helper refused, or the kernel did.
    #[error("network namespaces: {0}")]
    Refused(String),
    /// The helper does not answer, or not as agreed.
    #[error("the helper for network namespaces is gone or hangs: {0}")]
    Gone(String),
}

/// A member's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Its address, for its peers.
    pub address: Ipv4Addr,
    /// Its network namespace, for
    /// [`SpawnSpec::namespaces`](crate::process::SpawnSpec::namespaces).
    pub namespace: PathBuf,
}

struct Line {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Line {
    fn ask(&mut self, request: &Request) -> Result<Answer, NetnsError> {
        let gone = |error: &dyn std::fmt::Display| NetnsError::Gone(error.to_string());
        let mut line = serde_json::to_string(request).map_err(|e| gone(&e))?;
        line.push('\n');
        let sent = self.requests.write_all(line.as_bytes());
        sent.map_err(|e| gone(&e))?;
        let mut answer = String::new();
        let read = self.answers.read_line(&mut answer);
        read.map_err(|e| gone(&e))?;
        match serde_json::from_str(&answer).map_err(|e| gone(&e))? {
            Answer::Error(why) => Err(NetnsError::Refused(why)),
            answer => Ok(answer),
        }
    }
}

/// The namespaces of one cluster. Dropping it ends the helper; members that
/// still run in a namespace then reach nobody.
pub struct Namespaces {
    line: Arc<Mutex<Line>>,
    pid: u32,
    /// How often each ordered link is cut.
    cuts: tokio::sync::Mutex<BTreeMap<Link, u32>>,
}

impl std::fmt::Debug for Namespaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Namespaces")
            .field("helper", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Namespaces {
    /// Starts the helper: an executable that calls
    /// [`launcher_main`](crate::process::launcher_main) first.
    ///
    /// # Errors
    ///
    /// [`NetnsError::Start`]. What is off on this machine shows at the first
    /// [`add`](Self::add).
    pub fn start(launcher: &Path) -> Result<Self, NetnsError> {
        let failed = |source| NetnsError::Start {
            launcher: launcher.into(),
            source,
        };
        let mut child = Command::new(launcher)
            .arg(MARK)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is the harness's to handle.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let pid = child.id();
        let pipes = (child.stdin.take(), child.stdout.take());
        let (Some(requests), Some(answers)) = pipes else {
            return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
        };
        let line = Line {
            child,
            requests,
            answers: BufReader::new(answers),
        };
        Ok(Self {
            line: Arc::new(Mutex::new(line)),
            pid,
            cuts: tokio::sync::Mutex::default(),
        })
    }

    /// Makes a namespace for a member, which lasts as long as this. The member
    /// can be reached on `ports` of 127.0.0.1 from outside, if it listens on
    /// them on 127.0.0.1 inside.
    ///
    /// # Errors
    ///
    /// [`NetnsError`], with what is missing: rights, ip(8), the kernel's
    /// support.
    pub async fn add(&self, member: &str, ports: &[u16]) -> Result<Home, NetnsError> {
        let request = Request::Add {
            member: member.into(),
            ports: ports.to_vec(),
        };
        match self.ask(request).await? {
            Answer::Added { address, tid } => Ok(Home {
                address,
                namespace: format!("/proc/{}/task/{tid}/ns/net", self.pid).into(),
            }),
            _ => Err(NetnsError::Gone("it answered something else".into())),
        }
    }

    /// Drops all packets of these ordered links from now on. Each cut of a
    /// link needs its own [`heal`](Self::heal).
    ///
    /// # Errors
    ///
    /// [`NetnsError`]; then nothing is cut.
    pub async fn cut(&self, links: &BTreeSet<Link>) -> Result<(), NetnsError> {
        let mut done = BTreeSet::new();
        for link in links {
            if let Err(error) = self.cut_one(link).await {
                // What cannot be taken back either is as broken as the helper.
                let _ = self.heal(&done).await;
                return Err(error);
            }
            done.insert(link.clone());
        }
        Ok(())
    }

    async fn cut_one(&self, link: &Link) -> Result<(), NetnsError> {
        let mut cuts = self.cuts.lock().await;
        let count = cuts.entry(link.clone()).or_default();
        if *count == 0 {
            let (from, to) = ends(link)?;
            self.ask(Request::Block { from, to }).await?;
        }
        *count += 1;
        Ok(())
    }

    /// Takes back one cut of each of these links that is cut.
    ///
    /// # Errors
    ///
    /// [`NetnsError`], of the first link that stays cut.
    pub async fn heal(&self, links: &BTreeSet<Link>) -> Result<(), NetnsError> {
        let mut cuts = self.cuts.lock().await;
        for link in links {
            match cuts.get_mut(link) {
                None | Some(0) => {}
                Some(1) => {
                    let (from, to) = ends(link)?;
                    self.ask(Request::Unblock { from, to }).await?;
                    cuts.remove(link);
                }
                Some(count) => *count -= 1,
            }
        }
        Ok(())
    }

    /// Takes back every cut.
    ///
    /// # Errors
    ///
    /// As [`heal`](Self::heal).
    pub async fn heal_all(&self) -> Result<(), NetnsError> {
        let links = {
            let mut cuts = self.cuts.lock().await;
            cuts.retain(|_, count| *count > 0);
            cuts.values_mut().for_each(|count| *count = 1);
            cuts.keys().cloned().collect()
        };
        self.heal(&links).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, request: Request) -> Result<Answer, NetnsError> {
        let line = Arc::clone(&self.line);
        let asking = tokio::task::spawn_blocking(move || {
            let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
            line.ask(&request)
        });
        match tokio::time::timeout(ANSWER_LIMIT, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(NetnsError::Gone(error.to_string())),
            Err(_) => Err(NetnsError::Gone(format!(
                "no answer in {} s",
                ANSWER_LIMIT.as_secs()
            ))),
        }
    }
}

fn ends(link: &Link) -> Result<(String, String), NetnsError> {
    let both = link.from.clone().zip(link.to.clone());
    both.ok_or_else(|| NetnsError::Refused(format!("{link} has an unknown end")))
}

/// Drops the packets of ordered links.
#[derive(Debug)]
pub struct DropPackets {
    namespaces: Arc<Namespaces>,
    links: BTreeSet<Link>,
    in_force: bool,
}

impl DropPackets {
    /// Of these links: one of the [`shapes`](crate::network::shapes), or any.
    pub fn new(namespaces: Arc<Namespaces>, links: BTreeSet<Link>) -> Self {
        Self {
            namespaces,
            links,
            in_force: false,
        }
    }
}

impl Fault for DropPackets {
    fn name(&self) -> String {
        let links: Vec<_> = self.links.iter().map(ToString::to_string).collect();
        format!("drop packets {}", links.join(", "))
    }

    fn inject(&mut self) -> Step<'_> {
        Box::pin(async {
            self.namespaces.cut(&self.links).await?;
            self.in_force = true;
            Ok(())
        })
    }

    fn heal(&mut self) -> Step<'_> {
        Box::pin(async {
            if std::mem::take(&mut self.in_force) {
                self.namespaces.heal(&self.links).await?;
            }
            Ok(())
        })
    }
}

/// Whether members can have network namespaces here, by making two and
/// cutting the link between them.
///
/// # Errors
///
/// In words, what is off.
pub fn probe(launcher: &Path) -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("network namespaces need root".into());
    }
    let member = |name: &str| Request::Add {
        member: name.into(),
        ports: Vec::new(),
    };
    let (from, to) = ("a".to_owned(), "b".to_owned());
    let link = (from.clone(), to.clone());
    let requests = [
        member("a"),
        member("b"),
        Request::Block { from, to },
        Request::Unblock {
            from: link.0,
            to: link.1,
        },
    ];
    let tried = || -> Result<(), NetnsError> {
        let namespaces = Namespaces::start(launcher)?;
        let mut line = namespaces.lock();
        requests
            .iter()
            .try_for_each(|request| line.ask(request).map(drop))
    };
    tried().map_err(|error| error.to_string())
}
