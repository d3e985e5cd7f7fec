//! The helper process: it holds the namespaces, and carries connections into
//! them.
//!
//! A network namespace lives as long as a thread or process is in it. Each is
//! made by a thread of the helper that stays in it; so all are gone once the
//! helper and the members are. The helper ends when its standard input does,
//! that is with the harness, however that dies.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

use super::{Answer, MARK, Request, address};

/// Connections carried into namespaces at a time; more are closed at once.
const CONNECTIONS_MAX: usize = 1_000;

/// Members at a time and over time: each has a subnet of its own.
const MEMBERS_MAX: u8 = 250;

/// Becomes the helper if this process was started as one, else returns.
/// [`launcher_main`](crate::process::launcher_main) calls it.
pub(crate) fn helper_main() {
    if std::env::args_os().nth(1).is_none_or(|arg| arg != MARK) {
        return;
    }
    let mut helper = Helper::default();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let answer = match serde_json::from_str(&line) {
            Ok(request) => helper.obey(request).unwrap_or_else(Answer::Error),
            Err(error) => Answer::Error(format!("not understood: {error}")),
        };
        let said = serde_json::to_string(&answer).map(|line| println!("{line}"));
        if said.is_err() || io::stdout().flush().is_err() {
            break;
        }
    }
    std::process::exit(0)
}

/// A thread in a namespace of its own, which does jobs there.
struct Room {
    tid: i32,
    jobs: mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Room {
    fn new() -> Result<Self, String> {
        let (jobs, queue) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let (report, reported) = mpsc::channel();
        let work = move || {
            let entered = unshare(CloneFlags::CLONE_NEWNET);
            let _ = report.send(entered.map(|()| gettid().as_raw()));
            queue.into_iter().for_each(|job| job());
        };
        thread::Builder::new().spawn(work).map_err(text)?;
        let tid = reported.recv().map_err(text)?;
        let tid = tid.map_err(|e| format!("unshare(CLONE_NEWNET): {e}"))?;
        Ok(Self { tid, jobs })
    }

    fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let (report, reported) = mpsc::channel();
        let job = move || drop(report.send(job()));
        self.jobs.send(Box::new(job)).map_err(text)?;
        reported.recv().map_err(text)?
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

#[derive(Default)]
struct Helper {
    /// Where members' links meet, and are cut.
    hub: Option<Room>,
    members: HashMap<String, (u8, Room)>,
    carried: Arc<AtomicUsize>,
}

impl Helper {
    fn obey(&mut self, request: Request) -> Result<Answer, String> {
        match request {
            Request::Add { member, ports } => self.add(member, &ports),
            Request::Block { from, to } => self.rule("add", &from, &to),
            Request::Unblock { from, to } => self.rule("del", &from, &to),
        }
    }

    fn hub(&mut self) -> Result<&Room, String> {
        if self.hub.is_none() {
            let hub = Room::new()?;
            hub.run(|| {
                ip(&["link set lo up".into()])?;
                std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")
                    .map_err(|e| format!("cannot switch forwarding on: {e}"))
            })?;
            self.hub = Some(hub);
        }
        self.hub.as_ref().ok_or_else(|| "no hub".into())
    }

    fn add(&mut self, member: String, ports: &[u16]) -> Result<Answer, String> {
        if self.members.contains_key(&member) {
            return Err(format!("{member} has a namespace already"));
        }
        let number = u8::try_from(self.members.len() + 1).map_err(text)?;
        if number > MEMBERS_MAX {
            return Err("there are too many members".into());
        }
        // A socket belongs to the namespace it was made in: these are outside.
        let bind = |port: &u16| {
            TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).map_err(|e| format!("port {port}: {e}"))
        };
        let listeners: Vec<_> = ports.iter().map(bind).collect::<Result<_, _>>()?;
        let room = Room::new()?;
        let (tid, inside) = (room.tid, address(number));
        let gate = Ipv4Addr::from(u32::from(inside) - 1);
        self.hub()?.run(move || {
            ip(&[
                format!("link add v{number} type veth peer name eth0 netns {tid}"),
                format!("addr add {gate}/30 dev v{number}"),
                format!("link set v{number} up"),
            ])
        })?;
        let carried = Arc::clone(&self.carried);
        room.run(move || {
            ip(&[
                "link set lo up".into(),
                format!("addr add {inside}/30 dev eth0"),
                "link set eth0 up".into(),
                format!("route add default via {gate}"),
            ])?;
            for listener in listeners {
                let carried = Arc::clone(&carried);
                // Its threads stay in this namespace.
                let serve = move || serve(&listener, &carried);
                thread::Builder::new().spawn(serve).map_err(text)?;
            }
            Ok(())
        })?;
        self.members.insert(member, (number, room));
        Ok(Answer::Added {
            address: inside,
            tid,
        })
    }

    /// Packets from one to the other are dropped by the hub, which forwards
    /// them: ip-rule(8), type blackhole.
    fn rule(&mut self, verb: &'static str, from: &str, to: &str) -> Result<Answer, String> {
        let of = |member: &str| {
            let known = self.members.get(member);
            known
                .map(|(number, _)| address(*number))
                .ok_or(format!("{member} has no namespace"))
        };
        let (from, to) = (of(from)?, of(to)?);
        let rule = format!("rule {verb} from {from} to {to} blackhole");
        self.hub()?.run(move || ip(&[rule]))?;
        Ok(Answer::Done)
    }
}

/// Runs commands of ip(8), in the namespace of this thread.
fn ip(commands: &[String]) -> Result<(), String> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .env("PATH", super::PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("ip (of iproute2) cannot be run: {e}"))?;
    let lines = commands.join("\n") + "\n";
    let told = child
        .stdin
        .take()
        .map(|mut pipe| pipe.write_all(lines.as_bytes()));
    let ended = child.wait_with_output().map_err(text)?;
    if ended.status.success() && matches!(told, Some(Ok(()))) {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&ended.stderr);
    Err(format!("ip {}: {}", commands.join("; "), why.trim()))
}

/// Carries connections from outside to the same port in here.
fn serve(listener: &TcpListener, carried: &Arc<AtomicUsize>) {
    let Ok(outside) = listener.local_addr() else {
        return;
    };
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of descriptors, or a connection that is gone already.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        if carried.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
            carried.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let count = Arc::clone(carried);
        let carry = move || {
            let _ = carry(&stream, outside.port());
            count.fetch_sub(1, Ordering::SeqCst);
        };
        if thread::Builder::new().spawn(carry).is_err() {
            carried.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn carry(outside: &TcpStream, port: u16) -> io::Result<()> {
    let inside = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    outside.set_nodelay(true)?;
    inside.set_nodelay(true)?;
    let (from, to) = (inside.try_clone()?, outside.try_clone()?);
    let back = thread::Builder::new().spawn(move || pump(&from, &to))?;
    pump(outside, &inside);
    let _ = back.join();
    Ok(())
}

/// To the end of one direction; a break of either end ends both.
fn pump(mut from: &TcpStream, mut to: &TcpStream) {
    match io::copy(&mut from, &mut to) {
        Ok(_) => drop(to.shutdown(Shutdown::Write)),
        Err(_) => {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        }
    }
}
