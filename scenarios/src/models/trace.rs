//! Checking a model, and what was found, in sentences.

use std::fmt::Debug;
use std::hash::Hash;
use std::net::SocketAddr;

use stateright::{Checker as _, Expectation, Model, Path};

/// A model whose actions and states can be told in sentences.
pub(super) trait Told: Model + Clone {
    /// The same model with this property alone.
    fn only(self, property: &'static str) -> Self;

    /// What happens, as a sentence.
    fn sentence(&self, before: &Self::State, action: &Self::Action) -> String;

    /// A line for each member.
    fn lines(&self, state: &Self::State) -> Vec<String>;

    /// How this state breaks the property, as a sentence.
    fn broken(&self, property: &str, state: &Self::State) -> String;
}

/// What came of visiting the states of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Different states that were visited.
    pub states: usize,
    /// Steps of the longest way by which a state was first reached.
    pub depth: usize,
    /// The properties that always have to hold.
    pub properties: Vec<&'static str>,
    /// Situations that the model has to reach for a check to mean anything, and did not.
    pub unreached: Vec<&'static str>,
    /// A shortest counterexample for each property that is broken, the shortest first. If there
    /// are none, every state within the bounds was visited.
    pub counterexamples: Vec<Counterexample>,
}

/// A shortest way to break a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// The property.
    pub property: &'static str,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// How the last state breaks the property, as a sentence.
    pub broken: String,
}

/// One step of a counterexample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What happens, as a sentence.
    pub happens: String,
    /// The members that it changed, as they are then: a line each.
    pub members: Vec<String>,
}

pub(super) fn check<M>(model: M) -> Checked
where
    M: Told + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let checker = model.clone().checker().threads(1).spawn_bfs().join();
    let found = checker.discoveries();
    let (always, sometimes): (Vec<_>, Vec<_>) = model
        .properties()
        .into_iter()
        .map(|property| (property.expectation, property.name))
        .partition(|(expectation, _)| *expectation == Expectation::Always);
    let names = |properties: Vec<(_, &'static str)>| properties.into_iter().map(|(_, name)| name);
    let properties: Vec<_> = names(always).collect();
    let mut counterexamples: Vec<_> = properties
        .iter()
        .filter(|name| found.contains_key(*name))
        .filter_map(|name| shortest(model.clone().only(name), name))
        .collect();
    counterexamples.sort_by_key(|found| found.steps.len());
    Checked {
        states: checker.unique_state_count(),
        // stateright counts the states of a path, not its steps.
        depth: checker.max_depth().saturating_sub(1),
        properties,
        unreached: names(sometimes)
            .filter(|name| !found.contains_key(name))
            .collect(),
        counterexamples,
    }
}

/// With one thread and one property stateright 0.31 stops at the first state that breaks it, which
/// is the nearest. With more properties it goes on until all are broken, and reports the last
/// state it saw for each.
fn shortest<M>(model: M, property: &'static str) -> Option<Counterexample>
where
    M: Told + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let checker = model.clone().checker().threads(1).spawn_bfs().join();
    Some(counterexample(
        &model,
        property,
        checker.discovery(property)?,
    ))
}

fn counterexample<M: Told>(
    model: &M,
    property: &'static str,
    path: Path<M::State, M::Action>,
) -> Counterexample {
    let path = path.into_vec();
    let steps = path
        .windows(2)
        .filter_map(|pair| {
            let [(before, action), (after, _)] = pair else {
                return None;
            };
            let unchanged = model.lines(before);
            let members = model.lines(after);
            Some(Step {
                happens: model.sentence(before, action.as_ref()?),
                members: members
                    .into_iter()
                    .filter(|line| !unchanged.contains(line))
                    .collect(),
            })
        })
        .collect();
    let broken = path
        .last()
        .map(|(state, _)| model.broken(property, state))
        .unwrap_or_default();
    Counterexample {
        property,
        steps,
        broken,
    }
}

pub(super) fn explore<M>(model: M, address: SocketAddr)
where
    M: Told + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    model.checker().serve(address);
}

/// Every two of them, by their places.
pub(super) fn pairs<T>(items: &[T]) -> impl Iterator<Item = (usize, usize)> {
    let len = items.len();
    (0..len).flat_map(move |a| (a + 1..len).map(move |b| (a, b)))
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, VecDeque};

    use super::super::{Bug, auth_member_add, defrag_crash};
    use super::*;

    /// Visits the states breadth first by hand, until each property is broken.
    fn by_hand<M>(model: &M) -> (usize, usize, Vec<usize>)
    where
        M: Told,
        M::State: Clone + Eq + Hash,
    {
        let mut depths = HashMap::new();
        let mut queue: VecDeque<_> = model.init_states().into();
        depths.extend(queue.iter().cloned().map(|state| (state, 0)));
        let mut always = model.properties();
        always.retain(|property| property.expectation == Expectation::Always);
        let mut shortest = HashMap::new();
        let mut deepest = 0;
        while shortest.len() < always.len()
            && let Some(state) = queue.pop_front()
        {
            let depth = depths[&state];
            deepest = depth;
            for property in &always {
                if !(property.condition)(model, &state) {
                    shortest.entry(property.name).or_insert(depth);
                }
            }
            for next in model.next_states(&state) {
                if !depths.contains_key(&next) {
                    depths.insert(next.clone(), depth + 1);
                    queue.push_back(next);
                }
            }
        }
        let mut lengths: Vec<_> = shortest.into_values().collect();
        lengths.sort_unstable();
        (depths.len(), deepest, lengths)
    }

    fn agrees<M>(bugs: &'static [Bug], model: impl Fn(Option<&'static Bug>) -> M)
    where
        M: Told + Send + Sync + 'static,
        M::State: Clone + Debug + Eq + Hash + Send + Sync,
        M::Action: Clone + Debug + PartialEq + Send + Sync,
    {
        for bug in bugs.iter().map(Some).chain([None]) {
            let (states, depth, lengths) = by_hand(&model(bug));
            let checked = check(model(bug));
            let found: Vec<_> = checked
                .counterexamples
                .iter()
                .map(|found| found.steps.len())
                .collect();
            assert_eq!(found, lengths, "{bug:?}");
            if lengths.is_empty() {
                assert_eq!((checked.states, checked.depth), (states, depth));
            }
        }
    }

    #[test]
    fn a_search_by_hand_finds_the_same() {
        agrees(&defrag_crash::BUGS, defrag_crash::Model::new);
        agrees(&auth_member_add::BUGS, auth_member_add::Model::new);
    }
}
