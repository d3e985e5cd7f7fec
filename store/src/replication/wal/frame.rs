//! Frames and the records in them.

use anyhow::{Context as _, bail};
use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, HardState};

use super::super::Identity;

const MAGIC: [u8; 4] = *b"gwal";
/// Magic, length, checksum.
const HEAD: usize = 12;

const IDENTITY: u8 = 1;
const ENTRY: u8 = 2;
const HARD_STATE: u8 = 3;
const MARK: u8 = 4;

/// A raft snapshot: everything up to `index` is in the machine's database.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Mark {
    pub(in super::super) index: u64,
    pub(in super::super) term: u64,
    pub(in super::super) conf: ConfState,
}

impl Mark {
    pub(in super::super) fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.extend(self.index.to_le_bytes());
        bytes.extend(self.term.to_le_bytes());
        bytes.extend(self.conf.write_to_bytes()?);
        Ok(bytes)
    }

    pub(in super::super) fn decode(bytes: &[u8]) -> anyhow::Result<Self> {
        let (index, rest) = number(bytes)?;
        let (term, rest) = number(rest)?;
        Ok(Self {
            index,
            term,
            conf: ConfState::parse_from_bytes(rest)?,
        })
    }
}

/// One record, read back.
pub(super) enum Record {
    Identity(Identity),
    Entry(Entry),
    HardState(HardState),
    Mark(Mark),
}

/// A frame being written: room for its head, then records of a type, a length and a body.
pub(super) struct Frame(Vec<u8>);

impl Default for Frame {
    fn default() -> Self {
        Self(vec![0; HEAD])
    }
}

impl Frame {
    fn record(&mut self, kind: u8, body: &[u8]) {
        self.0.push(kind);
        self.0.extend((body.len() as u32).to_le_bytes());
        self.0.extend_from_slice(body);
    }

    pub(super) fn identity(&mut self, identity: &Identity) {
        let mut body = [0; 16];
        body[..8].copy_from_slice(&identity.id.to_le_bytes());
        body[8..].copy_from_slice(&identity.cluster_id.to_le_bytes());
        self.record(IDENTITY, &body);
    }

    pub(super) fn entry(&mut self, entry: &Entry) -> std::io::Result<()> {
        self.0.push(ENTRY);
        self.0.extend(entry.compute_size().to_le_bytes());
        entry.write_to_vec(&mut self.0)?;
        Ok(())
    }

    pub(super) fn hard_state(&mut self, state: &HardState) -> std::io::Result<()> {
        self.record(HARD_STATE, &state.write_to_bytes()?);
        Ok(())
    }

    pub(super) fn mark(&mut self, mark: &Mark) -> std::io::Result<()> {
        self.record(MARK, &mark.encode()?);
        Ok(())
    }

    /// The bytes to write.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = (self.0.len() - HEAD) as u32;
        let crc = crc32fast::hash(&self.0[HEAD..]);
        self.0[..4].copy_from_slice(&MAGIC);
        self.0[4..8].copy_from_slice(&length.to_le_bytes());
        self.0[8..HEAD].copy_from_slice(&crc.to_le_bytes());
        self.0
    }
}

/// The body of a good frame that begins here, and what comes after it; none if it is not good.
pub(super) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = bytes.get(..HEAD)?;
    let field = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap_or_default());
    let body = bytes.get(HEAD..HEAD.checked_add(field(4) as usize)?)?;
    let good = head[..4] == MAGIC && !body.is_empty() && crc32fast::hash(body) == field(8);
    good.then(|| (body, &bytes[HEAD + body.len()..]))
}

/// Whether a good frame begins anywhere here.
pub(super) fn good_frame_in(bytes: &[u8]) -> bool {
    bytes
        .windows(MAGIC.len())
        .enumerate()
        .any(|(at, window)| window == MAGIC && split(&bytes[at..]).is_some())
}

/// The records of a frame's body.
pub(super) fn records(mut body: &[u8]) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    while let Some((&kind, rest)) = body.split_first() {
        let (length, rest) = rest
            .split_first_chunk()
            .context("a record without length")?;
        let (body_of, rest) = rest
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .context("a record longer than its frame")?;
        records.push(match kind {
            IDENTITY => {
                let (id, rest) = number(body_of)?;
                let (cluster_id, _) = number(rest)?;
                Record::Identity(Identity { id, cluster_id })
            }
            ENTRY => Record::Entry(Entry::parse_from_bytes(body_of)?),
            HARD_STATE => Record::HardState(HardState::parse_from_bytes(body_of)?),
            MARK => Record::Mark(Mark::decode(body_of)?),
            kind => bail!("a record of unknown type {kind}"),
        });
        body = rest;
    }
    Ok(records)
}

fn number(bytes: &[u8]) -> anyhow::Result<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk().context("a record is too short")?;
    Ok((u64::from_le_bytes(*number), rest))
}
