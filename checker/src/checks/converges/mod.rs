//! Converges: after healing and quiet, every member holds the same revision, hash and content.
//!
//! What is read: [`Purpose::ConvergenceStatus`] (the last two rounds that asked every member),
//! `ConvergenceHash` and `ConvergenceContent`. Members that were removed are left out; learners are
//! left out of the hashes, which they refuse.
//!
//! Applied index and revision of a Status are not read atomically, so a member counts as quiet
//! only if both were the same in two rounds. Members are compared where their state is a function
//! of what is equal among them: at the same applied index, or at the same revision.

mod content;
mod hash;

use std::collections::BTreeMap;

use super::content::Contents;
use super::findings::{Findings, and, count, finding, ms, not_run, owned, verb};
use super::rounds::{Quiet, Settled};
use super::run::Run;
use crate::history::Purpose;
use crate::verdict::{CheckReport, Guarantee};

const ENGINE: &str = "equal-at-rest 1";

/// Judges it.
#[must_use]
pub fn check(run: &Run<'_>) -> CheckReport {
    let run = *run;
    let roster = run.roster();
    let members = roster.members();
    let mut findings = Findings::default();
    let asked = run.asked_for(Purpose::ConvergenceStatus).next().is_some()
        || run.asked_for(Purpose::ConvergenceContent).next().is_some();
    if !asked || members.is_empty() {
        findings.undecided(finding(
            "nobody looked whether the members converged: the run has no reads of their state at the end",
            vec!["The run was cut short, or failed, before its final phase.".to_owned()],
        ));
        return findings.report(Guarantee::Converges, ENGINE, String::new(), vec![]);
    }
    if members.len() == 1 {
        return not_run(
            Guarantee::Converges,
            ENGINE,
            "there is one member in the end, and nothing to compare it with",
        );
    }
    let quiet = Quiet::of(run, &roster);
    let contents = Contents::of(run, &roster);
    revisions(&quiet, &mut findings);
    if !run.no_hashes {
        hash::compare(run, &roster, &quiet, &contents, &mut findings);
    }
    content::compare(&quiet, &contents, &mut findings);

    let mut holds = format!("{} hold the same content", and(&Vec::from_iter(&members)));
    if let Some((applied, group)) = quiet.groups.last_key_value() {
        let revision = group.first().map_or(0, |settled| settled.revision);
        holds = format!("{holds} at revision {revision} and applied index {applied}");
    }
    if run.no_hashes {
        holds.push_str("; hashes were not compared: the store has no HashKV");
    }
    let keys = contents
        .serializable
        .values()
        .map(|content| content.keys.len())
        .max();
    let figures = vec![
        ("members".to_owned(), members.len() as u64),
        ("status_rounds".to_owned(), quiet.rounds as u64),
        ("keys".to_owned(), keys.unwrap_or(0) as u64),
    ];
    findings.report(Guarantee::Converges, ENGINE, holds, figures)
}

fn revisions(quiet: &Quiet<'_>, findings: &mut Findings) {
    for (applied, group) in &quiet.groups {
        let mut camps: BTreeMap<i64, Vec<&Settled<'_>>> = BTreeMap::new();
        for settled in group {
            camps.entry(settled.revision).or_default().push(settled);
        }
        let (odd, most) = split(&camps);
        for (revision, camp) in odd {
            findings.broken(odd_revision(*applied, revision, &camp, &most));
        }
    }
    if quiet.groups.len() > 1 {
        let stands: Vec<_> = quiet
            .groups
            .iter()
            .map(|(applied, group)| {
                let names: Vec<_> = group.iter().map(|settled| settled.member).collect();
                format!("{} at {applied}", and(&names))
            })
            .collect();
        findings.undecided(finding(
            format!("applied indexes never became equal: {}", and(&stands)),
            vec![
                "A member that has applied less may differ rightly, so members at different applied indexes were not compared by revision.".to_owned(),
                "Whether a member that lags may still lag is judged as liveness.".to_owned(),
            ],
        ));
    }
    for (member, why) in &quiet.unsettled {
        let mut undecided = finding(
            format!("{member}'s revision could not be judged: {why}"),
            vec!["Two equal answers to Status in a row are needed of each member.".to_owned()],
        );
        undecided.members = vec![(*member).to_owned()];
        findings.undecided(undecided);
    }
}

/// What some members have in common, and who they are.
type Camp<K, T> = (K, Vec<T>);

/// Separates the camps into the odd ones and the largest; on a tie the first is the measure.
pub(super) fn split<K: Ord + Clone, T: Clone>(
    camps: &BTreeMap<K, Vec<T>>,
) -> (Vec<Camp<K, T>>, Most<K, T>) {
    let size = camps.values().map(Vec::len).max().unwrap_or(0);
    let mut largest = camps.iter().filter(|(_, camp)| camp.len() == size);
    let measure = largest.next();
    let majority = largest.next().is_none();
    let odd = camps
        .iter()
        .filter(|(key, _)| measure.is_some_and(|(most, _)| most != *key))
        .map(|(key, camp)| (key.clone(), camp.clone()))
        .collect();
    (
        odd,
        Most {
            camp: measure.map(|(key, camp)| (key.clone(), camp.clone())),
            majority,
        },
    )
}

/// The camp that the others are measured against.
pub(super) struct Most<K, T> {
    /// What its members have in common, and who they are.
    pub(super) camp: Option<Camp<K, T>>,
    /// Whether it is larger than any other.
    pub(super) majority: bool,
}

impl<K, T> Most<K, T> {
    /// The remark to make where no camp is larger than the others.
    pub(super) fn remark(&self) -> Option<String> {
        (!self.majority).then(|| {
            "No side has more members than the others, so which one is wrong cannot be told from this.".to_owned()
        })
    }
}

fn odd_revision(
    applied: u64,
    revision: i64,
    camp: &[&Settled<'_>],
    most: &Most<i64, &Settled<'_>>,
) -> crate::verdict::Finding {
    let (other, others) = match &most.camp {
        Some((other, others)) => (*other, others.as_slice()),
        None => (revision, [].as_slice()),
    };
    let names: Vec<_> = camp.iter().map(|settled| settled.member).collect();
    let rest: Vec<_> = others.iter().map(|settled| settled.member).collect();
    let distance = usize::try_from(revision.abs_diff(other)).unwrap_or(usize::MAX);
    let direction = if revision < other { "behind" } else { "ahead" };
    let mut explanation = vec![format!(
        "Two rounds of Status in a row gave {} at revision {revision} and {} at revision {other}, all at applied index {applied}.",
        and(&names),
        and(&rest),
    )];
    explanation.push(
        "The same applied index means the same entries of the log, and each entry raises the revision on every member or on none, so these revisions must be equal.".to_owned(),
    );
    explanation.push(if revision < other {
        format!(
            "{} left out the effect of entries that {} applied.",
            and(&names),
            and(&rest)
        )
    } else {
        format!(
            "{} applied entries, or repeated them, where {} did not.",
            and(&names),
            and(&rest)
        )
    });
    explanation.extend(most.remark());
    let mut odd = finding(
        format!(
            "{} {} at revision {revision} and {} at {other}, all at applied index {applied}: {} {direction}",
            and(&names),
            verb(names.len(), "is", "are"),
            and(&rest),
            count(distance, "revision"),
        ),
        explanation,
    );
    let both = || camp.iter().chain(others);
    odd.observations = both().map(|settled| settled.observation).collect();
    odd.members = owned(&names);
    odd.revisions = vec![revision, other];
    odd.at = both().map(|settled| settled.at).max();
    if let Some(at) = odd.at {
        odd.explanation
            .push(format!("The last of these answers came at {}.", ms(at)));
    }
    odd
}
