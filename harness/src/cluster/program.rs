//! What a member runs: a binary, and how it is told what it is.

use std::path::PathBuf;

use super::flags::Flags;
use super::template::Template;

/// What a member runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The executable, by an absolute path.
    pub binary: PathBuf,
    arguments: Arguments,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Arguments {
    /// These, then etcd's flags.
    Etcd(Vec<String>),
    /// As a command of the user's says.
    Template(Template),
}

impl Program {
    /// A binary that takes etcd's flags.
    #[must_use]
    pub fn etcd(binary: PathBuf) -> Self {
        Self {
            binary,
            arguments: Arguments::Etcd(Vec::new()),
        }
    }

    /// The embedded store, within gauntlet's own executable.
    #[must_use]
    pub fn embedded(executable: PathBuf) -> Self {
        Self {
            binary: executable,
            arguments: Arguments::Etcd(vec!["store".into()]),
        }
    }

    /// A binary with arguments of its own.
    #[must_use]
    pub fn command(binary: PathBuf, template: Template) -> Self {
        Self {
            binary,
            arguments: Arguments::Template(template),
        }
    }

    /// Whether the data directory has to be there before it starts: etcd makes its own.
    pub(super) fn wants_data_dir(&self) -> bool {
        matches!(self.arguments, Arguments::Template(_))
    }

    pub(super) fn args(&self, flags: &Flags<'_>) -> Vec<String> {
        match &self.arguments {
            Arguments::Etcd(leading) => {
                let mut args = leading.clone();
                args.extend(flags.to_args());
                args
            }
            Arguments::Template(template) => template.fill(flags),
        }
    }
}
