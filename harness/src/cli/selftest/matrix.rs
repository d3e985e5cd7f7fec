//! Which bug is to be caught by which scenario: from the rows of the scenarios.

use scenarios::Scenario;
use scenarios::plan::ExpectedVerdict;
use store::bugs::Bug;

/// A scenario on the embedded store, with a bug or sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) bug: Option<Bug>,
    pub(super) scenario: String,
    /// Guarantees of which one is then broken.
    pub(super) guarantees: Vec<String>,
}

impl Cell {
    /// The first column of the table.
    pub(super) fn subject(&self) -> &'static str {
        self.bug.map_or("sound", Bug::id)
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection<'a> {
    /// Only these bugs; all where there are none.
    pub(super) bugs: &'a [Bug],
    /// Only these scenarios.
    pub(super) scenarios: &'a [String],
    /// No bugs.
    pub(super) sound_only: bool,
    /// One scenario for each bug.
    pub(super) quick: bool,
}

impl Selection<'_> {
    fn has_bug(&self, bug: Bug) -> bool {
        !self.sound_only && (self.bugs.is_empty() || self.bugs.contains(&bug))
    }

    fn has_scenario(&self, name: &str) -> bool {
        self.scenarios.is_empty() || self.scenarios.iter().any(|one| one == name)
    }
}

/// The cells of a selection, and the bugs that no scenario names.
pub(super) fn cells(library: &[Scenario], selection: &Selection<'_>) -> (Vec<Cell>, Vec<Bug>) {
    let mut cells = Vec::new();
    let mut unnamed = Vec::new();
    for &bug in Bug::ALL.iter().filter(|bug| selection.has_bug(**bug)) {
        let named: Vec<_> = library.iter().filter_map(|one| cell(one, bug)).collect();
        if named.is_empty() && selection.scenarios.is_empty() {
            unnamed.push(bug);
        }
        let chosen = named
            .into_iter()
            .filter(|cell| selection.has_scenario(&cell.scenario));
        let most = if selection.quick { 1 } else { usize::MAX };
        cells.extend(chosen.take(most));
    }
    if selection.bugs.is_empty() {
        let chosen = library
            .iter()
            .filter(|one| selection.has_scenario(&one.name));
        cells.extend(chosen.map(|scenario| Cell {
            bug: None,
            scenario: scenario.name.clone(),
            guarantees: Vec::new(),
        }));
    }
    (cells, unnamed)
}

/// The cell of a bug in a scenario that expects it to be caught.
fn cell(scenario: &Scenario, bug: Bug) -> Option<Cell> {
    let subject = scenarios::Subject::Embedded(Some(bug.id().into()));
    let row = scenarios::expectation(&scenario.expect, &subject)?;
    (row.verdict == ExpectedVerdict::Violated).then(|| Cell {
        bug: Some(bug),
        scenario: scenario.name.clone(),
        guarantees: row.guarantees.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(name: &str, rows: &str) -> Scenario {
        let text = format!("name = \"{name}\"\ntitle = \"t\"\n{rows}");
        Scenario::parse("test.toml", &text).unwrap()
    }

    fn library() -> Vec<Scenario> {
        let row = |bug: &str| {
            format!(
                "[[expect]]\nbug = {bug}\nverdict = \"violated\"\nguarantees = [\"linearizable\"]\n"
            )
        };
        let rare = "[[expect]]\nbug = \"18667\"\nverdict = \"holds\"\n";
        vec![
            scenario("one", &row("\"prev-kv\"")),
            scenario("two", &(row("[\"prev-kv\", \"14685\"]") + rare)),
        ]
    }

    fn named(selection: &Selection<'_>) -> (Vec<(&'static str, String)>, Vec<Bug>) {
        let (cells, unnamed) = cells(&library(), selection);
        let cells = cells
            .into_iter()
            .map(|cell| (cell.subject(), cell.scenario));
        (cells.collect(), unnamed)
    }

    #[test]
    fn rows_of_bugs_make_the_matrix_and_bugs_without_one_are_told() {
        let (found, unnamed) = named(&Selection::default());
        let expected = [
            ("14685", "two"),
            ("prev-kv", "one"),
            ("prev-kv", "two"),
            ("sound", "one"),
            ("sound", "two"),
        ];
        let expected = expected.map(|(bug, scenario)| (bug, scenario.to_owned()));
        assert_eq!(found, expected);
        assert_eq!(unnamed.len(), Bug::ALL.len() - 2);
        assert!(
            unnamed.contains(&Bug::TxnReadsStripped),
            "a row that holds catches nothing"
        );
    }

    #[test]
    fn selections_leave_out() {
        let two = ["two".to_owned()];
        let (found, unnamed) = named(&Selection {
            bugs: &[Bug::PrevKv],
            quick: true,
            ..Selection::default()
        });
        assert_eq!(found, [("prev-kv", "one".to_owned())]);
        assert!(unnamed.is_empty());
        let (found, unnamed) = named(&Selection {
            scenarios: &two,
            sound_only: true,
            ..Selection::default()
        });
        assert_eq!(found, [("sound", "two".to_owned())]);
        assert!(unnamed.is_empty());
    }

    #[test]
    fn every_bug_that_a_scenario_names_is_one_of_the_store() {
        for scenario in scenarios::library() {
            for bug in scenario.expect.iter().flat_map(|row| &row.bug) {
                assert!(bug.parse::<Bug>().is_ok(), "{}: {bug}", scenario.name);
            }
        }
    }
}
