//! What proxies need of a machine.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use crate::sockets;

/// Whether proxies can find out who dials: what this kind of fault needs of a machine.
///
/// # Errors
///
/// In words, what is off.
pub fn probe() -> Result<(), String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listener = listener.map_err(|error| format!("cannot listen on 127.0.0.1: {error}"))?;
    let ends = || -> io::Result<_> {
        let dialled = TcpStream::connect(listener.local_addr()?)?;
        Ok((dialled.local_addr()?, dialled.peer_addr()?, dialled))
    };
    let (local, remote, dialled) =
        ends().map_err(|error| format!("cannot dial 127.0.0.1: {error}"))?;
    let inode = sockets::connected_inode(local, remote)
        .ok_or("neither sock_diag(7) nor /proc/net/tcp lists a connection of our own")?;
    let own = i32::try_from(std::process::id()).map_err(|error| error.to_string())?;
    let held = sockets::holds(own, inode);
    drop(dialled);
    held.then_some(())
        .ok_or_else(|| "/proc/<pid>/fd does not say whose a socket is".into())
}
