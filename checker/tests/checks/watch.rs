//! The promises of a watch, a kept and a broken one each.

mod script;

use checker::history::{
    ErrorOrigin, Event, EventKind, Outcome, Record, Request, Response, WatchRequest, WatchResponse,
};
use checker::verdict::Guarantee::Watch;
use checker::verdict::Verdict::{Inconclusive, NotRun};

use crate::expect;
use script::{Script, created, header, message, progress, since};

#[test]
fn without_watches_or_messages_there_is_nothing_to_judge() {
    let mut script = Script::usual();
    expect(&script.records(), Watch, NotRun);
    script.watch(since(2), vec![created(8)]);
    expect(&script.records(), Watch, NotRun);
}

#[test]
fn everything_delivered_in_order_holds() {
    let mut script = Script::usual();
    let all = script.events(2, 8);
    let messages = vec![
        created(8),
        message(&all[..3]),
        progress(4),
        message(&all[3..]),
        progress(8),
    ];
    script.watch(since(2), messages);
    // From now: what was before is not asked for.
    script.watch(since(0), vec![created(5), message(&script.events(6, 8))]);
    // In the future, and told of progress meanwhile.
    script.watch(since(100), vec![created(8), progress(8)]);
    // No further than the watch got.
    script.watch(since(2), vec![created(8), message(&script.events(2, 4))]);
    script.holds();
}

#[test]
fn filtered_by_key_kind_and_start() {
    let script = Script::usual;
    let mut good = script();
    let puts: Vec<_> = good
        .events(2, 8)
        .into_iter()
        .filter(|event| event.kind == EventKind::Put)
        .collect();
    let no_deletes = WatchRequest {
        filter_delete: true,
        ..since(2)
    };
    good.watch(no_deletes.clone(), vec![message(&puts)]);
    let no_puts = WatchRequest {
        filter_put: true,
        ..since(2)
    };
    good.watch(no_puts, vec![message(&good.events(5, 5)), progress(8)]);
    good.holds();

    let mut kind = script();
    kind.watch(no_deletes, vec![message(&kind.events(2, 8))]);
    kind.broken(&["filtered"]);

    let mut key = script();
    let mut events = key.events(6, 6);
    events.push(Event {
        prev_kv: None,
        ..key
            .log
            .iter()
            .find(|e| e.kv.key == "other".into())
            .unwrap()
            .clone()
    });
    key.watch(since(6), vec![message(&events)]);
    key.broken(&["filtered"]);

    let mut early = script();
    early.watch(since(6), vec![message(&early.events(5, 8))]);
    early.broken(&["filtered"]);

    let mut before_now = script();
    before_now.watch(
        since(0),
        vec![created(5), message(&before_now.events(5, 8))],
    );
    before_now.broken(&["filtered"]);
}

#[test]
fn ordered_and_unique() {
    let mut script = Script::usual();
    let mut swapped = script.events(2, 4);
    swapped.swap(0, 1);
    script.watch(since(2), vec![message(&swapped)]);
    script.broken(&["ordered"]);

    let mut script = Script::usual();
    let mut twice = script.events(2, 3);
    twice.insert(1, twice[0].clone());
    script.watch(since(2), vec![message(&twice)]);
    script.broken(&["unique"]);

    // Old events come again, as after a snapshot in #15271.
    let mut script = Script::usual();
    let all = script.events(2, 8);
    script.watch(since(2), vec![message(&all), message(&all)]);
    let report = script.broken(&["ordered", "unique"]);
    assert!(
        report.findings[0]
            .title
            .contains("after an event of revision 8")
    );
}

#[test]
fn atomic() {
    let mut script = Script::usual();
    let both = script.events(8, 8);
    assert_eq!(both.len(), 2);
    script.watch(since(8), vec![message(&both[..1]), message(&both[1..])]);
    script.broken(&["atomic"]);

    let mut script = Script::usual();
    let more = WatchResponse {
        fragment: true,
        ..message(&both[..1])
    };
    script.watch(since(8), vec![more, message(&both[1..])]);
    script.holds();

    // The other half never comes.
    let mut script = Script::usual();
    script.watch(since(8), vec![message(&both[..1])]);
    script.broken(&["reliable"]);
}

#[test]
fn bookmarkable() {
    let mut script = Script::usual();
    let all = script.events(2, 8);
    let late = vec![message(&all[..2]), progress(6), message(&all[2..])];
    script.watch(since(2), late);
    let report = script.broken(&["bookmarkable"]);
    assert_eq!(report.findings[0].revisions, [6, 4]);
    assert!(
        report.findings[0]
            .explanation
            .iter()
            .any(|line| line.starts_with("2 more"))
    );

    let mut script = Script::usual();
    script.watch(since(2), vec![message(&all[..2]), progress(8)]);
    let report = script.broken(&["bookmarkable"]);
    assert!(
        report.findings[0]
            .title
            .contains("without the put of k/1 at revision 4")
    );

    let mut script = Script::usual();
    script.watch(since(2), vec![message(&all), progress(7)]);
    script.broken(&["bookmarkable"]);

    let mut script = Script::usual();
    script.watch(since(100), vec![progress(8), progress(6)]);
    script.broken(&["bookmarkable"]);

    let mut script = Script::usual();
    let header_behind = WatchResponse {
        header: header(7),
        ..message(&all)
    };
    script.watch(since(2), vec![header_behind]);
    script.broken(&["bookmarkable"]);
}

#[test]
fn resumable() {
    let mut script = Script::usual();
    let deleted = 4 + 1; // The usual delete at revision 5 is operation 4.
    script.watch(
        since(deleted),
        vec![created(8), message(&script.events(6, 8))],
    );
    let report = script.broken(&["resumable"]);
    assert_eq!(report.findings[0].operations, [script.ops, 4]);
    assert_eq!(report.findings[0].keys, ["k/1"]);
}

#[test]
fn a_cancel_needs_a_compaction_above_the_next_revision() {
    let canceled = |compact_revision| WatchResponse {
        header: header(8),
        canceled: true,
        compact_revision,
        ..WatchResponse::default()
    };
    let mut script = Script::usual();
    script.compact(6);
    script.watch(since(5), vec![created(8), canceled(6)]);
    script.watch(
        since(2),
        vec![created(8), message(&script.events(2, 4)), canceled(6)],
    );
    script.holds();

    let mut script = Script::usual();
    script.compact(6);
    script.watch(since(6), vec![created(8), canceled(6), progress(0)]);
    let report = script.broken(&["resumable"]);
    assert!(report.findings[0].explanation[0].contains("keeps revision 6"));

    let mut script = Script::usual();
    script.watch(since(2), vec![created(8), canceled(6), progress(0)]);
    script.compact(6);
    let report = script.broken(&["resumable"]);
    assert!(report.findings[0].explanation[0].contains("Nobody had asked"));
}

#[test]
fn reliable_against_what_was_acknowledged() {
    let mut script = Script::usual();
    let mut events = script.events(2, 8);
    events.remove(2);
    script.watch(since(2), vec![message(&events)]);
    let report = script.broken(&["reliable"]);
    let first = &report.findings[0];
    assert!(
        first.title.contains("without the put of k/1 at revision 4"),
        "{first:?}"
    );
    assert_eq!(first.operations, [script.ops, 3]);

    let mut script = Script::usual();
    let mut events = script.events(2, 8);
    events[1].kv.value = "something else".into();
    script.watch(since(2), vec![message(&events)]);
    script.broken(&["reliable"]);

    let mut script = Script::usual();
    let mut events = script.events(2, 3);
    events[1].kv.key = "k/9".into();
    script.watch(since(2), vec![message(&events)]);
    let report = script.broken(&["reliable"]);
    assert!(
        report.findings[0]
            .explanation
            .iter()
            .any(|line| line.contains("1 more"))
    );
}

#[test]
fn reliable_against_what_reads_and_other_watches_show() {
    // Nobody was told of the put, but a read shows it.
    let mut script = Script::usual();
    script.unheard_put("k/1", "h");
    let read = script.read("k/1");
    script.put("k/2", "i");
    let mut events = script.events(2, 10);
    events.retain(|event| event.kv.mod_revision != 9);
    script.watch(since(2), vec![message(&events)]);
    let report = script.broken(&["reliable"]);
    assert_eq!(report.findings[0].operations, [script.ops, read]);

    // Or another watch does.
    let mut script = Script::usual();
    script.unheard_put("k/1", "h");
    script.put("k/2", "i");
    let other = script.watch(since(9), vec![message(&script.events(9, 10))]);
    let mut events = script.events(2, 10);
    events.retain(|event| event.kv.mod_revision != 9);
    script.watch(since(2), vec![message(&events)]);
    let report = script.broken(&["reliable"]);
    assert_eq!(report.findings[0].operations, [script.ops, other]);

    // Two watches tell different tales of a revision that nobody acknowledged.
    let mut script = Script::usual();
    script.unheard_put("k/1", "h");
    script.watch(since(9), vec![message(&script.events(9, 9))]);
    let mut events = script.events(9, 9);
    events[0].kv.value = "i".into();
    script.watch(since(9), vec![message(&events)]);
    script.broken(&["reliable"]);

    // A put that may never have taken effect is not missed.
    let mut script = Script::usual();
    let id = script.invoke(Request::Put(Script::put_request("k/1", "lost")));
    script.end(
        id,
        Outcome::Error {
            code: 4,
            message: "deadline".into(),
            origin: ErrorOrigin::Deadline,
        },
    );
    script.put("k/2", "i");
    script.watch(since(2), vec![message(&script.events(2, 9))]);
    script.holds();
}

#[test]
fn reliable_by_versions_alone() {
    // Three puts that nobody was told of; the watch has the first and the last.
    let mut script = Script::new();
    for value in ["a", "b", "c"] {
        script.unheard_put("k/1", value);
    }
    let mut events = script.events(2, 4);
    events.remove(1);
    script.watch(since(2), vec![message(&events)]);
    let report = script.broken(&["reliable"]);
    assert!(
        report.findings[0].explanation[0].contains("1 puts"),
        "{report:#?}"
    );
}

#[test]
fn the_previous_key_value_is_the_one_before() {
    let with_previous = WatchRequest {
        prev_kv: true,
        ..since(2)
    };
    let mut script = Script::usual();
    let all = script.events_with_previous(2, 8);
    script.watch(with_previous.clone(), vec![message(&all)]);
    script.holds();

    let mut script = Script::usual();
    let mut wrong = all.clone();
    wrong[2].prev_kv.as_mut().unwrap().value = "z".into();
    script.watch(with_previous.clone(), vec![message(&wrong)]);
    script.broken(&["prev-kv"]);

    // The delete shows the first put of its key instead of the second.
    let mut script = Script::usual();
    let mut stale = all.clone();
    assert_eq!(stale[3].kind, EventKind::Delete);
    stale[3].prev_kv = Some(stale[0].kv.clone());
    script.watch(with_previous.clone(), vec![message(&stale)]);
    let report = script.broken(&["prev-kv"]);
    assert!(report.findings[0].explanation[1].contains("changed at revision 4"));

    // A put that made its key has none before it.
    let mut script = Script::usual();
    let mut ghost = all.clone();
    ghost[0].prev_kv = Some(ghost[1].kv.clone());
    script.watch(with_previous.clone(), vec![message(&ghost)]);
    script.broken(&["prev-kv"]);

    // Left out only where it is compacted.
    let mut bare = all.clone();
    bare[3].prev_kv = None;
    let mut script = Script::usual();
    script.watch(with_previous.clone(), vec![message(&bare)]);
    script.broken(&["prev-kv"]);
    let mut script = Script::usual();
    script.compact(5);
    script.watch(with_previous, vec![message(&bare)]);
    script.holds();
}

#[test]
fn a_created_key_is_at_version_one() {
    let mut script = Script::usual();
    let mut events = script.events(6, 6);
    events[0].kv.create_revision = 4;
    script.watch(since(6), vec![message(&events)]);
    script.broken(&["is-create"]);

    // Consistent in itself, but not with the delete before.
    let mut script = Script::usual();
    let mut events = script.events(2, 6);
    let last = events.last_mut().unwrap();
    (last.kv.version, last.kv.create_revision) = (3, 2);
    script.watch(since(2), vec![message(&events)]);
    script.broken(&["is-create"]);
}

#[test]
fn messages_that_are_missing_leave_it_undecided() {
    let mut script = Script::usual();
    script.watch(since(2), vec![message(&script.events(2, 8))]);
    let mut records = script.records();
    let Some(Record::Return(end)) = records.history.last_mut() else {
        panic!("the watch ends last")
    };
    let response = Response::WatchEnd { messages: 2 };
    end.outcome = Outcome::Ok { response };
    let report = expect(&records, Watch, Inconclusive);
    assert!(report.findings[0].title.contains("1 watch"), "{report:#?}");
}

#[test]
fn revisions_that_two_writes_claim_are_left_to_others() {
    let mut script = Script::usual();
    script.revision -= 1;
    script.put("k/7", "the same revision again");
    let events = script.events(2, 7);
    script.watch(since(2), vec![message(&events), progress(8)]);
    let report = expect(&script.records(), Watch, Inconclusive);
    assert_eq!(report.findings[0].revisions, [8, 8]);
}
