//! Who dialled a connection.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::table::Table;
use crate::sockets;

/// How long a process that holds the dialling socket may take to be
/// registered.
const STRANGER_LIMIT: Duration = Duration::from_millis(500);

/// How long a socket may be missing from the kernel's table. A living one is
/// always there, but a listing that races with others opening and closing may
/// skip it.
const MISSING_LIMIT: Duration = Duration::from_millis(50);

enum Sighting {
    Member(String),
    /// We dialled it ourselves; no member will turn out to have.
    Ourselves,
    Stranger,
    /// Closed by now, or not on this machine.
    Missing,
}

/// The member that dialled, by the two ends of its socket; none if unknown.
pub(super) async fn identify(
    table: &Table,
    source: SocketAddr,
    listener: SocketAddr,
) -> Option<String> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        let pids = table.pids();
        // Off the runtime's threads: a listing takes milliseconds where there
        // are thousands of sockets.
        let sighting = tokio::task::spawn_blocking(move || sight(&pids, source, listener));
        let limit = match sighting.await.ok()? {
            Sighting::Member(name) => return Some(name),
            Sighting::Ourselves => return None,
            Sighting::Stranger => STRANGER_LIMIT,
            Sighting::Missing => MISSING_LIMIT,
        };
        if started.elapsed() + pause > limit {
            return None;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

fn sight(pids: &[(String, i32)], source: SocketAddr, listener: SocketAddr) -> Sighting {
    let Some(inode) = sockets::connected_inode(source, listener) else {
        return Sighting::Missing;
    };
    if let Some((name, _)) = pids.iter().find(|(_, pid)| sockets::holds(*pid, inode)) {
        return Sighting::Member(name.clone());
    }
    match i32::try_from(std::process::id()) {
        Ok(own) if sockets::holds(own, inode) => Sighting::Ourselves,
        _ => Sighting::Stranger,
    }
}
