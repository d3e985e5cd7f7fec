//! Links between members, and between clients and members, broken and healed by their proxies.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, anyhow, bail};
use failpoints::network::{
    CLIENTS, Effect, Imposed, Link, LinkStats, Loss, PeerProxies, Slow, shapes,
};
use scenarios::plan::{Action, Clients, How, Shape};

use super::{Cluster, find_mut};

/// An effect on links that a step has put in force.
pub(super) struct Broken {
    /// Whom the step named: a heal of any of them takes it back.
    subjects: Vec<String>,
    links: BTreeSet<Link>,
    /// Whether no byte passes.
    severed: bool,
    imposed: Option<Imposed>,
    /// Those whose packets are dropped.
    dropped: BTreeSet<Link>,
    /// What had been counted by then.
    before: BTreeMap<Link, LinkStats>,
}

impl Cluster {
    /// Cuts every peer connection from and to a member.
    ///
    /// # Errors
    /// When the plan has no proxies.
    pub async fn cut(&self, name: &str) -> anyhow::Result<()> {
        self.proxies()?.cut(name).await?;
        find_mut(&mut *self.inner.members.lock().await, name)?.cut = true;
        Ok(())
    }

    /// Does what a `cut`, `slow_link` or `drop_connections` says, to the links of these members,
    /// and says which those are.
    ///
    /// # Errors
    /// When the plan has no proxies, or there is no such link.
    pub async fn break_links(
        &self,
        action: &Action,
        subjects: &[String],
        to: Option<&[String]>,
    ) -> anyhow::Result<String> {
        let names = self.names().await;
        let (shape, clients, effect) = match action {
            Action::Cut {
                how,
                shape,
                clients,
                ..
            } => (*shape, *clients, Some(effect(*how))),
            Action::SlowLink {
                clients,
                delay_us,
                jitter_us,
                bytes_per_second,
                seed,
                ..
            } => {
                let slow = Slow {
                    delay: std::time::Duration::from_micros(*delay_us),
                    jitter: std::time::Duration::from_micros(*jitter_us),
                    seed: seed.parse().context("the seed is no number")?,
                    bytes_per_second: *bytes_per_second,
                };
                let shape = match to {
                    Some(_) => Shape::OneWay,
                    None => Shape::Isolate,
                };
                (shape, *clients, Some(Effect::Slow(slow)))
            }
            Action::DropConnections { clients, .. } => (Shape::Isolate, *clients, None),
            other => bail!("{} is not about links", other.name()),
        };
        let links = links(&names, subjects, to, shape, clients);
        if links.is_empty() {
            bail!("there are no such links");
        }
        let spelled = spell(&links);
        let Some(effect) = effect else {
            self.proxies()?.drop_connections(&links).await?;
            return Ok(format!("dropped the connections of {spelled}"));
        };
        let dropped: BTreeSet<Link> = match &self.inner.namespaces {
            Some(_) => links
                .iter()
                .filter(|link| is_of_members(link))
                .cloned()
                .collect(),
            None => BTreeSet::new(),
        };
        let proxied: BTreeSet<Link> = links.difference(&dropped).cloned().collect();
        let before = match &self.inner.proxies {
            Some(proxies) => proxies.stats(),
            None => BTreeMap::new(),
        };
        if let (Some(namespaces), false) = (&self.inner.namespaces, dropped.is_empty()) {
            namespaces.cut(&dropped).await?;
        }
        let imposed = match proxied.is_empty() {
            true => None,
            false => Some(self.proxies()?.impose(effect, proxied).await?),
        };
        self.broken_links()?.push(Broken {
            subjects: subjects.to_vec(),
            links,
            severed: !matches!(effect, Effect::Slow(_)),
            imposed,
            dropped,
            before,
        });
        self.mark_cut().await?;
        Ok(spelled)
    }

    /// Undoes what [`Cluster::cut`] and [`Cluster::break_links`] did to a member, and says what
    /// came of it.
    ///
    /// # Errors
    /// When the plan has no proxies.
    pub async fn heal_network(&self, name: &str) -> anyhow::Result<String> {
        let stats = || match &self.inner.proxies {
            Some(proxies) => proxies.stats(),
            None => BTreeMap::new(),
        };
        if let Some(proxies) = &self.inner.proxies {
            proxies.heal(name);
        }
        find_mut(&mut *self.inner.members.lock().await, name)?.cut = false;
        let healed: Vec<_> = {
            let mut broken = self.broken_links()?;
            let named = |broken: &mut Broken| broken.subjects.iter().any(|one| one == name);
            broken.extract_if(.., named).collect()
        };
        let mut details = Vec::new();
        for broken in healed {
            let now = stats();
            for link in &broken.links {
                let of = |stats: &BTreeMap<Link, LinkStats>| stats.get(link).copied();
                let before = of(&broken.before).unwrap_or_default();
                details.extend(of(&now).and_then(|now| came_of(link, before, now)));
            }
            if let (Some(proxies), Some(imposed)) = (&self.inner.proxies, broken.imposed) {
                proxies.lift(imposed);
            }
            if let (Some(namespaces), false) = (&self.inner.namespaces, broken.dropped.is_empty()) {
                namespaces.heal(&broken.dropped).await?;
            }
        }
        self.mark_cut().await?;
        Ok(details.join("; "))
    }

    fn proxies(&self) -> anyhow::Result<&PeerProxies> {
        self.inner.proxies.as_ref().ok_or_else(|| {
            anyhow!("links cannot be broken: the plan has neither peer nor client proxies")
        })
    }

    fn broken_links(&self) -> anyhow::Result<std::sync::MutexGuard<'_, Vec<Broken>>> {
        let broken = self.inner.broken_links.lock();
        broken.map_err(|_| anyhow!("the list of broken links is poisoned"))
    }

    /// Marks the members that broken links leave without a majority that hears them and that they
    /// hear.
    async fn mark_cut(&self) -> anyhow::Result<()> {
        let severed: BTreeSet<Link> = {
            let broken = self.broken_links()?;
            let severed = broken.iter().filter(|broken| broken.severed);
            severed.flat_map(|broken| broken.links.clone()).collect()
        };
        let names = self.voters().await;
        let heard = shapes::heard(&names, &severed);
        let reversed = severed.iter().map(Link::reversed).collect();
        let heard_by = shapes::heard(&names, &reversed);
        let mut members = self.inner.members.lock().await;
        for (name, member) in members.iter_mut() {
            let reached = match (heard.get(name), heard_by.get(name)) {
                (Some(heard), Some(by)) => heard.intersection(by).count(),
                _ => continue,
            };
            member.severed = 2 * reached <= names.len();
        }
        Ok(())
    }

    /// Undoes every cut and every other effect on links.
    ///
    /// # Errors
    /// When namespaces cannot be healed: their helper is gone.
    pub async fn heal_all_links(&self) -> anyhow::Result<()> {
        if let Some(proxies) = &self.inner.proxies {
            proxies.heal_all();
        }
        if let Some(namespaces) = &self.inner.namespaces {
            namespaces.heal_all().await?;
        }
        self.broken_links()?.clear();
        for member in self.inner.members.lock().await.values_mut() {
            member.cut = false;
            member.severed = false;
        }
        Ok(())
    }
}

/// Whether neither end is clients.
fn is_of_members(link: &Link) -> bool {
    [&link.from, &link.to]
        .iter()
        .all(|end| end.as_deref() != Some(CLIENTS))
}

fn effect(how: How) -> Effect {
    match how {
        How::Reset => Effect::Reset,
        How::Blackhole => Effect::Blackhole(Loss::Held),
        How::Lossy => Effect::Blackhole(Loss::Lost),
    }
}

/// The links that a shape means.
fn links(
    names: &[String],
    subjects: &[String],
    to: Option<&[String]>,
    shape: Shape,
    clients: Clients,
) -> BTreeSet<Link> {
    let start = names.iter().position(|name| subjects.first() == Some(name));
    let mut ring = names.to_vec();
    ring.rotate_left(start.unwrap_or(0));
    let others = || -> Vec<String> {
        let others = names.iter().filter(|name| !subjects.contains(name));
        others.cloned().collect()
    };
    let mut links = BTreeSet::new();
    if clients != Clients::Only {
        links = match (shape, to) {
            (Shape::Isolate, None) => shapes::between(subjects, names),
            (Shape::Isolate, Some(to)) => shapes::between(subjects, to),
            (Shape::OneWay, to) => shapes::one_way(subjects, to.unwrap_or(&others())),
            (Shape::Halves, _) => shapes::halves(&ring, shapes::minority(&ring)),
            (Shape::Bridge, _) => shapes::bridge(&ring, &ring[0]),
            (Shape::Ring, _) => shapes::ring(&ring),
        };
    }
    if clients != Clients::Spared {
        links.extend(match shape {
            Shape::OneWay => shapes::one_way(subjects, &[CLIENTS]),
            Shape::Halves => shapes::between(shapes::minority(&ring), &[CLIENTS]),
            _ => shapes::between(subjects, &[CLIENTS]),
        });
    }
    links
}

/// `m1↔m2, m1→m3`.
fn spell(links: &BTreeSet<Link>) -> String {
    let spelled = links.iter().filter_map(|link| {
        match links.contains(&link.reversed()) {
            false => Some(link.to_string()),
            // Said once.
            true if link.from > link.to => None,
            true => Some(link.to_string().replace('→', "↔")),
        }
    });
    spelled.collect::<Vec<_>>().join(", ")
}

/// What an effect did to a link, in words; none if nothing.
fn came_of(link: &Link, before: LinkStats, now: LinkStats) -> Option<String> {
    let counts = [
        ("bytes passed", now.bytes - before.bytes),
        ("bytes held", now.held - before.held),
        ("bytes lost", now.lost - before.lost),
        ("bytes slowed", now.slowed - before.slowed),
        ("connections reset", now.reset - before.reset),
        ("dials refused", now.refused - before.refused),
    ];
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let counts: Vec<_> = counts
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    (!counts.is_empty()).then(|| format!("{link}: {}", counts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn spelled(subjects: &[&str], to: Option<&[&str]>, shape: Shape, clients: Clients) -> String {
        let all = names(&["m1", "m2", "m3"]);
        let to = to.map(names);
        let links = links(&all, &names(subjects), to.as_deref(), shape, clients);
        spell(&links)
    }

    #[test]
    fn shapes_mean_the_links_that_they_say() {
        use Clients::{Also, Only, Spared};
        let cases = [
            (
                spelled(&["m2"], None, Shape::Isolate, Spared),
                "m1↔m2, m2↔m3",
            ),
            (
                spelled(&["m2"], Some(&["m3"]), Shape::Isolate, Spared),
                "m2↔m3",
            ),
            (
                spelled(&["m2"], None, Shape::OneWay, Spared),
                "m2→m1, m2→m3",
            ),
            (
                spelled(&["m1", "m3"], Some(&["m2"]), Shape::OneWay, Spared),
                "m1→m2, m3→m2",
            ),
            (
                spelled(&["m3"], None, Shape::Halves, Spared),
                "m1↔m3, m2↔m3",
            ),
            (spelled(&["m2"], None, Shape::Bridge, Spared), "m1↔m3"),
            (
                spelled(&["m2"], None, Shape::Ring, Spared),
                "m1→m3, m2→m1, m3→m2",
            ),
            (spelled(&["m1"], None, Shape::OneWay, Only), "m1→clients"),
            (
                spelled(&["m1"], None, Shape::Isolate, Also),
                "clients↔m1, m1↔m2, m1↔m3",
            ),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }
}
