//! The `gauntlet` command: flags, and one module a verb.

mod check;
mod check_file;
mod doctor;
mod etcd;
mod history;
mod list;
mod model;
mod planting;
mod prune;
mod reproduce;
mod run;
mod selftest;
mod symbols;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use checker::verdict::Exit;
use clap::{Parser, Subcommand};

use crate::console::errln;
use crate::run::Interrupted;

const EXIT_CODES: &str = "\
Exit codes:
   0  every check that applies holds (with --expect: as expected)
   1  a promise is broken (with --expect: not as expected)
   2  inconclusive: undecided, cut short, or data missing
   3  safe, but the cluster did not recover in time
   4  nothing ran
  64  wrong flags, files or names
  70  the harness itself failed";

/// Proves from recorded histories whether an etcd-compatible store keeps its promises.
#[derive(Debug, Parser)]
#[command(name = "gauntlet", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run scenarios against a store and judge them.
    #[command(after_help = run::EXAMPLES)]
    Run(run::Args),
    /// Judge a run directory again, or a history that another tool recorded; with no store present.
    #[command(after_help = check::CHECK_EXAMPLES)]
    Check(check::CheckArgs),
    /// Write the report of a run directory again.
    #[command(after_help = check::REPORT_EXAMPLES)]
    Report(check::ReportArgs),
    /// Convert histories from one tool's format to another's.
    #[command(subcommand)]
    History(history::Verb),
    /// Run the plan of a run directory again and say whether its verdict comes back.
    #[command(after_help = reproduce::EXAMPLES)]
    Reproduce(reproduce::Args),
    /// Switch on each known bug of the embedded store and see that it is caught.
    #[command(after_help = selftest::EXAMPLES)]
    Selftest(selftest::Args),
    /// List the scenarios.
    List(list::Args),
    /// Install and find etcd releases.
    #[command(subcommand, after_help = etcd::EXAMPLES)]
    Etcd(etcd::Verb),
    /// Check the design behind a scenario in every state, with its bug and without.
    #[command(after_help = model::EXAMPLES)]
    Model(model::Args),
    /// Find functions of a Go binary: where they begin and return, and whether one can be skipped.
    #[command(after_help = symbols::EXAMPLES)]
    Symbols(symbols::Args),
    /// Delete old run directories.
    #[command(after_help = prune::EXAMPLES)]
    Prune(prune::Args),
    /// Say what this machine allows, and what to do about what it does not.
    Doctor(doctor::Args),
    /// Run one member of the embedded store, with etcd's flags; `gauntlet store --help` has them.
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Store {
        /// What the store itself reads.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Something the user can mend: exit 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Runs the command line of this process and gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let wrong = error.use_stderr();
            return exit_code(if wrong { Exit::Usage } else { Exit::Holds });
        }
    };
    // The hook has said where, and what, on standard error.
    std::panic::catch_unwind(|| run_verb(cli.verb))
        .unwrap_or_else(|_| exit_code(Exit::HarnessFault))
}

fn run_verb(verb: Verb) -> ExitCode {
    let result = match verb {
        Verb::Run(args) => run::main(&args),
        Verb::Check(args) => check::check(&args),
        Verb::Report(args) => check::report(&args),
        Verb::History(verb) => history::main(&verb),
        Verb::Reproduce(args) => reproduce::main(&args),
        Verb::Selftest(args) => selftest::main(&args),
        Verb::List(args) => list::main(&args),
        Verb::Etcd(verb) => etcd::main(verb),
        Verb::Model(args) => model::main(&args),
        Verb::Symbols(args) => symbols::main(&args),
        Verb::Prune(args) => prune::main(&args),
        Verb::Doctor(args) => doctor::main(&args),
        Verb::Store { args } => return store::run(args),
    };
    exit_code(result.unwrap_or_else(|error| {
        errln!("gauntlet: {error:#}");
        exit_of(&error)
    }))
}

fn exit_code(exit: Exit) -> ExitCode {
    ExitCode::from(exit.code())
}

/// The exit code of an error: what the user can mend is 64, an interruption 2, the rest 70.
fn exit_of(error: &anyhow::Error) -> Exit {
    let user = error.chain().any(|cause| {
        cause.is::<Usage>()
            || cause.is::<scenarios::Error>()
            || cause.is::<failpoints::symbol::SymbolError>()
            || matches!(
                cause.downcast_ref::<failpoints::ports::PortError>(),
                Some(
                    failpoints::ports::PortError::InUse { .. }
                        | failpoints::ports::PortError::Ephemeral { .. }
                )
            )
            || cause
                .downcast_ref::<checker::history::ReadError>()
                .is_some_and(|e| !matches!(e, checker::history::ReadError::Io { .. }))
    });
    if user {
        Exit::Usage
    } else if error.chain().any(|cause| cause.is::<Interrupted>()) {
        Exit::Inconclusive
    } else {
        Exit::HarnessFault
    }
}

fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// A run directory as given: it must be one.
fn run_directory(dir: &std::path::Path) -> anyhow::Result<PathBuf> {
    if !dir.is_dir() {
        return Err(usage(format!(
            "{} is no directory: give a run directory, for example runs/latest",
            dir.display()
        )));
    }
    if !dir.join("plan.toml").is_file() {
        return Err(usage(format!(
            "{} is no run directory: it has no plan.toml. Run directories are runs/<scenario>/<time>-<seed>-<pid>, and runs/latest points at the last one",
            dir.display()
        )));
    }
    Ok(std::fs::canonicalize(dir)?)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_store_gets_its_arguments_as_they_are() {
        for given in [
            &["--name=m1", "--bug", "14685"][..],
            &["--help"],
            &["--version"],
            &["-V", "--", "--data-dir", "x"],
            &[],
        ] {
            let line = ["gauntlet", "store"].iter().chain(given);
            let cli = Cli::try_parse_from(line).unwrap();
            let Verb::Store { args } = cli.verb else {
                panic!("not the store")
            };
            assert_eq!(args, given);
        }
    }
}
