//! `gauntlet list`.

use checker::verdict::Exit;
use clap::Args as ClapArgs;
use scenarios::plan::ExpectedVerdict;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// List the known bugs that `run --bug` can put back into a fixed release.
    #[arg(long)]
    bugs: bool,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Exit> {
    if args.bugs {
        for bug in scenarios::bugs::bugs() {
            println!("{} in {}", bug.issue, bug.versions);
            println!("    {}", bug.title);
            println!("    https://github.com/etcd-io/etcd/issues/{}", bug.issue);
            let from = bug.called_from.as_deref().unwrap_or("anywhere");
            println!("    skips {} under {from}", bug.skip.join(" or "));
            println!();
        }
        return Ok(Exit::Holds);
    }
    for scenario in scenarios::library() {
        println!("{}", scenario.name);
        println!("    {}", scenario.title);
        if !scenario.issue.is_empty() {
            println!("    {}", scenario.issue);
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
            println!("    expected {verdict}{guarantees} on {}", expect.versions);
        }
        println!();
    }
    Ok(Exit::Holds)
}
