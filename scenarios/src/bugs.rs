//! Known bugs put back into releases that have their fix.
//!
//! A harness earns trust by catching what is known to be there. A fix is often one call; where a
//! stock binary has that call as a function of its own, it can be skipped at run time, and the bug
//! is back. What can be planted in which release is data: `bugs.toml`.

use std::sync::LazyLock;

use semver::{Version, VersionReq};
use serde::Deserialize;

use crate::error::Error;
use crate::plan::{Expectation, ExpectedVerdict, Plan, Planted, PlantedBy, Returns};

/// A bug that can be planted, in one range of releases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// Its number among etcd's issues.
    pub issue: String,
    /// What breaks, in a line.
    pub title: String,
    /// Releases that it can be planted in.
    pub versions: VersionReq,
    /// Releases that have it as they are.
    pub present: Vec<VersionReq>,
    /// The function that is skipped; the first pattern that the binary has.
    pub skip: Vec<String>,
    /// Only under this function.
    pub called_from: Option<String>,
    /// What the skipped function returns.
    pub returns: Returns,
    /// The release with the bug whose expectations then apply.
    pub as_in: Version,
    /// How the fix is taken out.
    pub about: String,
}

/// What planting a bug came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planting {
    /// It is in the plan.
    Planted,
    /// The release has it as it is, so that nothing was planted.
    AlreadyPresent,
}

/// Every bug that can be planted.
#[must_use]
pub fn bugs() -> &'static [Bug] {
    #[derive(Deserialize)]
    struct File {
        bug: Vec<Bug>,
    }
    static BUGS: LazyLock<Vec<Bug>> =
        LazyLock::new(|| match toml::from_str::<File>(include_str!("bugs.toml")) {
            Ok(file) => file.bug,
            Err(error) => unreachable!("bugs.toml is read by a test: {error}"),
        });
    &BUGS
}

/// Puts a bug into a plan whose store is known. What the plan expects is then what the scenario
/// expects of the release that had the bug, or nothing where it expects nothing broken of it.
///
/// # Errors
///
/// [`Error::Plan`] where there is no such bug, or none for this release.
pub fn plant(plan: &mut Plan, issue: &str) -> Result<Planting, Error> {
    let issue = issue.trim_start_matches('#');
    let refuse = |message: String| Error::Plan(vec![format!("--bug {issue}: {message}")]);
    let rows: Vec<_> = bugs().iter().filter(|bug| bug.issue == issue).collect();
    if rows.is_empty() {
        let mut known: Vec<_> = bugs().iter().map(|bug| bug.issue.as_str()).collect();
        known.dedup();
        return Err(refuse(format!(
            "no such bug can be planted; allowed: {}",
            known.join(", ")
        )));
    }
    let version = plan.store.version.trim_start_matches('v');
    let version = Version::parse(version)
        .map_err(|error| refuse(format!("the store's version {version:?}: {error}")))?;
    let release = Version::new(version.major, version.minor, version.patch);
    if let Some(bug) = rows.iter().find(|bug| bug.versions.matches(&release)) {
        let was = plan.expectation(&bug.as_in).cloned();
        let row = was.filter(|row| row.verdict == ExpectedVerdict::Violated);
        plan.expect = row
            .map(|row| Expectation {
                versions: "*".into(),
                because: format!("#{issue} is planted, as in {}: {}", bug.as_in, row.because),
                ..row
            })
            .into_iter()
            .collect();
        plan.planted = Some(Planted {
            issue: bug.issue.clone(),
            title: bug.title.clone(),
            by: PlantedBy::Skip {
                skip: bug.skip.clone(),
                called_from: bug.called_from.clone(),
                returns: bug.returns,
            },
        });
        return Ok(Planting::Planted);
    }
    let mut present = rows.iter().flat_map(|bug| &bug.present);
    if present.any(|range| range.matches(&release)) {
        return Ok(Planting::AlreadyPresent);
    }
    let ranges: Vec<_> = rows.iter().map(|bug| bug.versions.to_string()).collect();
    Err(refuse(format!(
        "it cannot be planted in {release}; allowed: {}",
        ranges.join(" or ")
    )))
}

/// A planted bug in a line, for verdicts and reports.
#[must_use]
pub fn told(planted: &Planted) -> String {
    let how = match &planted.by {
        PlantedBy::Flag { flag } => format!("every member is started with {flag}"),
        PlantedBy::Skip {
            skip, called_from, ..
        } => {
            let from = called_from.iter().map(|from| format!(" under {from}"));
            format!(
                "{} is skipped{}",
                skip.join(" or "),
                from.collect::<String>()
            )
        }
    };
    let (bug, title) = (named(&planted.issue), &planted.title);
    format!("{bug}: {title} (planted: {how})")
}

/// A bug as it is called in sentences: by its number among etcd's issues, or by our name for it.
#[must_use]
pub fn named(id: &str) -> String {
    match id.parse::<u32>() {
        Ok(number) => format!("etcd #{number}"),
        Err(_) => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Overrides, find, plan};

    fn plan_for(scenario: &str, version: &str) -> Plan {
        let scenario = find(scenario).unwrap();
        let mut plan = plan(&scenario, 1, &Overrides::default()).unwrap();
        plan.store.version = version.into();
        plan
    }

    #[test]
    fn a_planted_plan_expects_what_the_bug_breaks_and_survives_its_file() {
        for (scenario, version, issue) in [
            ("defrag-crash", "3.5.16", "14685"),
            ("auth-member-add", "3.5.16", "#14571"),
            ("auth-member-add", "3.4.23", "14571"),
        ] {
            let mut plan = plan_for(scenario, version);
            assert_eq!(plant(&mut plan, issue).unwrap(), Planting::Planted);
            assert_eq!(plan.expect.len(), 1, "{scenario}");
            assert_eq!(plan.expect[0].verdict, ExpectedVerdict::Violated);
            assert!(
                plan.planted
                    .as_ref()
                    .is_some_and(|p| told(p).contains("skipped under"))
            );
            let read = Plan::from_toml("plan.toml", &plan.to_toml()).unwrap();
            assert_eq!(read, plan);
        }
    }

    #[test]
    fn a_flag_is_planted_and_plans_from_before_flags_are_read() {
        let mut plan = plan_for("steady", "3.5.16");
        plan.planted = Some(Planted {
            issue: "prev-kv".into(),
            title: "a put answers late".into(),
            by: PlantedBy::Flag {
                flag: "--bug=prev-kv".into(),
            },
        });
        let text = plan.to_toml();
        assert_eq!(Plan::from_toml("plan.toml", &text).unwrap(), plan);
        assert_eq!(
            told(plan.planted.as_ref().unwrap()),
            "prev-kv: a put answers late (planted: every member is started with --bug=prev-kv)"
        );
        let line = text.lines().find(|l| l.starts_with("planted")).unwrap();
        let before =
            "planted = { issue = \"1\", title = \"t\", skip = [\"f\"], returns = \"nothing\" }";
        let read = Plan::from_toml("plan.toml", &text.replace(line, before)).unwrap();
        assert_eq!(
            read.planted.unwrap().by,
            PlantedBy::Skip {
                skip: vec!["f".into()],
                called_from: None,
                returns: Returns::Nothing,
            }
        );
    }

    #[test]
    fn what_cannot_be_planted_is_told_from_what_is_there() {
        let mut plan = plan_for("defrag-crash", "3.5.1");
        assert_eq!(plant(&mut plan, "14685").unwrap(), Planting::AlreadyPresent);
        assert_eq!(plan.planted, None);
        let error = plant(&mut plan_for("defrag-crash", "3.4.23"), "14685").unwrap_err();
        assert!(
            error.to_string().contains("cannot be planted in 3.4.23"),
            "{error}"
        );
        let error = plant(&mut plan, "1").unwrap_err();
        assert!(
            error.to_string().contains("allowed: 14685, 14571"),
            "{error}"
        );
    }
}
