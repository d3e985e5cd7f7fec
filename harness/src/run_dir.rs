//! The run directory: the contract between run, check, report and reproduce.
//!
//! `runs/<scenario>/<UTC to the millisecond>-<seed>-<pid>/`, with `runs/latest` and
//! `runs/latest-violated` beside the scenarios.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

/// Makes a fresh run directory.
///
/// # Errors
/// When it cannot be made, or is there already.
pub fn create(out: &Path, scenario: &str, seed: u64) -> anyhow::Result<PathBuf> {
    let parent = out.join(scenario);
    std::fs::create_dir_all(&parent)
        .with_context(|| format!("cannot create {}", parent.display()))?;
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    let dir = parent.join(format!("{}-{seed}-{}", utc(millis), std::process::id()));
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

/// Milliseconds since the epoch as `20261122T133015.123Z`: sorts by time, and holds no colon.
fn utc(millis: u64) -> String {
    let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{milli:03}Z")
}

/// Days since 1970-01-01 to year, month, day (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", civil_from_days).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time() {
        assert_eq!(utc(0), "19700101T000000.000Z");
        assert_eq!(utc(951_782_400_000), "20000229T000000.000Z");
        assert_eq!(utc(1_795_354_215_123), "20261122T133015.123Z");
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
