//! What is expected of a store.

use std::sync::LazyLock;

use semver::{Prerelease, Version, VersionReq};

use crate::plan::{Expectation, ExpectedVerdict, Plan, PlantedBy, StoreKind};
use crate::scenario::Scenario;

/// Of what something is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A release of etcd.
    Etcd(Version),
    /// The embedded store with a bug, by its id, or sound.
    Embedded(Option<String>),
}

/// The first row that is of this subject.
///
/// A pre-release counts as the release it leads to where no row names it (`3.6.0-rc.1` as
/// `3.6.0`): otherwise it would meet hardly any requirement. The embedded store is expected to hold
/// wherever no bug is planted in it.
#[must_use]
pub fn expectation<'e>(rows: &'e [Expectation], subject: &Subject) -> Option<&'e Expectation> {
    static SOUND: LazyLock<Expectation> = LazyLock::new(|| Expectation {
        versions: String::new(),
        bug: Vec::new(),
        verdict: ExpectedVerdict::Holds,
        guarantees: Vec::new(),
        because: "no bug is planted in the embedded store".into(),
    });
    match subject {
        Subject::Etcd(version) => of_version(rows, version),
        Subject::Embedded(None) => Some(&SOUND),
        Subject::Embedded(Some(bug)) => rows.iter().find(|row| row.bug.contains(bug)),
    }
}

fn of_version<'e>(rows: &'e [Expectation], version: &Version) -> Option<&'e Expectation> {
    let release = Version {
        pre: Prerelease::EMPTY,
        ..version.clone()
    };
    let meets = |row: &Expectation, version| {
        row.bug.is_empty()
            && VersionReq::parse(&row.versions).is_ok_and(|versions| versions.matches(version))
    };
    rows.iter()
        .find(|row| meets(row, version) || meets(row, &release))
}

impl Plan {
    /// What its run is of, as far as anything can be expected of it: of a command nothing is.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        match self.store.kind {
            StoreKind::Etcd => {
                let version = self.store.version.trim_start_matches('v');
                Version::parse(version).ok().map(Subject::Etcd)
            }
            StoreKind::Embedded => {
                let planted = self.planted.as_ref();
                let planted = planted.filter(|p| matches!(p.by, PlantedBy::Flag { .. }));
                Some(Subject::Embedded(planted.map(|p| p.issue.clone())))
            }
            StoreKind::Command => None,
        }
    }

    /// What is expected of its run, if anything.
    #[must_use]
    pub fn expected(&self) -> Option<&Expectation> {
        expectation(&self.expect, &self.subject()?)
    }

    /// What is expected of this release of etcd, if anything.
    #[must_use]
    pub fn expectation(&self, version: &Version) -> Option<&Expectation> {
        of_version(&self.expect, version)
    }
}

impl Scenario {
    /// What is expected of this release of etcd, if anything.
    #[must_use]
    pub fn expectation(&self, version: &Version) -> Option<&Expectation> {
        of_version(&self.expect, version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ExpectedVerdict::{Holds, Violated};
    use crate::plan::{Planted, StorePin};
    use crate::{Overrides, find, plan};

    fn rows() -> Vec<Expectation> {
        let row = |versions: &str, bug: &[&str], verdict| Expectation {
            versions: versions.into(),
            bug: bug.iter().map(ToString::to_string).collect(),
            verdict,
            guarantees: Vec::new(),
            because: String::new(),
        };
        vec![
            row("", &["14685", "prev-kv"], Violated),
            row(">=3.5.0, <3.5.6", &[], Violated),
            row(">=3.4.0", &[], Holds),
        ]
    }

    #[test]
    fn the_first_row_that_matches_wins() {
        let rows = rows();
        let verdict = |text: &str| {
            let version = Version::parse(text).unwrap();
            expectation(&rows, &Subject::Etcd(version)).map(|row| row.verdict)
        };
        assert_eq!(verdict("3.5.0"), Some(Violated));
        assert_eq!(verdict("3.5.5"), Some(Violated));
        assert_eq!(verdict("3.5.6"), Some(Holds));
        assert_eq!(verdict("3.5.6-alpha.0"), Some(Holds));
        assert_eq!(verdict("3.6.0-rc.1"), Some(Holds));
        assert_eq!(verdict("3.5.1+git"), Some(Violated));
        assert_eq!(verdict("3.3.25"), None);
    }

    #[test]
    fn rows_of_versions_are_of_etcd_and_rows_of_bugs_of_the_embedded_store() {
        let mut plan = plan(&find("steady").unwrap(), 1, &Overrides::default()).unwrap();
        plan.expect = rows();
        plan.store = StorePin {
            spec: "embedded".into(),
            version: "3.5.0".into(),
            kind: StoreKind::Embedded,
            ..StorePin::default()
        };
        let verdict = |plan: &Plan| plan.expected().map(|row| row.verdict);
        assert_eq!(verdict(&plan), Some(Holds), "sound, whatever the versions");
        for (bug, expected) in [("prev-kv", Some(Violated)), ("13766", None)] {
            plan.planted = Some(Planted {
                issue: bug.into(),
                title: String::new(),
                by: PlantedBy::Flag {
                    flag: format!("--bug={bug}"),
                },
            });
            assert_eq!(verdict(&plan), expected, "{bug}");
        }
        plan.store.kind = StoreKind::Etcd;
        assert_eq!(verdict(&plan), Some(Violated), "3.5.0 is");
        plan.store.kind = StoreKind::Command;
        assert_eq!(verdict(&plan), None);
    }
}
