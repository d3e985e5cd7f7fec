//! Shapes of partitions, by what each member still hears.

use std::collections::{BTreeMap, BTreeSet};

use failpoints::network::{Link, shapes};

fn members(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("m{n}")).collect()
}

/// Whom each hears, as `m1:m1,m2`.
fn heard(members: &[String], cut: &BTreeSet<Link>) -> Vec<String> {
    let heard: BTreeMap<_, _> = shapes::heard(members, cut);
    let spell = |(to, from): (String, BTreeSet<String>)| {
        let from: Vec<_> = from.into_iter().collect();
        format!("{to}:{}", from.join(","))
    };
    heard.into_iter().map(spell).collect()
}

#[test]
fn isolation_halves_and_one_way() {
    let three = members(3);
    let away = shapes::isolate(&three, "m2");
    assert_eq!(away.len(), 4);
    assert_eq!(heard(&three, &away), ["m1:m1,m3", "m2:m2", "m3:m1,m3"]);

    let five = members(5);
    assert_eq!(shapes::minority(&five), ["m1", "m2"]);
    assert_eq!(shapes::minority(&three), ["m1"]);
    assert!(shapes::minority(&members(1)).is_empty());
    let halves = shapes::halves(&five, shapes::minority(&five));
    let expected = [
        "m1:m1,m2",
        "m2:m1,m2",
        "m3:m3,m4,m5",
        "m4:m3,m4,m5",
        "m5:m3,m4,m5",
    ];
    assert_eq!(heard(&five, &halves), expected);
    assert_eq!(halves.len(), 12);

    let one_way = shapes::one_way(&["m1"], &three);
    assert_eq!(
        one_way,
        BTreeSet::from([Link::new("m1", "m2"), Link::new("m1", "m3")])
    );
    assert_eq!(
        heard(&three, &one_way),
        ["m1:m1,m2,m3", "m2:m2,m3", "m3:m2,m3"]
    );
}

#[test]
fn a_bridge_is_seen_by_both_halves() {
    let five = members(5);
    let cut = shapes::bridge(&five, "m3");
    let expected = [
        "m1:m1,m2,m3",
        "m2:m1,m2,m3",
        "m3:m1,m2,m3,m4,m5",
        "m4:m3,m4,m5",
        "m5:m3,m4,m5",
    ];
    assert_eq!(heard(&five, &cut), expected);
    let three = members(3);
    let cut = shapes::bridge(&three, "m1");
    assert_eq!(cut, shapes::between(&["m2"], &["m3"]));
}

#[test]
fn in_a_ring_everyone_hears_a_majority_and_no_two_the_same() {
    for count in 3..=9 {
        let names = members(count);
        let heard = shapes::heard(&names, &shapes::ring(&names));
        let majority = count / 2 + 1;
        assert!(
            heard.values().all(|from| from.len() >= majority),
            "{count}: {heard:?}"
        );
        let distinct: BTreeSet<_> = heard.values().collect();
        let all = heard.values().any(|from| from.len() == count);
        assert!(distinct.len() == count && !all, "{count}: {heard:?}");
    }
    let five = members(5);
    let ring = heard(&five, &shapes::ring(&five));
    assert_eq!(ring[0], "m1:m1,m2,m5");
    let both_ways = |link: &Link| shapes::ring(&five).contains(&link.reversed());
    assert!(shapes::ring(&five).iter().all(both_ways));
    assert!(shapes::ring(&members(2)).is_empty() || members(2).len() < 3);
}
