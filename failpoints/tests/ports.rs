//! Ports: outside the kernel's range, and nobody else's while leased.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use failpoints::ports::{self, PortError};

const SUBJECT: &str = env!("CARGO_BIN_EXE_failpoints-subject");

/// Another process that leases a port, until its standard input closes.
fn other_harness() -> (Child, u16) {
    let mut child = Command::new(SUBJECT)
        .arg("lease")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut said).unwrap();
    (child, said.trim().parse().unwrap())
}

fn ephemeral() -> (u16, u16) {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let mut ends = text
        .split_ascii_whitespace()
        .map(|end| end.parse().unwrap());
    (ends.next().unwrap(), ends.next().unwrap())
}

#[test]
fn leased_ports_are_distinct_bindable_and_outside_the_range() {
    let (start, end) = ephemeral();
    let leases: Vec<_> = (0..30).map(|_| ports::lease().unwrap()).collect();
    let distinct: BTreeSet<u16> = leases.iter().map(ports::PortLease::port).collect();
    assert_eq!(distinct.len(), leases.len());
    for port in distinct {
        assert!(port < start || port > end, "{port}");
        drop(TcpListener::bind(("127.0.0.1", port)).unwrap());
    }
}

#[test]
fn a_port_leased_by_another_process_is_refused_until_it_ends() {
    let (mut child, port) = other_harness();
    let error = ports::claim(port).unwrap_err();
    assert!(matches!(error, PortError::InUse { .. }), "{error:?}");
    let by = format!("by a harness, pid {} (failpoints-subj", child.id());
    assert!(error.to_string().contains(&by), "{error}");

    drop(child.stdin.take());
    child.wait().unwrap();
    let claimed = ports::claim(port).unwrap();
    assert_eq!(claimed.port(), port);
    assert!(ports::claim(port).is_err(), "held within a process as well");
}

#[test]
fn processes_that_lease_at_once_never_share() {
    let mut harnesses: Vec<_> = (0..8).map(|_| other_harness()).collect();
    let ours: Vec<_> = (0..8).map(|_| ports::lease().unwrap()).collect();
    let mut all: BTreeSet<u16> = harnesses.iter().map(|(_, port)| *port).collect();
    all.extend(ours.iter().map(ports::PortLease::port));
    assert_eq!(all.len(), 16);
    for (child, _) in &mut harnesses {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

#[test]
fn a_bound_port_names_who_listens() {
    let port = ports::lease().unwrap().port();
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let error = ports::claim(port).unwrap_err().to_string();
    let by = format!("port {port} is in use (by pid {} (", std::process::id());
    assert!(error.starts_with(&by), "{error}");
}

#[test]
fn a_port_of_the_kernels_range_is_refused() {
    let (start, _) = ephemeral();
    let error = ports::claim(start).unwrap_err();
    assert!(matches!(error, PortError::Ephemeral { .. }), "{error:?}");
}
