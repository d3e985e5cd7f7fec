//! Stores that are started by a command of the user's.

use std::path::Path;

use scenarios::plan::{StoreKind, StorePin};
use serde::Deserialize;

use super::{Feature, SubjectError, Without, find_program};
use crate::cluster::{Program, Template};
use crate::install;

/// A file that says how a store is started and what it lacks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandFile {
    command: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    without: Vec<String>,
    #[serde(default)]
    single: bool,
}

pub(super) fn resolve(
    spec: &str,
    command: &str,
    lacks: &mut Without,
) -> Result<(StorePin, Program), SubjectError> {
    let (name, template) = Template::parse(command)?;
    lacks.add(lacks_by_command(&template));
    let binary = find_program(&name)?;
    let pin = StorePin {
        spec: spec.to_owned(),
        version: String::new(),
        sha256: install::sha256_of(&binary)?,
        kind: StoreKind::Command,
        points: false,
        without: Vec::new(),
    };
    Ok((pin, Program::command(binary, template)))
}

pub(super) fn resolve_file(
    path: &str,
    lacks: &mut Without,
) -> Result<(StorePin, Program), SubjectError> {
    let wrong = |what: String| SubjectError::Named(format!("{path}: {what}"));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let file: CommandFile = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let named = Without::of_names(&file.without).map_err(wrong)?;
    lacks.merge(&named);
    if file.single {
        lacks.add(OF_CLUSTERS);
    }
    let path = std::path::absolute(Path::new(path)).map_err(|error| wrong(error.to_string()))?;
    let spec = format!("cmd-file:{}", path.display());
    let (mut pin, program) = resolve(&spec, &file.command, lacks)?;
    pin.version = file.version;
    Ok((pin, program))
}

/// What a store of one member lacks.
const OF_CLUSTERS: [Feature; 5] = [
    Feature::Clusters,
    Feature::Membership,
    Feature::Learner,
    Feature::MoveLeader,
    Feature::PeerProxies,
];

/// What a store cannot have whose command does not ask for it.
fn lacks_by_command(template: &Template) -> Vec<Feature> {
    let mut lacks = Vec::new();
    if template.uses("etcd_flags") {
        return lacks;
    }
    if !template.uses("initial_cluster") {
        lacks.extend(OF_CLUSTERS);
    }
    if !template.uses("advertised_peer_url") {
        lacks.push(Feature::PeerProxies);
    }
    if !template.uses("cert_file") {
        lacks.push(Feature::Tls);
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacks(command: &str) -> Without {
        let mut lacks = Without::default();
        resolve("cmd:x", command, &mut lacks).unwrap();
        lacks
    }

    #[test]
    fn a_command_lacks_what_it_does_not_ask_for() {
        let alone = lacks("/bin/sh {data_dir} {client_port}");
        assert!(alone.lacks(Feature::Clusters) && alone.lacks(Feature::Tls));
        let several = lacks("sh {data_dir} {client_url} {peer_url} {initial_cluster} {cert_file}");
        assert!(several.lacks(Feature::PeerProxies) && !several.lacks(Feature::Clusters));
        assert_eq!(lacks("sh -c etcd {etcd_flags}"), Without::default());
    }

    #[test]
    fn a_file_states_command_version_and_what_is_lacking() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("food.toml");
        let file = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let mut lacks = Without::default();
            resolve_file(path.to_str().unwrap(), &mut lacks).map(|(pin, _)| (pin, lacks))
        };
        let (pin, lacks) = file(
            "command = \"sh {etcd_flags}\"\nversion = \"1.2\"\nwithout = [\"auth\"]\nsingle = true\n",
        )
        .unwrap();
        assert_eq!(
            (pin.version.as_str(), pin.kind),
            ("1.2", StoreKind::Command)
        );
        assert!(pin.spec.ends_with("food.toml") && pin.sha256.len() == 64);
        assert!(lacks.lacks(Feature::Auth) && lacks.lacks(Feature::Clusters));
        assert!(!lacks.lacks(Feature::Lease));
        for (text, said) in [
            (
                "command = \"sh {etcd_flags}\"\nwithout = [\"all\"]\n",
                "there is no \"all\"",
            ),
            ("command = \"sh {etcd_flags}\"\nsingel = true\n", "singel"),
            (
                "command = \"nowhere {etcd_flags}\"\n",
                "no program \"nowhere\"",
            ),
            ("command = \"sh {data}\"\n", "{data}"),
        ] {
            let error = file(text).unwrap_err();
            assert!(
                error.is_usage() && error.to_string().contains(said),
                "{error}"
            );
        }
    }
}
