//! Traffic profiles that scenario files name.

use crate::plan::{Profile, Weights};

/// Names of the profiles, as in `traffic.profile`.
pub const PROFILES: [&str; 5] = ["default", "writes", "auth", "lists", "watches"];

/// The profile of this name.
///
/// - `default`: every operation, the weights of [`Weights::default`].
/// - `writes`: mostly puts and compare-and-sets; no leases, compactions or watches. For scenarios
///   that need entries in flight at a given moment.
/// - `auth`: what a user with permission on some prefixes can do; no leases, compactions or
///   watches, whose refusals depend on more than the user's prefixes.
/// - `lists`: mostly reads of lists and appends to them in transactions, with some of the rest.
/// - `watches`: puts, deletes, transactions and compactions, for watchers to see; where a scenario
///   names no watchers it has some.
#[must_use]
pub fn profile(name: &str) -> Option<Profile> {
    let weights = match name {
        "default" => Weights::default(),
        "writes" => Weights {
            get: 16,
            get_serializable: 4,
            list: 4,
            list_limit: 2,
            count: 1,
            put: 50,
            delete: 3,
            txn_cas: 12,
            txn_multi: 4,
            ..Weights::none()
        },
        "auth" => Weights {
            get: 14,
            get_serializable: 4,
            list: 4,
            count: 2,
            put: 50,
            delete: 4,
            txn_cas: 8,
            txn_multi: 4,
            ..Weights::none()
        },
        "lists" => Weights {
            get: 4,
            put: 8,
            delete: 1,
            txn_cas: 3,
            txn_multi: 2,
            list_append: 60,
            ..Weights::none()
        },
        "watches" => Weights {
            get: 8,
            list: 2,
            put: 50,
            delete: 12,
            delete_prefix: 1,
            txn_cas: 8,
            txn_multi: 12,
            compact: 1,
            watch: 3,
            ..Weights::none()
        },
        _ => return None,
    };
    Some(Profile {
        name: name.into(),
        weights,
        ..Profile::default()
    })
}
