//! Puts and gets of an etcd-like store, straight from a file into little memory.
//!
//! The format is `compact-jsonl`, with revisions and one object a line. Whatever else a file holds
//! is left to the reader that keeps records, and says what is wrong where.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, Read as _, Write as _};

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use super::FORM_MAX;
use crate::linearizable::Dense;

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    call: u64,
    ret: Option<u64>,
    op: Kind,
    #[serde(borrow)]
    k: Scalar<'a>,
    v: Option<Scalar<'a>>,
    #[serde(rename = "mod")]
    mod_revision: Option<i64>,
    rev: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Put,
    Get,
}

/// A string or an integer.
#[derive(Serialize)]
#[serde(untagged)]
enum Scalar<'a> {
    Integer(i64),
    Text(Cow<'a, str>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an integer")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Integer(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                i64::try_from(number)
                    .map(Scalar::Integer)
                    .map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl Scalar<'_> {
    fn bytes<'b>(&'b self, digits: &'b mut Vec<u8>) -> &'b [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Integer(number) => {
                digits.clear();
                let _ = write!(digits, "{number}");
                digits
            }
        }
    }
}

/// Reads a file of puts and gets with revisions; none where it is something else, or malformed, or
/// cut short.
///
/// # Errors
///
/// What the input cannot be read for.
pub fn bare(mut input: impl BufRead) -> io::Result<Option<Dense>> {
    let mut dense = Dense::lean();
    let mut line = Vec::new();
    let (mut key_digits, mut digits) = (Vec::new(), Vec::new());
    let mut id = 0;
    loop {
        line.clear();
        let limit = FORM_MAX as u64 + 1;
        if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(Some(dense));
        }
        let Ok(read) = serde_json::from_slice::<Line>(&line) else {
            return Ok(None);
        };
        let key = read.k.bytes(&mut key_digits);
        let value = read.v.as_ref().map(|value| value.bytes(&mut digits));
        match (read.op, read.ret, value, read.rev) {
            (Kind::Put, None, Some(value), _) => dense.put_of(id, read.call, None, key, value),
            (Kind::Put, Some(ret), Some(value), Some(revision)) => {
                dense.put_of(id, read.call, Some((ret, revision)), key, value);
            }
            (Kind::Get, None, ..) => {}
            (Kind::Get, Some(ret), value, Some(revision)) => {
                let seen = match (value, read.mod_revision) {
                    (None, _) => None,
                    (Some(value), Some(modified)) => Some((value, modified)),
                    (Some(_), None) => return Ok(None),
                };
                dense.get_of(id, (read.call, ret), key, seen, revision);
            }
            _ => return Ok(None),
        }
        id += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linearizable::Options;

    const HEAD: &str = concat!(
        r#"{"c":1,"call":0,"ret":5,"op":"put","k":"a","v":1,"mod":null,"rev":2}"#,
        "\n",
        r#"{"c":2,"call":1,"ret":null,"op":"put","k":"a","v":2,"mod":null,"rev":null}"#,
        "\n"
    );

    fn ordered(last: &str) -> Option<bool> {
        let text = format!("{HEAD}{last}\n");
        let dense = bare(text.as_bytes()).unwrap()?;
        Some(dense.order(&Options::default()).is_ok())
    }

    #[test]
    fn what_was_put_without_an_answer_may_be_seen() {
        let seen = r#"{"c":1,"call":6,"ret":7,"op":"get","k":"a","v":2,"mod":3,"rev":3}"#;
        assert_eq!(ordered(seen), Some(true));
        assert_eq!(
            ordered(&seen.replace("\"v\":2", "\"v\":\"3\"")),
            Some(false)
        );
        assert_eq!(
            ordered(&seen.replace("\"ret\":7", "\"ret\":5")),
            Some(false)
        );
    }

    #[test]
    fn anything_else_is_left_to_others() {
        for other in [
            r#"{"c":1,"call":6,"ret":7,"op":"get","k":"a","v":2,"mod":null,"rev":3}"#,
            r#"{"c":1,"call":6,"ret":7,"op":"get","k":"a","v":2,"mod":3,"rev":null}"#,
            r#"{"c":1,"call":6,"ret":7,"op":"cas","k":"a"}"#,
            r#"{"c":1,"call":6"#,
        ] {
            assert_eq!(ordered(other), None, "{other}");
        }
    }
}
