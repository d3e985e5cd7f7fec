//! Links between members, and between clients and members: which ones an action is on.

use serde::{Deserialize, Serialize};

/// What members' links to each other are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Loopback, through proxies where the plan has them.
    #[default]
    Proxies,
    /// Network namespaces, one a member, whose packets can be lost. For root.
    Namespaces,
}

impl Network {
    /// By the name in files.
    pub(crate) const ALL: [(&str, Self); 2] =
        [("proxies", Self::Proxies), ("namespaces", Self::Namespaces)];
}

/// How a cut breaks links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Connections are reset, and new ones too: both ends learn of it at once.
    #[default]
    Reset,
    /// Bytes are held back and flow on when healed, as a network that drops packets does to TCP.
    Blackhole,
    /// Bytes are thrown away, and the connections they belonged to are reset when healed.
    Lossy,
}

impl How {
    /// By the name in files.
    pub(crate) const ALL: [(&str, Self); 3] = [
        ("reset", Self::Reset),
        ("blackhole", Self::Blackhole),
        ("lossy", Self::Lossy),
    ];
}

/// Which links between members a cut is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Each target from all others, both ways.
    #[default]
    Isolate,
    /// The smaller half from the larger one: the first target, and whoever comes after it in name
    /// order.
    Halves,
    /// All others in two halves, which see each other only through the first target.
    Bridge,
    /// Every member sees a majority, and no two the same; in name order.
    Ring,
    /// From the targets to all others, one way.
    OneWay,
}

impl Shape {
    /// By the name in files; none stands for the leader away, which is a leader isolated.
    pub(crate) const ALL: [(&str, Option<Self>); 6] = [
        ("isolate", Some(Self::Isolate)),
        ("halves", Some(Self::Halves)),
        ("bridge", Some(Self::Bridge)),
        ("ring", Some(Self::Ring)),
        ("one_way", Some(Self::OneWay)),
        ("leader_away", None),
    ];
}

/// Whether links between clients and members are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clients {
    /// Only links between members.
    #[default]
    Spared,
    /// Those of the same members' clients too.
    Also,
    /// Only those of the members' clients.
    Only,
}

/// Whether a field has its default, which files leave out.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
