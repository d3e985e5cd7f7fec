//! Whether the links that an action is on are there.

use super::{Reach, Walk};
use crate::plan::{Action, Clients, How, Network, Shape};

impl<'p> Walk<'p> {
    pub(super) fn links(&mut self, action: &'p Action, reach: &Reach<'p>) -> Result<(), String> {
        let (what, shape, to, clients) = match action {
            Action::Cut {
                shape, to, clients, ..
            } => ("a cut", *shape, to, *clients),
            Action::SlowLink { to, clients, .. } => ("a slow link", Shape::Isolate, to, *clients),
            Action::DropConnections { to, clients, .. } => {
                ("dropping connections", Shape::Isolate, to, *clients)
            }
            _ => return Ok(()),
        };
        let needs = |field: &str| Err(format!("{what} needs {field} = true in [cluster]"));
        let namespaces = self.plan.cluster.network == Network::Namespaces;
        let blackhole = matches!(
            action,
            Action::Cut {
                how: How::Blackhole,
                ..
            }
        );
        if clients != Clients::Only && namespaces && !blackhole {
            return Err(
                "between members in namespaces only packets can be lost: a cut with how = \"blackhole\""
                    .into(),
            );
        }
        if clients != Clients::Only && !namespaces && !self.plan.cluster.peer_proxies {
            return needs("peer_proxies");
        }
        if clients != Clients::Spared && !self.plan.cluster.client_proxies {
            return needs("client_proxies");
        }
        let everybody = reach.exact && reach.members.len() == self.present.len();
        match (shape, to, clients) {
            (Shape::Isolate | Shape::OneWay, Some(to), Clients::Spared) => {
                self.reach(to)?;
            }
            (_, Some(_), Clients::Also | Clients::Only) => {
                return Err(
                    "\"to\" names members, and \"clients\" means no member: give one".into(),
                );
            }
            (_, Some(_), Clients::Spared) => {
                return Err("\"to\" goes with the shapes isolate and one_way only".into());
            }
            (Shape::Bridge | Shape::Ring, None, Clients::Also | Clients::Only) => {
                return Err("clients have no part in the shapes bridge and ring".into());
            }
            (Shape::OneWay, None, Clients::Spared) if everybody => {
                return Err("one way from everybody to nobody; name \"to\", or a target".into());
            }
            _ => {}
        }
        Ok(())
    }
}
