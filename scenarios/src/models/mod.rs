//! Models of the designs behind two scenarios, small enough to be checked in every state.
//!
//! A scenario breaks a real etcd and finds a bug in some of its runs. The model beside it holds
//! nothing but the protocol that the bug is in, and [`Protocol::check`] visits every state that
//! the protocol can reach within its [bounds](Protocol::bounds), breadth first: a bug comes with
//! a shortest way to it, and a mended design is known to have none within those bounds. The search
//! is stateright's.
//!
//! ```
//! use scenarios::models::Protocol;
//!
//! let protocol = Protocol::DefragCrash;
//! let mended = protocol.check(None);
//! assert!(mended.counterexamples.is_empty());
//!
//! let broken = protocol.check(Some(&protocol.bugs()[0]));
//! assert_eq!(broken.counterexamples[0].steps.len(), 8);
//! ```
//!
//! What a model leaves out is said where it is defined. A design that holds here can still be
//! built wrongly, and a bound can be too small to see a bug: it is an argument, not a verdict.

mod auth_member_add;
mod defrag_crash;
mod trace;

use std::net::{SocketAddr, TcpListener};

pub use trace::{Checked, Counterexample, Step};

/// A bug that a model can have.
#[derive(Debug, PartialEq, Eq)]
pub struct Bug {
    /// Number of etcd's issue.
    pub issue: u32,
    /// What is wrong, as a clause.
    pub what: &'static str,
    /// The releases that have it.
    pub releases: &'static str,
}

/// A protocol that there is a model of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Applying, committing in batches, the consistent index, defragmenting, crashing and
    /// replaying; beside the scenarios `defrag-crash` and `random-kills`.
    DefragCrash,
    /// Permissions, their cache and snapshots; beside the scenarios `auth-member-add` and
    /// `auth-stale-permissions`.
    AuthMemberAdd,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 2] = [Self::DefragCrash, Self::AuthMemberAdd];

    /// Its name on the command line: that of its scenario.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DefragCrash => "defrag-crash",
            Self::AuthMemberAdd => "auth-member-add",
        }
    }

    /// What it models, in a line.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::DefragCrash => defrag_crash::TITLE,
            Self::AuthMemberAdd => auth_member_add::TITLE,
        }
    }

    /// How much of it is explored: what is counted, and how many there are at most.
    #[must_use]
    pub const fn bounds(self) -> &'static [(&'static str, u8)] {
        match self {
            Self::DefragCrash => &defrag_crash::BOUNDS,
            Self::AuthMemberAdd => &auth_member_add::BOUNDS,
        }
    }

    /// The bugs that it can have, that of its scenario first.
    #[must_use]
    pub const fn bugs(self) -> &'static [Bug] {
        match self {
            Self::DefragCrash => &defrag_crash::BUGS,
            Self::AuthMemberAdd => &auth_member_add::BUGS,
        }
    }

    /// Visits every state within the bounds: of the mended design, or of the one with this bug,
    /// until every broken property has its shortest counterexample.
    #[must_use]
    pub fn check(self, bug: Option<&'static Bug>) -> Checked {
        match self {
            Self::DefragCrash => trace::check(defrag_crash::Model::new(bug)),
            Self::AuthMemberAdd => trace::check(auth_member_add::Model::new(bug)),
        }
    }

    /// Serves stateright's Explorer for one variant, for as long as the process lives. `ready`
    /// is told the address just before, with the port that port 0 has become.
    ///
    /// # Errors
    /// When the address is not on loopback (Explorer has no authentication) or cannot be bound.
    pub fn explore(
        self,
        bug: Option<&'static Bug>,
        address: SocketAddr,
        ready: impl FnOnce(SocketAddr),
    ) -> std::io::Result<()> {
        if !address.ip().is_loopback() {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                format!(
                    "{address} is not on loopback, and the Explorer lets in whoever connects; give 127.0.0.1:PORT"
                ),
            ));
        }
        // stateright panics where it cannot bind: it is tried out first.
        let address = TcpListener::bind(address)?.local_addr()?;
        ready(address);
        match self {
            Self::DefragCrash => trace::explore(defrag_crash::Model::new(bug), address),
            Self::AuthMemberAdd => trace::explore(auth_member_add::Model::new(bug), address),
        }
        Ok(())
    }
}
