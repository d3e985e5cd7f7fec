//! The run directory: the contract between run, check, report and reproduce.
//!
//! `runs/<scenario>/<UTC to the millisecond>-<seed>-<pid>/`, with `runs/latest` and
//! `runs/latest-violated` beside the scenarios.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;

/// Makes a fresh run directory.
///
/// # Errors
/// When it cannot be made, or is there already.
pub fn create(out: &Path, scenario: &str, seed: u64) -> anyhow::Result<PathBuf> {
    let parent = out.join(scenario);
    std::fs::create_dir_all(&parent)
        .with_context(|| format!("cannot create {}", parent.display()))?;
    let dir = parent.join(format!(
        "{}-{seed}-{}",
        utc(SystemTime::now()),
        std::process::id()
    ));
    std::fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// Points `out/<name>` at a run directory, atomically.
///
/// # Errors
/// When the link cannot be made.
pub fn point(out: &Path, name: &str, dir: &Path) -> anyhow::Result<()> {
    let target = dir.strip_prefix(out).unwrap_or(dir);
    let link = out.join(name);
    let fresh = out.join(format!(".{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&fresh);
    std::os::unix::fs::symlink(target, &fresh)
        .and_then(|()| std::fs::rename(&fresh, &link))
        .with_context(|| format!("cannot point {} at {}", link.display(), dir.display()))
}

/// Writes a file so that it is there whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let fresh = path.with_extension("part");
    std::fs::write(&fresh, content)
        .and_then(|()| std::fs::rename(&fresh, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A time as `20261122T133015.123Z`: sorts by time, and holds no colon.
fn utc(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_millis(time).to_string();
    text.replace(['-', ':'], "")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_sort_by_time() {
        let at = |millis| utc(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(at(0), "19700101T000000.000Z");
        assert_eq!(at(1_795_354_215_123), "20261122T133015.123Z");
    }

    #[test]
    fn the_latest_link_is_replaced() {
        let out = tempfile::tempdir().unwrap();
        for seed in [1, 2] {
            let dir = create(out.path(), "steady", seed).unwrap();
            point(out.path(), "latest", &dir).unwrap();
            let found = std::fs::canonicalize(out.path().join("latest")).unwrap();
            assert_eq!(found, std::fs::canonicalize(&dir).unwrap());
        }
    }
}
