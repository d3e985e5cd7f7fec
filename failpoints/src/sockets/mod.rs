//! Whose socket is it: from a connection's two ends to the process behind one.
//!
//! Sources: proc_pid_net(5), and `get_tcp4_sock` in the kernel's
//! `net/ipv4/tcp_ipv4.c` for the columns: addresses are the words of network
//! order printed as host integers, the tenth column is the inode.

mod diag;

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state column of a listening socket.
const LISTEN: u8 = 0x0A;

#[derive(Debug, PartialEq, Eq)]
struct Row {
    local: SocketAddr,
    remote: SocketAddr,
    state: u8,
    inode: u64,
}

/// The inode of the connected socket with these two ends.
pub(crate) fn connected_inode(local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    let exactly = match (local, remote) {
        (SocketAddr::V4(local), SocketAddr::V4(remote)) => diag::inode(local, remote).ok(),
        _ => None,
    };
    exactly.unwrap_or_else(|| find(|row| row.local == local && row.remote == remote))
}

/// The inode of the socket that listens on this loopback (or any) port.
pub(crate) fn listening_inode(port: u16) -> Option<u64> {
    find(|row| {
        row.state == LISTEN
            && row.local.port() == port
            && (row.local.ip().is_unspecified() || row.local.ip().is_loopback())
    })
}

fn find(wanted: impl Fn(&Row) -> bool) -> Option<u64> {
    // A socket without an owner (closed, not yet accepted) has inode 0.
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| {
            let mut rows = table.lines().skip(1).filter_map(parse);
            rows.find(|row| row.inode != 0 && wanted(row))
        })
        .map(|row| row.inode)
}

fn parse(line: &str) -> Option<Row> {
    let mut columns = line.split_ascii_whitespace().skip(1);
    let local = address(columns.next()?)?;
    let remote = address(columns.next()?)?;
    let state = u8::from_str_radix(columns.next()?, 16).ok()?;
    let inode = columns.nth(5)?.parse().ok()?;
    Some(Row {
        local,
        remote,
        state,
        inode,
    })
}

/// An address of either family; a mapped one as the IPv4 address it stands for.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = u32::from_str_radix(host.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip = match host.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Whether this process holds the socket.
pub(crate) fn holds(pid: i32, inode: u64) -> bool {
    let wanted = format!("socket:[{inode}]");
    fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|descriptors| {
        descriptors
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()))
    })
}

/// The process that holds the socket, among all that we may look into.
pub(crate) fn holder(inode: u64) -> Option<i32> {
    fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|&pid| holds(pid, inode))
}

/// `pid 12 (etcd)`.
pub(crate) fn describe(pid: i32) -> String {
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("pid {pid} ({})", name.trim_end()),
        Err(_) => format!("pid {pid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_both_families_are_read() {
        let four = "   0: 0100007F:2EE0 0100007F:8A3C 01 00000000:00000000 00:00000000 \
                    00000000  1000        0 4242 1 0000000000000000 20 4 30 10 -1";
        let six = "   0: 0000000000000000FFFF00000100007F:2EE0 \
                   0000000000000000FFFF00000100007F:8A3C 01 00000000:00000000 00:00000000 \
                   00000000  1000        0 4242 1 0000000000000000 20 4 30 10 -1";
        let row = Row {
            local: "127.0.0.1:12000".parse().unwrap(),
            remote: "127.0.0.1:35388".parse().unwrap(),
            state: 1,
            inode: 4242,
        };
        if cfg!(target_endian = "little") {
            assert_eq!(parse(four).as_ref(), Some(&row));
            assert_eq!(parse(six).as_ref(), Some(&row));
        }
        assert_eq!(parse("sl local_address"), None);
    }
}
