//! What can be wrong with a scenario, a plan or an override.

use std::fmt;
use std::ops::Range;

/// Why there is no scenario or no plan. All of these are usage errors (exit 64).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that is not a valid scenario or plan; one line a problem.
    #[error("{}", lines(file, problems))]
    File {
        /// The file, as it was named.
        file: String,
        /// Everything wrong with it, in the order of the file.
        problems: Vec<Problem>,
    },
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file, as it was named.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A name that no built-in scenario has.
    #[error(
        "no scenario {name:?}{hint} (or name a file: by a path with a '/', or ending in .toml)"
    )]
    UnknownScenario {
        /// The name.
        name: String,
        /// The nearest names and all names, as the end of the sentence.
        hint: String,
    },
    /// A `--set path=value` that does not fit the plan.
    #[error("--set {path}={value}: {message}")]
    Set {
        /// The path.
        path: String,
        /// The value.
        value: String,
        /// What is wrong, and what is allowed.
        message: String,
    },
    /// A plan that cannot be run, for example after overrides.
    #[error("{}", .0.join("\n"))]
    Plan(
        /// Everything wrong with it.
        Vec<String>,
    ),
}

/// One thing wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl Problem {
    pub(crate) fn at(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().unwrap_or(before).chars().count() + 1,
            message: message.into(),
        }
    }

    pub(crate) fn from_toml(text: &str, error: &toml::de::Error) -> Self {
        Self::at(text, error.span().unwrap_or(0..0), error.message())
    }
}

fn lines(file: &str, problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(|p| format!("{file}:{p}")).collect();
    lines.join("\n")
}
