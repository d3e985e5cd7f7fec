//! Proxies between members, which cut links.
//!
//! Every member advertises its proxy's port to its peers, so all peer traffic
//! passes through here, as bytes: TLS stays closed. A link is named by *two*
//! members, but a connection shows only whom it is for. Who dialled is found
//! from its source port: `/proc/net/tcp` gives the socket's inode, and
//! `/proc/<pid>/fd` tells which member holds it. A connection's bytes wait
//! until that is known, normally well under a millisecond.
//!
//! **Unknown diallers.** A process that is not registered (the harness itself,
//! a member between its start and [`PeerProxies::register`]) stays unknown
//! after half a second of trying. Its connections are carried, except that
//! while a cut *could* apply to them they are reset and refused: a member
//! dials again, and a wrongly open link would void the experiment while a
//! wrongly reset connection only costs that dial.
//!
//! **Cuts count.** Two cuts of one link need two heals, so that faults that
//! overlap do not heal each other.
//!
//! A cut is a reset, not a silent loss: both ends learn of it at once, and a
//! new connection is accepted and reset. A member that does not run looks the
//! same to its peers, where without a proxy they would be refused.
//!
//! A member's own connection to itself counts as one from and to that member.

mod dialler;
mod faults;
mod relay;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use faults::{CutLink, Isolate};
use table::Table;

/// An ordered link: bytes and dials from one member to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The sender; none if unknown.
    pub from: Option<String>,
    /// The receiver; none if unknown.
    pub to: Option<String>,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |end: &Option<String>| end.clone().unwrap_or_else(|| "unknown".into());
        write!(f, "{}→{}", name(&self.from), name(&self.to))
    }
}

/// What happened on an ordered link so far. Connections count for the
/// direction they were dialled in, bytes for the direction they flowed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Connections accepted and carried.
    pub accepted: u64,
    /// Carried connections reset by a cut.
    pub reset: u64,
    /// Connections refused because of a cut. Those to an isolated member are
    /// refused unseen, so they count from an unknown dialler.
    pub refused: u64,
    /// Accepted connections that found nobody listening at the member.
    pub unreachable: u64,
    /// Bytes delivered to the receiver's socket.
    pub bytes: u64,
}

/// Why a proxy could not do as told.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The member's proxy could not listen.
    #[error("the proxy of {member} cannot listen on port {port}: {source}")]
    Listen {
        /// The member.
        member: String,
        /// The port it was to listen on.
        port: u16,
        /// The reason.
        source: io::Error,
    },
    /// No proxy of that name was added.
    #[error("there is no proxy for a member called {0}")]
    UnknownMember(String),
    /// A proxy of that name exists.
    #[error("there already is a proxy for {0}")]
    Duplicate(String),
}

struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The proxies in front of all members of one cluster.
///
/// Dropping it closes every port and every connection.
pub struct PeerProxies {
    table: Arc<Table>,
    listeners: Mutex<HashMap<String, Listener>>,
}

impl fmt::Debug for PeerProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerProxies")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Default for PeerProxies {
    fn default() -> Self {
        Self::new()
    }
}

impl PeerProxies {
    /// Without members.
    pub fn new() -> Self {
        Self {
            table: Arc::new(Table::default()),
            listeners: Mutex::default(),
        }
    }

    /// Starts a member's proxy: from the port its peers know to the one it
    /// listens on, both on 127.0.0.1. Works at any time.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Listen`], [`NetworkError::Duplicate`].
    pub async fn add(
        &self,
        member: &str,
        listen_port: u16,
        target_port: u16,
    ) -> Result<(), NetworkError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, listen_port))
            .await
            .map_err(|source| NetworkError::Listen {
                member: member.into(),
                port: listen_port,
                source,
            })?;
        let mut listeners = self.listeners();
        if !self.table.add(member) {
            return Err(NetworkError::Duplicate(member.into()));
        }
        let serving = relay::serve(
            Arc::clone(&self.table),
            listener,
            member.into(),
            target_port,
        );
        listeners.insert(member.into(), Listener(tokio::spawn(serving)));
        Ok(())
    }

    /// Stops a member's proxy and closes the connections to it. Cuts of the
    /// member are forgotten; its statistics are not.
    pub fn remove(&self, member: &str) {
        self.listeners().remove(member);
        self.table.remove(member);
    }

    /// Says which process the member runs as from now on. Call it right after
    /// every start: until then its connections have an unknown dialler.
    ///
    /// # Errors
    ///
    /// [`NetworkError::UnknownMember`].
    pub fn register(&self, member: &str, pid: i32) -> Result<(), NetworkError> {
        if self.table.register(member, pid) {
            Ok(())
        } else {
            Err(NetworkError::UnknownMember(member.into()))
        }
    }

    /// Cuts the member off from all others. Once this resolves, every
    /// connection from and to it has been reset, and no byte passes until the
    /// matching [`heal`](Self::heal). The cut is in force from the first poll.
    ///
    /// # Errors
    ///
    /// [`NetworkError::UnknownMember`]; then nothing is cut.
    pub async fn cut(&self, member: &str) -> Result<(), NetworkError> {
        self.known(member)?;
        table::gone(self.table.cut_member(member)).await;
        Ok(())
    }

    /// Takes back one [`cut`](Self::cut). Nothing happens if there is none.
    pub fn heal(&self, member: &str) {
        self.table.heal_member(member);
    }

    /// Cuts the link between two members, both ways; else as
    /// [`cut`](Self::cut).
    ///
    /// # Errors
    ///
    /// [`NetworkError::UnknownMember`]; then nothing is cut.
    pub async fn cut_link(&self, a: &str, b: &str) -> Result<(), NetworkError> {
        self.known(a)?;
        self.known(b)?;
        table::gone(self.table.cut_link(a, b)).await;
        Ok(())
    }

    /// Takes back one [`cut_link`](Self::cut_link), whichever way round it was
    /// named. Nothing happens if there is none.
    pub fn heal_link(&self, a: &str, b: &str) {
        self.table.heal_link(a, b);
    }

    /// Takes back every cut there is.
    pub fn heal_all(&self) {
        self.table.heal_all();
    }

    /// What happened so far, by ordered link.
    pub fn stats(&self) -> BTreeMap<Link, LinkStats> {
        self.table.stats()
    }

    fn known(&self, member: &str) -> Result<(), NetworkError> {
        if self.table.knows(member) {
            Ok(())
        } else {
            Err(NetworkError::UnknownMember(member.into()))
        }
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, HashMap<String, Listener>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
