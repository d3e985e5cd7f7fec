//! What of etcd a store may lack, and what becomes of a plan then.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use scenarios::plan::{Action, Clients, Plan, Weights};

macro_rules! features {
    ($($(#[doc = $what:literal])+ $variant:ident $name:literal;)+) => {
        /// A part of etcd that a store may lack.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Feature { $($(#[doc = $what])+ $variant),+ }

        impl Feature {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name, as in `--without`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

features! {
    /// Leases.
    Lease "lease";
    /// Users, roles and permissions.
    Auth "auth";
    /// Watches.
    Watch "watch";
    /// Compactions that clients ask for.
    Compact "compact";
    /// Transactions.
    Txn "txn";
    /// Maintenance.Defragment.
    Defragment "defragment";
    /// Maintenance.HashKV.
    HashKv "hashkv";
    /// Members that are listed, added and removed.
    Membership "membership";
    /// Learners.
    Learner "learner";
    /// Maintenance.Snapshot.
    Snapshot "snapshot";
    /// Maintenance.Alarm.
    Alarm "alarm";
    /// Maintenance.MoveLeader.
    MoveLeader "move-leader";
    /// Peers that dial the address they are told, where a proxy can be.
    PeerProxies "peer-proxies";
    /// TLS.
    Tls "tls";
    /// More than one member.
    Clusters "clusters";
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Feature {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|one| one.name() == text);
        known.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|one| one.name()).collect();
            format!(
                "there is no {text:?} to be without; allowed: {}",
                names.join(", ")
            )
        })
    }
}

/// What the operation of a weight needs, beyond keys.
fn needed_by_weight(name: &str) -> &'static [Feature] {
    let begins = |prefix: &str| name.starts_with(prefix);
    if name == "put_lease" || begins("lease_") {
        &[Feature::Lease]
    } else if begins("txn_") || name == "list_append" {
        &[Feature::Txn]
    } else if begins("watch") {
        &[Feature::Watch]
    } else if name == "compact_delete" {
        &[Feature::Compact, Feature::Watch]
    } else if name == "compact" {
        &[Feature::Compact]
    } else {
        &[]
    }
}

/// What a step needs.
fn needed_by_step(action: &Action) -> Vec<Feature> {
    match action {
        Action::Defragment { .. } => vec![Feature::Defragment],
        Action::Snapshot { .. } => vec![Feature::Snapshot],
        Action::MoveLeader { .. } => vec![Feature::MoveLeader, Feature::Clusters],
        Action::AlarmRaise { .. } | Action::AlarmClear { .. } => vec![Feature::Alarm],
        Action::Compact { .. } => vec![Feature::Compact],
        Action::MemberAdd { learner: true, .. } | Action::MemberPromote { .. } => {
            vec![Feature::Membership, Feature::Learner, Feature::Clusters]
        }
        Action::MemberAdd { .. } | Action::MemberRemove { .. } => {
            vec![Feature::Membership, Feature::Clusters]
        }
        Action::LeaseChurn { .. } => vec![Feature::Lease],
        Action::GrantPermission { .. }
        | Action::RevokePermission { .. }
        | Action::AuthEnable
        | Action::AuthDisable => vec![Feature::Auth],
        Action::Cut { clients, .. } | Action::SlowLink { clients, .. }
            if *clients != Clients::Only =>
        {
            vec![Feature::Clusters]
        }
        _ => Vec::new(),
    }
}

/// What a store lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Without(BTreeSet<Feature>);

impl Without {
    /// Reads the names of a plan.
    ///
    /// # Errors
    /// The first that is none.
    pub fn of_names(names: &[String]) -> Result<Self, String> {
        let features: Result<_, _> = names.iter().map(|name| name.trim().parse()).collect();
        Ok(Self(features?))
    }

    /// The names, for a plan.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Whether the store lacks this.
    #[must_use]
    pub fn lacks(&self, feature: Feature) -> bool {
        self.0.contains(&feature)
    }

    /// Lacks what another does, too.
    pub(super) fn merge(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// Lacks these, too.
    pub(super) fn add(&mut self, features: impl IntoIterator<Item = Feature>) {
        self.0.extend(features);
    }

    /// Leaves out of a plan's traffic what the store lacks, and notes it among what was drawn. What
    /// else the plan needs and the store lacks is given: the plan cannot be run then.
    pub fn fit(&self, plan: &mut Plan) -> Vec<String> {
        let mut missing = Vec::new();
        let mut need = |feature: Feature, of: &str| {
            if self.lacks(feature) {
                missing.push(format!("{of} needs {feature}, which the store is without"));
            }
        };
        let cluster = &plan.cluster;
        if cluster.members > 1 {
            need(Feature::Clusters, "a cluster of several members");
        }
        if cluster.peer_proxies && cluster.members > 1 {
            need(Feature::PeerProxies, "a proxy between peers");
        }
        if cluster.tls {
            need(Feature::Tls, "TLS");
        }
        if plan.auth.is_some() {
            need(Feature::Auth, "[auth]");
        }
        for step in &plan.steps {
            for feature in needed_by_step(&step.action) {
                need(feature, &format!("the step {}", step.action.name()));
            }
        }
        missing.sort();
        missing.dedup();
        let mut left_out = self.leave_out(&mut plan.traffic.profile.weights);
        if self.lacks(Feature::Watch) && !plan.traffic.watchers.is_empty() {
            plan.traffic.watchers.clear();
            left_out.push("watchers");
        }
        if !left_out.is_empty() {
            let note = ("traffic.left_out".to_owned(), left_out.join(", "));
            plan.drawn.push(note);
        }
        let weights = plan.traffic.profile.weights.entries();
        if weights.iter().all(|(_, weight)| *weight == 0) {
            missing.push("nothing is left of the traffic".into());
        }
        missing
    }

    fn leave_out(&self, weights: &mut Weights) -> Vec<&'static str> {
        let mut left_out = Vec::new();
        for (name, weight) in weights.entries() {
            let needed = needed_by_weight(name);
            if weight > 0 && needed.iter().any(|feature| self.lacks(*feature)) {
                weights.set(name, 0);
                left_out.push(name);
            }
        }
        left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scenarios::{Overrides, find, plan};

    fn without(names: &[&str]) -> Without {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        Without::of_names(&names).unwrap()
    }

    fn plan_of(name: &str) -> Plan {
        plan(&find(name).unwrap(), 1, &Overrides::default()).unwrap()
    }

    #[test]
    fn a_feature_is_found_by_its_name_and_an_unknown_one_is_refused_with_all() {
        for feature in Feature::ALL {
            assert_eq!(feature.name().parse(), Ok(*feature));
        }
        let said = Without::of_names(&["leases".into()]).unwrap_err();
        assert!(
            said.contains("\"leases\"") && said.contains("lease, auth, watch"),
            "{said}"
        );
    }

    #[test]
    fn the_documentation_names_every_feature_and_place() {
        let text = include_str!("../../../docs/stores.md");
        for feature in Feature::ALL {
            assert!(text.contains(&format!("`{feature}`")), "{feature}");
        }
        for (place, _) in crate::cluster::PLACEHOLDERS {
            assert!(text.contains(&format!("`{{{place}}}`")), "{place}");
        }
    }

    #[test]
    fn traffic_is_left_out_and_said() {
        let mut plan = plan_of("steady");
        assert!(
            without(&["lease", "txn", "watch", "compact"])
                .fit(&mut plan)
                .is_empty()
        );
        let weights = &plan.traffic.profile.weights;
        assert_eq!(
            (weights.put_lease, weights.lease_grant, weights.txn_cas),
            (0, 0, 0)
        );
        assert_eq!((weights.watch, weights.compact), (0, 0));
        assert!(weights.put > 0 && weights.get > 0);
        let (_, said) = plan
            .drawn
            .iter()
            .find(|(name, _)| name == "traffic.left_out")
            .unwrap();
        assert!(said.contains("txn_cas") && said.contains("watch"), "{said}");
    }

    #[test]
    fn what_steps_and_clusters_need_is_missing_and_named_once() {
        let missing = |scenario: &str, names: &[&str]| without(names).fit(&mut plan_of(scenario));
        assert_eq!(
            missing("defrag-crash", &["defragment"]),
            ["the step defragment needs defragment, which the store is without"]
        );
        assert!(missing("auth-txn-read", &["auth"])[0].starts_with("[auth] needs auth"));
        assert!(missing("auth-member-add", &["membership"])[0].contains("member_add"));
        assert!(missing("auth-stale-permissions", &["peer-proxies"])[0].contains("proxy"));
        assert!(missing("steady", &["clusters"])[0].contains("several members"));
        let mut idle = plan_of("list-append");
        idle.traffic.profile.weights = Weights {
            list_append: 1,
            ..Weights::none()
        };
        assert!(without(&["txn"]).fit(&mut idle)[0].contains("nothing is left"));
        assert!(missing("wal-crash", &["clusters", "membership", "auth", "hashkv"]).is_empty());
        assert!(missing("steady", &[]).is_empty());
    }
}
