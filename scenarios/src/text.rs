//! Plans as text: `plan.toml`.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Problem};
use crate::plan::{
    AuthPlan, ClusterPlan, PLAN_MAJOR, Plan, Profile, StoreKind, StorePin, TrafficPlan,
};

impl Plan {
    /// The plan as TOML: one step, client, drawn choice or expectation a line.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Self {
            major,
            minor,
            build,
            scenario,
            title,
            issue,
            seed,
            seed_scheme,
            store,
            drawn,
            cluster,
            auth,
            traffic,
            planted,
            swaps,
            steps,
            expect,
        } = self;
        let mut text = String::from(
            "# Everything this run does. To do it again: gauntlet reproduce, with this file's directory.\n",
        );
        for (key, value) in [("major", major), ("minor", minor)] {
            line(&mut text, key, value);
        }
        for (key, value) in [
            ("build", build),
            ("scenario", scenario),
            ("title", title),
            ("issue", issue),
            ("seed", seed),
            ("seed_scheme", seed_scheme),
        ] {
            line(&mut text, key, value);
        }
        list(&mut text, "drawn", drawn);
        if let Some(planted) = planted {
            line(&mut text, "planted", planted);
        }
        if !swaps.is_empty() {
            list(&mut text, "swaps", swaps);
        }
        list(&mut text, "steps", steps);
        list(&mut text, "expect", expect);

        let StorePin {
            spec,
            version,
            sha256,
            kind,
            points,
            without,
        } = store;
        text.push_str("\n[store]\n");
        for (key, value) in [("spec", spec), ("version", version), ("sha256", sha256)] {
            line(&mut text, key, value);
        }
        if *kind != StoreKind::default() {
            line(&mut text, "kind", kind);
        }
        if *points {
            line(&mut text, "points", points);
        }
        if !without.is_empty() {
            line(&mut text, "without", without);
        }

        let ClusterPlan {
            members,
            tls,
            peer_proxies,
            client_proxies,
            network,
            disk,
            heartbeat_ms,
            election_ms,
            snapshot_count,
            flags,
            env,
        } = cluster;
        text.push_str("\n[cluster]\n");
        line(&mut text, "members", members);
        line(&mut text, "tls", tls);
        line(&mut text, "peer_proxies", peer_proxies);
        line(&mut text, "client_proxies", client_proxies);
        line(&mut text, "network", network);
        if let Some(disk) = disk {
            line(&mut text, "disk", disk);
        }
        line(&mut text, "heartbeat_ms", heartbeat_ms);
        line(&mut text, "election_ms", election_ms);
        line(&mut text, "snapshot_count", snapshot_count);
        line(&mut text, "flags", flags);
        line(&mut text, "env", env);

        if let Some(AuthPlan { users }) = auth {
            text.push_str("\n[auth]\n");
            list(&mut text, "users", users);
        }

        let TrafficPlan {
            time_ms,
            request_timeout_ms,
            preload_keys,
            value_bytes,
            profile,
            clients,
            watchers,
        } = traffic;
        text.push_str("\n[traffic]\n");
        line(&mut text, "time_ms", time_ms);
        line(&mut text, "request_timeout_ms", request_timeout_ms);
        line(&mut text, "preload_keys", preload_keys);
        line(&mut text, "value_bytes", value_bytes);
        list(&mut text, "clients", clients);
        if !watchers.is_empty() {
            list(&mut text, "watchers", watchers);
        }

        let Profile {
            name,
            prefixes,
            keys,
            weights,
            lease_ttl_s,
            watch_ms,
            watches_max,
            range_limit,
        } = profile;
        text.push_str("\n[traffic.profile]\n");
        line(&mut text, "name", name);
        line(&mut text, "prefixes", prefixes);
        line(&mut text, "keys", keys);
        line(&mut text, "lease_ttl_s", lease_ttl_s);
        line(&mut text, "watch_ms", watch_ms);
        line(&mut text, "watches_max", watches_max);
        line(&mut text, "range_limit", range_limit);
        text.push_str("\n[traffic.profile.weights]\n");
        for (name, weight) in weights.entries() {
            line(&mut text, name, &weight);
        }
        text
    }

    /// Reads a plan; `file` is what errors call it. Fields that this build does not know are
    /// ignored, as a newer minor version may have added them.
    ///
    /// # Errors
    ///
    /// [`Error::File`] where the text is not a plan, or one of a newer major version;
    /// [`Error::Plan`] where the plan cannot be run.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, Error> {
        let refuse = |problem| Error::File {
            file: file.into(),
            problems: vec![problem],
        };
        let broken = |error: toml::de::Error| refuse(Problem::from_toml(text, &error));
        let format: Format = toml::from_str(text).map_err(broken)?;
        if *format.major.get_ref() > PLAN_MAJOR {
            let message = format!(
                "this plan has format version {}.{}; this build reads versions up to {PLAN_MAJOR}.x",
                format.major.get_ref(),
                format.minor
            );
            return Err(refuse(Problem::at(text, format.major.span(), message)));
        }
        let plan: Self = toml::from_str(text).map_err(broken)?;
        plan.check()?;
        Ok(plan)
    }
}

/// As much of a plan as tells whether the rest can be read.
#[derive(Deserialize)]
struct Format {
    major: toml::Spanned<u32>,
    #[serde(default)]
    minor: u32,
}

fn line(text: &mut String, key: &str, value: &impl Serialize) {
    let _ = writeln!(text, "{key} = {}", inline(value));
}

fn list(text: &mut String, key: &str, values: &[impl Serialize]) {
    if values.is_empty() {
        let _ = writeln!(text, "{key} = []");
        return;
    }
    let _ = writeln!(text, "{key} = [");
    for value in values {
        let _ = writeln!(text, "  {},", inline(value));
    }
    text.push_str("]\n");
}

fn inline(value: &impl Serialize) -> String {
    let mut text = String::new();
    match value.serialize(toml::ser::ValueSerializer::new(&mut text)) {
        Ok(_) => text,
        Err(error) => unreachable!("every value of a plan can be written as TOML: {error}"),
    }
}
