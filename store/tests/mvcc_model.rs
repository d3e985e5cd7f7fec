//! The store against a naive model, over compactions and restarts.
#![allow(missing_docs)]

#[allow(dead_code)]
mod mvcc_support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use api::pb::mvccpb::event::EventType;
use api::pb::mvccpb::{Event, KeyValue};
use mvcc_support::{LEASE, Member, Setup};
use proptest::prelude::*;
use store::Error;
use store::mvcc::RangeOptions;

/// What a transaction does, in this order.
#[derive(Clone, Debug)]
enum Change {
    Put(u8, u8, bool),
    Delete(u8),
    DeleteRange(u8, u8),
}

#[derive(Clone, Debug)]
enum Op {
    Txn(Vec<Change>),
    /// At this part of the revisions that can be compacted; whether to wait for its end.
    Compact(f64, bool),
    /// With `close`, or without.
    Restart(bool),
    /// A commit, as the interval would bring.
    Commit,
}

fn key(number: u8) -> Vec<u8> {
    format!("key{number}").into_bytes()
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        5 => (0..6_u8, any::<u8>(), any::<bool>()).prop_map(|(k, v, l)| Change::Put(k, v, l)),
        3 => (0..6_u8).prop_map(Change::Delete),
        1 => (0..6_u8, 0..8_u8).prop_map(|(from, to)| Change::DeleteRange(from, to)),
    ]
}

/// No key twice: etcd refuses such transactions.
fn txn() -> impl Strategy<Value = Op> {
    proptest::collection::vec(change(), 1..4).prop_map(|changes| {
        let mut taken = Vec::new();
        let apart = changes.into_iter().filter(|change| {
            let keys: Vec<_> = match *change {
                Change::Put(number, ..) | Change::Delete(number) => vec![number],
                Change::DeleteRange(from, to) => (from..to).collect(),
            };
            let apart = !keys.iter().any(|number| taken.contains(number));
            taken.extend(keys);
            apart
        });
        Op::Txn(apart.collect())
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => txn(),
        2 => (0.0..1.0_f64, any::<bool>()).prop_map(|(part, wait)| Op::Compact(part, wait)),
        1 => any::<bool>().prop_map(Op::Restart),
        1 => Just(Op::Commit),
    ]
}

/// Every revision's keys and events, and what made it.
struct Model {
    states: Vec<BTreeMap<Vec<u8>, KeyValue>>,
    events: Vec<Vec<Event>>,
    txns: Vec<Vec<Change>>,
    compact_rev: i64,
}

impl Model {
    fn new() -> Self {
        // Revisions 0 and 1 are empty.
        Self {
            states: vec![BTreeMap::new(); 2],
            events: vec![Vec::new(); 2],
            txns: vec![Vec::new(); 2],
            compact_rev: -1,
        }
    }

    fn rev(&self) -> i64 {
        i64::try_from(self.states.len()).unwrap() - 1
    }

    fn apply(&mut self, changes: &[Change]) {
        let rev = self.rev() + 1;
        let mut state = self.states.last().unwrap().clone();
        let mut events = Vec::new();
        for change in changes {
            let deleted: Vec<_> = match *change {
                Change::Put(number, value, lease) => {
                    let known = state.get(&key(number));
                    let kv = KeyValue {
                        key: key(number),
                        value: vec![value],
                        create_revision: known.map_or(rev, |kv| kv.create_revision),
                        mod_revision: rev,
                        version: known.map_or(1, |kv| kv.version + 1),
                        lease: if lease { LEASE } else { 0 },
                    };
                    state.insert(key(number), kv.clone());
                    events.push((EventType::Put, kv));
                    continue;
                }
                Change::Delete(number) => vec![key(number)],
                Change::DeleteRange(from, to) => (from..to).map(key).collect(),
            };
            for key in deleted {
                if state.remove(&key).is_some() {
                    let kv = KeyValue {
                        key,
                        mod_revision: rev,
                        ..KeyValue::default()
                    };
                    events.push((EventType::Delete, kv));
                }
            }
        }
        if events.is_empty() {
            return;
        }
        let events = events.into_iter().map(|(kind, kv)| Event {
            r#type: kind.into(),
            kv: Some(kv),
            prev_kv: None,
        });
        self.states.push(state);
        self.events.push(events.collect());
        self.txns.push(changes.to_vec());
    }
}

fn apply(member: &Member, changes: &[Change]) {
    let mut txn = member.store.write();
    for change in changes {
        match *change {
            Change::Put(number, value, lease) => {
                txn.put(&key(number), &[value], if lease { LEASE } else { 0 });
            }
            Change::Delete(number) => drop(txn.delete_range(&key(number), b"")),
            Change::DeleteRange(from, to) => drop(txn.delete_range(&key(from), &key(to))),
        }
    }
    txn.end();
}

/// The store and the model say the same of every revision.
fn compare(member: &Member, model: &Model) {
    let store = &member.store;
    assert_eq!(store.rev(), model.rev());
    assert_eq!(store.compact_rev(), model.compact_rev);
    let first = model.compact_rev.max(1);
    for rev in first..=model.rev() {
        let state = &model.states[usize::try_from(rev).unwrap()];
        let options = RangeOptions {
            rev,
            ..RangeOptions::default()
        };
        let all = store.range(b"\0", b"\0", options).unwrap();
        assert_eq!(all.kvs, state.values().cloned().collect::<Vec<_>>());
        let options = RangeOptions {
            limit: 2,
            ..options
        };
        let some = store.range(&key(1), &key(5), options).unwrap();
        let expected: Vec<_> = state.range(key(1)..key(5)).map(|(_, kv)| kv).collect();
        assert_eq!(some.count, i64::try_from(expected.len()).unwrap());
        assert!(some.kvs.iter().eq(expected.into_iter().take(2)));
        let one = store.range(
            &key(3),
            b"",
            RangeOptions {
                limit: 0,
                ..options
            },
        );
        assert_eq!(one.unwrap().kvs.first(), state.get(&key(3)));
    }
    let refused = |rev| {
        let options = RangeOptions {
            rev,
            ..RangeOptions::default()
        };
        store.range(b"a", b"", options).unwrap_err()
    };
    assert_eq!(refused(model.rev() + 1), Error::FutureRev);
    if model.compact_rev > 1 {
        assert_eq!(refused(model.compact_rev - 1), Error::Compacted);
    }
    for number in 0..6 {
        let current = model.states.last().unwrap();
        let lease = current.get(&key(number)).map_or(0, |kv| kv.lease);
        assert_eq!(member.lessor.lease_of(&key(number)), lease);
    }
    for rev in first..=model.rev() {
        let expected = &model.events[usize::try_from(rev).unwrap()];
        assert_eq!(&store.changes(b"\0", b"\0", rev, rev + 1), expected);
    }
}

/// A member that is restarted, and a twin that is not.
struct Run {
    path: PathBuf,
    setup: Setup,
    member: Option<Member>,
    twin: Member,
    model: Model,
}

impl Run {
    fn step(&mut self, op: &Op) {
        let member = self.member.as_ref().unwrap();
        match op {
            Op::Txn(changes) => {
                self.model.apply(changes);
                apply(member, changes);
                apply(&self.twin, changes);
            }
            Op::Compact(part, wait) => {
                let from = self.model.compact_rev + 1;
                #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
                let rev = from + ((self.model.rev() - from) as f64 * part) as i64;
                if rev < 1 || rev > self.model.rev() {
                    return;
                }
                self.model.compact_rev = rev;
                let done = member.store.compact(rev).unwrap();
                if *wait {
                    done.blocking_recv().unwrap();
                }
                self.twin.compact(rev);
            }
            Op::Restart(close) => self.restart(*close),
            Op::Commit => member.backend.force_commit(),
        }
    }

    fn restart(&mut self, close: bool) {
        let member = self.member.take().unwrap();
        if close {
            member.backend.close();
        }
        drop(member);
        let member = Member::open(&self.path, self.setup);
        let rev = member.store.rev();
        assert!(rev <= self.model.rev() && rev >= self.model.compact_rev);
        assert!(!close || rev == self.model.rev());
        // What was lost is applied anew, as from a log.
        for txn in &self.model.txns[usize::try_from(rev + 1).unwrap()..] {
            apply(&member, txn);
        }
        self.member = Some(member);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_store_does_what_the_model_does(
        ops in proptest::collection::vec(op(), 1..60),
        batch_limit in 1..20_usize,
        compaction_batch_limit in 1..8_usize,
    ) {
        // Nothing here depends on a disk, and the memory's syncs are faster.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = dir.unwrap();
        let path = dir.path().join("db");
        let setup = Setup { batch_limit, compaction_batch_limit, ..Setup::default() };
        let mut run = Run {
            member: Some(Member::open(&path, setup)),
            twin: Member::open(&dir.path().join("twin"), Setup::default()),
            path,
            setup,
            model: Model::new(),
        };
        for op in &ops {
            run.step(op);
            let restarted = matches!(op, Op::Restart(_));
            if restarted {
                compare(run.member.as_ref().unwrap(), &run.model);
            }
        }
        let member = run.member.as_ref().unwrap();
        compare(member, &run.model);
        compare(&run.twin, &run.model);
        for rev in run.model.compact_rev.max(1) + 1..=run.model.rev() {
            // Where no key exists, etcd counts what a compaction has still to remove.
            if run.model.states[usize::try_from(rev).unwrap()].is_empty() {
                continue;
            }
            let (ours, twins) = (member.store.hash_kv(rev), run.twin.store.hash_kv(rev));
            prop_assert_eq!(ours, twins);
        }
        run.restart(true);
        let member = run.member.as_ref().unwrap();
        compare(member, &run.model);
        if run.model.compact_rev > 0 {
            member.finished(run.model.compact_rev);
        }
        let (ours, twins) = (member.store.hash_kv(0), run.twin.store.hash_kv(0));
        prop_assert_eq!(ours.unwrap().hash, twins.unwrap().hash);
    }
}
