//! How a member of etcd 3.5 keeps its file and the log in step, and two ways in which it did not.
//!
//! The log is agreed on and durable, and every member applies its entries in order to the store
//! in memory. What was applied gathers in a batch; a commit writes the batch to the file, and
//! with it the consistent index: the number of the last entry in it. After a crash a member loads
//! the file and applies the log again from that index on. So the file must hold the effects of
//! exactly the entries up to its index.
//!
//! * #14685: a defragmentation first commits the batch, by another way than commits usually
//!   take, and until 3.5.6 that way left out the index (`backend.defrag` calls
//!   `batchTx.unsafeCommit`, the hook that saves the index was in `batchTxBuffered.commit`; both in
//!   server/mvcc/backend at v3.5.1).
//! * #13766: until 3.5.3 the index in memory moved when an entry was begun, before it was applied
//!   (`applyEntryNormal` in server/etcdserver/server.go at v3.5.1), and a commit in between wrote
//!   the new index without the effect. The mended design moves it while the batch is locked for
//!   the write.
//!
//! Left out: raft (elections, a log that is cut off by snapshots), keys but one, transactions,
//! leases and auth, and the copy that a defragmentation makes (it leaves the content as it is). A
//! commit can come at any time, as etcd's do by timer, by size and by request.

use stateright::{Model as _, Property};

use super::Bug;
use super::trace::{Told, pairs};

pub(super) const TITLE: &str =
    "applying, committing in batches, the consistent index, defragmenting, crashing, replaying";

const MEMBERS: u8 = 2;
const ENTRIES: u8 = 3;
const CRASHES: u8 = 2;

pub(super) const BOUNDS: [(&str, u8); 3] = [
    ("members", MEMBERS),
    ("entries", ENTRIES),
    ("crashes", CRASHES),
];

pub(super) const BUGS: [Bug; 2] = [
    Bug {
        issue: 14685,
        what: "a defragmentation commits the batch without the consistent index",
        releases: "3.5.0 to 3.5.5",
    },
    Bug {
        issue: 13766,
        what: "the consistent index moves before its entry is applied, and can be committed first",
        releases: "3.5.0 to 3.5.2",
    },
];

const ONCE: &str = "every entry up to a member's index was applied there once, and none twice";
const AGREE: &str = "members that applied the whole log have the same revision and content";

/// What an entry asks for, of the one key there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Write {
    Put,
    Delete,
}

/// The store, in memory or in the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Store {
    revision: u8,
    /// How often the key was written since it was created; 0 if it does not exist.
    version: u8,
    mod_revision: u8,
    /// How often each entry was applied. etcd keeps no such count; the property needs it.
    applied: [u8; ENTRIES as usize],
}

impl Store {
    const EMPTY: Self = Self {
        revision: 1,
        version: 0,
        mod_revision: 0,
        applied: [0; ENTRIES as usize],
    };

    fn apply(&mut self, index: u8, write: Write) {
        self.applied[usize::from(index)] += 1;
        match write {
            Write::Delete if self.version == 0 => return,
            Write::Delete => (self.version, self.mod_revision) = (0, 0),
            Write::Put => {
                self.version += 1;
                self.mod_revision = self.revision + 1;
            }
        }
        self.revision += 1;
    }

    fn told(&self) -> String {
        let key = match (self.version, self.mod_revision) {
            (0, _) => "no key".to_owned(),
            (version, revision) => format!("k at version {version}, written at {revision}"),
        };
        format!("revision {}, {key}", self.revision)
    }
}

/// A member's process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    /// Entries that were applied, or are held to be in the file it started from.
    index: u8,
    /// The next entry was begun, and is not in the store yet.
    begun: bool,
    store: Store,
    /// The batch is locked by a defragmentation.
    defragmenting: bool,
}

/// A member: its process, if it runs, and its file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    process: Option<Process>,
    file_index: u8,
    file: Store,
}

impl Member {
    /// Loads the file.
    fn start(&mut self) {
        self.process = Some(Process {
            index: self.file_index,
            begun: false,
            store: self.file.clone(),
            defragmenting: false,
        });
    }
}

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    log: Vec<Write>,
    members: Vec<Member>,
    crashes: u8,
}

/// What can happen. Members are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Propose(Write),
    Begin(usize),
    Apply(usize),
    Commit(usize),
    Defragment(usize),
    EndDefragment(usize),
    Crash(usize),
    Restart(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    defragment_omits_index: bool,
    index_moves_first: bool,
    /// The only property looked at.
    only: Option<&'static str>,
}

impl Model {
    pub(super) fn new(bug: Option<&Bug>) -> Self {
        Self {
            defragment_omits_index: bug == Some(&BUGS[0]),
            index_moves_first: bug == Some(&BUGS[1]),
            only: None,
        }
    }

    /// The consistent index that a commit would write.
    fn consistent_index(&self, process: &Process) -> u8 {
        process.index + u8::from(process.begun && self.index_moves_first)
    }
}

impl stateright::Model for Model {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut member = Member {
            process: None,
            file_index: 0,
            file: Store::EMPTY,
        };
        member.start();
        vec![State {
            log: Vec::new(),
            members: vec![member; usize::from(MEMBERS)],
            crashes: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.log.len() < usize::from(ENTRIES) {
            actions.extend([Write::Put, Write::Delete].map(Action::Propose));
        }
        for (m, member) in state.members.iter().enumerate() {
            let Some(process) = &member.process else {
                actions.push(Action::Restart(m));
                continue;
            };
            if !process.begun && usize::from(process.index) < state.log.len() {
                actions.push(Action::Begin(m));
            }
            if process.defragmenting {
                actions.push(Action::EndDefragment(m));
            } else {
                actions.extend(process.begun.then_some(Action::Apply(m)));
                actions.extend([Action::Commit(m), Action::Defragment(m)]);
            }
            if state.crashes < CRASHES {
                actions.push(Action::Crash(m));
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut state = state.clone();
        let (Action::Begin(m)
        | Action::Apply(m)
        | Action::Commit(m)
        | Action::Defragment(m)
        | Action::EndDefragment(m)
        | Action::Crash(m)
        | Action::Restart(m)) = action
        else {
            if let Action::Propose(write) = action {
                state.log.push(write);
            }
            return Some(state);
        };
        let member = state.members.get_mut(m)?;
        if action == Action::Restart(m) {
            member.start();
            return Some(state);
        }
        let process = member.process.as_mut()?;
        match action {
            Action::Begin(_) => process.begun = true,
            Action::Apply(_) => {
                let write = *state.log.get(usize::from(process.index))?;
                process.store.apply(process.index, write);
                process.index += 1;
                process.begun = false;
            }
            Action::Commit(_) | Action::Defragment(_) => {
                let defragment = action == Action::Defragment(m);
                if !(defragment && self.defragment_omits_index) {
                    member.file_index = self.consistent_index(process);
                }
                member.file = process.store.clone();
                process.defragmenting = defragment;
            }
            Action::EndDefragment(_) => process.defragmenting = false,
            Action::Crash(_) => {
                member.process = None;
                state.crashes += 1;
            }
            Action::Propose(_) | Action::Restart(_) => {}
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONCE, |_, state| once(state).is_none()),
            Property::always(AGREE, |_, state| differing(state).is_none()),
            Property::sometimes(
                "after the last crash every member applies the whole log",
                |_, state: &State| {
                    let whole = |member: &Member| {
                        let process = member.process.as_ref();
                        process.is_some_and(|process| process.index == ENTRIES)
                    };
                    state.crashes == CRASHES && state.members.iter().all(whole)
                },
            ),
        ];
        properties.retain(|property| self.only.is_none_or(|only| property.name == only));
        properties
    }

    fn format_action(&self, action: &Action) -> String {
        let name = |m: usize| format!("m{}", m + 1);
        match *action {
            Action::Propose(Write::Put) => "A put of k is agreed on".into(),
            Action::Propose(Write::Delete) => "A delete of k is agreed on".into(),
            Action::Begin(m) => format!("{} begins its next entry", name(m)),
            Action::Apply(m) => format!("{} applies the entry to its store in memory", name(m)),
            Action::Commit(m) => format!("{} commits its batch to its file", name(m)),
            Action::Defragment(m) => {
                format!(
                    "{} is told to defragment, and first commits its batch",
                    name(m)
                )
            }
            Action::EndDefragment(m) => format!("{} ends its defragmentation", name(m)),
            Action::Crash(m) => format!("{} crashes; what is not in its file is lost", name(m)),
            Action::Restart(m) => format!("{} starts again from its file", name(m)),
        }
    }

    fn format_step(&self, last: &State, action: Action) -> Option<String> {
        Some(self.lines(&self.next_state(last, action)?).join("\n"))
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
        let entry = |m: usize| {
            let process = before.members.get(m).and_then(|m| m.process.as_ref());
            process.map_or(0, |process| process.index) + 1
        };
        match *action {
            Action::Propose(write) => format!(
                "A {} of k is agreed on as entry {} of the log.",
                match write {
                    Write::Put => "put",
                    Write::Delete => "delete",
                },
                before.log.len() + 1
            ),
            Action::Begin(m) => format!("m{} begins entry {}.", m + 1, entry(m)),
            Action::Apply(m) => format!(
                "m{} applies entry {} to its store in memory.",
                m + 1,
                entry(m)
            ),
            _ => format!("{}.", self.format_action(action)),
        }
    }

    fn lines(&self, state: &State) -> Vec<String> {
        let members = state.members.iter().enumerate();
        members
            .map(|(m, member)| {
                let file = format!("file: index {}, {}", member.file_index, member.file.told());
                match &member.process {
                    None => format!("m{} is down; {file}", m + 1),
                    Some(process) => format!(
                        "m{} memory: index {}, {}; {file}",
                        m + 1,
                        self.consistent_index(process),
                        process.store.told()
                    ),
                }
            })
            .collect()
    }

    fn broken(&self, property: &str, state: &State) -> String {
        let sentence = if property == ONCE {
            once(state).map(|(m, entry, times)| match times {
                0 => format!(
                    "m{} never applied entry {}, and takes it for applied.",
                    m + 1,
                    entry + 1
                ),
                2 => format!("m{} has applied entry {} twice.", m + 1, entry + 1),
                _ => format!("m{} has applied entry {} {times} times.", m + 1, entry + 1),
            })
        } else {
            differing(state).map(|(a, b)| {
                let of = |m: usize| {
                    let process = state.members[m].process.as_ref();
                    process.map_or_else(String::new, |p| p.store.told())
                };
                format!(
                    "Both have applied the whole log of {}, and m{} has {}, but m{} {}.",
                    state.log.len(),
                    a + 1,
                    of(a),
                    b + 1,
                    of(b)
                )
            })
        };
        sentence.unwrap_or_default()
    }
}

/// A member, an entry, and how often it has applied that, where that is wrong.
fn once(state: &State) -> Option<(usize, usize, u8)> {
    let running = state
        .members
        .iter()
        .enumerate()
        .filter_map(|(m, member)| Some((m, member.process.as_ref()?)));
    running
        .flat_map(|(m, process)| {
            let counts = process.store.applied.iter().enumerate();
            counts.map(move |(entry, &times)| (m, entry, times, process.index))
        })
        .find(|&(_, entry, times, index)| times > 1 || (times == 0 && entry < usize::from(index)))
        .map(|(m, entry, times, _)| (m, entry, times))
}

/// Two members that applied the whole log and differ.
fn differing(state: &State) -> Option<(usize, usize)> {
    let content = |m: usize| {
        let process = state.members[m].process.as_ref()?;
        let store = &process.store;
        (usize::from(process.index) == state.log.len()).then_some((
            store.revision,
            store.version,
            store.mod_revision,
        ))
    };
    pairs(&state.members).find(
        |&(a, b)| matches!((content(a), content(b)), (Some(left), Some(right)) if left != right),
    )
}
