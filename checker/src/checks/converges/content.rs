//! The key spaces, field for field.

use std::collections::BTreeSet;

use crate::checks::content::{Content, Contents, describe};
use crate::checks::findings::{Findings, and, count, finding, owned, verb};
use crate::checks::rounds::Quiet;
use crate::history::{Bytes, KeyValue};

/// Keys that a finding lists with both sides.
const KEYS_SHOWN_MAX: usize = 5;

pub(super) fn compare(quiet: &Quiet<'_>, contents: &Contents<'_>, findings: &mut Findings) {
    let camps = camps(contents);
    let size = camps.iter().map(Vec::len).max().unwrap_or(0);
    let tie = camps.iter().filter(|camp| camp.len() == size).count() > 1;
    let measure = camps.iter().find(|camp| camp.len() == size);
    if let Some(measure) = measure {
        for camp in camps.iter().filter(|camp| !std::ptr::eq(*camp, measure)) {
            different(camp, measure, tie, quiet, findings);
        }
    }
    for (member, why) in &contents.missing {
        let mut undecided = finding(
            format!("{member}'s content could not be judged: {why}"),
            vec![],
        );
        undecided.members = vec![(*member).to_owned()];
        findings.undecided(undecided);
    }
    own_reads(contents, findings);
}

/// Members by equal content.
fn camps<'c, 'a>(contents: &'c Contents<'a>) -> Vec<Vec<&'c Content<'a>>> {
    let mut camps: Vec<Vec<&Content<'_>>> = Vec::new();
    for content in contents.serializable.values() {
        let same = camps.iter_mut().find(|camp| {
            camp.first()
                .is_some_and(|first| first.keys == content.keys && same_range(first, content))
        });
        match same {
            Some(camp) => camp.push(content),
            None => camps.push(vec![content]),
        }
    }
    camps
}

fn same_range(one: &Content<'_>, other: &Content<'_>) -> bool {
    one.range.key == other.range.key && one.range.range_end == other.range.range_end
}

fn different(
    camp: &[&Content<'_>],
    measure: &[&Content<'_>],
    tie: bool,
    quiet: &Quiet<'_>,
    findings: &mut Findings,
) {
    let names: Vec<_> = camp.iter().map(|content| content.member).collect();
    let rest: Vec<_> = measure.iter().map(|content| content.member).collect();
    let pairs = || {
        camp.iter()
            .flat_map(|one| measure.iter().map(move |other| (*one, *other)))
    };
    let by_revision = pairs().find(|(one, other)| one.revision == other.revision);
    let by_index = pairs().find(|(one, other)| {
        quiet.together(one.member, other.member) && at_rest(one, quiet) && at_rest(other, quiet)
    });
    let ranges_agree = pairs().all(|(one, other)| same_range(one, other));
    let (Some((one, other)), true) = (by_revision.or(by_index), ranges_agree) else {
        let mut undecided = finding(
            format!(
                "the contents of {} and {} differ, but were not read in comparable states",
                and(&names),
                and(&rest)
            ),
            vec![
                "They were read at different revisions, and the applied indexes were not found equal.".to_owned(),
            ],
        );
        undecided.members = owned(&names);
        findings.undecided(undecided);
        return;
    };
    let keys = differing(one, other);
    let first = keys.first().map_or_else(String::new, ToString::to_string);
    let (why, place) = if by_revision.is_some() {
        (
            "A revision stands for one state of the whole store, so two members at the same revision hold the same key-values.",
            format!("both at revision {}", one.revision),
        )
    } else {
        (
            "At the same applied index all members have applied the same entries, so they hold the same key-values.",
            quiet
                .settled(one.member)
                .map_or_else(String::new, |settled| {
                    format!("both at applied index {}", settled.applied)
                }),
        )
    };
    let mut explanation = vec![why.to_owned()];
    for key in keys.iter().take(KEYS_SHOWN_MAX) {
        explanation.push(format!(
            "{key}: {} has {}; {} has {}.",
            one.member,
            describe(one.keys.get(*key).copied()),
            other.member,
            describe(other.keys.get(*key).copied()),
        ));
    }
    if keys.len() > KEYS_SHOWN_MAX {
        explanation.push(format!("{} more keys differ.", keys.len() - KEYS_SHOWN_MAX));
    }
    if tie {
        explanation.push("No side has more members than the others, so which one is wrong cannot be told from this.".to_owned());
    }
    let mut odd = finding(
        format!(
            "{} {} other content than {}, {place}: {} {}, first {first}",
            and(&names),
            verb(names.len(), "holds", "hold"),
            and(&rest),
            count(keys.len(), "key"),
            verb(keys.len(), "differs", "differ"),
        ),
        explanation,
    );
    odd.observations = vec![one.asked.id, other.asked.id];
    odd.members = owned(&names);
    odd.revisions = keys
        .iter()
        .take(KEYS_SHOWN_MAX)
        .flat_map(|key| [one.keys.get(*key), other.keys.get(*key)])
        .flatten()
        .map(|kv| kv.mod_revision)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    odd.keys = keys
        .iter()
        .take(KEYS_SHOWN_MAX)
        .map(ToString::to_string)
        .collect();
    odd.at = Some(one.asked.until.max(other.asked.until));
    findings.broken(odd);
}

/// Whether a content was read at the revision at which its member had come to rest.
fn at_rest(content: &Content<'_>, quiet: &Quiet<'_>) -> bool {
    quiet
        .settled(content.member)
        .is_some_and(|settled| settled.revision == content.revision)
}

fn differing<'a>(one: &Content<'a>, other: &Content<'a>) -> Vec<&'a Bytes> {
    let keys: BTreeSet<_> = one.keys.keys().chain(other.keys.keys()).copied().collect();
    let of = |content: &Content<'a>, key: &Bytes| -> Option<&'a KeyValue> {
        content.keys.get(key).copied()
    };
    keys.into_iter()
        .filter(|key| of(one, key) != of(other, key))
        .collect()
}

/// A member's two answers, from its own state and through a quorum, at the same revision.
fn own_reads(contents: &Contents<'_>, findings: &mut Findings) {
    for (member, own) in &contents.serializable {
        let Some(quorum) = contents.linearizable.get(member) else {
            continue;
        };
        if own.revision != quorum.revision || own.keys == quorum.keys || !same_range(own, quorum) {
            continue;
        }
        let keys = differing(own, quorum);
        let mut explanation = vec![
            "Both answers come from one member at one revision, which stands for one state of the store.".to_owned(),
        ];
        for key in keys.iter().take(KEYS_SHOWN_MAX) {
            explanation.push(format!(
                "{key}: serializable {}; linearizable {}.",
                describe(own.keys.get(*key).copied()),
                describe(quorum.keys.get(*key).copied()),
            ));
        }
        let mut odd = finding(
            format!(
                "{member} answers its serializable and its linearizable read at revision {} differently: {} {}",
                own.revision,
                count(keys.len(), "key"),
                verb(keys.len(), "differs", "differ"),
            ),
            explanation,
        );
        odd.observations = vec![own.asked.id, quorum.asked.id];
        odd.members = vec![(*member).to_owned()];
        odd.revisions = vec![own.revision];
        odd.keys = keys
            .iter()
            .take(KEYS_SHOWN_MAX)
            .map(ToString::to_string)
            .collect();
        odd.at = Some(own.asked.until.max(quorum.asked.until));
        findings.broken(odd);
    }
}
