//! What all proxies share: members, cuts, effects, connections, links.
//!
//! One lock covers cuts and connections, so that no connection slips in
//! between the moment a cut starts and the moment it looks for what to reset.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::effect::Effect;
use super::wire::{Rules, Wire};
use super::{CLIENTS, Link, LinkStats};

/// A way to reset a connection: say so, then wait until the other side, which
/// outlives the sockets, is dropped.
type Sever = mpsc::Sender<()>;

struct Connection {
    from: Option<String>,
    to: String,
    sever: Sever,
}

#[derive(Default)]
struct State {
    /// Each member's process, once known.
    members: HashMap<String, Option<i32>>,
    /// Members with a proxy in front of their client port.
    served: BTreeSet<String>,
    cut_members: HashMap<String, u32>,
    cut_links: HashMap<(String, String), u32>,
    effects: BTreeMap<u64, (Effect, BTreeSet<Link>)>,
    connections: HashMap<u64, Connection>,
    last_id: u64,
    wires: BTreeMap<Link, Arc<Wire>>,
}

impl State {
    fn is_cut(&self, from: Option<&str>, to: &str) -> bool {
        // A member that is cut off is so from its peers.
        if from != Some(CLIENTS) && self.cut_members.contains_key(to) {
            return true;
        }
        match from {
            Some(from) => {
                self.cut_members.contains_key(from)
                    || self.cut_links.contains_key(&unordered(from, to))
                    || self.resets().any(|link| link.joins(from, to))
            }
            None => {
                !self.cut_members.is_empty()
                    || self.cut_links.keys().any(|(a, b)| a == to || b == to)
                    || self.resets().any(|link| link.could_join(to))
            }
        }
    }

    fn resets(&self) -> impl Iterator<Item = &Link> {
        let resets = self.effects.values();
        resets
            .filter(|(effect, _)| *effect == Effect::Reset)
            .flat_map(|(_, links)| links)
    }

    /// What all effects on this link come to. One whose other end is unknown
    /// is a blackhole while it could be meant, and never slow.
    fn rules(&self, link: &Link) -> Rules {
        let meant = |effect: &Effect, named: &Link| match (&link.from, &link.to) {
            (Some(_), Some(_)) => named == link,
            (None, to) => {
                named.to == *to
                    && named.from.as_deref() != Some(CLIENTS)
                    && matches!(effect, Effect::Blackhole(_))
            }
            (from, None) => {
                named.from == *from
                    && named.to.as_deref() != Some(CLIENTS)
                    && matches!(effect, Effect::Blackhole(_))
            }
        };
        let all = self.effects.values();
        let here = all.filter(|(effect, links)| links.iter().any(|named| meant(effect, named)));
        here.fold(Rules::default(), |rules, (effect, _)| rules.and(*effect))
    }

    fn enforce(&self) {
        for (link, wire) in &self.wires {
            wire.set(self.rules(link));
        }
    }

    /// Tells every connection that `ends` says to end.
    fn sever(&self, ends: impl Fn(&Connection) -> bool) -> Vec<Sever> {
        self.connections
            .values()
            .filter(|connection| ends(connection))
            .map(|connection| {
                // A full queue has been told before.
                let _ = connection.sever.try_send(());
                connection.sever.clone()
            })
            .collect()
    }

    fn sever_cut(&self) -> Vec<Sever> {
        self.sever(|connection| self.is_cut(connection.from.as_deref(), &connection.to))
    }

    fn wire(&mut self, link: Link) -> Arc<Wire> {
        if let Some(wire) = self.wires.get(&link) {
            return Arc::clone(wire);
        }
        let wire = Arc::new(Wire::default());
        wire.set(self.rules(&link));
        self.wires.insert(link, Arc::clone(&wire));
        wire
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

fn unordered(a: &str, b: &str) -> (String, String) {
    (a.min(b).into(), a.max(b).into())
}

fn heal_one<K: Hash + Eq>(cuts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = cuts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            cuts.remove(key);
        }
    }
}

/// Waits until all these connections are closed.
pub(super) async fn gone(severed: Vec<Sever>) {
    for connection in severed {
        connection.closed().await;
    }
}

#[derive(Default)]
pub(super) struct Table(Mutex<State>);

impl Table {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the member is new.
    pub(super) fn add(&self, member: &str) -> bool {
        let mut state = self.lock();
        let new = !state.members.contains_key(member);
        if new {
            state.members.insert(member.into(), None);
        }
        new
    }

    /// Whether the member had no proxy for clients yet.
    pub(super) fn serve(&self, member: &str) -> bool {
        self.lock().served.insert(member.into())
    }

    pub(super) fn remove(&self, member: &str) {
        let mut state = self.lock();
        state.members.remove(member);
        state.served.remove(member);
        state.cut_members.remove(member);
        state
            .cut_links
            .retain(|(a, b), _| a != member && b != member);
        state.effects.retain(|_, (_, links)| {
            links.retain(|link| !link.touches(member));
            !links.is_empty()
        });
        state.enforce();
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        let state = self.lock();
        state.members.contains_key(name)
            || state.served.contains(name)
            || (name == CLIENTS && !state.served.is_empty())
    }

    /// Whether the member is known.
    pub(super) fn register(&self, member: &str, pid: i32) -> bool {
        let mut state = self.lock();
        if !state.members.contains_key(member) {
            return false;
        }
        // A pid that was given out again is no longer its last owner's.
        for (name, known) in &mut state.members {
            if name == member {
                *known = Some(pid);
            } else if *known == Some(pid) {
                *known = None;
            }
        }
        true
    }

    pub(super) fn pids(&self) -> Vec<(String, i32)> {
        let state = self.lock();
        let known = |(name, pid): (&String, &Option<i32>)| Some((name.clone(), (*pid)?));
        state.members.iter().filter_map(known).collect()
    }

    pub(super) fn cut_member(&self, member: &str) -> Vec<Sever> {
        let mut state = self.lock();
        *state.cut_members.entry(member.into()).or_default() += 1;
        state.sever_cut()
    }

    pub(super) fn heal_member(&self, member: &str) {
        heal_one(&mut self.lock().cut_members, &member.to_owned());
    }

    pub(super) fn cut_link(&self, a: &str, b: &str) -> Vec<Sever> {
        let mut state = self.lock();
        *state.cut_links.entry(unordered(a, b)).or_default() += 1;
        state.sever_cut()
    }

    pub(super) fn heal_link(&self, a: &str, b: &str) {
        heal_one(&mut self.lock().cut_links, &unordered(a, b));
    }

    /// Puts an effect in force, under a number to take it back by.
    pub(super) fn impose(&self, effect: Effect, links: BTreeSet<Link>) -> (u64, Vec<Sever>) {
        let mut state = self.lock();
        let id = state.next_id();
        state.effects.insert(id, (effect, links));
        state.enforce();
        (id, state.sever_cut())
    }

    /// Takes an effect back.
    pub(super) fn lift(&self, id: u64) {
        let mut state = self.lock();
        if state.effects.remove(&id).is_some() {
            state.enforce();
        }
    }

    pub(super) fn drop_connections(&self, links: &BTreeSet<Link>) -> Vec<Sever> {
        let state = self.lock();
        state.sever(|connection| match &connection.from {
            Some(from) => links.iter().any(|link| link.joins(from, &connection.to)),
            None => links.iter().any(|link| link.could_join(&connection.to)),
        })
    }

    pub(super) fn heal_all(&self) {
        let mut state = self.lock();
        state.cut_members.clear();
        state.cut_links.clear();
        state.effects.clear();
        state.enforce();
    }

    pub(super) fn stats(&self) -> BTreeMap<Link, LinkStats> {
        let state = self.lock();
        let read = |(link, wire): (&Link, &Arc<Wire>)| (link.clone(), wire.read());
        state.wires.iter().map(read).collect()
    }

    /// Enters a connection, dialled by `from` if that is known already, unless
    /// whoever it is cannot reach this member.
    pub(super) fn enter(self: &Arc<Self>, from: Option<&str>, to: &str) -> Option<Entry> {
        let mut state = self.lock();
        let refused = match from {
            Some(_) => state.is_cut(from, to),
            None => state.cut_members.contains_key(to),
        };
        if refused {
            return None;
        }
        let (sever, severed) = mpsc::channel(1);
        let id = state.next_id();
        let connection = Connection {
            from: from.map(Into::into),
            to: to.into(),
            sever,
        };
        state.connections.insert(id, connection);
        Some(Entry {
            table: Arc::clone(self),
            id,
            severed,
        })
    }

    pub(super) fn wire(&self, link: Link) -> Arc<Wire> {
        self.lock().wire(link)
    }
}

/// A connection's line in the table. Drop it after the sockets: a cut waits
/// for that.
pub(super) struct Entry {
    table: Arc<Table>,
    id: u64,
    severed: mpsc::Receiver<()>,
}

impl Entry {
    /// Resolves when a cut wants the connection reset.
    pub(super) async fn severed(&mut self) {
        // The table holds the sender for as long as the entry lives.
        let _ = self.severed.recv().await;
    }

    /// Says who dialled, as far as is known; false if that link is cut.
    pub(super) fn identify(&self, from: Option<String>) -> bool {
        let mut state = self.table.lock();
        let Some(connection) = state.connections.get_mut(&self.id) else {
            return false;
        };
        connection.from.clone_from(&from);
        let to = connection.to.clone();
        !state.is_cut(from.as_deref(), &to)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.table.lock().connections.remove(&self.id);
    }
}
