//! Carrying one member's connections.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::pump::{End, Pump};
use super::table::{Entry, Table};
use super::wire::Wire;
use super::{Link, dialler};

/// How long a member (paused, say, with its backlog full) may take to accept.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How often a dial in a blackhole is looked at: its dialler may have given up.
const GIVEN_UP_PERIOD: Duration = Duration::from_millis(50);

/// Connections carried at a time, per proxy; more wait in the backlog. A
/// connection takes two descriptors, and 1024 is a usual limit.
const CONNECTIONS_MAX: usize = 400;

/// Where a proxy's connections go.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) table: Arc<Table>,
    pub(super) to: String,
    /// The dialler of all connections; none if each one's is to be found.
    pub(super) from: Option<&'static str>,
    pub(super) port: u16,
}

/// Accepts until aborted; the connections end with it.
pub(super) async fn serve(door: Door, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(carry(door.clone(), stream));
                }
                // Out of descriptors, or a connection that is gone already.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(door: Door, dialler: TcpStream) {
    let Door { table, to, .. } = &door;
    let towards = |from: Option<&str>| Link {
        from: from.map(Into::into),
        to: Some(to.clone()),
    };
    let Some(mut entry) = table.enter(door.from, to) else {
        table.wire(towards(door.from)).refused.one();
        reset(dialler);
        return;
    };
    let identified = async {
        if let Some(from) = door.from {
            return Some(from.into());
        }
        let (source, listener) = (dialler.peer_addr().ok()?, dialler.local_addr().ok()?);
        dialler::identify(table, source, listener).await
    };
    let from = tokio::select! {
        biased;
        () = entry.severed() => {
            table.wire(towards(door.from)).refused.one();
            reset(dialler);
            return;
        }
        from = identified => from,
    };
    let there = towards(from.as_deref());
    let back = there.reversed();
    let (there_wire, back_wire) = (table.wire(there.clone()), table.wire(back.clone()));
    let route = Route {
        port: door.port,
        there: (&there, &there_wire),
        back: (&back, &back_wire),
    };
    if entry.identify(from) {
        there_wire.accepted.one();
        route.connect_and_relay(&mut entry, dialler).await;
    } else {
        there_wire.refused.one();
        reset(dialler);
    }
    drop(entry);
}

struct Route<'a> {
    port: u16,
    there: (&'a Link, &'a Wire),
    back: (&'a Link, &'a Wire),
}

impl Route<'_> {
    async fn connect_and_relay(&self, entry: &mut Entry, mut dialler: TcpStream) {
        let connected = tokio::select! {
            biased;
            () = entry.severed() => {
                self.there.1.reset.one();
                reset(dialler);
                return;
            }
            connected = self.connect(&dialler) => connected,
        };
        let Some(mut target) = connected else {
            reset(dialler);
            return;
        };
        let ended = tokio::select! {
            biased;
            () = entry.severed() => Err(End::Torn),
            ended = self.relay(&mut dialler, &mut target) => ended,
        };
        if let Err(End::Torn) = ended {
            self.there.1.reset.one();
        }
        // One end's reset becomes the other's.
        if ended.is_err() {
            reset(dialler);
            reset(target);
        }
    }

    /// The connection to the member, once the dialler's first packet would
    /// reach it; none if there is to be none.
    async fn connect(&self, dialler: &TcpStream) -> Option<TcpStream> {
        self.knock(dialler).await?;
        let connect = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        match timeout(CONNECT_LIMIT, connect).await {
            Ok(Ok(target)) => Some(target),
            _ => {
                self.there.1.unreachable.one();
                self.back.1.passing().await;
                None
            }
        }
    }

    /// Keeps a dial waiting while the link towards the member is a blackhole.
    /// None if the dialler gave up: nothing of it may arrive long after; or if
    /// bytes were lost.
    async fn knock(&self, dialler: &TcpStream) -> Option<()> {
        let wire = self.there.1;
        let mut changes = wire.rules.subscribe();
        let mut torn = false;
        loop {
            let rules = *changes.borrow_and_update();
            if rules.passes() && torn {
                wire.reset.one();
                return None;
            } else if rules.passes() {
                return Some(());
            }
            if rules.loses() {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = dialler.try_read(&mut buffer) {
                    wire.lost.add(read);
                    torn = true;
                }
            }
            let readable = timeout(Duration::ZERO, dialler.ready(Interest::READABLE)).await;
            if let Ok(ready) = readable
                && ready.map_or(true, |ready| ready.is_read_closed())
            {
                return None;
            }
            let _ = timeout(GIVEN_UP_PERIOD, changes.changed()).await;
        }
    }

    async fn relay(&self, dialler: &mut TcpStream, target: &mut TcpStream) -> Result<(), End> {
        // Both are hints; a socket that is gone says so when it is read.
        let _ = dialler.set_nodelay(true);
        let _ = target.set_nodelay(true);
        let (from_dialler, to_dialler) = dialler.split();
        let (from_target, to_target) = target.split();
        let ((there, there_wire), (back, back_wire)) = (self.there, self.back);
        tokio::try_join!(
            Pump::new((from_dialler, to_target), there, there_wire, back_wire).run(),
            Pump::new((from_target, to_dialler), back, back_wire, there_wire).run(),
        )?;
        Ok(())
    }
}

/// Closes with a reset: what is queued is thrown away, and the other end
/// learns at once.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}
