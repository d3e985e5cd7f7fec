//! The power loss.

use std::collections::HashMap;
use std::io;

use super::content::{Fate, Record};
use super::draw::Draw;
use super::files::named;
use super::report::{FileLoss, MOST_NAMED, PowerLoss};
use super::survival::Survival;
use super::tree::Ino;
use super::volume::{Space, Volume};

/// What survives, before single writes are looked at.
struct Verdict {
    survival: Survival,
    /// The moment up to which everything survives.
    cut: u64,
    /// Files the journal has written already, up to this moment.
    flushed: HashMap<Ino, u64>,
    draw: Draw,
}

impl Verdict {
    fn fate(&mut self, ino: Ino, record: &Record) -> Fate {
        // Drawn in any case, so that one draw does not move the others.
        let fate = match self.survival {
            Survival::SyncedOnly => Fate::Lost,
            Survival::Torn { .. } if record.seq < self.cut => Fate::Kept,
            Survival::Torn { unit, .. } if record.seq == self.cut => {
                unit.tear(record, &mut self.draw)
            }
            Survival::Torn { .. } => Fate::Lost,
            Survival::Subset { tear, .. } => match (self.draw.coin(), tear) {
                (false, _) => Fate::Lost,
                (true, None) => Fate::Kept,
                (true, Some(tear)) => tear.tear(record, &mut self.draw),
            },
        };
        match self.flushed.get(&ino) {
            Some(seq) if record.seq <= *seq => Fate::Kept,
            _ => fate,
        }
    }
}

impl Volume {
    /// Takes what is not durable, but for what survives; that is durable then.
    /// Nothing else may be under way.
    pub(super) fn lose(&self, survival: Survival) -> io::Result<PowerLoss> {
        let mut report = PowerLoss {
            unsynced: self.unsynced(),
            ..PowerLoss::default()
        };
        let mut space = self.space();
        let space = &mut *space;
        let mut draw = survival.draw();
        let cut = match survival {
            Survival::Torn { .. } => space.moment(&mut draw),
            _ => 0,
        };
        let spared: Vec<bool> = match survival {
            Survival::SyncedOnly => vec![false; space.journal.len()],
            Survival::Torn { .. } => space.journal.iter().map(|it| it.seq < cut).collect(),
            Survival::Subset { .. } => space.journal.subset(&mut draw),
        };
        let total = space.journal.len() as u64;
        let kept = space.journal.take(&spared);
        report.changes_kept = kept.len() as u64;
        report.changes_lost = total - report.changes_kept;
        let mut verdict = Verdict {
            survival,
            cut,
            flushed: HashMap::new(),
            draw,
        };
        for change in kept {
            if let Some(ino) = change.flush {
                verdict.flushed.insert(ino, change.seq);
            }
            for edit in &change.edits {
                space.durable.apply(edit);
            }
            if report.survived.len() < MOST_NAMED {
                report.survived.push(change.what);
            }
        }
        space.durable.prune();
        self.lose_contents(space, &mut verdict, &mut report)?;
        self.backing
            .rebuild(&space.current, &space.durable, |ino| {
                let kind = space.inodes.get(&ino)?.kind;
                Some((kind, space.modes.get(&ino).copied().unwrap_or(0o755)))
            })?;
        space.current = space.durable.clone();
        let all = space.journal.len();
        let _lost = space.journal.take(&vec![true; all]);
        let inodes: Vec<Ino> = space.inodes.keys().copied().collect();
        for ino in inodes {
            if ino != super::tree::ROOT && space.current.links(ino) == 0 {
                if let Some(inode) = space.inodes.get(&ino) {
                    let mut data = inode.data();
                    data.gone = true;
                    data.file = None;
                }
                space.drop_unused(ino);
            }
        }
        Ok(report)
    }

    fn lose_contents(
        &self,
        space: &Space,
        verdict: &mut Verdict,
        report: &mut PowerLoss,
    ) -> io::Result<()> {
        for inode in space.dirty() {
            let mut data = inode.data();
            let Some(file) = data.file.clone() else {
                continue;
            };
            let before = data.content.held();
            let loss = data
                .content
                .lose(&file, |record| verdict.fate(inode.ino, record))?;
            self.released(before, 0);
            data.blocks = super::holes::allocated(&file)?;
            let [lost, kept, torn] = loss.counts;
            report.writes_lost += lost;
            report.writes_kept += kept;
            report.writes_torn += torn;
            if report.files.len() < MOST_NAMED {
                let path = |path: std::path::PathBuf| path.display().to_string();
                report.files.push(FileLoss {
                    path: match space.current.path(inode.ino) {
                        Some(found) => path(found),
                        None => format!("(unlinked, inode {})", inode.ino),
                    },
                    found: space.durable.path(inode.ino).map(path),
                    size: data.content.size(),
                    lost: named(&loss.lost),
                    survived: named(&loss.survived),
                });
            }
            data.close_idle();
        }
        Ok(())
    }
}

impl Space {
    /// A moment among those at which something un-synced happened, or after
    /// the last.
    fn moment(&self, draw: &mut Draw) -> u64 {
        let mut moments: Vec<u64> = self.journal.iter().map(|change| change.seq).collect();
        for inode in self.inodes.values() {
            moments.extend(inode.data().content.records().map(|record| record.seq));
        }
        moments.sort_unstable();
        let index = draw.below(moments.len() as u64 + 1) as usize;
        moments.get(index).copied().unwrap_or(u64::MAX)
    }
}
