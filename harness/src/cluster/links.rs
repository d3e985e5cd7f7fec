//! Links between members, cut and healed by their peer proxies.

use anyhow::anyhow;
use failpoints::network::PeerProxies;

use super::{Cluster, find_mut};

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

    /// Undoes [`Cluster::cut`].
    ///
    /// # Errors
    /// When the plan has no proxies.
    pub async fn heal_network(&self, name: &str) -> anyhow::Result<()> {
        self.proxies()?.heal(name);
        find_mut(&mut *self.inner.members.lock().await, name)?.cut = false;
        Ok(())
    }

    fn proxies(&self) -> anyhow::Result<&PeerProxies> {
        self.inner
            .proxies
            .as_ref()
            .ok_or_else(|| anyhow!("links cannot be cut: the plan has peer_proxies = false"))
    }

    /// Undoes every cut.
    pub async fn heal_all_links(&self) {
        if let Some(proxies) = &self.inner.proxies {
            proxies.heal_all();
            for member in self.inner.members.lock().await.values_mut() {
                member.cut = false;
            }
        }
    }
}
