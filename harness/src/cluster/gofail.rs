//! Failpoints of members that were built with gofail.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use failpoints::gofail::{Gofail, Terms, endpoint};

use super::member::Member;
use super::{Cluster, find};

fn address(member: &Member) -> Option<SocketAddr> {
    let port = member.gofail.as_ref()?.port();
    // Out of a namespace it is reached as clients are.
    Some((Ipv4Addr::LOCALHOST, port).into())
}

/// Where a member's failpoints are set.
pub(super) fn endpoint_of(member: &Member) -> Option<Gofail> {
    address(member).map(Gofail::new)
}

/// What makes a member serve its failpoints, if the plan wants that.
pub(super) fn environment(member: &Member) -> Option<(OsString, OsString)> {
    address(member).map(endpoint)
}

impl Cluster {
    /// Sets a failpoint of a member, or clears it where there are no terms.
    ///
    /// # Errors
    /// When the terms are none of gofail's, the member was not built with gofail, or has no such
    /// failpoint.
    pub async fn gofail(&self, name: &str, failpoint: &str, terms: &str) -> anyhow::Result<String> {
        let address = {
            let members = self.inner.members.lock().await;
            let address = address(find(&members, name)?);
            address.context("the plan's members do not serve failpoints")?
        };
        let points = Gofail::new(address);
        if terms.is_empty() {
            let was = points.clear(failpoint).await;
            let was = was.with_context(|| not_built(name))?;
            return Ok(format!(
                "{failpoint} was {}",
                if was { "on" } else { "off" }
            ));
        }
        let terms: Terms = terms.parse()?;
        let set = points.set(failpoint, &terms).await;
        set.with_context(|| not_built(name))?;
        Ok(format!("{failpoint} is {terms}"))
    }
}

fn not_built(name: &str) -> String {
    format!("no answer from the failpoints of {name}: was it built with gofail?")
}
