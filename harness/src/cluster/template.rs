//! The command of a store that has flags of its own, with places for what the harness chooses.

use super::flags::Flags;

/// Everything a command may ask for, with what it stands for.
pub const PLACEHOLDERS: [(&str, &str); 19] = [
    ("name", "the member's name, for example m1"),
    ("data_dir", "its data directory, which is there and empty"),
    ("client_host", "where it listens for clients"),
    ("client_port", ""),
    ("client_url", "the same as http://host:port"),
    ("peer_host", "where it listens for peers"),
    ("peer_port", ""),
    ("peer_url", "the same as http://host:port"),
    (
        "advertised_peer_url",
        "where peers are to dial it, which may be a proxy",
    ),
    (
        "initial_cluster",
        "name=url of every member, separated by commas",
    ),
    (
        "initial_cluster_state",
        "new, or existing for one that joins",
    ),
    ("token", "the cluster's token"),
    ("heartbeat_ms", "the leader's heartbeat"),
    ("election_ms", "the election timeout"),
    ("snapshot_count", "entries between snapshots"),
    ("cert_file", "with TLS: its certificate"),
    ("key_file", "with TLS: its key"),
    ("ca_file", "with TLS: who signed it"),
    (
        "etcd_flags",
        "as a word of its own: all flags that an etcd would get",
    ),
];

/// A command's arguments, with places to fill. Text in braces is a place; `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Vec<Piece>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(&'static str),
}

/// Why a command is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It names a place that there is not.
    #[error("unknown placeholder {{{name}}}; allowed: {}", allowed())]
    Unknown {
        /// The name.
        name: String,
    },
    /// It does not use what every store must be told.
    #[error("the command has no {0}: every member has its own, so it must be told")]
    Missing(&'static str),
    /// Braces or quotes do not match.
    #[error("{0}")]
    Syntax(String),
}

fn allowed() -> String {
    PLACEHOLDERS
        .map(|(name, _)| format!("{{{name}}}"))
        .join(", ")
}

impl Template {
    /// Reads a command as a shell would split it, and gives its program and its arguments.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(command: &str) -> Result<(String, Self), TemplateError> {
        let words = shlex::split(command)
            .ok_or_else(|| TemplateError::Syntax("a quote of the command is not closed".into()))?;
        let (program, words) = words
            .split_first()
            .ok_or_else(|| TemplateError::Syntax("the command is empty".into()))?;
        let words: Vec<_> = words
            .iter()
            .map(|word| pieces(word))
            .collect::<Result<_, _>>()?;
        let template = Self(words);
        let all = template.uses("etcd_flags");
        if !all && !template.uses("data_dir") {
            return Err(TemplateError::Missing("{data_dir}"));
        }
        if !all && !template.uses("client_url") && !template.uses("client_port") {
            return Err(TemplateError::Missing("{client_url} or {client_port}"));
        }
        Ok((program.clone(), template))
    }

    /// Whether it asks for this.
    #[must_use]
    pub fn uses(&self, place: &str) -> bool {
        let mut pieces = self.0.iter().flatten();
        pieces.any(|piece| matches!(piece, Piece::Place(name) if *name == place))
    }

    pub(super) fn fill(&self, flags: &Flags<'_>) -> Vec<String> {
        let mut args = Vec::new();
        for word in &self.0 {
            if let [Piece::Place("etcd_flags")] = word.as_slice() {
                args.extend(flags.to_args());
                continue;
            }
            let filled = word.iter().map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Place(name) => flags.place(name),
            });
            args.push(filled.collect());
        }
        args
    }
}

fn pieces(word: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = after;
            continue;
        }
        let (name, after) = match rest.split_once('}') {
            Some(parts) if brace == "{" => parts,
            _ => {
                let what = format!(
                    "a {brace} of {word:?} is alone; write {brace}{brace} for the character"
                );
                return Err(TemplateError::Syntax(what));
            }
        };
        let known = PLACEHOLDERS.iter().find(|(known, _)| *known == name);
        let Some((known, _)) = known else {
            return Err(TemplateError::Unknown { name: name.into() });
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Place(known));
        rest = after;
    }
    text.push_str(rest);
    if !text.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(text));
    }
    if pieces.len() > 1 && pieces.contains(&Piece::Place("etcd_flags")) {
        let what = format!("{{etcd_flags}} is a word of its own, not a part of {word:?}");
        return Err(TemplateError::Syntax(what));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::flags::tests::{flags, plan};

    fn filled(command: &str) -> Vec<String> {
        let plan = plan();
        let (_, template) = Template::parse(command).unwrap();
        template.fill(&flags(&plan))
    }

    #[test]
    fn places_are_filled_and_words_stay_words() {
        let (program, _) = Template::parse("/opt/foo --data {data_dir} {client_url}").unwrap();
        assert_eq!(program, "/opt/foo");
        assert_eq!(
            filled("foo --data '{data_dir}/a b' --at={client_host}:{client_port} \"{{x}}\" ''"),
            ["--data", "d/a b", "--at=127.0.0.1:1", "{x}", ""]
        );
        assert_eq!(
            filled(
                "foo {name} {data_dir} {client_url} {peer_url} {advertised_peer_url} {initial_cluster}"
            ),
            [
                "m1",
                "d",
                "http://127.0.0.1:1",
                "http://127.0.0.1:2",
                "http://127.0.0.1:3",
                "m1=http://127.0.0.1:3"
            ]
        );
    }

    #[test]
    fn every_place_can_be_filled() {
        for (name, _) in PLACEHOLDERS {
            let command = format!("foo {{data_dir}} {{client_port}} {{{name}}}");
            let args = filled(&command);
            assert!(args.len() >= 3, "{name}: {args:?}");
            let tls = name.ends_with("_file");
            assert_eq!(args[2].is_empty(), tls, "{name}: {args:?}");
        }
    }

    #[test]
    fn all_of_etcds_flags_are_what_an_etcd_gets() {
        let plan = plan();
        assert_eq!(filled("etcd {etcd_flags}"), flags(&plan).to_args());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |command: &str| Template::parse(command).unwrap_err().to_string();
        assert!(said("foo {data}").contains("{data}; allowed: {name}, {data_dir}"));
        assert!(said("foo {client_url}").contains("no {data_dir}"));
        assert!(said("foo {data_dir}").contains("no {client_url} or {client_port}"));
        assert!(said("foo {data_dir").contains("alone"));
        assert!(said("foo data_dir}").contains("alone"));
        assert!(said("foo 'x").contains("quote"));
        assert!(said("").contains("empty"));
        assert!(said("foo --all={etcd_flags}").contains("word of its own"));
    }
}
