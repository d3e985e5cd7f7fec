//! System calls by name, and the paths and addresses among their arguments.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::frames::Memory;

/// The longest path that is read (`PATH_MAX`).
const PATH: usize = 4096;

/// What an argument of a system call says about its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// A file descriptor.
    Fd(usize),
    /// A path.
    Path(usize),
    /// A path under the directory of a file descriptor.
    PathAt(usize, usize),
    /// A socket address and its length.
    Address(usize, usize),
}
use Names::{Address, Fd, Path as P, PathAt};

/// Name, number, and what names its file. From syscalls(2) and each call's
/// page; calls that are not here have no file, or are not of use here.
const CALLS: &[(&str, i64, &[Names])] = &[
    ("read", libc::SYS_read, &[Fd(0)]),
    ("write", libc::SYS_write, &[Fd(0)]),
    ("open", libc::SYS_open, &[P(0)]),
    ("close", libc::SYS_close, &[Fd(0)]),
    ("stat", libc::SYS_stat, &[P(0)]),
    ("fstat", libc::SYS_fstat, &[Fd(0)]),
    ("lstat", libc::SYS_lstat, &[P(0)]),
    ("lseek", libc::SYS_lseek, &[Fd(0)]),
    ("mmap", libc::SYS_mmap, &[Fd(4)]),
    ("munmap", libc::SYS_munmap, &[]),
    ("madvise", libc::SYS_madvise, &[]),
    ("msync", libc::SYS_msync, &[]),
    ("mlock", libc::SYS_mlock, &[]),
    ("pread64", libc::SYS_pread64, &[Fd(0)]),
    ("pwrite64", libc::SYS_pwrite64, &[Fd(0)]),
    ("readv", libc::SYS_readv, &[Fd(0)]),
    ("writev", libc::SYS_writev, &[Fd(0)]),
    ("preadv", libc::SYS_preadv, &[Fd(0)]),
    ("pwritev", libc::SYS_pwritev, &[Fd(0)]),
    ("pwritev2", libc::SYS_pwritev2, &[Fd(0)]),
    ("sendfile", libc::SYS_sendfile, &[Fd(0), Fd(1)]),
    ("splice", libc::SYS_splice, &[Fd(0), Fd(2)]),
    (
        "copy_file_range",
        libc::SYS_copy_file_range,
        &[Fd(0), Fd(2)],
    ),
    ("fsync", libc::SYS_fsync, &[Fd(0)]),
    ("fdatasync", libc::SYS_fdatasync, &[Fd(0)]),
    ("sync_file_range", libc::SYS_sync_file_range, &[Fd(0)]),
    ("syncfs", libc::SYS_syncfs, &[Fd(0)]),
    ("sync", libc::SYS_sync, &[]),
    ("fallocate", libc::SYS_fallocate, &[Fd(0)]),
    ("ftruncate", libc::SYS_ftruncate, &[Fd(0)]),
    ("truncate", libc::SYS_truncate, &[P(0)]),
    ("flock", libc::SYS_flock, &[Fd(0)]),
    ("fcntl", libc::SYS_fcntl, &[Fd(0)]),
    ("getdents64", libc::SYS_getdents64, &[Fd(0)]),
    ("rename", libc::SYS_rename, &[P(0), P(1)]),
    (
        "renameat",
        libc::SYS_renameat,
        &[PathAt(0, 1), PathAt(2, 3)],
    ),
    (
        "renameat2",
        libc::SYS_renameat2,
        &[PathAt(0, 1), PathAt(2, 3)],
    ),
    ("link", libc::SYS_link, &[P(0), P(1)]),
    ("linkat", libc::SYS_linkat, &[PathAt(0, 1), PathAt(2, 3)]),
    ("symlink", libc::SYS_symlink, &[P(1)]),
    ("symlinkat", libc::SYS_symlinkat, &[PathAt(1, 2)]),
    ("unlink", libc::SYS_unlink, &[P(0)]),
    ("unlinkat", libc::SYS_unlinkat, &[PathAt(0, 1)]),
    ("mkdir", libc::SYS_mkdir, &[P(0)]),
    ("mkdirat", libc::SYS_mkdirat, &[PathAt(0, 1)]),
    ("rmdir", libc::SYS_rmdir, &[P(0)]),
    ("creat", libc::SYS_creat, &[P(0)]),
    ("openat", libc::SYS_openat, &[PathAt(0, 1)]),
    ("openat2", libc::SYS_openat2, &[PathAt(0, 1)]),
    ("newfstatat", libc::SYS_newfstatat, &[PathAt(0, 1)]),
    ("statx", libc::SYS_statx, &[PathAt(0, 1)]),
    ("faccessat", libc::SYS_faccessat, &[PathAt(0, 1)]),
    ("faccessat2", libc::SYS_faccessat2, &[PathAt(0, 1)]),
    ("chmod", libc::SYS_chmod, &[P(0)]),
    ("fchmod", libc::SYS_fchmod, &[Fd(0)]),
    ("fchmodat", libc::SYS_fchmodat, &[PathAt(0, 1)]),
    ("socket", libc::SYS_socket, &[]),
    ("connect", libc::SYS_connect, &[Address(1, 2)]),
    ("bind", libc::SYS_bind, &[Address(1, 2)]),
    ("listen", libc::SYS_listen, &[Fd(0)]),
    ("accept4", libc::SYS_accept4, &[Fd(0)]),
    ("sendto", libc::SYS_sendto, &[Fd(0)]),
    ("recvfrom", libc::SYS_recvfrom, &[Fd(0)]),
    ("shutdown", libc::SYS_shutdown, &[Fd(0)]),
    ("getsockopt", libc::SYS_getsockopt, &[Fd(0)]),
    ("setsockopt", libc::SYS_setsockopt, &[Fd(0)]),
    ("getpid", libc::SYS_getpid, &[]),
    ("clone", libc::SYS_clone, &[]),
    ("futex", libc::SYS_futex, &[]),
    ("nanosleep", libc::SYS_nanosleep, &[]),
    ("sched_yield", libc::SYS_sched_yield, &[]),
    ("epoll_pwait", libc::SYS_epoll_pwait, &[]),
    ("tgkill", libc::SYS_tgkill, &[]),
    ("getrandom", libc::SYS_getrandom, &[]),
    ("exit_group", libc::SYS_exit_group, &[]),
];

/// The number of a system call.
pub(super) fn number(name: &str) -> Option<u64> {
    let found = CALLS.iter().find(|(known, ..)| *known == name)?;
    u64::try_from(found.1).ok()
}

/// Every name there is, for errors.
pub(super) fn known() -> String {
    let names: Vec<&str> = CALLS.iter().map(|(name, ..)| *name).collect();
    names.join(", ")
}

/// Paths and addresses that a system call names.
pub(super) fn paths(pid: i32, memory: &impl Memory, number: u64, args: &[u64; 6]) -> Vec<String> {
    let found = CALLS
        .iter()
        .find(|(_, known, _)| number == known.cast_unsigned());
    let Some((.., names)) = found else {
        return Vec::new();
    };
    let cwd = || link(&format!("/proc/{pid}/cwd"));
    let path_at = |directory: &dyn Fn() -> Option<PathBuf>, argument: u64| {
        let path = text(memory, argument)?;
        if Path::new(&path).is_absolute() {
            return Some(path);
        }
        Some(directory()?.join(path).to_string_lossy().into_owned())
    };
    let of = |name: &Names| match *name {
        Fd(fd) => {
            // Descriptors are ints; the upper half of a register is anything.
            let path = link(&format!("/proc/{pid}/fd/{}", args[fd] as i32))?;
            let path = path.to_string_lossy();
            Some(path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned())
        }
        P(path) => path_at(&cwd, args[path]),
        PathAt(directory, path) => match args[directory] as i32 {
            libc::AT_FDCWD => path_at(&cwd, args[path]),
            fd => path_at(&|| link(&format!("/proc/{pid}/fd/{fd}")), args[path]),
        },
        Address(address, length) => {
            let mut bytes = [0; 128];
            let length = usize::try_from(args[length]).unwrap_or(0).min(bytes.len());
            let read = memory.read(args[address], &mut bytes[..length]);
            socket_address(&bytes[..read])
        }
    };
    names.iter().filter_map(of).collect()
}

fn link(path: &str) -> Option<PathBuf> {
    std::fs::read_link(path).ok()
}

/// A C string, page by page: the next page may not be mapped.
fn text(memory: &impl Memory, address: u64) -> Option<String> {
    const PAGE: u64 = 4096;
    let mut bytes = vec![0; PATH];
    let first = (PAGE - address % PAGE) as usize;
    let mut read = memory.read(address, &mut bytes[..first.min(PATH)]);
    if read == first && !bytes[..read].contains(&0) && read < PATH {
        read += memory.read(address.checked_add(read as u64)?, &mut bytes[read..]);
    }
    let end = bytes[..read].iter().position(|byte| *byte == 0)?;
    bytes.truncate(end);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `127.0.0.1:2380`, `[::1]:2380`, or the path of a Unix socket.
fn socket_address(bytes: &[u8]) -> Option<String> {
    let family = u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?);
    let port = || Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
    match i32::from(family) {
        libc::AF_INET => {
            let address: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(SocketAddr::from((Ipv4Addr::from(address), port()?)).to_string())
        }
        libc::AF_INET6 => {
            let address: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some(SocketAddr::from((Ipv6Addr::from(address), port()?)).to_string())
        }
        libc::AF_UNIX => {
            let path = bytes[2..].split(|byte| *byte == 0).next()?;
            Some(String::from_utf8_lossy(path).into_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Flat(u64, Vec<u8>);

    impl Memory for Flat {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            let Some(from) = address.checked_sub(self.0).map(|n| n as usize) else {
                return 0;
            };
            let there = self.1.get(from..).unwrap_or(&[]);
            let length = there.len().min(buffer.len());
            buffer[..length].copy_from_slice(&there[..length]);
            length
        }
    }

    #[test]
    fn addresses_are_written_as_people_do() {
        let v4 = [2, 0, 0x09, 0x4c, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(socket_address(&v4).unwrap(), "127.0.0.1:2380");
        let mut v6 = [0; 28];
        (v6[0], v6[2], v6[3], v6[23]) = (10, 0x09, 0x4c, 1);
        assert_eq!(socket_address(&v6).unwrap(), "[::1]:2380");
        assert_eq!(socket_address(b"\x01\0/run/s\0junk").unwrap(), "/run/s");
        for short in [&v4[..7], &v6[..20], &[1], &[99, 0, 1, 2]] {
            assert_eq!(socket_address(short), None);
        }
    }

    #[test]
    fn relative_paths_are_completed_and_strings_end() {
        let memory = Flat(0x1000, b"/a/b\0c/d\0endless".to_vec());
        let rename = number("rename").unwrap();
        let found = paths(1, &memory, rename, &[0x1000, 0x1002, 0, 0, 0, 0]);
        assert_eq!(found, ["/a/b", "/b"]);
        assert_eq!(text(&memory, 0x1005).as_deref(), Some("c/d"));
        assert_eq!(text(&memory, 0x1009), None);
        assert_eq!(text(&memory, u64::MAX), None);
        let own = i32::try_from(std::process::id()).unwrap();
        let found = paths(
            own,
            &memory,
            number("open").unwrap(),
            &[0x1005, 0, 0, 0, 0, 0],
        );
        let expected = std::env::current_dir().unwrap().join("c/d");
        assert_eq!(found, [expected.to_str().unwrap()]);
    }

    #[test]
    fn a_string_may_cross_a_page() {
        let mut bytes = vec![b'x'; 4096 + 10];
        bytes.push(0);
        let memory = Flat(0x1000, bytes);
        assert_eq!(text(&memory, 0x1ff0).unwrap().len(), 26);
        assert_eq!(text(&memory, 0x1000), None, "longer than PATH_MAX");
    }
}
