//! The models, checked exhaustively: what each bug leads to, and that the mended designs hold.
#![cfg(feature = "models")]

use std::net::{Ipv4Addr, SocketAddr};

use scenarios::models::{Bug, Checked, Protocol};

/// Steps of the shortest counterexamples of a variant.
fn lengths(checked: &Checked) -> Vec<usize> {
    let counterexamples = checked.counterexamples.iter();
    counterexamples.map(|found| found.steps.len()).collect()
}

fn bug(protocol: Protocol, issue: u32) -> &'static Bug {
    let mut bugs = protocol.bugs().iter();
    bugs.find(|bug| bug.issue == issue).unwrap()
}

#[test]
fn mended_designs_hold_in_every_state() {
    let expected = [(19_263, 21), (99_780, 16)];
    for (protocol, expected) in Protocol::ALL.into_iter().zip(expected) {
        let checked = protocol.check(None);
        assert_eq!(checked.counterexamples, [], "{}", protocol.name());
        assert_eq!(checked.unreached, [] as [&str; 0], "{}", protocol.name());
        assert_eq!((checked.states, checked.depth), expected);
    }
}

#[test]
fn every_bug_breaks_every_property() {
    let expected = [
        (Protocol::DefragCrash, 14685, [8, 10]),
        (Protocol::DefragCrash, 13766, [5, 7]),
        (Protocol::AuthMemberAdd, 14571, [2, 5]),
        (Protocol::AuthMemberAdd, 13883, [7, 10]),
    ];
    let mut issues: Vec<_> = Protocol::ALL.iter().flat_map(|p| p.bugs()).collect();
    issues.retain(|bug| !expected.iter().any(|(_, issue, _)| bug.issue == *issue));
    assert!(issues.is_empty(), "without a length: {issues:?}");
    for (protocol, issue, expected) in expected {
        let checked = protocol.check(Some(bug(protocol, issue)));
        assert_eq!(lengths(&checked), expected, "#{issue}");
    }
}

#[test]
fn a_counterexample_is_told_in_sentences() {
    let protocol = Protocol::DefragCrash;
    let checked = protocol.check(Some(bug(protocol, 14685)));
    let found = &checked.counterexamples[0];
    let told: Vec<_> = found.steps.iter().map(|s| s.happens.as_str()).collect();
    assert_eq!(
        told,
        [
            "A put of k is agreed on as entry 1 of the log.",
            "m1 begins entry 1.",
            "m1 applies entry 1 to its store in memory.",
            "m1 is told to defragment, and first commits its batch.",
            "m1 crashes; what is not in its file is lost.",
            "m1 starts again from its file.",
            "m1 begins entry 1.",
            "m1 applies entry 1 to its store in memory.",
        ]
    );
    assert_eq!(
        found.steps[3].members,
        [
            "m1 memory: index 1, revision 2, k at version 1, written at 2; \
          file: index 0, revision 2, k at version 1, written at 2"
        ]
    );
    assert_eq!(found.broken, "m1 has applied entry 1 twice.");
}

#[test]
fn the_explorer_stays_on_loopback() {
    let everyone = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let error = Protocol::DefragCrash
        .explore(None, everyone, |_| panic!("it would serve"))
        .unwrap_err();
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}
