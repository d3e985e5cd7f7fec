//! Scenarios that come with gauntlet, and finding one by name or path.

use std::sync::LazyLock;

use crate::error::Error;
use crate::names::suggest;
use crate::scenario::Scenario;

macro_rules! library {
    ($($name:literal),* $(,)?) => {
        [$((
            concat!("scenarios/library/", $name, ".toml"),
            include_str!(concat!("../library/", $name, ".toml")),
        )),*]
    };
}

static LIBRARY: LazyLock<Vec<Scenario>> = LazyLock::new(|| {
    let files = library![
        "steady",
        "random-kills",
        "defrag-crash",
        "auth-member-add",
        "auth-stale-permissions",
        "auth-txn-read",
        "list-append",
        "apply-crash",
        "wal-crash",
        "partitions",
        "power-loss",
        "compact-crash",
        "compact-resume",
        "defrag-snapshot",
        "read-index",
        "auth-crash",
        "lease-keepalive",
        "deposed-leader",
        "learner",
        "endurance",
        "watch-progress",
        "watch-snapshot",
        "watch-slow",
        "watch-tombstone",
    ];
    let parse = |(file, text)| match Scenario::parse(file, text) {
        Ok(scenario) => scenario,
        Err(error) => panic!("a built-in scenario is invalid:\n{error}"),
    };
    files.into_iter().map(parse).collect()
});

/// The built-in scenarios.
#[must_use]
pub fn library() -> &'static [Scenario] {
    &LIBRARY
}

/// A built-in scenario by its name, or a file by its path: whatever has a `/` or ends in `.toml`.
///
/// # Errors
///
/// [`Error::UnknownScenario`] with the nearest names, [`Error::Read`], or [`Error::File`] with
/// every problem of the file.
pub fn find(name_or_path: &str) -> Result<Scenario, Error> {
    if name_or_path.contains('/') || name_or_path.ends_with(".toml") {
        let text = std::fs::read_to_string(name_or_path).map_err(|source| Error::Read {
            path: name_or_path.into(),
            source,
        })?;
        return Scenario::parse(name_or_path, &text);
    }
    let names: Vec<_> = library().iter().map(|s| s.name.as_str()).collect();
    let found = library()
        .iter()
        .find(|scenario| scenario.name == name_or_path);
    found.cloned().ok_or_else(|| Error::UnknownScenario {
        name: name_or_path.into(),
        hint: suggest(name_or_path, names),
    })
}
