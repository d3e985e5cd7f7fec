//! `gauntlet prune`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use checker::verdict::Exit;
use clap::Args as ClapArgs;

use super::usage;
use crate::console::outln;

pub(super) const EXAMPLES: &str = "\
Examples:
  gauntlet prune --max-size 2GiB
  gauntlet prune --max-size 0 --violated     delete everything

Runs that broke a promise are kept unless --violated is given, whatever their size.";

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// How much run directories may take together, for example 500MiB or 2GiB.
    #[arg(long, value_parser = size)]
    max_size: u64,
    /// Where run directories are.
    #[arg(long, default_value = "runs")]
    out: PathBuf,
    /// Delete runs that broke a promise too.
    #[arg(long)]
    violated: bool,
}

fn size(text: &str) -> Result<u64, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("expected a size such as 500MiB or 2GiB".into()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a size such as 500MiB or 2GiB")?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "that is too large".into())
}

struct Found {
    dir: PathBuf,
    bytes: u64,
    violated: bool,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Exit> {
    if !args.out.is_dir() {
        return Err(usage(format!(
            "--out {} is no directory",
            args.out.display()
        )));
    }
    let mut runs = Vec::new();
    for scenario in directories(&args.out)? {
        for dir in directories(&scenario)? {
            if dir.join("plan.toml").is_file() {
                let violated = crate::judging::read_verdict(&dir)
                    .is_ok_and(|judged| judged.verdict == checker::verdict::Verdict::Violated);
                runs.push(Found {
                    bytes: bytes(&dir)?,
                    violated,
                    dir,
                });
            }
        }
    }
    runs.sort_by(|a, b| a.dir.file_name().cmp(&b.dir.file_name()));
    let mut total: u64 = runs.iter().map(|run| run.bytes).sum();
    let (mut count, mut freed) = (0, 0);
    for run in &runs {
        if total <= args.max_size {
            break;
        }
        if run.violated && !args.violated {
            continue;
        }
        std::fs::remove_dir_all(&run.dir)
            .with_context(|| format!("cannot delete {}", run.dir.display()))?;
        total -= run.bytes;
        freed += run.bytes;
        count += 1;
    }
    outln!(
        "deleted {count} of {} runs, the oldest first: {} MiB freed, {} MiB left",
        runs.len(),
        freed >> 20,
        total >> 20
    );
    Ok(Exit::Holds)
}

/// Directories in a directory, links left out.
fn directories(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn bytes(dir: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut total = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        total += if meta.is_dir() {
            bytes(&entry.path())?
        } else {
            meta.blocks() * 512
        };
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_binary_units() {
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("0"), Ok(0));
        assert!(size("2GB").is_err());
        assert!(size("99999999999GiB").is_err());
    }
}
