//! Clusters, and the sweep over their zones.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use super::hash::Fast;
use super::witness::came_back;
use super::{Contradiction, Figures, Kind, Operation, Violation};

/// The return of what never returned.
const NEVER: u64 = u64::MAX;

/// A write with the reads that saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cluster {
    pub write: u32,
    /// The operation that returned first, and the one that was called last.
    pub first: u32,
    pub last: u32,
    key: u32,
    reads: u32,
    /// The value is written by others, too.
    twin: bool,
    first_return: u64,
    last_call: u64,
}

impl Cluster {
    fn is_forward(&self) -> bool {
        self.first_return < self.last_call
    }
}

#[derive(Clone, Debug, Default)]
struct Register {
    operations: u64,
    dropped_writes: u64,
    dropped_reads: u64,
    skipped: bool,
    /// The latest call of a read that saw the initial value.
    initial: Option<(u64, u32)>,
    /// What was found while clusters were formed.
    violation: Option<Violation>,
    clusters: u32,
}

pub(super) struct Clusters {
    registers: Vec<Register>,
    all: Vec<Cluster>,
}

fn index(operation: usize) -> u32 {
    u32::try_from(operation).expect("fewer than 2^32 operations")
}

impl Clusters {
    pub(super) fn of<K: Eq + Hash, V: Eq + Hash>(operations: &[Operation<K, V>]) -> Self {
        let writes = operations
            .iter()
            .filter(|op| matches!(op.kind, Kind::Write(_)))
            .count();
        let mut this = Self {
            registers: Vec::new(),
            all: Vec::with_capacity(writes),
        };
        let mut keys: HashMap<&K, u32, Fast> = HashMap::default();
        let mut written: HashMap<(u32, &V), u32, Fast> =
            HashMap::with_capacity_and_hasher(writes, Fast::default());
        for (at, op) in operations.iter().enumerate() {
            let fresh = index(this.registers.len());
            let key = *keys.entry(&op.key).or_insert(fresh);
            if key == fresh {
                this.registers.push(Register::default());
            }
            let Kind::Write(value) = &op.kind else {
                continue;
            };
            let register = &mut this.registers[key as usize];
            register.operations += 1;
            register.clusters += 1;
            let id = index(this.all.len());
            let twin = match written.entry((key, value)) {
                Entry::Vacant(entry) => {
                    entry.insert(id);
                    false
                }
                Entry::Occupied(entry) => {
                    this.all[*entry.get() as usize].twin = true;
                    true
                }
            };
            let at = index(at);
            this.all.push(Cluster {
                write: at,
                first: at,
                last: at,
                key,
                reads: 0,
                twin,
                first_return: op.ret.unwrap_or(NEVER),
                last_call: op.call,
            });
        }
        for (at, op) in operations.iter().enumerate() {
            if let Kind::Read(seen) = &op.kind {
                let key = keys[&op.key];
                let cluster = seen.as_ref().map(|value| written.get(&(key, value)));
                this.read(
                    operations,
                    key,
                    index(at),
                    cluster.map(Option::<&u32>::copied),
                );
            }
        }
        this
    }

    /// Enters a read that saw the initial value (`None`), or that of a cluster if there is one.
    fn read<K, V>(
        &mut self,
        operations: &[Operation<K, V>],
        key: u32,
        at: u32,
        seen: Option<Option<u32>>,
    ) {
        let op = &operations[at as usize];
        let register = &mut self.registers[key as usize];
        register.operations += 1;
        let Some(ret) = op.ret else {
            register.dropped_reads += 1;
            return;
        };
        let mut violated = |contradiction, operations: &[u32]| {
            register.violation.get_or_insert_with(|| Violation {
                contradiction,
                operations: operations.iter().map(|op| *op as usize).collect(),
            });
        };
        let id = match seen {
            None => {
                if register.initial.is_none_or(|(call, _)| call < op.call) {
                    register.initial = Some((op.call, at));
                }
                return;
            }
            Some(None) => return violated(Contradiction::NeverWritten, &[at]),
            Some(Some(id)) => id,
        };
        let cluster = &mut self.all[id as usize];
        cluster.reads += 1;
        if ret < operations[cluster.write as usize].call {
            violated(Contradiction::BeforeItsWrite, &[at, cluster.write]);
        }
        register.skipped |= cluster.twin;
        if ret < cluster.first_return {
            (cluster.first_return, cluster.first) = (ret, at);
        }
        if op.call > cluster.last_call {
            (cluster.last_call, cluster.last) = (op.call, at);
        }
    }

    /// Judges every register; at most one proof for each.
    pub(super) fn judge<K, V>(
        mut self,
        operations: &[Operation<K, V>],
    ) -> (Vec<Violation>, Figures) {
        // Clusters by register, and in each by their earliest return.
        let mut ends = Vec::with_capacity(self.registers.len());
        let mut end = 0;
        for register in &self.registers {
            ends.push(end);
            end += register.clusters as usize;
        }
        let mut sorted = vec![(0, 0); end];
        for (id, cluster) in self.all.iter().enumerate() {
            let slot = &mut ends[cluster.key as usize];
            sorted[*slot] = (cluster.first_return, index(id));
            *slot += 1;
        }
        let mut start = 0;
        let (mut witnesses, mut figures) = (Vec::new(), Figures::default());
        for (key, end) in ends.into_iter().enumerate() {
            let zones = &mut sorted[start..end];
            start = end;
            let register = &mut self.registers[key];
            if register.skipped {
                figures.keys_skipped += 1;
                figures.operations_skipped += register.operations;
                continue;
            }
            zones.sort_unstable();
            // Unanswered writes that nobody read have no return, and so they come last.
            let read = zones.partition_point(|(first_return, _)| *first_return < NEVER);
            register.dropped_writes = (zones.len() - read) as u64;
            let found = register.violation.take();
            let initial = register.initial;
            let found = found.or_else(|| sweep(&self.all, &zones[..read], initial, operations));
            witnesses.extend(found);
            figures.keys += 1;
            figures.writes_dropped += register.dropped_writes;
            figures.reads_dropped += register.dropped_reads;
            figures.operations +=
                register.operations - register.dropped_writes - register.dropped_reads;
        }
        for witness in &mut witnesses {
            witness
                .operations
                .sort_by_key(|op| (operations[*op].call, *op));
        }
        (witnesses, figures)
    }
}

/// Looks for two clusters of one register that precede each other, among clusters by their
/// earliest return.
fn sweep<K, V>(
    all: &[Cluster],
    zones: &[(u64, u32)],
    initial: Option<(u64, u32)>,
    operations: &[Operation<K, V>],
) -> Option<Violation> {
    if let (Some((call, read)), Some((first_return, id))) = (initial, zones.first())
        && *first_return < call
    {
        let Cluster { write, first, .. } = all[*id as usize];
        let mut proof = vec![write as usize, first as usize, read as usize];
        proof.dedup();
        return Some(Violation {
            contradiction: Contradiction::InitialAgain,
            operations: proof,
        });
    }
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for (_, id) in zones {
        let cluster = &all[*id as usize];
        if cluster.is_forward() {
            forward.push(cluster);
        } else {
            backward.push(cluster);
        }
    }
    let overlap = forward
        .windows(2)
        .find(|pair| pair[1].first_return < pair[0].last_call)
        .map(|pair| (pair[0], pair[1]));
    let inside = || {
        backward.iter().find_map(|inner| {
            // Forward zones are disjoint here: only the last that began before can reach beyond.
            let began = forward.partition_point(|outer| outer.first_return < inner.last_call);
            let outer = forward[..began].last()?;
            (inner.first_return < outer.last_call).then_some((*outer, *inner))
        })
    };
    let (a, b) = overlap.or_else(inside)?;
    Some(came_back(a, b, operations))
}
