//! Whatever is written, compacted, read slowly or watched anew: every watch hears of exactly its
//! part of history, in order and in whole revisions, until it is cancelled for good reason.

use std::collections::VecDeque;

use api::pb::mvccpb::Event;
use api::pb::mvccpb::event::EventType;
use proptest::prelude::*;
use store::watch::{Delivery, WatchSpec};
use tokio::time::timeout;

use crate::support::{Member, PATIENCE, Reader, revisions_of};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Action {
    Put(usize),
    Delete(usize),
    Txn(Vec<usize>),
    Burst(usize, usize),
    Compact(i64),
    Watch(WatchSpec, i64),
    Read(usize, usize),
    Forget(usize),
}

fn action() -> impl Strategy<Value = Action> {
    let key = 0..KEYS.len();
    prop_oneof![
        4 => key.clone().prop_map(Action::Put),
        2 => key.clone().prop_map(Action::Delete),
        1 => prop::sample::subsequence((0..KEYS.len()).collect::<Vec<_>>(), 2..4).prop_map(Action::Txn),
        1 => (key, 50..400_usize).prop_map(|(key, times)| Action::Burst(key, times)),
        1 => (0..30_i64).prop_map(Action::Compact),
        3 => (spec(), -60..20_i64).prop_map(|(spec, offset)| Action::Watch(spec, offset)),
        2 => (0..4_usize, 1..100_usize).prop_map(|(index, times)| Action::Read(index, times)),
        1 => (0..4_usize).prop_map(Action::Forget),
    ]
}

fn spec() -> impl Strategy<Value = WatchSpec> {
    let end = prop_oneof![Just(""), Just("\0"), Just("e")];
    (0..KEYS.len(), end, any::<bool>(), 0..4).prop_map(|(key, end, now, filter)| WatchSpec {
        key: KEYS[key].into(),
        end: end.into(),
        start_rev: i64::from(!now),
        no_put: filter == 1,
        no_delete: filter == 2,
        ..WatchSpec::default()
    })
}

fn is_for(spec: &WatchSpec, event: &Event) -> bool {
    let kv = event.kv.as_ref().expect("a pair");
    let filtered = match event.r#type() {
        EventType::Put => spec.no_put,
        EventType::Delete => spec.no_delete,
    };
    let covered = match spec.end.as_slice() {
        [] => kv.key == spec.key,
        [0] => kv.key >= spec.key,
        end => kv.key >= spec.key && kv.key.as_slice() < end,
    };
    covered && !filtered && kv.mod_revision >= spec.start_rev
}

/// A watch, and what it has heard.
struct Watched {
    reader: Reader,
    spec: WatchSpec,
    heard: Vec<Event>,
    compacted: Option<i64>,
}

impl Watched {
    fn take(&mut self, delivery: Delivery) {
        assert_eq!(self.compacted, None, "after the end: {delivery:?}");
        match delivery {
            Delivery::Events { events, rev, .. } => {
                let last = revisions_of(&self.heard).last().copied();
                let first = revisions_of(&events)[0];
                assert!(
                    last.is_none_or(|last| last < first),
                    "a revision in two pieces"
                );
                self.heard.extend(events);
                assert!(revisions_of(&self.heard).last() <= Some(&rev));
            }
            Delivery::Compacted { compact_rev, .. } => self.compacted = Some(compact_rev),
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// Reads the rest and compares all of it with what happened.
    async fn judge(mut self, happened: &[Event], compact_rev: i64) {
        let expected: Vec<_> = happened
            .iter()
            .filter(|event| is_for(&self.spec, event))
            .collect();
        while self.heard.len() < expected.len() && self.compacted.is_none() {
            let delivery = self.reader.next().await;
            self.take(delivery);
        }
        let heard: Vec<_> = self.heard.iter().collect();
        assert_eq!(heard[..], expected[..heard.len().min(expected.len())]);
        if let Some(compacted) = self.compacted {
            assert!(compacted <= compact_rev);
            let last = revisions_of(&self.heard)
                .last()
                .copied()
                .unwrap_or_default();
            assert!(
                last < compacted && self.spec.start_rev < compacted,
                "cancelled, but had what was compacted"
            );
        }
    }
}

async fn run(actions: Vec<Action>) {
    let member = Member::new();
    let mut happened: Vec<Event> = Vec::new();
    let mut watches: VecDeque<Watched> = VecDeque::new();
    let mut compact_rev = 0;
    let mut value = 0;
    for action in actions {
        let writes: Vec<(&str, bool)> = match &action {
            Action::Put(key) => vec![(KEYS[*key], true)],
            Action::Delete(key) => vec![(KEYS[*key], false)],
            Action::Txn(keys) => keys.iter().map(|key| (KEYS[*key], key % 2 == 0)).collect(),
            Action::Burst(key, times) => vec![(KEYS[*key], true); *times],
            _ => Vec::new(),
        };
        let size = if matches!(action, Action::Txn(_)) {
            writes.len()
        } else {
            1
        };
        for group in writes.chunks(size.max(1)) {
            let mut txn = member.store.write();
            for (key, is_put) in group {
                value += 1;
                if *is_put {
                    txn.put(key.as_bytes(), value.to_string().as_bytes(), 0);
                } else {
                    txn.delete_range(key.as_bytes(), &[]);
                }
            }
            txn.end();
            let next = happened.last().and_then(|event| event.kv.as_ref());
            let next = next.map_or(1, |kv| kv.mod_revision) + 1;
            happened.extend(member.store.changes(&[0], &[0], next, 0));
        }
        match action {
            Action::Compact(back) => {
                let rev = member.store.rev() - back;
                if rev > compact_rev {
                    member.compact(rev).await;
                    compact_rev = rev;
                }
            }
            Action::Watch(mut spec, offset) => {
                if watches.len() == 4 {
                    let oldest = watches.pop_front().expect("four");
                    oldest.judge(&happened, compact_rev).await;
                }
                let now = member.store.rev();
                if spec.start_rev != 0 {
                    spec.start_rev = (now + offset).max(1);
                }
                let mut reader = Reader::new(&member);
                reader.watch(0, spec.clone()).await;
                if spec.start_rev == 0 {
                    spec.start_rev = now + 1;
                }
                watches.push_back(Watched {
                    reader,
                    spec,
                    heard: Vec::new(),
                    compacted: None,
                });
            }
            Action::Read(index, times) => {
                if let Some(watched) = watches.get_mut(index) {
                    for _ in 0..times {
                        let Ok(delivery) = watched.reader.from.try_recv() else {
                            break;
                        };
                        watched.take(delivery);
                    }
                }
            }
            Action::Forget(index) => drop(watches.remove(index)),
            _ => {}
        }
    }
    for watched in watches {
        let judged = watched.judge(&happened, compact_rev);
        timeout(PATIENCE, judged).await.expect("in time");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_watch_hears_its_part_of_history(actions in prop::collection::vec(action(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(run(actions));
    }
}
