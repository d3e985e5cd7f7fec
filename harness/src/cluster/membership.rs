//! Who belongs to the cluster: joins, promotions, removals, and the ids that the cluster gives.

use anyhow::{anyhow, bail};
use checker::history::{MemberInfo, ObservationRecord};

use super::member::Life;
use super::{Cluster, add_proxy, find, find_mut, new_member, settle};

impl Cluster {
    /// Notes the member ids that the cluster has given, and records the membership.
    ///
    /// # Errors
    /// When the recorder is gone.
    pub async fn learn_ids(&self, listed: &[checker::history::Member]) -> anyhow::Result<()> {
        {
            let mut members = self.inner.members.lock().await;
            for one in listed {
                if let Some(member) = members.get_mut(&one.name) {
                    member.id = one.id;
                    member.learner = one.learner;
                }
            }
        }
        self.record_membership().await
    }

    pub(super) async fn record_membership(&self) -> anyhow::Result<()> {
        let members = self.inner.members.lock().await;
        let members = members
            .iter()
            .filter(|(_, m)| m.life != Life::Removed)
            .map(|(name, m)| MemberInfo {
                name: name.clone(),
                id: m.id,
                learner: m.learner,
                version: self.inner.options.store.version.clone(),
            })
            .collect();
        let at = self.inner.recorder.clock().now();
        self.inner
            .recorder
            .observe(ObservationRecord::Membership { at, members })
            .await?;
        Ok(())
    }

    /// Prepares a member that is about to join: ports, directory, proxy. Gives the peer address to
    /// put into the MemberAdd request.
    ///
    /// # Errors
    /// When the name is taken, or ports or directories cannot be had.
    pub async fn prepare(&self, name: &str, learner: bool) -> anyhow::Result<String> {
        let mut members = self.inner.members.lock().await;
        if members.contains_key(name) {
            bail!("there already is, or was, a member {name}");
        }
        let mut member = {
            let mut ports = self
                .inner
                .ports
                .lock()
                .map_err(|_| anyhow!("ports are poisoned"))?;
            new_member(&self.inner.options, name, &mut ports)?
        };
        member.learner = learner;
        member.existing = true;
        member.life = Life::Down;
        if let Some(proxies) = &self.inner.proxies {
            add_proxy(proxies, name, &member).await?;
        }
        if let Some(namespaces) = &self.inner.namespaces {
            settle(namespaces, name, &mut member).await?;
        }
        if let Some(disks) = &self.inner.disks {
            disks.mount(name, &member.data_dir()).await?;
        }
        let url = member.peer_url(self.inner.tls.is_some());
        members.insert(name.to_owned(), member);
        Ok(url)
    }

    /// Starts a prepared member once the cluster has accepted it; `listed` is MemberAdd's answer.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn join(
        &self,
        name: &str,
        url: &str,
        listed: &[checker::history::Member],
    ) -> anyhow::Result<()> {
        {
            let mut members = self.inner.members.lock().await;
            let member = find_mut(&mut members, name)?;
            let entries = listed.iter().flat_map(|m| {
                let own = m.peer_urls.iter().any(|peer| peer == url);
                let label = if own { name.to_owned() } else { m.name.clone() };
                m.peer_urls
                    .iter()
                    .map(move |peer| format!("{label}={peer}"))
            });
            member.initial_cluster = entries.collect::<Vec<_>>().join(",");
            member.id = listed
                .iter()
                .find(|m| m.peer_urls.iter().any(|peer| peer == url))
                .map_or(0, |m| m.id);
        }
        self.spawn(name).await?;
        self.record_membership().await
    }

    /// Forgets a prepared member that the cluster did not accept.
    pub async fn forget(&self, name: &str) {
        self.inner.members.lock().await.remove(name);
    }

    /// Marks a learner as promoted.
    ///
    /// # Errors
    /// When there is no such member, or the recorder is gone.
    pub async fn promoted(&self, name: &str) -> anyhow::Result<()> {
        find_mut(&mut *self.inner.members.lock().await, name)?.learner = false;
        self.record_membership().await
    }

    /// Expects a member to end by itself from now on: it is about to be removed, and a removed
    /// member stops.
    ///
    /// # Errors
    /// When there is no such member.
    pub async fn expect_end(&self, name: &str) -> anyhow::Result<()> {
        let members = self.inner.members.lock().await;
        if let Some(running) = &find(&members, name)?.running {
            running.plan_end();
        }
        Ok(())
    }

    /// Stops a removed member for good; its clients end.
    ///
    /// # Errors
    /// When there is no such member, or the recorder is gone.
    pub async fn removed(&self, name: &str) -> anyhow::Result<()> {
        if self.is_running(name).await {
            self.kill(name).await?;
        }
        find_mut(&mut *self.inner.members.lock().await, name)?.life = Life::Removed;
        self.inner
            .present
            .send_modify(|present| present.retain(|known| known != name));
        self.record_membership().await
    }
}
