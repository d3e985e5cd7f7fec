//! Carrying one member's connections.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::dialler;
use super::table::{Counters, Entry, Table};

/// Held per connection and direction; beyond that the sender waits.
const BUFFER: usize = 32 * 1024;

/// How long a member (paused, say, with its backlog full) may take to accept.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Accepts until aborted; the connections end with it.
pub(super) async fn serve(table: Arc<Table>, listener: TcpListener, member: String, target: u16) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(carry(Arc::clone(&table), stream, member.clone(), target));
                }
                // Out of descriptors, or a connection that is gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(table: Arc<Table>, dialler: TcpStream, to: String, target: u16) {
    let Some(mut entry) = table.enter(&to) else {
        table.link(None, Some(&to)).refused();
        reset(dialler);
        return;
    };
    let identified = async {
        let (source, listener) = (dialler.peer_addr().ok()?, dialler.local_addr().ok()?);
        dialler::identify(&table, source, listener).await
    };
    let from = tokio::select! {
        biased;
        () = entry.severed() => {
            table.link(None, Some(&to)).refused();
            reset(dialler);
            return;
        }
        from = identified => from,
    };
    let there = table.link(from.as_deref(), Some(&to));
    let back = table.link(Some(&to), from.as_deref());
    if entry.identify(from) {
        there.accepted();
        connect_and_relay(&mut entry, dialler, target, &there, &back).await;
    } else {
        there.refused();
        reset(dialler);
    }
    drop(entry);
}

async fn connect_and_relay(
    entry: &mut Entry,
    mut dialler: TcpStream,
    port: u16,
    there: &Counters,
    back: &Counters,
) {
    let connect = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    let connected = tokio::select! {
        biased;
        () = entry.severed() => {
            there.reset();
            reset(dialler);
            return;
        }
        connected = tokio::time::timeout(CONNECT_LIMIT, connect) => connected,
    };
    let Ok(Ok(mut target)) = connected else {
        there.unreachable();
        reset(dialler);
        return;
    };
    let ended = tokio::select! {
        biased;
        () = entry.severed() => {
            there.reset();
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        ended = relay(&mut dialler, &mut target, there, back) => ended,
    };
    // One end's reset becomes the other's.
    if ended.is_err() {
        reset(dialler);
        reset(target);
    }
}

async fn relay(
    dialler: &mut TcpStream,
    target: &mut TcpStream,
    there: &Counters,
    back: &Counters,
) -> io::Result<()> {
    dialler.set_nodelay(true)?;
    target.set_nodelay(true)?;
    let (mut from_dialler, mut to_dialler) = dialler.split();
    let (mut from_target, mut to_target) = target.split();
    tokio::try_join!(
        pump(&mut from_dialler, &mut to_target, there),
        pump(&mut from_target, &mut to_dialler, back),
    )?;
    Ok(())
}

/// One direction, to its end: the other may go on when this one is closed.
async fn pump<R, W>(from: &mut R, to: &mut W, counters: &Counters) -> io::Result<()>
where
    R: AsyncReadExt + Unpin,
    W: AsyncWriteExt + Unpin,
{
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        counters.delivered(read);
    }
}

/// Closes with a reset: what is queued is thrown away, and the other end
/// learns at once.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}
