//! Faults of single operations: rules, and which of them an operation meets.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

use super::draw::{Draw, hash};

/// A rule in force, by number; numbers are not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(pub u64);

/// What kind of operation a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// read(2) and its like, and reading through a mapping; what the kernel's
    /// page cache answers does not count.
    Read,
    /// write(2) and its like, truncations, fallocate(2).
    Write,
    /// fsync(2), fdatasync(2), of files and of directories, and the sync that
    /// is part of a write under O_SYNC or O_DSYNC.
    Fsync,
    /// Create, link, rename, unlink, mkdir, rmdir.
    Name,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Effect {
    /// The operation fails with EIO and has no effect: after an fsync that
    /// failed the data are not durable, and a later one may make them so. (ext4
    /// would forget that they are not: that is not modelled.)
    Eio,
    /// The operation waits before it is done. SIGKILL does not cut that short;
    /// a power loss and the end of the rule do.
    Delay {
        /// For how long.
        millis: u64,
    },
    /// With [`Op::Write`]: while the rule is in force, operations fail with
    /// ENOSPC if the disk's files (all, whatever the rule's pattern) would take
    /// more space. What is written already is not affected, nor are writes into
    /// space that is allocated. Of several quotas the lowest counts.
    Quota {
        /// The space, in bytes; counted in blocks of 4 KiB.
        bytes: u64,
    },
    /// With [`Op::Read`]: readers see one flipped bit in every stretch of
    /// `every` bytes, always the same one. The stored bytes stay as they are,
    /// and `from` and `times` do not apply.
    BitFlip {
        /// Where the draws come from; which bit depends on the file's path too.
        seed: u64,
        /// The stretch, in bytes; at least 1.
        every: u64,
    },
}

/// A fault of single operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Files, as a glob over their path below the mount (`member/wal/*.wal`;
    /// `*` stays within a component, `**` does not). A pattern without `/`
    /// matches the last component: `*.wal`, `db`.
    pub paths: String,
    /// The operations it is about.
    pub op: Op,
    /// What it does to them.
    pub effect: Effect,
    /// The first operation it acts on, counted from 1 when it is armed.
    #[serde(default = "one")]
    pub from: u64,
    /// How many operations it acts on; none is all.
    #[serde(default)]
    pub times: Option<u64>,
}

fn one() -> u64 {
    1
}

impl Rule {
    /// A rule that acts on every such operation.
    pub fn new(paths: impl Into<String>, op: Op, effect: Effect) -> Self {
        Self {
            paths: paths.into(),
            op,
            effect,
            from: 1,
            times: None,
        }
    }

    /// What is wrong with it, if anything.
    ///
    /// # Errors
    ///
    /// A sentence that names the field.
    pub fn check(&self) -> Result<(), String> {
        self.matcher()?;
        match (self.effect, self.op) {
            (Effect::Quota { .. }, op) if op != Op::Write => {
                Err("a quota is a fault of the operation `write`".into())
            }
            (Effect::BitFlip { .. }, op) if op != Op::Read => {
                Err("a bit flip is a fault of the operation `read`".into())
            }
            (Effect::BitFlip { every: 0, .. }, _) => Err("`every` must be at least 1".into()),
            _ if self.from == 0 => Err("`from` counts from 1".into()),
            _ => Ok(()),
        }
    }

    fn matcher(&self) -> Result<Matcher, String> {
        let glob = GlobBuilder::new(&self.paths)
            .literal_separator(true)
            .build()
            .map_err(|error| format!("`paths`: {error}"))?;
        Ok(Matcher {
            glob: glob.compile_matcher(),
            whole: self.paths.contains('/'),
        })
    }
}

#[derive(Debug)]
struct Matcher {
    glob: GlobMatcher,
    whole: bool,
}

impl Matcher {
    fn matches(&self, path: &Path) -> bool {
        match path.file_name() {
            Some(name) if !self.whole => self.glob.is_match(name),
            _ => self.glob.is_match(path),
        }
    }
}

#[derive(Debug)]
struct Armed {
    id: RuleId,
    rule: Rule,
    matcher: Matcher,
    seen: u64,
    hits: u64,
}

impl Armed {
    /// Counts an operation; says whether the rule acts on it.
    fn hit(&mut self) -> bool {
        self.seen += 1;
        let index = self.seen;
        let acts = index >= self.rule.from
            && self
                .rule
                .times
                .is_none_or(|times| index - self.rule.from < times);
        self.hits += u64::from(acts);
        acts
    }
}

/// What an operation meets.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) error: bool,
    /// The longest delay, and whose it is.
    pub(super) delay: Option<(Duration, RuleId)>,
    pub(super) quota: Option<u64>,
    /// The flips, as (seed, stretch).
    pub(super) flips: Vec<(u64, u64)>,
}

/// The rules in force.
#[derive(Debug, Default)]
pub(super) struct Rules {
    armed: Mutex<(u64, Vec<Armed>)>,
    count: AtomicUsize,
}

/// Rules at one time, at most.
const MOST: usize = 256;

impl Rules {
    fn lock(&self) -> MutexGuard<'_, (u64, Vec<Armed>)> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn arm(&self, rule: Rule) -> Result<RuleId, String> {
        rule.check()?;
        let matcher = rule.matcher()?;
        let mut armed = self.lock();
        if armed.1.len() == MOST {
            return Err(format!("no more than {MOST} rules at a time"));
        }
        armed.0 += 1;
        let id = RuleId(armed.0);
        armed.1.push(Armed {
            id,
            rule,
            matcher,
            seen: 0,
            hits: 0,
        });
        self.count.store(armed.1.len(), Ordering::Release);
        Ok(id)
    }

    /// Takes a rule out of force; says how many operations it acted on.
    pub(super) fn clear(&self, id: RuleId) -> Option<u64> {
        let mut armed = self.lock();
        let index = armed.1.iter().position(|it| it.id == id)?;
        let rule = armed.1.remove(index);
        self.count.store(armed.1.len(), Ordering::Release);
        Some(rule.hits)
    }

    pub(super) fn clear_all(&self) {
        let mut armed = self.lock();
        armed.1.clear();
        self.count.store(0, Ordering::Release);
    }

    pub(super) fn hits(&self, id: RuleId) -> Option<u64> {
        let armed = self.lock();
        armed.1.iter().find(|it| it.id == id).map(|it| it.hits)
    }

    /// An operation was refused for want of space: counted for every quota.
    pub(super) fn refused(&self) {
        for armed in &mut self.lock().1 {
            let quota = matches!(armed.rule.effect, Effect::Quota { .. });
            armed.hits += u64::from(quota);
        }
    }

    /// The lowest quota in force.
    pub(super) fn quota(&self) -> Option<u64> {
        let armed = self.lock();
        let quotas = armed.1.iter().filter_map(|it| match it.rule.effect {
            Effect::Quota { bytes } => Some(bytes),
            _ => None,
        });
        quotas.min()
    }

    pub(super) fn effect(&self, id: RuleId) -> Option<Effect> {
        let armed = self.lock();
        armed
            .1
            .iter()
            .find(|it| it.id == id)
            .map(|it| it.rule.effect)
    }

    pub(super) fn is_armed(&self, id: RuleId) -> bool {
        self.hits(id).is_some()
    }

    /// What an operation meets. The path is asked for only if it matters.
    pub(super) fn meet(&self, op: Op, path: impl FnOnce() -> Option<std::path::PathBuf>) -> Met {
        let mut met = Met::default();
        if self.count.load(Ordering::Acquire) == 0 {
            return met;
        }
        let Some(path) = path() else { return met };
        for armed in self.lock().1.iter_mut().filter(|it| it.rule.op == op) {
            let here = armed.matcher.matches(&path);
            let effect = armed.rule.effect;
            match effect {
                Effect::Quota { bytes } => {
                    met.quota = Some(met.quota.map_or(bytes, |lowest| lowest.min(bytes)));
                }
                Effect::BitFlip { seed, every } if here => {
                    let name = hash(path.as_os_str().as_encoded_bytes());
                    met.flips.push((seed ^ name, every));
                    armed.hits += 1;
                }
                Effect::Eio if here => met.error |= armed.hit(),
                Effect::Delay { millis } if here && armed.hit() => {
                    let delay = Duration::from_millis(millis);
                    if met.delay.is_none_or(|(longest, _)| longest < delay) {
                        met.delay = Some((delay, armed.id));
                    }
                }
                _ => {}
            }
        }
        met
    }
}

/// Flips one bit in every stretch of a file that these bytes are a part of.
pub(super) fn flip(bytes: &mut [u8], at: u64, (seed, every): (u64, u64)) {
    let end = at + bytes.len() as u64;
    let mut stretch = at / every;
    while stretch * every < end {
        let mut draw = Draw::new(seed ^ stretch.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let byte = stretch * every + draw.below(every);
        if (at..end).contains(&byte) {
            bytes[(byte - at) as usize] ^= 1 << draw.below(8);
        }
        stretch += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(rules: &Rules, op: Op, path: &str) -> bool {
        rules.meet(op, || Some(path.into())).error
    }

    #[test]
    fn a_pattern_without_slash_is_about_the_last_component() {
        let rules = Rules::default();
        let id = rules
            .arm(Rule::new("*.wal", Op::Write, Effect::Eio))
            .unwrap();
        assert!(meets(&rules, Op::Write, "member/wal/0-0.wal"));
        assert!(!meets(&rules, Op::Write, "member/snap/db"));
        assert!(!meets(&rules, Op::Read, "member/wal/0-0.wal"));
        assert_eq!(rules.clear(id), Some(1));
        rules
            .arm(Rule::new("member/*", Op::Read, Effect::Eio))
            .unwrap();
        assert!(meets(&rules, Op::Read, "member/x"));
        assert!(!meets(&rules, Op::Read, "member/snap/db"));
        assert!(!meets(&rules, Op::Write, "0-0.wal"), "cleared");
    }

    #[test]
    fn the_nth_and_how_often() {
        let rules = Rules::default();
        let mut rule = Rule::new("db", Op::Fsync, Effect::Eio);
        (rule.from, rule.times) = (3, Some(2));
        let id = rules.arm(rule).unwrap();
        let met: Vec<bool> = (0..6).map(|_| meets(&rules, Op::Fsync, "db")).collect();
        assert_eq!(met, [false, false, true, true, false, false]);
        assert_eq!(rules.hits(id), Some(2));
    }

    #[test]
    fn rules_that_mean_nothing_are_refused() {
        let refused = |rule: Rule| rule.check().unwrap_err();
        let quota = Rule::new("*", Op::Read, Effect::Quota { bytes: 1 });
        assert!(refused(quota).contains("write"));
        let flip = Effect::BitFlip { seed: 1, every: 0 };
        assert!(refused(Rule::new("*", Op::Read, flip)).contains("every"));
        assert!(refused(Rule::new("[", Op::Read, Effect::Eio)).contains("paths"));
        let mut never = Rule::new("*", Op::Read, Effect::Eio);
        never.from = 0;
        assert!(refused(never).contains("from"));
    }

    #[test]
    fn flips_do_not_depend_on_how_a_file_is_read() {
        let plain = vec![0_u8; 10_000];
        let mut whole = plain.clone();
        flip(&mut whole, 0, (5, 1000));
        let ones: u32 = whole.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(ones, 10);
        let mut parts = plain;
        for (index, part) in parts.chunks_mut(777).enumerate() {
            flip(part, index as u64 * 777, (5, 1000));
        }
        assert_eq!(whole, parts);
    }
}
