//! Cycles of dependencies, the strongest first, each as short as can be found.
//!
//! The kinds of edges grow from ww to ww and wr to all, then the same with the order of processes,
//! then with real time. A component of a growing graph is searched for a kind of cycle unless a
//! cycle as strong was found in it: so each finding is a new one, under its strongest name.

use std::collections::VecDeque;

use super::components::{Components, components};
use super::graph::{Edges, Graph};
use super::index::{Index, NONE};
use super::{Anomaly, CycleKind, Dependency, Found, Ordering, Step};

const DEPENDENCIES: [(Edges, &[CycleKind]); 3] = [
    (Edges::WW, &[CycleKind::G0]),
    (Edges::WW.and(Edges::WR), &[CycleKind::G1c]),
    (
        Edges::WW.and(Edges::WR).and(Edges::RW),
        &[
            CycleKind::GSingle,
            CycleKind::GNonadjacent,
            CycleKind::G2Item,
        ],
    ),
];

const ORDERINGS: [(Ordering, Edges); 3] = [
    (Ordering::None, Edges::ON),
    (Ordering::Process, Edges::ON.and(Edges::PROCESS)),
    (
        Ordering::RealTime,
        Edges::ON.and(Edges::PROCESS).and(Edges::REAL_TIME),
    ),
];

/// Looks for cycles in the components of the whole graph.
pub(super) fn search(
    graph: &Graph,
    whole: &Components,
    index: &Index,
    steps_max: u64,
    found: &mut Found,
) {
    let tangled: Vec<u32> = whole.tangled().into_iter().flatten().collect();
    if tangled.is_empty() {
        return;
    }
    let mut walk = Walk {
        graph,
        index,
        steps: steps_max,
        distance: vec![NONE; 2 * graph.nodes()],
        came_by: vec![(NONE, NONE); 2 * graph.nodes()],
        touched: Vec::new(),
        queue: VecDeque::new(),
    };
    // One node of each cycle found, with what was found.
    let mut known: Vec<(u32, CycleKind, Ordering)> = Vec::new();
    for (ordering, order) in ORDERINGS {
        for (dependencies, kinds) in DEPENDENCIES {
            let mask = dependencies.and(order);
            let parts = components(graph, tangled.iter().copied(), Some(whole), mask);
            let mut covered = vec![Vec::new(); parts.count as usize];
            for (node, kind, ordering) in &known {
                covered[parts.of[*node as usize] as usize].push((*kind, *ordering));
            }
            for members in parts.tangled() {
                let component = parts.of[members[0] as usize];
                for kind in kinds {
                    let covered = &mut covered[component as usize];
                    if covered.iter().any(|(k, o)| k <= kind && *o <= ordering) {
                        continue;
                    }
                    let Some(steps) = walk.shortest(&members, &parts, *kind, mask) else {
                        continue;
                    };
                    let (kind, ordering) = name(&steps);
                    known.push((steps[0].from as u32, kind, ordering));
                    covered.push((kind, ordering));
                    found.add(Anomaly::Cycle {
                        kind,
                        ordering,
                        steps,
                    });
                }
            }
        }
    }
}

/// What a cycle is called.
fn name(steps: &[Step]) -> (CycleKind, Ordering) {
    let is_rw = |step: &Step| matches!(step.because, Dependency::ReadWrite { .. });
    let any = |f: fn(&Dependency) -> bool| steps.iter().any(|step| f(&step.because));
    let adjacent =
        (0..steps.len()).any(|i| is_rw(&steps[i]) && is_rw(&steps[(i + 1) % steps.len()]));
    let kind = match steps.iter().filter(|step| is_rw(step)).count() {
        0 if any(|d| matches!(d, Dependency::WriteRead { .. })) => CycleKind::G1c,
        0 => CycleKind::G0,
        1 => CycleKind::GSingle,
        _ if adjacent => CycleKind::G2Item,
        _ => CycleKind::GNonadjacent,
    };
    let ordering = if any(|d| matches!(d, Dependency::RealTime)) {
        Ordering::RealTime
    } else if any(|d| matches!(d, Dependency::Process)) {
        Ordering::Process
    } else {
        Ordering::None
    };
    (kind, ordering)
}

/// Breadth-first searches. A state is a node, and for cycles without adjacent anti-dependencies
/// whether the last edge was one.
struct Walk<'a> {
    graph: &'a Graph,
    index: &'a Index,
    /// Edges that may still be looked at.
    steps: u64,
    distance: Vec<u32>,
    /// State before, and edge.
    came_by: Vec<(u32, u32)>,
    touched: Vec<u32>,
    queue: VecDeque<u32>,
}

/// What a cycle must be.
#[derive(Clone, Copy)]
struct Wanted {
    /// Edges after the first.
    mask: Edges,
    nonadjacent: bool,
    component: u32,
}

impl Walk<'_> {
    /// The shortest cycle of this kind in a component.
    fn shortest(
        &mut self,
        members: &[u32],
        parts: &Components,
        kind: CycleKind,
        mask: Edges,
    ) -> Option<Vec<Step>> {
        let first = match kind {
            CycleKind::G0 => Edges::WW,
            CycleKind::G1c => Edges::WR,
            _ => Edges::RW,
        };
        let wanted = Wanted {
            mask: match kind {
                CycleKind::GSingle => mask.without(Edges::RW),
                _ => mask,
            },
            nonadjacent: kind == CycleKind::GNonadjacent,
            component: parts.of[members[0] as usize],
        };
        // From any edge of these kinds there is a way back: one try is enough to find a cycle.
        let sure = matches!(kind, CycleKind::G0 | CycleKind::G1c | CycleKind::G2Item);
        let mut best: Option<Vec<Step>> = None;
        for from in members {
            for at in self.graph.range(*from) {
                let edge = self.graph.edge(at);
                if !edge.kind.meets(first) || parts.of[edge.to as usize] != wanted.component {
                    continue;
                }
                let must = sure && best.is_none();
                if self.steps == 0 && !must {
                    return best;
                }
                let shorter_than = best.as_ref().map_or(u32::MAX, |best| best.len() as u32);
                let path = self.back(*from, at, wanted, parts, shorter_than, must);
                if let Some(path) = path {
                    let steps = self.steps_of(*from, &path);
                    let two = steps.len() == 2;
                    best = Some(steps);
                    if two {
                        return best;
                    }
                }
            }
        }
        best
    }

    /// The edges of the shortest cycle that begins with this edge, if it is shorter than that many
    /// transactions.
    fn back(
        &mut self,
        home: u32,
        first: usize,
        wanted: Wanted,
        parts: &Components,
        shorter_than: u32,
        must: bool,
    ) -> Option<Vec<usize>> {
        for state in self.touched.drain(..) {
            self.distance[state as usize] = NONE;
        }
        self.queue.clear();
        let to = self.graph.edge(first).to;
        let start = 2 * to + u32::from(wanted.nonadjacent);
        self.distance[start as usize] = u32::from(self.graph.is_transaction(to));
        self.came_by[start as usize] = (NONE, first as u32);
        self.touched.push(start);
        self.queue.push_back(start);
        while let Some(state) = self.queue.pop_front() {
            let (node, after_rw) = (state / 2, state % 2 == 1);
            let distance = self.distance[state as usize];
            // Closing the cycle adds the transaction that it began with.
            if distance.saturating_add(1) >= shorter_than {
                continue;
            }
            for at in self.graph.range(node) {
                if self.steps == 0 && !must {
                    return None;
                }
                self.steps = self.steps.saturating_sub(1);
                let edge = self.graph.edge(at);
                let inside = parts.of[edge.to as usize] == wanted.component;
                if !edge.kind.meets(wanted.mask) || !inside {
                    continue;
                }
                let is_rw = edge.kind.meets(Edges::RW);
                if wanted.nonadjacent && after_rw && is_rw {
                    continue;
                }
                let goes_on = edge.kind.meets(Edges::ON) && after_rw;
                let flag = wanted.nonadjacent && (is_rw || goes_on);
                if edge.to == home {
                    if flag {
                        continue;
                    }
                    return self.path(state, at);
                }
                let next = 2 * edge.to + u32::from(flag);
                let step = u32::from(self.graph.is_transaction(edge.to));
                let known = self.distance[next as usize];
                if distance + step < known {
                    if known == NONE {
                        self.touched.push(next);
                    }
                    self.distance[next as usize] = distance + step;
                    self.came_by[next as usize] = (state, at as u32);
                    if step == 0 {
                        self.queue.push_front(next);
                    } else {
                        self.queue.push_back(next);
                    }
                }
            }
        }
        None
    }

    /// The edges on the way to a state and one more; None if a node is passed twice.
    fn path(&self, mut state: u32, last: usize) -> Option<Vec<usize>> {
        let mut edges = vec![last];
        let mut nodes = Vec::new();
        while state != NONE {
            let (before, edge) = self.came_by[state as usize];
            edges.push(edge as usize);
            nodes.push(state / 2);
            state = before;
        }
        edges.reverse();
        let count = nodes.len();
        nodes.sort_unstable();
        nodes.dedup();
        (nodes.len() == count).then_some(edges)
    }

    /// The same, from transaction to transaction, beginning with the first of them.
    fn steps_of(&self, home: u32, edges: &[usize]) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut from = home;
        let mut begun = None;
        for at in edges {
            let edge = self.graph.edge(*at);
            let (kind, first, then) = begun.unwrap_or((edge.kind, edge.first, edge.then));
            let then = if edge.kind.meets(Edges::ON) {
                edge.then
            } else {
                then
            };
            if !self.graph.is_transaction(edge.to) {
                begun = Some((kind, first, then));
                continue;
            }
            begun = None;
            steps.push(Step {
                from: from as usize,
                to: edge.to as usize,
                because: self.because(kind, first, then),
            });
            from = edge.to;
        }
        let first = (0..steps.len()).min_by_key(|at| steps[*at].from);
        steps.rotate_left(first.unwrap_or(0));
        steps
    }

    fn because(&self, kind: Edges, first: u32, then: u32) -> Dependency {
        let element = |id: u32| self.index.appends.get(id as usize).map(|a| a.element);
        let known = if first == NONE { then } else { first };
        let append = self.index.appends.get(known as usize);
        let key = append.map_or(0, |a| self.index.keys[a.key as usize]);
        match (element(first), element(then)) {
            (Some(first), Some(then)) if kind == Edges::WW => {
                Dependency::WriteWrite { key, first, then }
            }
            (Some(element), _) if kind == Edges::WR => Dependency::WriteRead { key, element },
            (read, Some(then)) if kind == Edges::RW => Dependency::ReadWrite { key, read, then },
            _ if kind == Edges::PROCESS => Dependency::Process,
            _ => Dependency::RealTime,
        }
    }
}
