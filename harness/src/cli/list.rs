//! `gauntlet list`.

use checker::verdict::Exit;
use clap::Args as ClapArgs;
use scenarios::plan::ExpectedVerdict;

use crate::console::outln;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// List the known bugs that `run --bug` can switch on in the embedded store, or put back into a
    /// fixed release.
    #[arg(long)]
    bugs: bool,
}

/// The bugs of the embedded store, with the scenarios that catch them.
fn list_embedded() {
    outln!("Switched on in the embedded store, with --store embedded:");
    outln!();
    for bug in store::bugs::Bug::ALL {
        outln!("{bug}");
        outln!("    {}", bug.title());
        if bug.id().parse::<u32>().is_ok() {
            outln!("    https://github.com/etcd-io/etcd/issues/{bug}");
        }
        let subject = scenarios::Subject::Embedded(Some(bug.id().into()));
        for scenario in scenarios::library() {
            if let Some(row) = scenarios::expectation(&scenario.expect, &subject) {
                let broken = row.guarantees.join(" or ");
                outln!("    {} breaks {broken}", scenario.name);
            }
        }
        outln!();
    }
}

pub(super) fn main(args: &Args) -> anyhow::Result<Exit> {
    if args.bugs {
        list_embedded();
        outln!("Put back into releases of etcd that have the fix, with --store etcd@VERSION:");
        outln!();
        for bug in scenarios::bugs::bugs() {
            outln!("{} in {}", bug.issue, bug.versions);
            outln!("    {}", bug.title);
            outln!("    https://github.com/etcd-io/etcd/issues/{}", bug.issue);
            let from = bug.called_from.as_deref().unwrap_or("anywhere");
            outln!("    skips {} under {from}", bug.skip.join(" or "));
            outln!();
        }
        return Ok(Exit::Holds);
    }
    for scenario in scenarios::library() {
        outln!("{}", scenario.name);
        outln!("    {}", scenario.title);
        if !scenario.issue.is_empty() {
            outln!("    {}", scenario.issue);
        }
        for expect in &scenario.expect {
            let verdict = match expect.verdict {
                ExpectedVerdict::Holds => "holds",
                ExpectedVerdict::Violated => "violated",
            };
            let guarantees = match expect.guarantees.is_empty() {
                true => String::new(),
                false => format!(" ({})", expect.guarantees.join(", ")),
            };
            let of = match expect.bug.is_empty() {
                true => format!("on {}", expect.versions),
                false => format!("with --bug {}", expect.bug.join(" or ")),
            };
            outln!("    expected {verdict}{guarantees} {of}");
        }
        outln!();
    }
    Ok(Exit::Holds)
}
