//! What must hold of the two tables, whatever rows they get.

use std::collections::HashSet;

use api::errors::{self, ErrorClass, RULES, RequestKind, Stage, classify, code};
use api::revisions::{Meaning, ROWS, ResponseKind, SEEN, meaning};

const TAGS: [&str; 3] = ["v3.5.16", "v3.5.1", "v3.4.23"];

/// `path/file.go:1,22 at v3.5.16`
fn is_source(source: &str) -> bool {
    let Some((place, tag)) = source.split_once(" at ") else {
        return false;
    };
    let Some((file, lines)) = place.split_once(".go:") else {
        return false;
    };
    let numbers: Option<Vec<u32>> = lines.split(',').map(|n| n.parse().ok()).collect();
    TAGS.contains(&tag)
        && !file.starts_with('/')
        && numbers.is_some_and(|n| n.iter().all(|n| *n > 0) && n.is_sorted_by(|a, b| a < b))
}

#[test]
fn no_two_rules_answer_the_same_error() {
    let mut ids = HashSet::new();
    let mut keys = HashSet::new();
    for rule in RULES {
        assert!(ids.insert(rule.id), "id twice: {}", rule.id);
        assert!(!rule.kinds.is_empty(), "{} is about nothing", rule.id);
        for kind in rule.kinds {
            assert!(
                keys.insert((kind, rule.code, rule.message)),
                "{} repeats {kind} {} {}",
                rule.id,
                rule.code,
                rule.message
            );
        }
    }
}

#[test]
fn every_rule_is_sourced_and_says_something() {
    for rule in RULES {
        assert!(!rule.sources.is_empty(), "{} has no source", rule.id);
        for source in rule.sources {
            assert!(is_source(source), "{}: {source:?}", rule.id);
        }
        assert_ne!(rule.class, ErrorClass::Unknown, "{}", rule.id);
        assert!((1..=16).contains(&rule.code), "{}", rule.id);
    }
}

#[test]
fn messages_are_those_of_etcd() {
    for rule in RULES {
        let internal = rule.message.starts_with("auth: ") || rule.message.starts_with("raft ");
        // Errors that etcd does not map go out as Unknown with their internal text.
        assert!(
            rule.message.starts_with("etcdserver: ") || (internal && rule.code == code::UNKNOWN),
            "{}: {}",
            rule.id,
            rule.message
        );
        assert_eq!(rule.message.trim(), rule.message, "{}", rule.id);
    }
}

#[test]
fn an_unmapped_error_is_not_the_mapped_one() {
    // The same condition, one member mapping it and one not, must not be two different classes.
    for rule in RULES
        .iter()
        .filter(|rule| rule.message.starts_with("auth: "))
    {
        let denied = rule.message
            != "auth: authentication failed, password was given for no \
                                      password user";
        assert_eq!(rule.class == ErrorClass::Refused, denied, "{}", rule.id);
    }
}

#[test]
fn lookups_find_each_row_by_its_key_only() {
    for rule in RULES {
        assert_eq!(errors::rule(rule.id), Some(rule));
        for kind in RequestKind::ALL {
            let verdict = classify(kind, rule.code, rule.message);
            if rule.kinds.contains(&kind) {
                assert_eq!(verdict.rule, Some(rule));
                assert_eq!(verdict.class, rule.class);
            }
            assert_eq!(classify(kind, 99, rule.message).class, ErrorClass::Unknown);
            let longer = format!("{} ", rule.message);
            assert_eq!(
                classify(kind, rule.code, &longer).class,
                ErrorClass::Unknown
            );
        }
    }
    assert_eq!(errors::rule("nothing of the kind"), None);
}

#[test]
fn what_may_have_taken_effect_is_unknown() {
    let unknown = [
        (code::UNAVAILABLE, "etcdserver: request timed out"),
        (
            code::UNAVAILABLE,
            "etcdserver: request timed out, possibly due to previous leader failure",
        ),
        (
            code::UNAVAILABLE,
            "etcdserver: request timed out, possibly due to connection lost",
        ),
        (code::UNAVAILABLE, "etcdserver: leader changed"),
        (code::UNAVAILABLE, "etcdserver: server stopped"),
        (code::UNAVAILABLE, "error reading server preface: EOF"),
        (
            code::RESOURCE_EXHAUSTED,
            "etcdserver: mvcc: database space exceeded",
        ),
        (code::DATA_LOSS, "etcdserver: corrupt cluster"),
        (code::DEADLINE_EXCEEDED, "context deadline exceeded"),
        (code::CANCELLED, "context canceled"),
        (
            code::OUT_OF_RANGE,
            "Error, decoded message length too large",
        ),
        (code::UNKNOWN, ""),
        (
            code::FAILED_PRECONDITION,
            "etcdserver: can only promote a learner member",
        ),
    ];
    for (code, message) in unknown {
        for kind in RequestKind::ALL {
            let verdict = classify(kind, code, message);
            assert_eq!(verdict.class, ErrorClass::Unknown, "{kind} {message}");
            assert_eq!(verdict.rule, None);
        }
    }
}

#[test]
fn a_transaction_at_an_old_revision_is_a_claim() {
    let compacted = "etcdserver: mvcc: required revision has been compacted";
    let class = |kind| classify(kind, code::OUT_OF_RANGE, compacted).class;
    assert_eq!(class(RequestKind::Txn), ErrorClass::Refused);
    assert_eq!(class(RequestKind::Range), ErrorClass::Definite);
    assert_eq!(class(RequestKind::Compact), ErrorClass::Definite);
    assert_eq!(class(RequestKind::Put), ErrorClass::Unknown);
}

#[test]
fn the_auth_layer_only_claims() {
    for rule in RULES {
        let denies = errors::is_permission_denied(rule.code, rule.message)
            || errors::is_invalid_auth_token(rule.code, rule.message)
            || errors::is_auth_old_revision(rule.code, rule.message)
            || errors::is_user_empty(rule.code, rule.message);
        assert!(!denies || rule.class == ErrorClass::Refused, "{}", rule.id);
    }
}

#[test]
fn a_promotion_is_definite_only_before_the_proposal() {
    for rule in RULES
        .iter()
        .filter(|r| r.kinds.contains(&RequestKind::MemberPromote))
    {
        assert_eq!(rule.stage, Stage::BeforeProposal, "{}", rule.id);
    }
}

#[test]
fn recognisers_know_the_rows() {
    let rule = |id| errors::rule(id).expect(id);
    type Test = fn(i32, &str) -> bool;
    let pairs: [(Test, &[&str]); 9] = [
        (
            errors::is_compacted,
            &[
                "range-compacted",
                "txn-compacted",
                "compact-compacted",
                "hash-compacted",
            ],
        ),
        (
            errors::is_future_revision,
            &[
                "range-future-revision",
                "txn-future-revision",
                "compact-future-revision",
            ],
        ),
        (errors::is_lease_not_found, &["lease-not-found"]),
        (errors::is_lease_exists, &["lease-exists"]),
        (errors::is_not_leader, &["not-leader"]),
        (errors::is_no_leader, &["no-leader"]),
        (errors::is_learner, &["learner"]),
        (errors::is_too_many_requests, &["too-many-requests"]),
        (errors::is_not_enough_started, &["not-enough-started"]),
    ];
    for (test, ids) in pairs {
        for row in RULES {
            let expected = ids.iter().any(|id| rule(id).message == row.message);
            assert_eq!(test(row.code, row.message), expected, "{}", row.id);
        }
    }
}

#[test]
fn revision_rows_stand_in_the_order_of_the_kinds() {
    for (index, row) in ROWS.iter().enumerate() {
        assert_eq!(row.kind as usize, index);
        assert_eq!(meaning(row.kind), row);
        assert!(!row.sources.is_empty(), "{:?}", row.kind);
        for source in row.sources {
            assert!(is_source(source), "{:?}: {source:?}", row.kind);
        }
    }
    // The last kind: none is missing.
    assert_eq!(ROWS.len(), ResponseKind::Downgrade as usize + 1);
}

#[test]
fn only_what_is_set_at_apply_orders() {
    use ResponseKind as K;
    let exact = [
        K::RangeLinearizable,
        K::Put,
        K::DeleteRange,
        K::TxnWrite,
        K::TxnReadLinearizable,
        K::LeaseGrant,
        K::LeaseRevoke,
        K::Authenticate,
        K::AuthChange,
        K::AuthRead,
        K::AuthStatus,
    ];
    for row in ROWS {
        assert_eq!(
            row.kind.orders(),
            exact.contains(&row.kind),
            "{:?}",
            row.kind
        );
    }
    assert_eq!(meaning(K::Compact).meaning, Meaning::LowerBound);
    assert_eq!(meaning(K::Cluster).meaning, Meaning::None);
    assert_eq!(meaning(K::LeaseKeepAlive).meaning, Meaning::MemberLocal);
}

#[test]
fn transactions_without_linearizable_ranges_are_local() {
    assert_eq!(ResponseKind::txn(true, false), ResponseKind::TxnWrite);
    assert_eq!(
        ResponseKind::txn(false, true),
        ResponseKind::TxnReadLinearizable
    );
    // Comparisons alone: no operation at all.
    assert_eq!(
        ResponseKind::txn(false, false),
        ResponseKind::TxnReadSerializable
    );
    assert_eq!(ResponseKind::range(true), ResponseKind::RangeSerializable);
    assert_eq!(ResponseKind::range(false), ResponseKind::RangeLinearizable);
}

#[test]
fn what_was_seen_fits_what_is_said() {
    let releases: HashSet<_> = SEEN.iter().map(|seen| seen.release).collect();
    assert_eq!(releases, HashSet::from(["3.4.23", "3.5.1", "3.5.16"]));
    for row in ROWS {
        let seen: Vec<_> = SEEN.iter().filter(|seen| seen.kind == row.kind).collect();
        let below: u32 = seen.iter().map(|seen| seen.below).sum();
        let above: u32 = seen.iter().map(|seen| seen.above).sum();
        for seen in &seen {
            assert!(seen.below + seen.above <= seen.answers, "{seen:?}");
        }
        if row.kind.place_at_most() {
            assert_eq!(below, 0, "{:?}", row.kind);
        }
        if row.meaning != Meaning::LowerBound {
            assert_eq!(above, 0, "{:?}", row.kind);
        } else if !seen.is_empty() {
            assert!(above > 0, "{:?} might order", row.kind);
        }
        if row.meaning == Meaning::MemberLocal && !seen.is_empty() {
            assert!(below > 0, "{:?} might be more", row.kind);
        }
    }
}

#[test]
fn bounds_follow_from_the_meaning() {
    for row in ROWS {
        let (most, least) = (row.kind.place_at_most(), row.kind.place_at_least());
        match row.meaning {
            Meaning::Exact => assert!(most && least && row.kind.orders()),
            Meaning::LowerBound => assert!(most && !least),
            Meaning::MemberLocal => {
                assert_eq!(
                    (most, least),
                    (false, row.kind == ResponseKind::LeaseKeepAlive)
                );
            }
            Meaning::None => assert!(!most && !least),
        }
    }
}
