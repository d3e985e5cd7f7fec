//! One connection looked up in the kernel's hash table.
//!
//! `/proc/net/tcp` walks that table whole, milliseconds each time, and a cut
//! member dials many times a second. `NETLINK_SOCK_DIAG` without `NLM_F_DUMP`
//! answers for exactly one socket, in microseconds.
//!
//! Sources: sock_diag(7), `linux/inet_diag.h` for the layouts, and
//! `inet_diag_find_one_icsk` in `net/ipv4/inet_diag.c` for what is looked up.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt::ReceiveTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const IPPROTO_TCP: u8 = 6;
const ENOENT: i32 = 2;

/// `nlmsghdr`, then `inet_diag_req_v2`.
const REQUEST: usize = 16 + 56;
/// Where `inet_diag_msg` has the socket's ports and addresses, and its inode.
const PORTS: std::ops::Range<usize> = 20..24;
const SOURCE: std::ops::Range<usize> = 24..28;
const DESTINATION: std::ops::Range<usize> = 40..44;
const INODE: std::ops::Range<usize> = 84..88;

/// The inode of the socket with these ends; none if there is no such socket.
///
/// # Errors
///
/// If the kernel does not answer, for want of `tcp_diag` perhaps: ask
/// `/proc/net/tcp` then.
pub(super) fn inode(local: SocketAddrV4, remote: SocketAddrV4) -> io::Result<Option<u64>> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )?;
    setsockopt(&netlink, ReceiveTimeout, &TimeVal::seconds(1))?;
    send(
        netlink.as_raw_fd(),
        &request(local, remote),
        MsgFlags::empty(),
    )?;
    let mut answer = [0; 512];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    read(&answer[..length], local, remote)
}

/// The ends as both directions spell them: ports and addresses in network
/// order, each address in the first of four words.
fn ends(local: SocketAddrV4, remote: SocketAddrV4) -> [u8; 36] {
    let mut id = [0; 36];
    id[0..2].copy_from_slice(&local.port().to_be_bytes());
    id[2..4].copy_from_slice(&remote.port().to_be_bytes());
    id[4..8].copy_from_slice(&local.ip().octets());
    id[20..24].copy_from_slice(&remote.ip().octets());
    id
}

fn request(local: SocketAddrV4, remote: SocketAddrV4) -> [u8; REQUEST] {
    let mut message = [0; REQUEST];
    message[0..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    message[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    message[16] = AF_INET;
    message[17] = IPPROTO_TCP;
    // Sockets of every state.
    message[20..24].fill(0xFF);
    message[24..60].copy_from_slice(&ends(local, remote));
    // INET_DIAG_NOCOOKIE: any socket with these ends.
    message[64..72].fill(0xFF);
    message
}

fn read(answer: &[u8], local: SocketAddrV4, remote: SocketAddrV4) -> io::Result<Option<u64>> {
    let word = |at: std::ops::Range<usize>| {
        let bytes: [u8; 4] = answer.get(at)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    };
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let kind = word(4..8).ok_or_else(malformed)?.to_ne_bytes();
    match u16::from_ne_bytes([kind[0], kind[1]]) {
        NLMSG_ERROR => match word(16..20).ok_or_else(malformed)?.cast_signed() {
            error if error == -ENOENT => Ok(None),
            error => Err(io::Error::from_raw_os_error(-error)),
        },
        SOCK_DIAG_BY_FAMILY => {
            let inode = word(INODE).ok_or_else(malformed)?;
            // The lookup falls back to a listener on the local port.
            let wanted = ends(local, remote);
            let same = answer[PORTS] == wanted[0..4]
                && answer[SOURCE] == wanted[4..8]
                && answer[DESTINATION] == wanted[20..24];
            Ok((same && inode != 0).then_some(inode.into()))
        }
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::*;

    fn v4(address: io::Result<SocketAddr>) -> SocketAddrV4 {
        match address.unwrap() {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(address) => panic!("{address}"),
        }
    }

    #[test]
    fn it_finds_the_dialling_end_and_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (local, remote) = (v4(stream.local_addr()), v4(stream.peer_addr()));
        let found = inode(local, remote).unwrap().unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", stream.as_raw_fd()));
        let link = link.unwrap();
        assert_eq!(link.to_str().unwrap(), format!("socket:[{found}]"));
        let (accepted, _) = listener.accept().unwrap();
        assert_ne!(inode(remote, local).unwrap(), Some(found));
        // Nobody is connected to itself; what is left is the listener.
        assert_eq!(inode(remote, remote).unwrap(), None);
        drop(stream);
        assert_eq!(inode(local, remote).unwrap(), None, "closed: no owner");
        drop(accepted);
    }
}
