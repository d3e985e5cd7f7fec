//! Cuts and effects, as faults.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Effect, Imposed, Link, Loss, PeerProxies};
use crate::fault::{Fault, Step};

/// Cuts one member off from all others.
#[derive(Debug)]
pub struct Isolate {
    proxies: Arc<PeerProxies>,
    member: String,
    in_force: bool,
}

impl Isolate {
    /// An isolation of this member.
    pub fn new(proxies: Arc<PeerProxies>, member: impl Into<String>) -> Self {
        Self {
            proxies,
            member: member.into(),
            in_force: false,
        }
    }
}

impl Fault for Isolate {
    fn name(&self) -> String {
        format!("isolate {}", self.member)
    }

    fn inject(&mut self) -> Step<'_> {
        Box::pin(async {
            self.proxies.cut(&self.member).await?;
            self.in_force = true;
            Ok(())
        })
    }

    fn heal(&mut self) -> Step<'_> {
        Box::pin(async {
            if std::mem::take(&mut self.in_force) {
                self.proxies.heal(&self.member);
            }
            Ok(())
        })
    }
}

/// Cuts the link between two members, both ways.
#[derive(Debug)]
pub struct CutLink {
    proxies: Arc<PeerProxies>,
    a: String,
    b: String,
    in_force: bool,
}

impl CutLink {
    /// A cut between these members.
    pub fn new(proxies: Arc<PeerProxies>, a: impl Into<String>, b: impl Into<String>) -> Self {
        Self {
            proxies,
            a: a.into(),
            b: b.into(),
            in_force: false,
        }
    }
}

impl Fault for CutLink {
    fn name(&self) -> String {
        format!("cut {}-{}", self.a, self.b)
    }

    fn inject(&mut self) -> Step<'_> {
        Box::pin(async {
            self.proxies.cut_link(&self.a, &self.b).await?;
            self.in_force = true;
            Ok(())
        })
    }

    fn heal(&mut self) -> Step<'_> {
        Box::pin(async {
            if std::mem::take(&mut self.in_force) {
                self.proxies.heal_link(&self.a, &self.b);
            }
            Ok(())
        })
    }
}

/// An effect on links: one of the [`shapes`](super::shapes), or any set.
#[derive(Debug)]
pub struct OnLinks {
    proxies: Arc<PeerProxies>,
    effect: Effect,
    links: BTreeSet<Link>,
    imposed: Option<Imposed>,
}

impl OnLinks {
    /// This effect on these links.
    pub fn new(proxies: Arc<PeerProxies>, effect: Effect, links: BTreeSet<Link>) -> Self {
        Self {
            proxies,
            effect,
            links,
            imposed: None,
        }
    }
}

fn spell(links: &BTreeSet<Link>) -> String {
    let links: Vec<_> = links.iter().map(ToString::to_string).collect();
    links.join(", ")
}

impl Fault for OnLinks {
    fn name(&self) -> String {
        let what = match self.effect {
            Effect::Reset => "reset",
            Effect::Blackhole(Loss::Held) => "blackhole",
            Effect::Blackhole(Loss::Lost) => "lossy blackhole",
            Effect::Slow(_) => "slow",
        };
        format!("{what} {}", spell(&self.links))
    }

    fn inject(&mut self) -> Step<'_> {
        Box::pin(async {
            let imposed = self.proxies.impose(self.effect, self.links.clone());
            self.imposed = Some(imposed.await?);
            Ok(())
        })
    }

    fn heal(&mut self) -> Step<'_> {
        Box::pin(async {
            if let Some(imposed) = self.imposed.take() {
                self.proxies.lift(imposed);
            }
            Ok(())
        })
    }
}

/// Resets the connections that links have now, once. Nothing is left to heal.
#[derive(Debug)]
pub struct DropConnections {
    proxies: Arc<PeerProxies>,
    links: BTreeSet<Link>,
}

impl DropConnections {
    /// For these links, each both ways.
    pub fn new(proxies: Arc<PeerProxies>, links: BTreeSet<Link>) -> Self {
        Self { proxies, links }
    }
}

impl Fault for DropConnections {
    fn name(&self) -> String {
        format!("drop connections {}", spell(&self.links))
    }

    fn inject(&mut self) -> Step<'_> {
        Box::pin(async {
            self.proxies.drop_connections(&self.links).await?;
            Ok(())
        })
    }

    fn heal(&mut self) -> Step<'_> {
        Box::pin(async { Ok(()) })
    }
}
