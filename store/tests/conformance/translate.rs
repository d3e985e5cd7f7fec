//! Between a sequence, which knows no ports, prefixes or revisions, and one member.

use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value};

use crate::fields::{self, Kind};

/// In a sequence, a revision near this is counted from the revision at the sequence's start.
const RELATIVE: i64 = 1 << 40;
/// In a sequence, the member that is asked.
pub(crate) const OWN: u64 = 1 << 60;
/// In a sequence, the member that was added last.
pub(crate) const ADDED: u64 = OWN + 1;
/// In a sequence, the URL for peers of the member that is asked.
pub(crate) const PEER_URL: &str = "own-peer-url";

/// `offset` revisions after the sequence's start.
pub(crate) fn at(offset: i64) -> i64 {
    RELATIVE + offset
}

fn offset(revision: i64) -> Option<i64> {
    (revision.abs_diff(RELATIVE) < 1 << 30).then(|| revision - RELATIVE)
}

/// What a sequence's words mean for one of the two members.
pub(crate) struct View {
    /// The revision at the sequence's start.
    pub(crate) base: i64,
    /// What every key begins with.
    pub(crate) prefix: Vec<u8>,
    pub(crate) own: u64,
    pub(crate) peer_url: String,
    pub(crate) client_url: String,
    /// Members seen beside it, in order.
    pub(crate) added: Vec<u64>,
    /// Leases that got their id from the member, in order.
    pub(crate) generated: Vec<i64>,
}

impl View {
    /// The request as this member is to get it.
    pub(crate) fn request(&self, message: &DynamicMessage) -> DynamicMessage {
        let mut out = message.clone();
        let name = message.descriptor();
        for (field, value) in message.fields() {
            let kind = fields::kind(name.name(), field.name());
            out.set_field(&field, self.outwards(kind, value));
        }
        out
    }

    fn outwards(&self, kind: Option<Kind>, value: &Value) -> Value {
        match (kind, value) {
            (_, Value::Message(message)) => Value::Message(self.request(message)),
            (_, Value::List(list)) => {
                Value::List(list.iter().map(|one| self.outwards(kind, one)).collect())
            }
            (Some(Kind::Revision), Value::I64(revision)) => Value::I64(
                offset(*revision).map_or(*revision, |offset| (self.base + offset).max(-1)),
            ),
            (Some(Kind::Key), Value::Bytes(key)) if !key.is_empty() && &key[..] != b"\0" => {
                Value::Bytes([&self.prefix, &key[..]].concat().into())
            }
            (Some(Kind::Member), Value::U64(OWN)) => Value::U64(self.own),
            (Some(Kind::Member), Value::U64(ADDED)) => {
                Value::U64(self.added.last().copied().unwrap_or(ADDED))
            }
            (Some(Kind::Text), Value::String(url)) if url == PEER_URL => {
                Value::String(self.peer_url.clone())
            }
            _ => value.clone(),
        }
    }

    /// The answer as lines, one a field, without what is not compared.
    pub(crate) fn lines(&mut self, message: &DynamicMessage) -> Vec<String> {
        let mut lines = Vec::new();
        self.walk(message, "", &mut lines);
        if lines.is_empty() {
            lines.push("{}".into());
        }
        lines
    }

    fn walk(&mut self, message: &DynamicMessage, path: &str, lines: &mut Vec<String>) {
        let name = message.descriptor();
        for field in name.fields().filter(|field| message.has_field(field)) {
            if fields::ignored(name.name(), field.name()) {
                continue;
            }
            let path = format!("{path}{}", field.name());
            match &*message.get_field(&field) {
                Value::List(list) => {
                    let mut blocks: Vec<_> = list
                        .iter()
                        .map(|one| {
                            let mut block = Vec::new();
                            self.value(name.name(), &field, one, "", &mut block);
                            block
                        })
                        .collect();
                    if fields::unordered(name.name(), field.name()) {
                        blocks.sort();
                    }
                    for (index, block) in blocks.into_iter().enumerate() {
                        for line in block {
                            lines.push(format!("{path}[{index}]{line}"));
                        }
                    }
                }
                value => self.value(name.name(), &field, value, &path, lines),
            }
        }
        for field in message.unknown_fields() {
            lines.push(format!("{path}unknown field {}", field.number()));
        }
    }

    fn value(
        &mut self,
        message: &str,
        field: &FieldDescriptor,
        value: &Value,
        path: &str,
        lines: &mut Vec<String>,
    ) {
        if let Value::Message(inner) = value {
            let before = lines.len();
            self.walk(inner, &format!("{path}."), lines);
            if lines.len() == before {
                lines.push(format!("{path} = {{}}"));
            }
            return;
        }
        let text = match (fields::kind(message, field.name()), value) {
            _ if fields::sign_only(message, field.name()) => match value.as_i64() {
                Some(number) => format!("sign {}", number.signum()),
                None => print(field, value),
            },
            (Some(Kind::Revision), Value::I64(revision)) if *revision > 0 => {
                format!("start{:+}", revision - self.base)
            }
            (Some(Kind::Key), Value::Bytes(key)) => match key.strip_prefix(&self.prefix[..]) {
                Some(key) => bytes(key),
                None => format!("outside {}", bytes(key)),
            },
            (Some(Kind::Lease), Value::I64(id)) => {
                match self.generated.iter().position(|known| known == id) {
                    Some(index) => format!("generated {index}"),
                    None => id.to_string(),
                }
            }
            (Some(Kind::Member), Value::U64(id)) => self.member(*id),
            (Some(Kind::Text), Value::String(text)) => format!("{:?}", self.text(text)),
            _ => print(field, value),
        };
        lines.push(format!("{path} = {text}"));
    }

    /// Text that may name the member.
    pub(crate) fn text(&self, text: &str) -> String {
        text.replace(&self.peer_url, PEER_URL)
            .replace(&self.client_url, "own-client-url")
            .replace(&self.own.to_string(), "own")
            .replace(&format!("{:x}", self.own), "own")
    }

    fn member(&mut self, id: u64) -> String {
        if id == self.own {
            return "own".into();
        }
        let index = self.added.iter().position(|known| *known == id);
        let index = index.unwrap_or_else(|| {
            self.added.push(id);
            self.added.len() - 1
        });
        format!("added {index}")
    }
}

/// A request in one line, as the sequence has it.
pub(crate) fn show(message: &DynamicMessage) -> String {
    let name = message.descriptor();
    let fields = message.fields().map(|(field, value)| {
        let kind = fields::kind(name.name(), field.name());
        format!("{}: {}", field.name(), show_value(kind, &field, value))
    });
    fields.collect::<Vec<_>>().join(", ")
}

fn show_value(kind: Option<Kind>, field: &FieldDescriptor, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Message(message)) => format!("{{{}}}", show(message)),
        (_, Value::List(list)) => {
            let shown = list.iter().take(6).map(|one| show_value(kind, field, one));
            let shown = shown.collect::<Vec<_>>().join(", ");
            match list.len() {
                0..=6 => format!("[{shown}]"),
                more => format!("[{shown}, … {more} in all]"),
            }
        }
        (Some(Kind::Revision), Value::I64(revision)) => offset(*revision)
            .map_or_else(|| revision.to_string(), |offset| format!("start{offset:+}")),
        (Some(Kind::Member), Value::U64(OWN)) => "own".into(),
        (Some(Kind::Member), Value::U64(ADDED)) => "the added one".into(),
        _ => print(field, value),
    }
}

fn print(field: &FieldDescriptor, value: &Value) -> String {
    match value {
        Value::Bytes(value) => bytes(value),
        Value::String(text) => format!("{text:?}"),
        Value::EnumNumber(number) => {
            let kind = field.kind();
            let known = kind.as_enum().and_then(|known| known.get_value(*number));
            known.map_or_else(|| number.to_string(), |known| known.name().to_owned())
        }
        Value::Bool(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        value => format!("{value:?}"),
    }
}

fn bytes(value: &[u8]) -> String {
    match value.len() {
        0..=40 => format!("\"{}\"", value.escape_ascii()),
        length => {
            let hash = crc32fast::hash(value);
            format!(
                "\"{}…\" ({length} bytes, {hash:08x})",
                value[..8].escape_ascii()
            )
        }
    }
}
