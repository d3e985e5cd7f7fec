//! How the members of an etcd cluster come to the same answer about a permission, and two ways in
//! which they did not.
//!
//! Whether a user may write is decided by each member for itself when it applies the entry, so
//! all must decide alike. Users and roles are in the store, and each member keeps what follows
//! from them for each user in memory, in a cache. Log entries that change permissions keep it
//! right; but a member that joins, or that is behind what the leader still has of the log, gets
//! the whole store by snapshot instead of entries (`authStore.Recover`, server/auth/store.go).
//!
//! * #14571: 3.4.20, 3.4.21 and 3.5.5 fill the cache after each change of permissions (the last two at
//!   the start, too), and take a user that is not in it for one without permissions. `Recover` did
//!   not fill it: a member that joined by snapshot refused every user but root.
//! * #13883: until 3.4.19 and 3.5.4 the cache is filled for a user when that user's first request is judged,
//!   and emptied after each change. `Recover` did not empty it: a member that was cut off while a
//!   permission changed went on with the old one.
//!
//! Left out: the store's keys but one, and users but one; root, who needs no cache; the revision of
//! the auth store (an entry stamped with an old one is refused by every member alike, by what is
//! replicated); tokens; crashes that lose a part of the store, which are the other model's matter:
//! here a restarted member has all it had applied.

use stateright::{Model as _, Property};

use super::Bug;
use super::trace::{Told, pairs};

pub(super) const TITLE: &str = "permissions, the cache of them, and joining by snapshot";

const MEMBERS: u8 = 3;
const ENTRIES: u8 = 4;
const RESTARTS: u8 = 1;

pub(super) const BOUNDS: [(&str, u8); 3] = [
    ("members", MEMBERS),
    ("entries", ENTRIES),
    ("restarts", RESTARTS),
];

pub(super) const BUGS: [Bug; 2] = [
    Bug {
        issue: 14571,
        what: "a snapshot does not fill the cache of permissions, and who is not in it is refused",
        releases: "3.4.20 to 3.4.21 and 3.5.5",
    },
    Bug {
        issue: 13883,
        what: "a snapshot does not empty the cache of permissions, which is filled when first used",
        releases: "3.4.0 to 3.4.19 and 3.5.0 to 3.5.4",
    },
];

const AGREE: &str = "members at the same index have the same revision and the same permissions";
const ANSWER: &str = "members at the same index judge the user's next write alike";

/// An entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    /// The user's role may write the key from now on.
    Grant,
    /// The user's role may no longer write the key.
    Revoke,
    /// The user puts the key.
    Put,
}

/// What is replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Store {
    /// Entries that were applied.
    index: u8,
    revision: u8,
    /// The user may write the key.
    allowed: bool,
}

/// A member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    /// None before the first snapshot.
    store: Option<Store>,
    /// What the cache says of the user, if it has the user.
    cache: Option<bool>,
}

/// The cluster. The first member leads; the last joins later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    log: Vec<Entry>,
    /// Entries that the leader no longer has: members behind them get a snapshot.
    cut: u8,
    members: Vec<Member>,
    restarts: u8,
}

/// What can happen. Members are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Propose(Entry),
    Apply(usize),
    CutLog,
    Join,
    Snapshot(usize),
    Restart(usize),
}

/// When the cache of permissions is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    /// At the start and after each change.
    Eagerly,
    /// When the user's first request is judged; a change empties it.
    WhenUsed,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    filled: Filled,
    snapshot_leaves_cache: bool,
    /// The only property looked at.
    only: Option<&'static str>,
}

impl Model {
    pub(super) fn new(bug: Option<&Bug>) -> Self {
        Self {
            filled: match bug == Some(&BUGS[1]) {
                true => Filled::WhenUsed,
                false => Filled::Eagerly,
            },
            snapshot_leaves_cache: bug.is_some(),
            only: None,
        }
    }

    /// The cache just after it was made from what the store says.
    fn made(&self, store: Store) -> Option<bool> {
        (self.filled == Filled::Eagerly).then_some(store.allowed)
    }

    /// What the member says to a write of the user.
    fn judges(&self, member: &Member) -> Option<bool> {
        let store = member.store?;
        Some(match self.filled {
            Filled::Eagerly => member.cache.unwrap_or(false),
            Filled::WhenUsed => member.cache.unwrap_or(store.allowed),
        })
    }

    /// Two members at the same index that `by` tells apart, and the index.
    fn differing<T: PartialEq>(
        &self,
        state: &State,
        by: impl Fn(&Member, Store) -> T,
    ) -> Option<(usize, usize, u8)> {
        let of = |m: usize| {
            let member = state.members.get(m)?;
            let store = member.store?;
            Some((store.index, by(member, store)))
        };
        pairs(&state.members).find_map(|(a, b)| {
            let ((at, left), (other, right)) = (of(a)?, of(b)?);
            (at == other && left != right).then_some((a, b, at))
        })
    }

    fn disagreeing(&self, state: &State) -> Option<(usize, usize, u8)> {
        self.differing(state, |_, store| store)
    }

    fn judging_apart(&self, state: &State) -> Option<(usize, usize, u8)> {
        self.differing(state, |member, _| self.judges(member))
    }
}

impl stateright::Model for Model {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let store = Store {
            index: 0,
            revision: 1,
            allowed: true,
        };
        let member = Member {
            store: Some(store),
            cache: self.made(store),
        };
        vec![State {
            log: Vec::new(),
            cut: 0,
            members: vec![member; usize::from(MEMBERS) - 1],
            restarts: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.log.len() < usize::from(ENTRIES) {
            actions.extend([Entry::Put, Entry::Revoke, Entry::Grant].map(Action::Propose));
        }
        let leader = state.members[0].store.map_or(0, |store| store.index);
        actions.extend((state.cut < leader).then_some(Action::CutLog));
        if state.members.len() < usize::from(MEMBERS) {
            actions.push(Action::Join);
        }
        for (m, member) in state.members.iter().enumerate() {
            match member.store {
                Some(store) if store.index >= state.cut => {
                    if usize::from(store.index) < state.log.len() {
                        actions.push(Action::Apply(m));
                    }
                }
                _ => actions.push(Action::Snapshot(m)),
            }
            if state.restarts < RESTARTS && member.store.is_some() {
                actions.push(Action::Restart(m));
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let leader = state.members.first()?.store?;
        let mut state = state.clone();
        match action {
            Action::Propose(entry) => state.log.push(entry),
            Action::CutLog => state.cut = leader.index,
            Action::Join => state.members.push(Member {
                store: None,
                cache: None,
            }),
            Action::Apply(m) => {
                let member = state.members.get_mut(m)?;
                let allowed = self.judges(member)?;
                let store = member.store.as_mut()?;
                match *state.log.get(usize::from(store.index))? {
                    Entry::Put => {
                        store.revision += u8::from(allowed);
                        if self.filled == Filled::WhenUsed {
                            member.cache = Some(allowed);
                        }
                    }
                    change => {
                        store.allowed = change == Entry::Grant;
                        member.cache = self.made(*store);
                    }
                }
                store.index += 1;
            }
            Action::Snapshot(m) => {
                let member = state.members.get_mut(m)?;
                member.store = Some(leader);
                if !self.snapshot_leaves_cache {
                    member.cache = self.made(leader);
                }
            }
            Action::Restart(m) => {
                let member = state.members.get_mut(m)?;
                member.cache = self.made(member.store?);
                state.restarts += 1;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ANSWER, |model: &Self, state| {
                model.judging_apart(state).is_none()
            }),
            Property::always(AGREE, |model: &Self, state| {
                model.disagreeing(state).is_none()
            }),
            Property::sometimes(
                "every member judges a write after the last one joined by snapshot",
                |_, state: &State| {
                    state.members.len() == usize::from(MEMBERS)
                        && state.log.last() == Some(&Entry::Put)
                        && state.members.iter().all(|member| {
                            let store = member.store.as_ref();
                            store.is_some_and(|store| store.index == ENTRIES)
                        })
                        && state.cut < ENTRIES
                },
            ),
        ];
        properties.retain(|property| self.only.is_none_or(|only| property.name == only));
        properties
    }

    fn format_action(&self, action: &Action) -> String {
        match *action {
            Action::Propose(entry) => format!("{} is agreed on", told(entry)),
            Action::Apply(m) => format!("m{} applies its next entry", m + 1),
            Action::CutLog => "m1 cuts its log up to where it has applied it".into(),
            Action::Join => format!("m{MEMBERS} joins, with an empty store"),
            Action::Snapshot(m) => format!("m{} gets a snapshot of m1's store", m + 1),
            Action::Restart(m) => format!("m{} is stopped and started again", m + 1),
        }
    }

    fn format_step(&self, last: &State, action: Action) -> Option<String> {
        Some(self.lines(&self.next_state(last, action)?).join("\n"))
    }
}

fn told(entry: Entry) -> &'static str {
    match entry {
        Entry::Grant => "A grant of permission to the user",
        Entry::Revoke => "A revocation of the user's permission",
        Entry::Put => "A put of k by the user",
    }
}

impl Told for Model {
    fn only(self, property: &'static str) -> Self {
        Self {
            only: Some(property),
            ..self
        }
    }

    fn sentence(&self, before: &State, action: &Action) -> String {
        match *action {
            Action::Propose(entry) => format!(
                "{} is agreed on as entry {} of the log.",
                told(entry),
                before.log.len() + 1
            ),
            Action::Apply(m) => {
                let member = before.members.get(m);
                let index = member.and_then(|m| m.store).map_or(0, |store| store.index);
                let put = before.log.get(usize::from(index)) == Some(&Entry::Put);
                let answer = match member.and_then(|member| self.judges(member)) {
                    Some(true) if put => ": it allows the put",
                    Some(false) if put => ": it refuses the put",
                    _ => "",
                };
                format!("m{} applies entry {}{answer}.", m + 1, index + 1)
            }
            _ => format!("{}.", self.format_action(action)),
        }
    }

    fn lines(&self, state: &State) -> Vec<String> {
        let members = state.members.iter().enumerate();
        members
            .map(|(m, member)| {
                let may = |yes: bool| if yes { "may write" } else { "may not write" };
                let cache = match member.cache {
                    None => "without the user",
                    Some(yes) => may(yes),
                };
                match member.store {
                    None => format!("m{} store: empty; cache: {cache}", m + 1),
                    Some(store) => format!(
                        "m{} store: index {}, revision {}, the user {}; cache: {cache}",
                        m + 1,
                        store.index,
                        store.revision,
                        may(store.allowed),
                    ),
                }
            })
            .collect()
    }

    fn broken(&self, property: &str, state: &State) -> String {
        let of = |m: usize| &state.members[m];
        let sentence = if property == ANSWER {
            self.judging_apart(state).map(|(a, b, at)| {
                let says = |m: usize| match self.judges(of(m)) {
                    Some(true) => "allow",
                    _ => "refuse",
                };
                format!(
                    "Both at index {at}, m{} would {} the user's next put, and m{} would {} it.",
                    a + 1,
                    says(a),
                    b + 1,
                    says(b)
                )
            })
        } else {
            self.disagreeing(state).map(|(a, b, at)| {
                let revision = |m: usize| of(m).store.map_or(0, |store| store.revision);
                format!(
                    "Both at index {at}, m{} is at revision {} and m{} at {}.",
                    a + 1,
                    revision(a),
                    b + 1,
                    revision(b)
                )
            })
        };
        sentence.unwrap_or_default()
    }
}
