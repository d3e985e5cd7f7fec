//! What a user may touch: the ranges of all its roles, overlapping and adjacent ones merged, so that
//! a request may span them (server/auth/range_perm_cache.go).

use std::collections::BTreeMap;
use std::ops::Bound::{Included, Unbounded};

use api::pb::authpb::permission::Type;
use api::pb::authpb::{Permission, Role, User};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// The end of a range of keys: `Open` is behind every key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Before(Vec<u8>),
    Open,
}

impl End {
    /// As requests have it: empty for the one key, `[0]` for all from it on.
    fn of(key: &[u8], end: &[u8]) -> Self {
        match end {
            [] => Self::Before([key, &[0]].concat()),
            [0] => Self::Open,
            end => Self::Before(end.to_vec()),
        }
    }
}

/// Ranges that neither overlap nor touch, by their first key.
#[derive(Debug, Default)]
struct Ranges(BTreeMap<Vec<u8>, End>);

impl Ranges {
    fn of<'a>(permissions: impl Iterator<Item = &'a Permission>) -> Self {
        let mut all: Vec<_> = permissions
            .map(|one| (&one.key, End::of(&one.key, &one.range_end)))
            .collect();
        all.sort();
        let mut merged = BTreeMap::<Vec<u8>, End>::new();
        for (key, end) in all {
            match merged.last_entry() {
                Some(mut last) if *last.get() >= End::Before(key.clone()) => {
                    if *last.get() < end {
                        last.insert(end);
                    }
                }
                _ => drop(merged.insert(key.clone(), end)),
            }
        }
        Self(merged)
    }

    fn cover(&self, key: &[u8], end: &[u8]) -> bool {
        let up_to_key = self
            .0
            .range::<[u8], _>((Unbounded, Included(key)))
            .next_back();
        up_to_key.is_some_and(|(_, last)| {
            *last > End::Before(key.to_vec()) && *last >= End::of(key, end)
        })
    }
}

/// What a user may read and write.
#[derive(Debug, Default)]
pub(super) struct Granted {
    read: Ranges,
    write: Ranges,
}

impl Granted {
    pub(super) fn of(user: &User, roles: &BTreeMap<String, Role>) -> Self {
        let of = |types: [Type; 2]| {
            let roles = user.roles.iter().filter_map(|role| roles.get(role));
            let permissions = roles.flat_map(|role| &role.key_permission);
            // A type that there is not grants nothing.
            let grants = |one: &&Permission| types.iter().any(|it| i32::from(*it) == one.perm_type);
            Ranges::of(permissions.filter(grants))
        };
        Self {
            read: of([Type::Read, Type::Readwrite]),
            write: of([Type::Write, Type::Readwrite]),
        }
    }

    pub(super) fn allows(&self, key: &[u8], end: &[u8], access: Access) -> bool {
        match access {
            Access::Read => self.read.cover(key, end),
            Access::Write => self.write.cover(key, end),
        }
    }
}

/// Whether a permission may have this range.
pub(super) fn valid(key: &[u8], end: &[u8]) -> bool {
    !key.is_empty() && (end.is_empty() || end == [0] || key < end)
}
