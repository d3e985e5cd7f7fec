//! Proxies between members, and between clients and members, which break links.
//!
//! Every member advertises its proxy's port to its peers, so all peer traffic
//! passes through here, as bytes: TLS stays closed. A link is named by *two*
//! members, but a connection shows only whom it is for. Who dialled is found
//! from its source port: `/proc/net/tcp` gives the socket's inode, and
//! `/proc/<pid>/fd` tells which member holds it. A connection's bytes wait
//! until that is known, normally well under a millisecond.
//!
//! Clients have a proxy of their own in front of each member's client port.
//! All of them together are one more end of links, called [`CLIENTS`].
//!
//! **Unknown diallers.** A process that is not registered (the harness itself,
//! a member between its start and [`PeerProxies::register`]) stays unknown
//! after half a second of trying. Its connections are carried, except that
//! while a cut *could* apply to them they are reset and refused: a member
//! dials again, and a wrongly open link would void the experiment while a
//! wrongly reset connection only costs that dial. Blackholes apply to them in
//! the same way, slowness does not.
//!
//! **Faults count.** Two faults of one link need two heals, so that faults that
//! overlap do not heal each other.
//!
//! **A cut** is a reset, not a silent loss: both ends learn of it at once, and
//! a new connection is accepted and reset. A member that does not run looks the
//! same to its peers, where without a proxy they would be refused.
//!
//! **A blackhole** ([`Effect::Blackhole`]) is silent, and one way: from A to B
//! no byte flows on any connection between them, whoever dialled (the receiver
//! of a raft stream dials it), while bytes from B to A flow. News that would
//! have travelled from A to B (an end closed, reset, gone) waits too. A new
//! dial from A is accepted here and its bytes kept from B, which hears of it
//! only if the dialler still waits at the heal. Unlike a network that drops
//! packets one way, acknowledgements still pass; namespaces do that one.
//!
//! **Slow links** ([`Effect::Slow`]) keep the order of bytes: delay, jitter,
//! bandwidth.
//!
//! A member's own connection to itself counts as one from and to that member.

mod dialler;
mod effect;
mod faults;
mod probe;
mod pump;
mod relay;
pub mod shapes;
mod table;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use effect::{Effect, Loss, Slow};
pub use faults::{CutLink, DropConnections, Isolate, OnLinks};
pub use probe::probe;
use relay::Door;
use table::Table;

/// What all clients together are called as an end of links.
pub const CLIENTS: &str = "clients";

/// An ordered link: bytes and dials from one member to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The sender; none if unknown.
    pub from: Option<String>,
    /// The receiver; none if unknown.
    pub to: Option<String>,
}

impl Link {
    /// The link from one member (or [`CLIENTS`]) to another.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            from: Some(from.into()),
            to: Some(to.into()),
        }
    }

    /// The same link the other way.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            from: self.to.clone(),
            to: self.from.clone(),
        }
    }

    fn ends(&self) -> [Option<&str>; 2] {
        [self.from.as_deref(), self.to.as_deref()]
    }

    fn touches(&self, name: &str) -> bool {
        self.ends().contains(&Some(name))
    }

    /// Whether it is between these two, either way.
    fn joins(&self, a: &str, b: &str) -> bool {
        self.ends() == [Some(a), Some(b)] || self.ends() == [Some(b), Some(a)]
    }

    /// Whether it is between this member and another one.
    fn could_join(&self, member: &str) -> bool {
        self.touches(member) && !self.touches(CLIENTS)
    }
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
    /// Bytes that were read in a blackhole and had to wait for its heal. The
    /// sender's kernel holds more.
    pub held: u64,
    /// Bytes that a blackhole threw away.
    pub lost: u64,
    /// Bytes that had to wait because the link was slow.
    pub slowed: u64,
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
    /// A link whose ends are not both named, or none at all.
    #[error("no fault can be put on {0}")]
    NoLink(String),
    /// A proxy of that name exists.
    #[error("there already is a proxy in front of {0}")]
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
    /// By member, and whether it is the one for clients.
    listeners: Mutex<HashMap<(String, bool), Listener>>,
}

/// An effect in force; give it to [`PeerProxies::lift`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the effect lasts until it is lifted"]
pub struct Imposed(u64);

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
        let listener = listen(member, listen_port).await?;
        if !self.table.add(member) {
            return Err(NetworkError::Duplicate(member.into()));
        }
        self.serve(member, None, target_port, listener);
        Ok(())
    }

    /// Starts the proxy between clients and a member's client port, both on
    /// 127.0.0.1. Works at any time, also for members without
    /// [`add`](Self::add).
    ///
    /// # Errors
    ///
    /// [`NetworkError::Listen`], [`NetworkError::Duplicate`].
    pub async fn add_clients(
        &self,
        member: &str,
        listen_port: u16,
        target_port: u16,
    ) -> Result<(), NetworkError> {
        let listener = listen(member, listen_port).await?;
        if !self.table.serve(member) {
            return Err(NetworkError::Duplicate(format!("{member}'s clients")));
        }
        self.serve(member, Some(CLIENTS), target_port, listener);
        Ok(())
    }

    fn serve(&self, member: &str, from: Option<&'static str>, port: u16, listener: TcpListener) {
        let door = Door {
            table: Arc::clone(&self.table),
            to: member.into(),
            from,
            port,
        };
        let serving = tokio::spawn(relay::serve(door, listener));
        self.listeners()
            .insert((member.into(), from.is_some()), Listener(serving));
    }

    /// Stops a member's proxies and closes the connections to it. Faults of
    /// its links are forgotten; its statistics are not.
    pub fn remove(&self, member: &str) {
        self.listeners().retain(|(name, _), _| name != member);
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

    /// Puts an effect on these links. Once this resolves, every connection that
    /// it ends is closed, and no byte passes by the rules of before. It is in
    /// force from the first poll; if the wait is cancelled, only
    /// [`heal_all`](Self::heal_all) takes it back.
    ///
    /// # Errors
    ///
    /// [`NetworkError::UnknownMember`], [`NetworkError::NoLink`]; then nothing
    /// is changed.
    pub async fn impose(
        &self,
        effect: Effect,
        links: BTreeSet<Link>,
    ) -> Result<Imposed, NetworkError> {
        self.all_known(&links)?;
        let (id, severed) = self.table.impose(effect, links);
        table::gone(severed).await;
        Ok(Imposed(id))
    }

    /// Takes an effect back. What other effects and cuts do to the same links
    /// stays.
    pub fn lift(&self, imposed: Imposed) {
        self.table.lift(imposed.0);
    }

    /// Resets the connections that these links have now, both ways, once; new
    /// ones are carried.
    ///
    /// # Errors
    ///
    /// As [`impose`](Self::impose).
    pub async fn drop_connections(&self, links: &BTreeSet<Link>) -> Result<(), NetworkError> {
        self.all_known(links)?;
        table::gone(self.table.drop_connections(links)).await;
        Ok(())
    }

    /// Takes back every cut and effect there is.
    pub fn heal_all(&self) {
        self.table.heal_all();
    }

    /// What happened so far, by ordered link.
    pub fn stats(&self) -> BTreeMap<Link, LinkStats> {
        self.table.stats()
    }

    fn all_known(&self, links: &BTreeSet<Link>) -> Result<(), NetworkError> {
        if links.is_empty() {
            return Err(NetworkError::NoLink("no link".into()));
        }
        for link in links {
            let (Some(from), Some(to)) = (&link.from, &link.to) else {
                return Err(NetworkError::NoLink(link.to_string()));
            };
            self.known(from)?;
            self.known(to)?;
        }
        Ok(())
    }

    fn known(&self, member: &str) -> Result<(), NetworkError> {
        if self.table.knows(member) {
            Ok(())
        } else {
            Err(NetworkError::UnknownMember(member.into()))
        }
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, HashMap<(String, bool), Listener>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(member: &str, port: u16) -> Result<TcpListener, NetworkError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    listener.map_err(|source| NetworkError::Listen {
        member: member.into(),
        port,
        source,
    })
}
