//! Puts and gets with revisions that hold: settled without keeping records.

use std::io::{self, BufRead};

use super::{Judged, Options, report};
use crate::import::bare;
use crate::linearizable::{self, ENGINE};
use crate::verdict::Verdict;
use crate::zones;

/// Judges a `compact-jsonl` file of an etcd history in little memory, with how many operations it
/// has. None where it is something else, or where it does not plainly hold: then it takes the
/// records to say why.
///
/// # Errors
///
/// What the input cannot be read for.
pub fn judge_bare(
    input: impl BufRead,
    options: &Options<'_>,
) -> io::Result<Option<(Judged, usize)>> {
    let Some(dense) = bare(input)? else {
        return Ok(None);
    };
    let bounds = linearizable::Options {
        stop: options.stop,
        ..linearizable::Options::default()
    };
    let Ok(ordered) = dense.order(&bounds) else {
        return Ok(None);
    };
    let Some(registers) = dense.registers() else {
        return Ok(None);
    };
    let operations = dense.operations();
    if operations == 0 {
        return Ok(None);
    }
    let checked = zones::check(&registers);
    if checked.outcome != zones::Outcome::Holds {
        return Ok(None);
    }
    let summary = format!(
        "{operations} operations over {} revisions fit one order; {} revisions were made by \
         requests without an acknowledged result",
        ordered.revisions, ordered.gaps
    );
    let mut report = report(Verdict::Holds, ENGINE, summary);
    report.figures = vec![
        ("operations".to_owned(), operations),
        ("revisions".to_owned(), ordered.revisions),
        ("gaps".to_owned(), ordered.gaps),
        ("zone keys".to_owned(), checked.figures.keys),
    ];
    let judged = Judged {
        model: "etcd",
        report,
        fault: None,
    };
    Ok(Some((
        judged,
        usize::try_from(operations).unwrap_or(usize::MAX),
    )))
}
