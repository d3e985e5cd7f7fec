//! Loopback TCP ports that stay ours.
//!
//! A member's port must survive its death: if it lay in the range the kernel
//! takes outgoing ports from, another connection could get it before the
//! restart, or a proxy could connect to itself. So ports are chosen outside
//! `ip_local_port_range`, and each is held by a locked file for the life of
//! its [`PortLease`], which keeps concurrent harnesses apart.
//!
//! The lock files are in `gauntlet-ports` in `$XDG_RUNTIME_DIR`, or in the
//! temporary directory where that is not set. They stay behind, empty: taking
//! one away would let two harnesses lock two files of the same name. A harness
//! that sees another lock directory is only noticed while the port is bound.
//!
//! Sources: ip(7) `ip_local_port_range`, flock(2).

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::sockets;

const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Where the search begins: above what most services are registered at.
const LOWEST: u16 = 10240;

/// The last resort when the range leaves nothing above [`LOWEST`].
const UNPRIVILEGED: u16 = 1024;

/// Why a port could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The port is bound or held.
    #[error("port {port} is in use (by {by})")]
    InUse {
        /// The port.
        port: u16,
        /// Who has it, as far as can be seen.
        by: String,
    },
    /// The port is one the kernel may give to any outgoing connection.
    #[error("port {port} is in the range for outgoing connections ({start}-{end}, {EPHEMERAL})")]
    Ephemeral {
        /// The port.
        port: u16,
        /// The range's first port.
        start: u16,
        /// The range's last port.
        end: u16,
    },
    /// The range for outgoing connections leaves no port.
    #[error("{EPHEMERAL} is {start}-{end}, which leaves no port for members; narrow it")]
    NoneLeft {
        /// The range's first port.
        start: u16,
        /// The range's last port.
        end: u16,
    },
    /// Every candidate is taken.
    #[error("all {tried} ports outside {EPHEMERAL} are in use")]
    Exhausted {
        /// How many there are.
        tried: usize,
    },
    /// A file could not be read or made.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// A port that is ours until this is dropped.
///
/// The lease does not bind the port; whoever it was leased for does.
#[derive(Debug)]
#[must_use = "dropping it gives the port up"]
pub struct PortLease {
    port: u16,
    _lock: Flock<File>,
}

impl PortLease {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Leases a free port.
///
/// # Errors
///
/// [`PortError`], except `InUse` and `Ephemeral`.
pub fn lease() -> Result<PortLease, PortError> {
    let range = ephemeral()?;
    let candidates = candidates(&range);
    if candidates.is_empty() {
        return Err(PortError::NoneLeft {
            start: *range.start(),
            end: *range.end(),
        });
    }
    let directory = lock_directory()?;
    let start = spread(std::process::id(), candidates.len());
    let (head, tail) = candidates.split_at(start);
    for &port in tail.iter().chain(head) {
        match take(&directory, port) {
            Err(PortError::InUse { .. }) => {}
            taken => return taken,
        }
    }
    Err(PortError::Exhausted {
        tried: candidates.len(),
    })
}

/// Leases this port.
///
/// # Errors
///
/// [`PortError::InUse`], saying by whom if that can be seen;
/// [`PortError::Ephemeral`]; [`PortError::File`].
pub fn claim(port: u16) -> Result<PortLease, PortError> {
    let range = ephemeral()?;
    if range.contains(&port) {
        return Err(PortError::Ephemeral {
            port,
            start: *range.start(),
            end: *range.end(),
        });
    }
    take(&lock_directory()?, port)
}

/// Harnesses with neighbouring pids start far apart.
fn spread(pid: u32, len: usize) -> usize {
    let step = u64::from(pid).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((u128::from(step) * len as u128) >> 64) as usize
}

fn candidates(ephemeral: &RangeInclusive<u16>) -> Vec<u16> {
    let outside = |ports: RangeInclusive<u16>| -> Vec<u16> {
        ports.filter(|port| !ephemeral.contains(port)).collect()
    };
    let usual = outside(LOWEST..=u16::MAX);
    if usual.is_empty() {
        outside(UNPRIVILEGED..=LOWEST - 1)
    } else {
        usual
    }
}

fn ephemeral() -> Result<RangeInclusive<u16>, PortError> {
    let failed = |source| PortError::File {
        path: EPHEMERAL.into(),
        source,
    };
    let text = fs::read_to_string(EPHEMERAL).map_err(failed)?;
    let mut ends = text.split_ascii_whitespace().map(str::parse);
    match (ends.next(), ends.next()) {
        (Some(Ok(start)), Some(Ok(end))) => Ok(start..=end),
        _ => Err(failed(io::ErrorKind::InvalidData.into())),
    }
}

fn lock_directory() -> Result<PathBuf, PortError> {
    let base = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|base| base.is_dir())
        .unwrap_or_else(std::env::temp_dir);
    let path = base.join("gauntlet-ports");
    match fs::create_dir(&path) {
        // As the temporary directory itself: other users lease ports too.
        Ok(()) => fs::set_permissions(&path, Permissions::from_mode(0o1777)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|source| PortError::File {
        path: path.clone(),
        source,
    })?;
    Ok(path)
}

fn take(directory: &Path, port: u16) -> Result<PortLease, PortError> {
    let path = directory.join(port.to_string());
    let failed = |source| PortError::File {
        path: path.clone(),
        source,
    };
    let file = open(&path).map_err(failed)?;
    let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((mut file, Errno::EWOULDBLOCK)) => {
            let mut owner = String::new();
            let _ = file.read_to_string(&mut owner);
            let by = match owner.trim().parse() {
                Ok(pid) => format!("a harness, {}", sockets::describe(pid)),
                Err(_) => "another harness".into(),
            };
            return Err(PortError::InUse { port, by });
        }
        Err((_, errno)) => return Err(failed(errno.into())),
    };
    if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        let by = match sockets::listening_inode(port).and_then(sockets::holder) {
            Some(pid) => sockets::describe(pid),
            None => error.to_string(),
        };
        return Err(PortError::InUse { port, by });
    }
    // Only for the message above; another user's file cannot be written.
    let _ = lock.set_len(0);
    let _ = lock.write_all(std::process::id().to_string().as_bytes());
    Ok(PortLease { port, _lock: lock })
}

/// Opens or makes a lock file. An existing one first without `O_CREAT`, which
/// `fs.protected_regular` forbids for another user's file; a lock needs no
/// right to write.
fn open(path: &Path) -> io::Result<File> {
    let existing = || {
        let mut options = File::options();
        let for_both = options.read(true).write(true).open(path);
        for_both.or_else(|_| File::open(path))
    };
    existing().or_else(|_| {
        let mut options = File::options();
        match options.read(true).write(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => existing(),
            made => made,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_avoid_the_range_on_both_sides() {
        let usual = candidates(&(32768..=60999));
        assert_eq!(usual.len(), (32768 - 10240) + (65535 - 60999));
        assert!(usual.contains(&32767) && !usual.contains(&32768));
        assert!(usual.contains(&61000) && !usual.contains(&60999));
        assert_eq!(candidates(&(9000..=65535)).first(), Some(&1024));
        assert_eq!(candidates(&(9000..=65535)).last(), Some(&8999));
        assert!(candidates(&(1024..=65535)).is_empty());
    }

    #[test]
    fn neighbouring_pids_start_far_apart() {
        for pid in [1, 500, 32_000, 4_194_303] {
            let (one, other) = (spread(pid, 20_000), spread(pid + 1, 20_000));
            assert!(one < 20_000 && one.abs_diff(other) > 1_000, "{pid}");
        }
    }
}
