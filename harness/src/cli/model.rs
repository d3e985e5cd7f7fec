//! `gauntlet model`.

use std::net::SocketAddr;

use checker::verdict::Exit;

pub(super) const EXAMPLES: &str = "\
Examples:
  gauntlet model defrag-crash                      with each of its bugs, and without
  gauntlet model defrag-crash --bug                the shortest way to the bug of the scenario
  gauntlet model defrag-crash --bug 13766          the same of another bug
  gauntlet model auth-member-add --fixed           visit every state of the mended design
  gauntlet model auth-member-add --bug --explore   walk through the states in a browser

Exit code: 0 when no property is broken, 1 when one is. Without --bug and --fixed: 0 when every bug
breaks one and the mended design none, else 1.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario whose design is meant: defrag-crash or auth-member-add.
    name: String,
    /// With a bug, by the number of its issue; without a number, that of the scenario.
    #[arg(long, value_name = "ISSUE", num_args = 0..=1, conflicts_with = "fixed")]
    bug: Option<Option<u32>>,
    /// Without a bug.
    #[arg(long)]
    fixed: bool,
    /// Serve stateright's Explorer at this address of loopback [default: 127.0.0.1:3000]; of the
    /// mended design, unless --bug is given.
    #[arg(long, value_name = "ADDR", num_args = 0..=1)]
    explore: Option<Option<SocketAddr>>,
}

#[cfg(not(feature = "models"))]
pub(super) fn main(args: &Args) -> anyhow::Result<Exit> {
    let Args { name, .. } = args;
    Err(super::usage(format!(
        "this gauntlet was built without its models, so it cannot check {name}; build it with them: cargo install --path harness --features models"
    )))
}

#[cfg(feature = "models")]
pub(super) use with_models::main;

#[cfg(feature = "models")]
mod with_models {
    use std::net::Ipv4Addr;
    use std::time::Instant;

    use scenarios::models::{Bug, Checked, Protocol};

    use super::{Args, Exit, SocketAddr};
    use crate::cli::usage;
    use crate::console::outln;

    type Variant = Option<&'static Bug>;

    pub(in crate::cli) fn main(args: &Args) -> anyhow::Result<Exit> {
        let protocol = protocol(&args.name)?;
        let bug = match args.bug {
            None => None,
            Some(issue) => Some(bug(protocol, issue)?),
        };
        header(protocol);
        if let Some(address) = args.explore {
            let address = address.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)));
            return explore(protocol, bug, address);
        }
        if args.bug.is_some() || args.fixed {
            return Ok(match check(protocol, bug).counterexamples.is_empty() {
                true => Exit::Holds,
                false => Exit::Violated,
            });
        }
        both(protocol)
    }

    fn protocol(name: &str) -> anyhow::Result<Protocol> {
        let mut all = Protocol::ALL.into_iter();
        all.find(|protocol| protocol.name() == name).ok_or_else(|| {
            let names = Protocol::ALL.map(Protocol::name).join(", ");
            usage(format!("there is no model {name:?}; there are: {names}"))
        })
    }

    fn bug(protocol: Protocol, issue: Option<u32>) -> anyhow::Result<&'static Bug> {
        let mut bugs = protocol.bugs().iter();
        bugs.find(|bug| issue.is_none_or(|issue| bug.issue == issue))
            .ok_or_else(|| {
                let issues: Vec<_> = protocol
                    .bugs()
                    .iter()
                    .map(|b| b.issue.to_string())
                    .collect();
                usage(format!(
                    "the model {} does not have the bug of #{}; it can have: {}",
                    protocol.name(),
                    issue.unwrap_or_default(),
                    issues.join(", ")
                ))
            })
    }

    fn header(protocol: Protocol) {
        outln!("{}: {}", protocol.name(), protocol.title());
        let bounds: Vec<_> = protocol
            .bounds()
            .iter()
            .map(|(what, most)| match most {
                1 => format!("1 {}", what.trim_end_matches('s')),
                most => format!("{most} {what}"),
            })
            .collect();
        outln!("bounds: at most {}", bounds.join(", "));
    }

    fn title(bug: Variant) -> String {
        bug.map_or("the mended design".into(), |bug| {
            format!("with #{}: {} (etcd {})", bug.issue, bug.what, bug.releases)
        })
    }

    /// Every bug, then none.
    fn both(protocol: Protocol) -> anyhow::Result<Exit> {
        let mut as_expected = true;
        for bug in protocol.bugs() {
            as_expected &= !check(protocol, Some(bug)).counterexamples.is_empty();
        }
        as_expected &= check(protocol, None).counterexamples.is_empty();
        outln!();
        outln!(
            "{}",
            match as_expected {
                true => "As expected: every bug breaks a property, and the mended design none.",
                false =>
                    "Not as expected: every bug should break a property, and the mended design none.",
            }
        );
        Ok(match as_expected {
            true => Exit::Holds,
            false => Exit::Violated,
        })
    }

    fn check(protocol: Protocol, bug: Variant) -> Checked {
        outln!("\n{}", title(bug));
        let begun = Instant::now();
        let checked = protocol.check(bug);
        let seconds = begun.elapsed().as_secs_f64();
        for found in &checked.counterexamples {
            outln!("  broken: {}", found.property);
            outln!("  a shortest way there, {} steps:", found.steps.len());
            for (number, step) in found.steps.iter().enumerate() {
                outln!("    {:>2}. {}", number + 1, step.happens);
                for member in &step.members {
                    outln!("        {member}");
                }
            }
            outln!("    So: {}", found.broken);
        }
        let broken = checked.counterexamples.iter().map(|found| found.property);
        let broken: Vec<_> = broken.collect();
        for property in &checked.properties {
            if !broken.contains(property) {
                outln!("  holds: {property}");
            }
        }
        for situation in &checked.unreached {
            outln!("  never reached, so this says little: {situation}");
        }
        let (states, depth) = (checked.states, checked.depth);
        outln!(
            "  {states} states{}, at most {depth} steps from the start, {seconds:.2} s",
            match broken.is_empty() {
                true => ", which are all",
                false => " visited",
            }
        );
        checked
    }

    fn explore(protocol: Protocol, bug: Variant, address: SocketAddr) -> anyhow::Result<Exit> {
        let served = protocol.explore(bug, address, |address| {
            outln!("\n{}", title(bug));
            outln!("  Explorer at http://{address}/ until Ctrl-C");
        });
        served
            .map_err(|error| usage(format!("cannot serve the Explorer at {address}: {error}")))?;
        Ok(Exit::Holds)
    }
}
