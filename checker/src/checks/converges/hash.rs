//! Hashes and compacted revisions.

use std::collections::{BTreeMap, BTreeSet};

use api::errors::is_future_revision;

use super::{Most, split};
use crate::checks::class::error_text;
use crate::checks::content::Contents;
use crate::checks::findings::{Findings, and, finding, ms, owned, verb};
use crate::checks::rounds::Quiet;
use crate::checks::run::{Roster, Run};
use crate::history::{Asked, MaintenanceRequest, Outcome, Purpose, Request, Response};

/// A hash difference that the contents do not confirm counts once it was seen this far apart: a
/// compaction that is still deleting changes hashes for moments.
const APART_NS: u64 = 1_000_000_000;

#[derive(Clone, Copy)]
struct Hash<'a> {
    member: &'a str,
    round: u32,
    hash: u32,
    revision: i64,
    compacted: i64,
    asked: &'a Asked,
}

pub(super) fn compare(
    run: Run<'_>,
    roster: &Roster<'_>,
    quiet: &Quiet<'_>,
    contents: &Contents<'_>,
    findings: &mut Findings,
) {
    let hashes: Vec<_> = run
        .asked_for(Purpose::ConvergenceHash)
        .filter_map(read)
        .collect();
    let mut last: BTreeMap<&str, Hash<'_>> = BTreeMap::new();
    for hash in hashes
        .iter()
        .filter(|hash| roster.voters.contains(hash.member))
    {
        last.insert(hash.member, *hash);
    }
    compacted(quiet, &last, findings);
    same_revision(&hashes, &last, contents, findings);
    if roster.voters.len() > 1 {
        missing(run, roster, quiet, &last, findings);
    }
}

fn read(asked: &Asked) -> Option<Hash<'_>> {
    let Outcome::Ok {
        response: Response::HashKv(answer),
    } = &asked.outcome
    else {
        return None;
    };
    let wanted = match asked.request {
        Request::Maintenance(MaintenanceRequest::HashKv { revision }) if revision > 0 => revision,
        _ => answer.header.revision,
    };
    let revision = if answer.hash_revision > 0 {
        answer.hash_revision
    } else {
        wanted
    };
    Some(Hash {
        member: &asked.member,
        round: asked.round,
        hash: answer.hash,
        revision,
        compacted: answer.compact_revision,
        asked,
    })
}

fn compacted(quiet: &Quiet<'_>, last: &BTreeMap<&str, Hash<'_>>, findings: &mut Findings) {
    for (applied, group) in &quiet.groups {
        let mut camps: BTreeMap<i64, Vec<Hash<'_>>> = BTreeMap::new();
        for hash in group.iter().filter_map(|settled| last.get(settled.member)) {
            camps.entry(hash.compacted).or_default().push(*hash);
        }
        let (odd, most) = split(&camps);
        for (revision, camp) in odd {
            let Some((other, others)) = &most.camp else {
                continue;
            };
            let (names, rest) = (members(&camp), members(others));
            let mut explanation = vec![format!(
                "All are at applied index {applied}, where a compaction is an entry like any other: it is applied on each of them or on none."
            )];
            explanation.extend(most.remark());
            let mut odd = finding(
                format!(
                    "{} {} compacted up to revision {revision} and {} up to {other}, all at applied index {applied}",
                    and(&names),
                    verb(names.len(), "is", "are"),
                    and(&rest),
                ),
                explanation,
            );
            cite(&mut odd, &camp, others);
            odd.revisions = vec![revision, *other];
            findings.broken(odd);
        }
    }
}

fn same_revision(
    all: &[Hash<'_>],
    last: &BTreeMap<&str, Hash<'_>>,
    contents: &Contents<'_>,
    findings: &mut Findings,
) {
    let mut comparable: BTreeMap<(i64, i64), BTreeMap<u32, Vec<Hash<'_>>>> = BTreeMap::new();
    for hash in last.values() {
        let camps = comparable
            .entry((hash.revision, hash.compacted))
            .or_default();
        camps.entry(hash.hash).or_default().push(*hash);
    }
    let revisions: BTreeSet<_> = last.values().map(|hash| hash.revision).collect();
    if revisions.len() > 1 {
        findings.undecided(finding(
            format!(
                "hashes were taken at {} revisions and cannot all be compared",
                revisions.len()
            ),
            vec!["HashKV must be asked of every member at one revision.".to_owned()],
        ));
    }
    for ((revision, compact), camps) in comparable {
        let (odd, most) = split(&camps);
        for (_, camp) in odd {
            let Some((_, others)) = &most.camp else {
                continue;
            };
            different(
                revision, compact, &camp, others, &most, all, contents, findings,
            );
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one finding needs all of its context"
)]
fn different(
    revision: i64,
    compact: i64,
    camp: &[Hash<'_>],
    others: &[Hash<'_>],
    most: &Most<u32, Hash<'_>>,
    all: &[Hash<'_>],
    contents: &Contents<'_>,
    findings: &mut Findings,
) {
    let (names, rest) = (members(camp), members(others));
    let (Some(one), Some(other)) = (camp.first(), others.first()) else {
        return;
    };
    let mut explanation = vec![format!(
        "The hash covers every key with all its revisions up to {revision}, above the compacted revision {compact}, which is the same on all of them: equal stores have equal hashes."
    )];
    explanation.extend(most.remark());
    let mut odd = finding(
        format!(
            "{} {} hash {:08x} of revision {revision} and {} {} {:08x}",
            and(&names),
            verb(names.len(), "has", "have"),
            one.hash,
            and(&rest),
            verb(rest.len(), "has", "have"),
            other.hash,
        ),
        explanation,
    );
    cite(&mut odd, camp, others);
    odd.revisions = vec![revision];
    let confirmed = match (
        contents.serializable.get(one.member),
        contents.serializable.get(other.member),
    ) {
        (Some(one), Some(other)) => one.keys != other.keys,
        _ => false,
    };
    if confirmed || compact <= 0 || lasted(one, other, all) {
        findings.broken(odd);
    } else {
        odd.title = format!("{}, which an unfinished compaction can explain", odd.title);
        odd.explanation.push(
            "The contents do not differ and the hashes were not compared twice a second apart: while a compaction is still deleting, hashes cover what it has left.".to_owned(),
        );
        findings.undecided(odd);
    }
}

/// Whether an earlier round, well before the last, saw the two members differ as well.
fn lasted(one: &Hash<'_>, other: &Hash<'_>, all: &[Hash<'_>]) -> bool {
    let of = |member: &str, round: u32| {
        all.iter()
            .find(|hash| hash.member == member && hash.round == round)
    };
    let now = one.asked.at.min(other.asked.at);
    all.iter()
        .filter(|early| early.member == one.member)
        .any(|early| {
            of(other.member, early.round).is_some_and(|peer| {
                early.hash != peer.hash
                    && (early.revision, early.compacted) == (peer.revision, peer.compacted)
                    && early.asked.until.max(peer.asked.until) + APART_NS <= now
            })
        })
}

fn missing(
    run: Run<'_>,
    roster: &Roster<'_>,
    quiet: &Quiet<'_>,
    last: &BTreeMap<&str, Hash<'_>>,
    findings: &mut Findings,
) {
    for &voter in roster
        .voters
        .iter()
        .filter(|voter| !last.contains_key(*voter))
    {
        let refusal = run
            .asked_for(Purpose::ConvergenceHash)
            .filter(|a| a.member == voter)
            .last();
        let Some(asked) = refusal else {
            findings.undecided(finding(
                format!("{voter}'s hash could not be judged: nobody asked for it"),
                vec![],
            ));
            continue;
        };
        if let Outcome::Error { code, message, .. } = &asked.outcome
            && is_future_revision(*code, message)
            && is_behind_its_equals(voter, quiet)
        {
            continue;
        }
        let mut undecided = finding(
            format!(
                "{voter}'s hash could not be judged: it answered {}",
                error_text(&asked.outcome)
            ),
            vec![format!("It was last asked at {}.", ms(asked.at))],
        );
        undecided.members = vec![voter.to_owned()];
        undecided.observations = vec![asked.id];
        findings.undecided(undecided);
    }
}

/// Whether a member's revision is lower than that of another at the same applied index: then the
/// revisions prove what its missing hash cannot.
fn is_behind_its_equals(member: &str, quiet: &Quiet<'_>) -> bool {
    quiet.settled(member).is_some_and(|own| {
        quiet
            .groups
            .get(&own.applied)
            .is_some_and(|group| group.iter().any(|settled| settled.revision > own.revision))
    })
}

fn members<'a>(camp: &[Hash<'a>]) -> Vec<&'a str> {
    camp.iter().map(|hash| hash.member).collect()
}

fn cite(finding: &mut crate::verdict::Finding, camp: &[Hash<'_>], others: &[Hash<'_>]) {
    let both = || camp.iter().chain(others);
    finding.observations = both().map(|hash| hash.asked.id).collect();
    finding.members = owned(&members(camp));
    finding.at = both().map(|hash| hash.asked.until).max();
}
