//! Strongly connected components: R. Tarjan, *Depth-First Search and Linear Graph Algorithms*,
//! SIAM J. Comput. 1(2), 1972, without recursion.

use super::graph::{Edges, Graph};
use super::index::NONE;

/// The components of some nodes under some kinds of edges.
pub(super) struct Components {
    /// By node: its component, or `NONE` where the node was not looked at. An edge between two
    /// components leads from the higher number to the lower.
    pub(super) of: Vec<u32>,
    /// How many there are.
    pub(super) count: u32,
}

struct Search<'g> {
    graph: &'g Graph,
    kinds: Edges,
    number: Vec<u32>,
    low: Vec<u32>,
    open: Vec<u32>,
    numbered: u32,
    components: Components,
}

/// The components of `nodes` under the edges of `kinds` within one component of `within`, if given.
pub(super) fn components(
    graph: &Graph,
    nodes: impl Iterator<Item = u32>,
    within: Option<&Components>,
    kinds: Edges,
) -> Components {
    let mut search = Search {
        graph,
        kinds,
        number: vec![NONE; graph.nodes()],
        low: vec![0; graph.nodes()],
        open: Vec::new(),
        numbered: 0,
        components: Components {
            of: vec![NONE; graph.nodes()],
            count: 0,
        },
    };
    for node in nodes {
        if search.number[node as usize] == NONE {
            search.from(node, within);
        }
    }
    search.components
}

impl Search<'_> {
    fn enter(&mut self, node: u32) {
        self.number[node as usize] = self.numbered;
        self.low[node as usize] = self.numbered;
        self.numbered += 1;
        self.open.push(node);
    }

    fn from(&mut self, root: u32, within: Option<&Components>) {
        let mut path = vec![(root, 0)];
        self.enter(root);
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            if let Some(edge) = self.graph.from(node).get(*next) {
                *next += 1;
                let to = edge.to as usize;
                let apart = |all: &Components| all.of[node as usize] != all.of[to];
                if !edge.kind.meets(self.kinds) || within.is_some_and(apart) {
                    continue;
                }
                if self.number[to] == NONE {
                    self.enter(edge.to);
                    path.push((edge.to, 0));
                } else if self.components.of[to] == NONE {
                    self.low[node as usize] = self.low[node as usize].min(self.number[to]);
                }
                continue;
            }
            path.pop();
            let low = self.low[node as usize];
            if let Some((before, _)) = path.last() {
                let before = &mut self.low[*before as usize];
                *before = low.min(*before);
            }
            if low == self.number[node as usize] {
                while let Some(member) = self.open.pop() {
                    self.components.of[member as usize] = self.components.count;
                    if member == node {
                        break;
                    }
                }
                self.components.count += 1;
            }
        }
    }
}

impl Components {
    /// The members of the components of two nodes or more, in the order of their least members.
    pub(super) fn tangled(&self) -> Vec<Vec<u32>> {
        let mut sizes = vec![0_u32; self.count as usize];
        let placed = || (0..).zip(&self.of).filter(|(_, c)| **c != NONE);
        for (_, component) in placed() {
            sizes[*component as usize] += 1;
        }
        let mut slots = vec![NONE; self.count as usize];
        let mut members: Vec<Vec<u32>> = Vec::new();
        for (node, component) in placed() {
            let component = *component as usize;
            if sizes[component] > 1 {
                if slots[component] == NONE {
                    slots[component] = members.len() as u32;
                    members.push(Vec::with_capacity(sizes[component] as usize));
                }
                members[slots[component] as usize].push(node);
            }
        }
        members
    }

    /// The transactions that took effect, each after all that lead to it, where no component is
    /// tangled.
    pub(super) fn order(&self, committed: &[bool]) -> Vec<usize> {
        let mut order: Vec<_> = (0..committed.len()).filter(|at| committed[*at]).collect();
        order.sort_unstable_by_key(|at| std::cmp::Reverse(self.of[*at]));
        order
    }
}
