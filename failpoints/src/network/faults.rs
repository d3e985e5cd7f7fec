//! Cuts, as faults.

use std::sync::Arc;

use super::PeerProxies;
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
