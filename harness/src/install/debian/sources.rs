//! The machine's apt sources, rewritten for another release of Debian.
//!
//! The mirror's address, its keys and every other option are those of the machine; only the
//! release changes. Both of apt's formats are read, and deb822 is written.

use std::fs;
use std::path::Path;

/// Names under which a sources file may mean a Debian release without its codename.
const ALIASES: [&str; 4] = ["stable", "oldstable", "oldoldstable", "testing"];

/// One entry: field names with their values, which may go on over several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry(Vec<(String, String)>);

/// Every entry of the sources installed on this machine.
pub(super) fn installed() -> Vec<Entry> {
    let etc = Path::new("/etc/apt");
    let mut files = vec![etc.join("sources.list")];
    if let Ok(parts) = fs::read_dir(etc.join("sources.list.d")) {
        files.extend(parts.flatten().map(|part| part.path()));
    }
    files.sort();
    let mut entries = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => entries.extend(deb822(&text)),
            Some("list") => entries.extend(text.lines().filter_map(one_line)),
            _ => {}
        }
    }
    entries
}

/// The entries that serve Debian `codename`, made to serve `suite` instead, as the text of a
/// `.sources` file; empty if there is none.
pub(super) fn for_suite(entries: &[Entry], codename: &str, suite: &str) -> String {
    entries
        .iter()
        .filter_map(|entry| entry.moved(codename, suite))
        .map(|entry| entry.text() + "\n")
        .collect()
}

impl Entry {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .0
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn words(&self, name: &str) -> Vec<&str> {
        self.get(name).unwrap_or("").split_whitespace().collect()
    }

    fn set(&mut self, name: &str, value: String) {
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.0.push((name.to_owned(), value));
    }

    fn moved(&self, codename: &str, suite: &str) -> Option<Self> {
        let off = ["no", "false", "0", "off", "without", "disable"];
        let enabled = !self
            .get("Enabled")
            .is_some_and(|value| off.contains(&value.trim().to_ascii_lowercase().as_str()));
        if !enabled
            || !self.words("Types").contains(&"deb")
            || !self.words("Components").contains(&"main")
        {
            return None;
        }
        let suites: Vec<String> = self
            .words("Suites")
            .into_iter()
            .filter_map(|one| moved_suite(one, codename, suite))
            .collect();
        if suites.is_empty() {
            return None;
        }
        let mut moved = self.clone();
        moved.set("Types", "deb".to_owned());
        moved.set("Suites", suites.join(" "));
        moved.set("Components", "main".to_owned());
        Some(moved)
    }

    fn text(&self) -> String {
        self.0
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect()
    }
}

fn moved_suite(one: &str, codename: &str, suite: &str) -> Option<String> {
    let (release, pocket) = one.split_once('-').unwrap_or((one, ""));
    if release != codename && !ALIASES.contains(&release) {
        return None;
    }
    match pocket {
        "" => Some(suite.to_owned()),
        "updates" | "security" => Some(format!("{suite}-{pocket}")),
        _ => None,
    }
}

fn deb822(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            if !fields.is_empty() {
                entries.push(Entry(std::mem::take(&mut fields)));
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    if !fields.is_empty() {
        entries.push(Entry(fields));
    }
    entries
}

/// Reads `deb [option=value …] address suite component…`.
fn one_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next().unwrap_or("").trim();
    let rest = line.strip_prefix("deb")?;
    let rest = rest.starts_with([' ', '\t']).then(|| rest.trim_start())?;
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let mut fields = vec![
        ("Types".to_owned(), "deb".to_owned()),
        ("URIs".to_owned(), words.next()?.to_owned()),
        ("Suites".to_owned(), words.next()?.to_owned()),
        ("Components".to_owned(), words.collect::<Vec<_>>().join(" ")),
    ];
    for option in options.split_whitespace() {
        let (name, value) = option.split_once('=')?;
        let name = match name {
            "arch" => "Architectures",
            "lang" => "Languages",
            "target" => "Targets",
            other => other,
        };
        fields.push((name.to_owned(), value.replace(',', " ")));
    }
    Some(Entry(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
# A comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://mirror.example/security
Suites: stable-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEY
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://other.example/product
Suites: nodistro
Components: main
";

    #[test]
    fn deb822_entries_move_to_the_next_release_with_their_keys() {
        let moved = for_suite(&deb822(DEB822), "bookworm", "trixie");
        assert_eq!(
            moved,
            "\
URIs: http://mirror.example/debian
Signed-By: /usr/share/keyrings/debian.gpg
Types: deb
Suites: trixie trixie-updates
Components: main

URIs: http://mirror.example/security
Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEY
 -----END PGP PUBLIC KEY BLOCK-----
Types: deb
Suites: trixie-security
Components: main

"
        );
    }

    #[test]
    fn one_line_entries_are_understood() {
        let list = "\
deb [arch=amd64,arm64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # x
deb-src http://mirror.example/debian bookworm main
# deb http://off.example/debian bookworm main
deb http://mirror.example/product bookworm stable
";
        let entries: Vec<Entry> = list.lines().filter_map(one_line).collect();
        assert_eq!(
            for_suite(&entries, "bookworm", "bookworm"),
            "\
URIs: http://mirror.example/debian
Architectures: amd64 arm64
signed-by: /k.gpg
Types: deb
Suites: bookworm
Components: main

"
        );
    }

    #[test]
    fn a_machine_with_no_such_source_yields_nothing() {
        let moved = for_suite(&deb822(DEB822), "buster", "bullseye");
        assert!(!moved.contains("mirror.example/debian\n"), "{moved}");
        assert_eq!(for_suite(&[], "bookworm", "trixie"), "");
    }
}
