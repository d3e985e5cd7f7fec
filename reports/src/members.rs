//! What each member held at the end, and who stands alone.

use std::collections::{BTreeMap, BTreeSet};

use checker::history::{Asked, KeyValue, Outcome, Purpose, Response};

use crate::recorded::Recorded;

/// The columns, in order.
pub(crate) const COLUMNS: [&str; 8] = [
    "id",
    "version",
    "revision",
    "applied index",
    "hash",
    "compacted at",
    "keys",
    "content",
];

/// The columns in which healthy members agree.
const AGREED: [bool; 8] = [false, false, true, true, true, true, true, true];

/// One member's row.
#[derive(Clone, Debug)]
pub(crate) struct MemberRow<'a> {
    pub(crate) name: &'a str,
    /// A learner, or what hindered the reading.
    pub(crate) note: String,
    pub(crate) cells: Vec<Cell>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// None where the member was not asked or did not answer.
    pub(crate) text: Option<String>,
    /// Differs from what most members say.
    pub(crate) odd: bool,
}

impl MemberRow<'_> {
    pub(crate) fn is_odd(&self) -> bool {
        self.cells.iter().any(|cell| cell.odd)
    }
}

/// The last answer of each kind from one member.
#[derive(Default)]
struct Last<'a> {
    status: Option<&'a Asked>,
    hash: Option<&'a Asked>,
    content: Option<&'a Asked>,
}

fn last<'a>(recorded: &Recorded<'a>, name: &str) -> Last<'a> {
    let mut last = Last::default();
    for asked in recorded
        .asked
        .iter()
        .copied()
        .filter(|asked| asked.member == name)
    {
        match asked.purpose {
            Purpose::ConvergenceStatus => last.status = Some(asked),
            Purpose::ConvergenceHash => last.hash = Some(asked),
            Purpose::ConvergenceContent => last.content = Some(asked),
            _ => {}
        }
    }
    last
}

/// A row a member; empty where the run did not get as far as asking.
pub(crate) fn rows<'a>(recorded: &Recorded<'a>) -> Vec<MemberRow<'a>> {
    let mut rows: Vec<_> = recorded
        .members
        .iter()
        .map(|name| row(recorded, name))
        .collect();
    if rows
        .iter()
        .all(|row| row.cells[2..].iter().all(|cell| cell.text.is_none()))
    {
        return Vec::new();
    }
    for column in (0..COLUMNS.len()).filter(|column| AGREED[*column]) {
        mark_odd(&mut rows, column);
    }
    rows
}

fn row<'a>(recorded: &Recorded<'a>, name: &'a str) -> MemberRow<'a> {
    let last = last(recorded, name);
    let info = recorded.known.get(name).copied();
    let mut cells = vec![None; COLUMNS.len()];
    let mut notes = Vec::new();
    cells[0] = info.map(|info| format!("{:x}", info.id));
    cells[1] = info
        .map(|info| info.version.clone())
        .filter(|version| !version.is_empty());
    if info.is_some_and(|info| info.learner) {
        notes.push("learner".to_owned());
    }
    for (what, asked) in [
        ("status", last.status),
        ("hash", last.hash),
        ("content", last.content),
    ] {
        match asked.map(|asked| &asked.outcome) {
            Some(Outcome::Ok { response }) => fill(&mut cells, response),
            Some(Outcome::Error { message, .. }) => {
                notes.push(format!("{what}: {}", crate::words::printable(message)));
            }
            None => {}
        }
    }
    let cells = cells
        .into_iter()
        .map(|text| Cell { text, odd: false })
        .collect();
    MemberRow {
        name,
        note: notes.join("; "),
        cells,
    }
}

fn fill(cells: &mut [Option<String>], response: &Response) {
    match response {
        Response::Status(status) => {
            cells[1] = Some(status.version.clone());
            cells[2] = Some(status.header.revision.to_string());
            cells[3] = Some(status.raft_applied_index.to_string());
        }
        Response::HashKv(hash) => {
            cells[4] = Some(format!("{:08x}", hash.hash));
            cells[5] = Some(match hash.compact_revision {
                ..0 => "never".into(),
                revision => revision.to_string(),
            });
        }
        Response::Range(content) => {
            cells[6] = Some(content.count.to_string());
            cells[7] = Some(fingerprint(&content.kvs));
        }
        _ => {}
    }
}

/// FNV-1a over the key-values: equal content, equal print. It only has to fit in a table; the
/// checker compares the content itself.
fn fingerprint(kvs: &[KeyValue]) -> String {
    let mut print: u64 = 0xcbf2_9ce4_8422_2325;
    let mut feed = |bytes: &[u8]| {
        for byte in bytes {
            print = (print ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for kv in kvs {
        feed(&(kv.key.as_slice().len() as u64).to_le_bytes());
        feed(kv.key.as_slice());
        for number in [kv.create_revision, kv.mod_revision, kv.version, kv.lease] {
            feed(&number.to_le_bytes());
        }
        feed(&(kv.value.as_slice().len() as u64).to_le_bytes());
        feed(kv.value.as_slice());
    }
    let folded = (print >> 32) ^ (print & 0xffff_ffff);
    format!("{folded:08x}")
}

/// Marks what differs from the value that more than half of the members give; without such a value
/// every one stands alone.
fn mark_odd(rows: &mut [MemberRow<'_>], column: usize) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for text in rows
        .iter()
        .filter_map(|row| row.cells[column].text.as_deref())
    {
        *counts.entry(text).or_default() += 1;
    }
    let known: usize = counts.values().sum();
    let most = counts.iter().find(|(_, count)| **count * 2 > known);
    let most = most.map(|(text, _)| (*text).to_owned());
    for cell in rows.iter_mut().map(|row| &mut row.cells[column]) {
        cell.odd = cell.text.is_some() && cell.text != most;
    }
}

/// A key that members hold differently.
#[derive(Clone, Debug)]
pub(crate) struct Difference<'a> {
    pub(crate) key: String,
    /// What each of the members read holds; none where the key is absent.
    pub(crate) held: Vec<Option<&'a KeyValue>>,
}

/// Keys that members hold differently, and the members that were read. At most `max` keys; the
/// number tells how many there are.
pub(crate) fn differences<'a>(
    recorded: &Recorded<'a>,
    max: usize,
) -> (Vec<&'a str>, Vec<Difference<'a>>, usize) {
    let mut names = Vec::new();
    let mut contents: Vec<BTreeMap<&[u8], &'a KeyValue>> = Vec::new();
    for name in &recorded.members {
        let outcome = last(recorded, name).content.map(|asked| &asked.outcome);
        if let Some(Response::Range(content)) = outcome.and_then(Outcome::response) {
            names.push(*name);
            contents.push(
                content
                    .kvs
                    .iter()
                    .map(|kv| (kv.key.as_slice(), kv))
                    .collect(),
            );
        }
    }
    let keys: BTreeSet<&[u8]> = contents
        .iter()
        .flat_map(|content| content.keys().copied())
        .collect();
    let mut found = Vec::new();
    let mut count = 0;
    for key in keys {
        let held: Vec<_> = contents
            .iter()
            .map(|content| content.get(key).copied())
            .collect();
        if held.iter().all(|one| *one == held[0]) {
            continue;
        }
        count += 1;
        if found.len() < max {
            let any = held.iter().flatten().next();
            let key = any
                .map(|kv| crate::words::Detail::SHORT.key(&kv.key))
                .unwrap_or_default();
            found.push(Difference { key, held });
        }
    }
    (names, found, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows_of(values: &[Option<&str>]) -> Vec<bool> {
        let mut rows: Vec<_> = values
            .iter()
            .map(|text| MemberRow {
                name: "m",
                note: String::new(),
                cells: vec![Cell {
                    text: text.map(Into::into),
                    odd: false,
                }],
            })
            .collect();
        mark_odd(&mut rows, 0);
        rows.iter().map(MemberRow::is_odd).collect()
    }

    #[test]
    fn the_one_that_differs_is_marked() {
        assert_eq!(
            rows_of(&[Some("7"), Some("10"), Some("7")]),
            [false, true, false]
        );
        assert_eq!(
            rows_of(&[Some("7"), None, Some("7")]),
            [false, false, false]
        );
    }

    #[test]
    fn without_a_majority_none_is_right() {
        assert_eq!(rows_of(&[Some("7"), Some("10")]), [true, true]);
        assert_eq!(rows_of(&[Some("7"), None, None]), [false, false, false]);
    }

    #[test]
    fn the_print_sees_every_field() {
        let kv = KeyValue {
            key: "a".into(),
            value: "1".into(),
            ..KeyValue::default()
        };
        let of = |kv: KeyValue| fingerprint(&[kv]);
        assert_ne!(
            of(kv.clone()),
            of(KeyValue {
                mod_revision: 2,
                ..kv.clone()
            })
        );
        assert_ne!(
            of(kv.clone()),
            of(KeyValue {
                lease: 2,
                ..kv.clone()
            })
        );
        assert_ne!(
            of(kv.clone()),
            of(KeyValue {
                key: "a1".into(),
                value: "".into(),
                ..kv
            })
        );
    }
}
