//! For each kind of contradiction a history that has it and the nearest one that has not.

use super::history::*;

#[test]
fn nothing_holds() {
    Builder::default().holds();
}

#[test]
fn two_writers_of_one_revision() {
    let mut ok = Builder::default();
    ok.op((0, 10), 1, put("a", "1"), put_at(2));
    let mut bad = ok.clone();
    ok.op((5, 15), 2, put("b", "2"), put_at(3));
    ok.holds();
    bad.op((5, 15), 2, put("b", "2"), put_at(2));
    let finding = bad.violated();
    assert_eq!(finding.operations, [1, 2]);
    assert_eq!(finding.members, ["m1", "m2"]);
    assert_eq!(finding.revisions, [2]);
    assert_eq!(finding.keys, ["a", "b"]);
    assert!(finding.title.contains("revision 2"), "{finding:?}");
}

#[test]
fn stale_read() {
    let mut ok = Builder::default();
    ok.op((0, 10), 1, put("a", "1"), put_at(2));
    ok.op((11, 20), 1, put("a", "2"), put_at(3));
    let mut bad = ok.clone();
    ok.op((20, 30), 2, get("a"), got(2, &[kv("a", "1", 2, 2, 1)]));
    ok.holds();
    bad.op((21, 30), 2, get("a"), got(2, &[kv("a", "1", 2, 2, 1)]));
    let finding = bad.violated();
    assert_eq!(finding.operations, [2, 3]);
    assert!(finding.title.starts_with("stale read"), "{finding:?}");
}

#[test]
fn read_of_a_value_nobody_wrote() {
    let mut bad = Builder::default();
    bad.op((0, 10), 1, put("a", "1"), put_at(2));
    bad.op((11, 20), 2, get("a"), got(3, &[kv("a", "x", 2, 3, 2)]));
    let finding = bad.violated();
    assert!(finding.title.contains("nobody wrote"), "{finding:?}");
    let mut ok = bad.clone();
    ok.op((11, 0), 1, put("a", "x"), Unknown);
    ok.holds();
}

#[test]
fn lost_write() {
    let mut bad = Builder::default();
    bad.op((0, 10), 1, put("a", "1"), put_at(2));
    bad.op((11, 20), 2, put("a", "2"), put_at(3));
    let mut ok = bad.clone();
    bad.op((21, 30), 2, get("a"), got(3, &[kv("a", "1", 2, 2, 1)]));
    let finding = bad.violated();
    assert_eq!(finding.operations, [2, 3]);
    assert!(
        finding.explanation.iter().any(|line| line.contains("lost")),
        "{finding:?}"
    );
    ok.op((21, 30), 2, get("a"), got(3, &[kv("a", "2", 2, 3, 2)]));
    ok.holds();
}

#[test]
fn phantom_revision() {
    let mut bad = Builder::default();
    bad.op((0, 10), 1, put("a", "1"), put_at(2));
    bad.op((11, 20), 2, put("b", "2"), put_at(4));
    let finding = bad.violated();
    assert!(
        finding.title.contains("nothing can have made revision 3"),
        "{finding:?}"
    );
    let mut late = bad.clone();
    late.op((21, 0), 1, put("c", "3"), Unknown);
    late.violated();
    let mut ok = bad.clone();
    ok.op((20, 0), 1, put("c", "3"), Unknown);
    ok.holds();
}

#[test]
fn an_unknown_delete_of_nothing_takes_no_revision() {
    let mut bad = Builder::default();
    bad.op((0, 10), 1, put("a", "1"), put_at(2));
    bad.op((0, 0), 1, delete("b"), Unknown);
    let mut ok = bad.clone();
    bad.op((11, 20), 2, put("a", "2"), put_at(4));
    bad.violated();
    ok.op((11, 20), 2, put("a", "2"), put_at(3));
    ok.holds();
}

#[test]
fn wrong_branch() {
    let mut bad = Builder::default();
    bad.op((0, 10), 1, put("a", "1"), put_at(2));
    let mut ok = bad.clone();
    bad.op((11, 20), 2, swap("a", 7, "2"), swapped(3));
    let finding = bad.violated();
    assert!(finding.title.starts_with("wrong branch"), "{finding:?}");
    ok.op((11, 20), 2, swap("a", 2, "2"), swapped(3));
    ok.op(
        (21, 30),
        2,
        swap("a", 2, "3"),
        not_swapped(3, &[kv("a", "2", 2, 3, 2)]),
    );
    ok.holds();
}

#[test]
fn wrong_previous_key_value() {
    let mut bad = Builder::default();
    bad.op((0, 10), 1, put("a", "1"), put_at(2));
    bad.op((0, 10), 1, put("b", "1"), put_at(3));
    let mut ok = bad.clone();
    bad.op(
        (11, 20),
        2,
        put_prev("a", "2"),
        put_at_prev(4, kv("a", "1", 2, 2, 2)),
    );
    let finding = bad.violated();
    assert!(finding.title.starts_with("wrong previous"), "{finding:?}");
    ok.op(
        (11, 20),
        2,
        put_prev("a", "2"),
        put_at_prev(4, kv("a", "1", 2, 2, 1)),
    );
    ok.holds();
}

#[test]
fn wrong_count() {
    let mut bad = Builder::default();
    bad.op((0, 10), 1, put("a", "1"), put_at(2));
    let mut ok = bad.clone();
    bad.op((11, 20), 2, delete("a"), deleted(3, 2));
    let finding = bad.violated();
    assert!(finding.title.contains("count"), "{finding:?}");
    ok.op((11, 20), 2, delete("a"), deleted(3, 1));
    ok.op((21, 30), 2, delete("a"), deleted(3, 0));
    ok.op((21, 30), 2, list("a"), got(3, &[]));
    ok.holds();
}

#[test]
fn compaction_and_pinned_reads() {
    let mut base = Builder::default();
    base.op((0, 10), 1, put("a", "1"), put_at(2));
    base.op((11, 20), 1, put("a", "2"), put_at(3));
    base.op((21, 30), 1, compact(3), compacted(3));
    let old = [kv("a", "1", 2, 2, 1)];
    let mut ok = base.clone();
    ok.op((25, 40), 1, get_at("a", 2), got(3, &old));
    ok.op((31, 40), 1, get_at("a", 2), is_compacted());
    ok.op(
        (31, 40),
        1,
        get_at("a", 3),
        got(3, &[kv("a", "2", 2, 3, 2)]),
    );
    ok.op((31, 40), 1, compact(3), is_compacted());
    ok.op((31, 40), 1, compact(4), is_future());
    ok.op((31, 40), 1, get_at("a", 4), is_future());
    ok.holds();
    let mut bad = base.clone();
    bad.op((31, 40), 1, get_at("a", 2), got(3, &old));
    bad.violated();
    let mut bad = base.clone();
    bad.op((31, 40), 1, get_at("a", 3), is_compacted());
    bad.violated();
    let mut ok = bad.clone();
    ok.op((50, 60), 1, put("a", "3"), put_at(4));
    ok.op((40, 0), 1, compact(4), Unknown);
    ok.violated();
    ok.op((40, 0), 1, put("b", "3"), Unknown);
    let mut bad = base.clone();
    bad.op((31, 40), 1, get_at("a", 3), is_future());
    bad.violated();
    let mut bad = base.clone();
    bad.op((31, 40), 1, compact(2), compacted(3));
    bad.violated();
    let mut bad = base;
    bad.op((31, 40), 1, compact(3), compacted(3));
    bad.violated();
}

#[test]
fn leases_revoked_and_expired() {
    let mut base = Builder::default();
    base.op((0, 10), 1, grant(7, 5), granted(1, 7, 5));
    base.op((11, 20), 1, put_lease("a", "1", 7), put_at(2));
    base.op((11, 20), 1, put_lease("b", "1", 7), put_at(3));
    let mut ok = base.clone();
    ok.op((21, 30), 2, revoke(7), revoked(4));
    ok.op((31, 40), 2, list("a"), got(4, &[]));
    ok.holds();
    let mut bad = base.clone();
    bad.op((21, 30), 2, revoke(7), revoked(3));
    bad.violated();
    let mut bad = base.clone();
    bad.op((21, 30), 2, revoke(8), revoked(3));
    bad.violated();
    let mut early = base.clone();
    early.op((21, 4_999), 2, list("a"), got(4, &[]));
    early.violated();
    let mut expired = base.clone();
    expired.op((21, 5_000), 2, list("a"), got(4, &[]));
    expired.holds();
    let mut half = base.clone();
    half.op((21, 5_000), 2, list("a"), got(4, &[]));
    half.op(
        (21, 5_000),
        2,
        list("b"),
        got(4, &[leased(kv("b", "1", 3, 3, 1), 7)]),
    );
    half.violated();
    let mut unknown = base;
    unknown.op((21, 0), 2, revoke(7), Unknown);
    unknown.op((31, 40), 2, list("a"), got(4, &[]));
    unknown.holds();
}

#[test]
fn a_lease_must_be_there() {
    let mut bad = Builder::default();
    bad.op((11, 20), 1, put_lease("a", "1", 7), put_at(2));
    bad.violated();
    let mut ok = bad.clone();
    ok.op((0, 0), 1, grant(7, 5), Unknown);
    ok.holds();
    let mut late = bad;
    late.op((21, 0), 1, grant(7, 5), Unknown);
    late.violated();
}

#[test]
fn serializable_reads_may_be_old_but_not_wrong() {
    let mut ok = Builder::default();
    ok.op((0, 10), 1, put("a", "1"), put_at(2));
    ok.op((11, 20), 1, put("a", "2"), put_at(3));
    let mut bad = ok.clone();
    ok.op(
        (21, 30),
        2,
        get_local("a"),
        got(2, &[kv("a", "1", 2, 2, 1)]),
    );
    ok.op((21, 30), 2, get_local("a"), got(1, &[]));
    ok.holds();
    let mut future = ok.clone();
    future.op((0, 5), 2, get_local("a"), got(3, &[kv("a", "2", 2, 3, 2)]));
    future.violated();
    bad.op(
        (21, 30),
        2,
        get_local("a"),
        got(2, &[kv("a", "1", 2, 2, 2)]),
    );
    bad.violated();
}

#[test]
fn refused_request_that_took_effect() {
    let mut bad = Builder::default();
    bad.op(
        (0, 10),
        1,
        put("a", "1"),
        Error(7, "etcdserver: permission denied"),
    );
    bad.op((11, 20), 1, get("a"), got(2, &[kv("a", "1", 2, 2, 1)]));
    let finding = bad.violated();
    assert!(finding.title.contains("refused"), "{finding:?}");
    assert_eq!(finding.operations, [1, 2]);
}

#[test]
fn gaps_are_filled_by_what_versions_tell() {
    // Two unknown puts, one gap: the later version of `b` says which one took effect.
    let mut base = Builder::default();
    base.op((0, 10), 1, put("a", "1"), put_at(2));
    base.op((0, 10), 1, put("b", "1"), put_at(3));
    base.op((11, 0), 1, put("a", "2"), Unknown);
    base.op((11, 0), 1, put("b", "2"), Unknown);
    base.op((20, 30), 1, put("a", "3"), put_at(5));
    base.op((20, 30), 1, put("b", "3"), put_at(6));
    base.holds();
    let mut ok = base.clone();
    ok.op((31, 40), 1, get("b"), got(6, &[kv("b", "3", 3, 6, 3)]));
    ok.holds();
    ok.op((31, 40), 1, get("a"), got(6, &[kv("a", "3", 2, 5, 2)]));
    ok.holds();
    let mut bad = base;
    bad.op((31, 40), 1, get("b"), got(6, &[kv("b", "3", 3, 6, 2)]));
    bad.op((31, 40), 1, get("a"), got(6, &[kv("a", "3", 2, 5, 2)]));
    bad.violated();
}
