//! What is expected of a version.

use semver::{Prerelease, Version, VersionReq};

use crate::plan::{Expectation, Plan};
use crate::scenario::Scenario;

/// The first row whose requirement this version meets.
///
/// A pre-release counts as the release it leads to where no row names it (`3.6.0-rc.1` as
/// `3.6.0`): otherwise it would meet hardly any requirement.
#[must_use]
pub fn expectation<'e>(rows: &'e [Expectation], version: &Version) -> Option<&'e Expectation> {
    let release = Version {
        pre: Prerelease::EMPTY,
        ..version.clone()
    };
    let meets = |row: &Expectation, version| {
        VersionReq::parse(&row.versions).is_ok_and(|versions| versions.matches(version))
    };
    rows.iter()
        .find(|row| meets(row, version) || meets(row, &release))
}

impl Plan {
    /// What is expected of this version, if anything.
    #[must_use]
    pub fn expectation(&self, version: &Version) -> Option<&Expectation> {
        expectation(&self.expect, version)
    }
}

impl Scenario {
    /// What is expected of this version, if anything.
    #[must_use]
    pub fn expectation(&self, version: &Version) -> Option<&Expectation> {
        expectation(&self.expect, version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ExpectedVerdict::{Holds, Violated};

    #[test]
    fn the_first_row_that_matches_wins() {
        let row = |versions: &str, verdict| Expectation {
            versions: versions.into(),
            verdict,
            guarantees: Vec::new(),
            because: String::new(),
        };
        let rows = [row(">=3.5.0, <3.5.6", Violated), row(">=3.4.0", Holds)];
        let verdict = |text: &str| {
            let version = Version::parse(text).unwrap();
            expectation(&rows, &version).map(|row| row.verdict)
        };
        assert_eq!(verdict("3.5.0"), Some(Violated));
        assert_eq!(verdict("3.5.5"), Some(Violated));
        assert_eq!(verdict("3.5.6"), Some(Holds));
        assert_eq!(verdict("3.5.6-alpha.0"), Some(Holds));
        assert_eq!(verdict("3.6.0-rc.1"), Some(Holds));
        assert_eq!(verdict("3.5.1+git"), Some(Violated));
        assert_eq!(verdict("3.3.25"), None);
    }
}
