//! What goes over the wire and into the log, and back.

use raft::eraftpb::{ConfChangeType, Entry, EntryType};

use super::{ConfChange, Peer};

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    tonic::include_proto!("gauntlet.peer");
}

pub(super) use generated::change::Kind;
pub(super) use generated::peer_client::PeerClient;
pub(super) use generated::peer_server::{Peer as PeerService, PeerServer};
pub(super) use generated::{Change, Chunk, Frame, Nothing, Question, Reply, Sum};

/// The metadata that names the sender's cluster, as etcd's peers do (api/rafthttp/http.go).
pub(super) const CLUSTER_HEADER: &str = "x-etcd-cluster-id";
/// The metadata that names the sender.
pub(super) const FROM_HEADER: &str = "x-server-from";

impl Change {
    pub(super) fn new(change: ConfChange) -> Self {
        let of = |kind: Kind, peer: Peer, context| Self {
            kind: kind as i32,
            id: peer.id,
            urls: peer.urls,
            learner: peer.learner,
            context,
        };
        let bare = |kind: Kind, id, context| Self {
            kind: kind as i32,
            id,
            context,
            ..Self::default()
        };
        match change {
            ConfChange::Add { peer, context } => of(Kind::Add, peer, context),
            ConfChange::Update { peer, context } => of(Kind::Update, peer, context),
            ConfChange::Promote { id, context } => bare(Kind::Promote, id, context),
            ConfChange::Remove { id, context } => bare(Kind::Remove, id, context),
        }
    }

    pub(super) fn first(peer: &Peer) -> Self {
        Self {
            kind: Kind::First as i32,
            id: peer.id,
            urls: peer.urls.clone(),
            learner: peer.learner,
            context: Vec::new(),
        }
    }

    pub(super) fn peer(&self) -> Peer {
        Peer {
            id: self.id,
            urls: self.urls.clone(),
            learner: self.learner,
        }
    }

    /// None for a kind that is not known. A member that the cluster began with is added like any
    /// other: one that joins later, and reads the log from its start, hears of it that way.
    pub(super) fn into_conf_change(self) -> Option<ConfChange> {
        let peer = self.peer();
        let (id, context) = (self.id, self.context);
        Some(match Kind::try_from(self.kind).ok()? {
            Kind::Add | Kind::First => ConfChange::Add { peer, context },
            Kind::Update => ConfChange::Update { peer, context },
            Kind::Promote => ConfChange::Promote { id, context },
            Kind::Remove => ConfChange::Remove { id, context },
        })
    }

    /// The entry to propose. Raft knows nothing of URLs: an update is an ordinary entry to it.
    pub(super) fn entry(&self) -> Entry {
        use prost::Message as _;
        use protobuf::Message as _;
        let bytes = self.encode_to_vec();
        if self.kind() == Kind::Update {
            return Entry {
                context: bytes.into(),
                ..Entry::default()
            };
        }
        let mut raft = raft::eraftpb::ConfChange {
            node_id: self.id,
            context: bytes.into(),
            ..raft::eraftpb::ConfChange::default()
        };
        raft.set_change_type(match self.kind() {
            Kind::Remove => ConfChangeType::RemoveNode,
            _ if self.learner => ConfChangeType::AddLearnerNode,
            _ => ConfChangeType::AddNode,
        });
        let data = raft
            .write_to_bytes()
            .expect("a message in memory can be encoded");
        Entry {
            entry_type: EntryType::EntryConfChange,
            data: data.into(),
            ..Entry::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_back_from_the_log() {
        let peer = Peer {
            id: 7,
            urls: vec!["http://a:1".into(), "http://b:2".into()],
            learner: true,
        };
        let context = b"x".to_vec();
        for change in [
            ConfChange::Add {
                peer: peer.clone(),
                context: context.clone(),
            },
            ConfChange::Promote {
                id: 7,
                context: context.clone(),
            },
            ConfChange::Remove {
                id: 7,
                context: context.clone(),
            },
            ConfChange::Update {
                peer: peer.clone(),
                context,
            },
        ] {
            assert_eq!(Change::new(change.clone()).into_conf_change(), Some(change));
        }
        let first = ConfChange::Add {
            peer: peer.clone(),
            context: Vec::new(),
        };
        assert_eq!(Change::first(&peer).into_conf_change(), Some(first));
    }
}
