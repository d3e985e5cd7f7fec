//! A database on its way to a peer.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use protobuf::Message as _;
use raft::eraftpb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::super::driver::Command;
use super::super::snapshots::Snapshots;
use super::super::wire::{Chunk, Sum};
use super::{Links, client, dial};

const CHUNK: usize = 256 * 1024;
/// A chunk that takes longer has failed: keep-alives notice a dead peer long before.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends a message and its database, then tells raft how it went.
pub(super) fn send(links: &Links, message: eraftpb::Message, path: PathBuf) {
    let (links, to) = (links.clone(), message.to);
    let runtime = links.0.runtime.clone();
    runtime.spawn(async move {
        let index = message.get_snapshot().get_metadata().index;
        crate::info!("sending database snapshot",
            "snapshot-index": index, "remote-peer-id": format!("{to:x}"));
        let sent = send_file(&links, &message, &path).await;
        let ok = sent.is_ok();
        match sent {
            Ok(()) => crate::info!("sent database snapshot",
                "snapshot-index": index, "remote-peer-id": format!("{to:x}")),
            Err(error) => crate::warning!("failed to send database snapshot",
                "snapshot-index": index, "remote-peer-id": format!("{to:x}"), "error": error.to_string()),
        }
        if let Err(error) = std::fs::remove_file(&path) {
            crate::warning!("failed to remove a snapshot that was sent", "error": error.to_string());
        }
        // It would block this thread where there is no room.
        let commands = links.0.commands.clone();
        let told = move || {
            // Raft's thread may have ended.
            let _ = commands.send(Command::SnapshotSent { to, ok });
        };
        let _ = tokio::task::spawn_blocking(told).await;
    });
}

async fn send_file(links: &Links, message: &eraftpb::Message, path: &Path) -> anyhow::Result<()> {
    let head = Chunk {
        message: message.write_to_bytes()?,
        ..Chunk::default()
    };
    let mut failed = anyhow::anyhow!("member {:x} is not known", message.to);
    for url in links.urls(message.to) {
        let channel = match dial(&url, links.0.tls.as_ref()).await {
            Ok(channel) => channel,
            Err(error) => {
                failed = error.into();
                continue;
            }
        };
        let (chunks, outgoing) = mpsc::channel(4);
        let (file, head) = (File::open(path)?, head.clone());
        let reading = tokio::task::spawn_blocking(move || read(file, head, &chunks));
        let request = links.request(ReceiverStream::new(outgoing));
        let sent = client(channel).snapshot(request).await;
        reading.await??;
        sent?;
        return Ok(());
    }
    Err(failed)
}

/// A receiver that is gone ends it: the call says why.
fn read(mut file: File, head: Chunk, chunks: &mpsc::Sender<Chunk>) -> std::io::Result<()> {
    let (mut size, mut crc) = (0, crc32fast::Hasher::new());
    let mut next = Some(head);
    while let Some(chunk) = next {
        let last = chunk.sum.is_some();
        if chunks.blocking_send(chunk).is_err() || last {
            return Ok(());
        }
        let mut data = vec![0; CHUNK];
        let length = file.read(&mut data)?;
        data.truncate(length);
        crc.update(&data);
        size += length as u64;
        let sum = (length == 0).then(|| Sum {
            size,
            crc: crc.clone().finalize(),
        });
        next = Some(Chunk {
            message: Vec::new(),
            data,
            sum,
        });
    }
    Ok(())
}

/// Takes a database in; it is on disk under its name when the message comes back.
pub(super) async fn receive(
    snapshots: &Snapshots,
    from: u64,
    mut chunks: Streaming<Chunk>,
) -> Result<eraftpb::Message, Status> {
    let broken = |error: std::io::Error| Status::internal(error.to_string());
    let head = chunks.message().await?.unwrap_or_default();
    let message = eraftpb::Message::parse_from_bytes(&head.message)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let index = message.get_snapshot().get_metadata().index;
    crate::info!("receiving database snapshot",
        "snapshot-index": index, "remote-snapshot-sender-id": format!("{from:x}"));
    let path = snapshots.temporary(&format!("from-{from:x}-{index:016x}"));
    let mut file = File::create(&path).map_err(broken)?;
    let (mut size, mut crc) = (0, crc32fast::Hasher::new());
    loop {
        let chunk = tokio::time::timeout(CHUNK_TIMEOUT, chunks.message()).await;
        let Some(chunk) = chunk.map_err(|_| Status::deadline_exceeded("no next chunk"))?? else {
            return Err(Status::data_loss("the database ends early"));
        };
        file.write_all(&chunk.data).map_err(broken)?;
        crc.update(&chunk.data);
        size += chunk.data.len() as u64;
        if let Some(sum) = chunk.sum {
            if (sum.size, sum.crc) != (size, crc.finalize()) {
                return Err(Status::data_loss("the database's checksum is wrong"));
            }
            break;
        }
    }
    let snapshots = snapshots.clone();
    tokio::task::spawn_blocking(move || {
        file.sync_all()?;
        snapshots.keep_database(&path, index)
    })
    .await
    .map_err(|error| Status::internal(error.to_string()))?
    .map_err(broken)?;
    crate::info!("received and saved database snapshot",
        "snapshot-index": index, "snapshot-size-bytes": size);
    Ok(message)
}
