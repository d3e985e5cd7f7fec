//! The timeline's data, as one JSON island in the page: columns, not objects, and every text once.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::ended::Ended;
use crate::ops::Op;
use crate::recorded::Recorded;
use crate::spans::member_spans;
use crate::thinning::{Candidate, fitting};
use crate::words::{Detail, answer, request};

/// What the script reads. Times are microseconds since the run's start.
#[derive(Debug, Serialize)]
pub(crate) struct Island {
    pub(crate) shown: usize,
    pub(crate) total: usize,
    end: u64,
    members: Vec<String>,
    clients: Vec<Client>,
    kinds: Vec<&'static str>,
    results: [&'static str; 4],
    texts: Vec<String>,
    ops: Columns,
    messages: Messages,
    witness: Vec<Witness>,
    focus: [u64; 2],
    faults: Vec<Fault>,
    phases: Vec<PhaseBand>,
    spans: Vec<Span>,
}

#[derive(Debug, Serialize)]
struct Client {
    id: u32,
    member: usize,
}

/// One entry an operation in each; `id` and `at` are differences to the one before.
#[derive(Debug, Default, Serialize)]
struct Columns {
    id: Vec<i64>,
    at: Vec<i64>,
    /// −1: no return in the file.
    took: Vec<i64>,
    client: Vec<usize>,
    kind: Vec<usize>,
    result: Vec<usize>,
    /// −1: none.
    revision: Vec<i64>,
    asked: Vec<usize>,
    answer: Vec<usize>,
}

/// Watch messages: the operation's index, when, and how many events.
#[derive(Debug, Default, Serialize)]
struct Messages {
    op: Vec<usize>,
    at: Vec<u64>,
    events: Vec<usize>,
}

#[derive(Debug, Serialize)]
struct Witness {
    op: usize,
    label: String,
}

#[derive(Debug, Serialize)]
struct Fault {
    label: String,
    detail: String,
    state: &'static str,
    disturbs: bool,
    from: u64,
    until: u64,
}

#[derive(Debug, Serialize)]
struct PhaseBand {
    name: &'static str,
    from: u64,
    until: u64,
}

#[derive(Debug, Serialize)]
struct Span {
    member: usize,
    state: &'static str,
    from: u64,
    until: u64,
    detail: String,
}

/// Faults drawn at most: a plan has dozens, a runaway loop must not fill the page.
const FAULTS_MAX: usize = 1_000;

/// Builds the island within `budget` bytes of JSON. `witness` names the operations to highlight,
/// `needed` those that any finding mentions.
pub(crate) fn build(
    recorded: &Recorded<'_>,
    witness: &[(String, u64)],
    needed: &[u64],
    at: Option<u64>,
    budget: usize,
) -> Island {
    let list = &recorded.ops.list;
    let texts: Vec<[String; 2]> = list.iter().map(texts_of).collect();
    let mut candidates: Vec<Candidate> = list
        .iter()
        .zip(&texts)
        .map(|(op, [asked, answer])| Candidate {
            from: op.invoke.at,
            until: op.end.unwrap_or(op.invoke.at),
            bytes: 64 + json_bytes(asked) + json_bytes(answer) + 24 * op.messages.len(),
            needed: false,
        })
        .collect();
    let shown = witness.iter().map(|(_, id)| *id);
    for index in shown
        .clone()
        .chain(needed.iter().copied())
        .filter_map(|id| recorded.ops.index(id))
    {
        candidates[index].needed = true;
    }
    let mut interest: Vec<u64> = shown
        .filter_map(|id| recorded.ops.get(id))
        .flat_map(|op| [op.invoke.at, op.end.unwrap_or(op.invoke.at)])
        .chain(at)
        .collect();
    let focus = focus(&interest, recorded);
    interest.extend(
        recorded
            .faults
            .iter()
            .flat_map(|fault| [fault.from, fault.until]),
    );
    let kept = fitting(&candidates, &interest, budget);

    let mut island = frame(recorded, focus);
    island.shown = kept.len();
    island.total = list.len();
    let mut fill = Filling::new(recorded);
    for &index in &kept {
        fill.add(&mut island, &list[index], &texts[index]);
    }
    for (label, id) in witness {
        let at = recorded
            .ops
            .index(*id)
            .and_then(|index| kept.binary_search(&index).ok());
        if let Some(op) = at {
            island.witness.push(Witness {
                op,
                label: label.clone(),
            });
        }
    }
    island
}

fn texts_of(op: &Op<'_>) -> [String; 2] {
    let detail = Detail::FULL;
    let mut asked = request(&op.invoke.request, detail);
    if let Some(user) = &op.invoke.user {
        asked.push_str(&format!(", as {}", crate::words::printable(user)));
    }
    [asked, answer(op.outcome, detail)]
}

/// What `<`, `>` and `&` take once they are escaped is counted too.
fn json_bytes(text: &str) -> usize {
    let wide = |byte: &u8| matches!(byte, b'<' | b'>' | b'&');
    let quoted = |byte: &u8| matches!(byte, b'"' | b'\\');
    text.len()
        + 5 * text.bytes().filter(|byte| wide(byte)).count()
        + text.bytes().filter(|byte| quoted(byte)).count()
        + 3
}

/// The first view: the points of interest with as much again on both sides, at least 20 ms.
fn focus(interest: &[u64], recorded: &Recorded<'_>) -> [u64; 2] {
    let (Some(first), Some(last)) = (interest.iter().min(), interest.iter().max()) else {
        return [0, recorded.end / 1_000];
    };
    let margin = ((last - first) * 3 / 2).max(15_000_000);
    let until = last.saturating_add(margin).min(recorded.end);
    [first.saturating_sub(margin) / 1_000, until / 1_000]
}

fn frame(recorded: &Recorded<'_>, focus: [u64; 2]) -> Island {
    let phases = recorded
        .phases
        .iter()
        .enumerate()
        .map(|(index, (at, phase))| PhaseBand {
            name: phase_name(*phase),
            from: at / 1_000,
            until: recorded
                .phases
                .get(index + 1)
                .map_or(recorded.end, |(next, _)| *next)
                / 1_000,
        });
    let faults = recorded.faults.iter().take(FAULTS_MAX).map(|fault| Fault {
        label: format!("{} {}", fault.action, fault.targets.join(" "))
            .trim_end()
            .to_owned(),
        detail: fault.details.join("; "),
        disturbs: fault.disturbs(),
        state: fault.state.name(),
        from: fault.from / 1_000,
        until: fault.until / 1_000,
    });
    let spans = member_spans(recorded).into_iter().map(|span| Span {
        member: span.member,
        state: span.state.name(),
        from: span.from / 1_000,
        until: span.until / 1_000,
        detail: span.detail,
    });
    Island {
        shown: 0,
        total: 0,
        end: recorded.end.div_ceil(1_000),
        members: recorded
            .members
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
        clients: Vec::new(),
        kinds: Vec::new(),
        results: Ended::ALL.map(Ended::name),
        texts: Vec::new(),
        ops: Columns::default(),
        messages: Messages::default(),
        witness: Vec::new(),
        focus,
        faults: faults.collect(),
        phases: phases.collect(),
        spans: spans.collect(),
    }
}

pub(crate) fn phase_name(phase: checker::history::Phase) -> &'static str {
    use checker::history::Phase;
    match phase {
        Phase::Setup => "setup",
        Phase::Traffic => "traffic",
        Phase::Heal => "heal",
        Phase::Liveness => "liveness",
        Phase::Final => "final",
        Phase::Stop => "stop",
    }
}

/// Indexes that grow while operations are added.
struct Filling {
    members: HashMap<String, usize>,
    clients: BTreeMap<u32, usize>,
    kinds: HashMap<&'static str, usize>,
    texts: HashMap<String, usize>,
    last: (i64, i64),
}

impl Filling {
    fn new(recorded: &Recorded<'_>) -> Self {
        let members = recorded.members.iter().enumerate();
        Self {
            members: members
                .map(|(index, name)| ((*name).to_owned(), index))
                .collect(),
            clients: BTreeMap::new(),
            kinds: HashMap::new(),
            texts: HashMap::new(),
            last: (0, 0),
        }
    }

    fn add(&mut self, island: &mut Island, op: &Op<'_>, texts: &[String; 2]) {
        let invoke = op.invoke;
        let member = self.members.get(&invoke.member).copied().unwrap_or(0);
        let client = *self.clients.entry(invoke.client).or_insert_with(|| {
            island.clients.push(Client {
                id: invoke.client,
                member,
            });
            island.clients.len() - 1
        });
        let kind = invoke.request.kind();
        let kind = *self.kinds.entry(kind).or_insert_with(|| {
            island.kinds.push(kind);
            island.kinds.len() - 1
        });
        let at = signed(invoke.at / 1_000);
        let index = island.ops.id.len();
        let columns = &mut island.ops;
        columns.id.push(signed(invoke.id) - self.last.0);
        columns.at.push(at - self.last.1);
        self.last = (signed(invoke.id), at);
        columns
            .took
            .push(op.end.map_or(-1, |end| signed(end / 1_000) - at));
        columns.client.push(client);
        columns.kind.push(kind);
        columns.result.push(op.ended() as usize);
        columns.revision.push(op.revision().unwrap_or(-1));
        columns
            .asked
            .push(text(&mut self.texts, &mut island.texts, &texts[0]));
        columns
            .answer
            .push(text(&mut self.texts, &mut island.texts, &texts[1]));
        for message in &op.messages {
            island.messages.op.push(index);
            island.messages.at.push(message.at / 1_000);
            island.messages.events.push(message.response.events.len());
        }
    }
}

fn text(known: &mut HashMap<String, usize>, texts: &mut Vec<String>, text: &str) -> usize {
    if let Some(&index) = known.get(text) {
        return index;
    }
    texts.push(text.to_owned());
    known.insert(text.to_owned(), texts.len() - 1);
    texts.len() - 1
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// JSON that no HTML parser can leave: `<`, `>`, `&` and the two separators that end a line of
/// script are escaped, which JSON allows within strings, and these stand nowhere else.
pub(crate) fn safe_json(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".into());
    let mut safe = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                safe.push_str(&format!("\\u{:04x}", char as u32));
            }
            char => safe.push(char),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_the_island() {
        let hostile = "</script><script>alert(1)</script><!-- & \u{2028}";
        let json = safe_json(&[hostile]);
        assert!(!json.contains(['<', '>', '&', '\u{2028}']), "{json}");
        let back: Vec<String> = serde_json::from_str(&json).unwrap();
        assert_eq!(back, [hostile]);
        assert!(json.len() <= json_bytes(hostile) + 2 + 6);
    }
}
