//! Requests and answers in a line.
//!
//! Keys and values come from the store under test: control characters are escaped, so that a value
//! cannot move a terminal's cursor, and long ones are cut with a note of how much is gone.

mod answers;
mod requests;

pub(crate) use answers::answer;
pub(crate) use requests::request;

use checker::history::Bytes;

/// How much of keys, values and lists is spelt out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detail {
    pub(crate) value_chars: usize,
    pub(crate) items: usize,
    pub(crate) text_chars: usize,
}

impl Detail {
    /// For tables.
    pub(crate) const SHORT: Self = Self {
        value_chars: 32,
        items: 3,
        text_chars: 220,
    };
    /// For what a pointer or a click asks for.
    pub(crate) const FULL: Self = Self {
        value_chars: 160,
        items: 12,
        text_chars: 700,
    };

    pub(crate) fn key(self, bytes: &Bytes) -> String {
        self.cut(&bytes.to_string())
    }

    pub(crate) fn value(self, bytes: &Bytes) -> String {
        format!("\"{}\"", self.cut(&bytes.to_string()))
    }

    fn cut(self, text: &str) -> String {
        let plain = printable(text);
        let length = plain.chars().count();
        if length <= self.value_chars {
            return plain;
        }
        let head: String = plain.chars().take(self.value_chars).collect();
        format!("{head}…(+{})", length - self.value_chars)
    }

    /// `a, b, … (+3)`.
    pub(crate) fn list<T>(
        self,
        items: &[T],
        separator: &str,
        word: impl Fn(&T) -> String,
    ) -> String {
        let words: Vec<_> = items.iter().take(self.items).map(word).collect();
        let mut text = words.join(separator);
        if items.len() > self.items {
            text.push_str(&format!("{separator}… (+{})", items.len() - self.items));
        }
        text
    }

    pub(crate) fn whole(self, text: String) -> String {
        let length = text.chars().count();
        if length <= self.text_chars {
            return text;
        }
        let head: String = text.chars().take(self.text_chars).collect();
        format!("{head}… (+{} characters)", length - self.text_chars)
    }
}

/// The text with every character that is not meant to be seen escaped: controls, and those that
/// turn the direction of writing.
pub(crate) fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        let hidden = char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if hidden {
            plain.extend(char.escape_default());
        } else {
            plain.push(char);
        }
    }
    plain
}

/// A key range as people write it: `k`, `k/*`, `[a, b)`, `[a, ∞)`.
pub(crate) fn range(key: &Bytes, end: &Bytes, detail: Detail) -> String {
    if end.is_empty() {
        detail.key(key)
    } else if end.as_slice() == [0] {
        if key.as_slice() == [0] || key.is_empty() {
            "every key".into()
        } else {
            format!("[{}, ∞)", detail.key(key))
        }
    } else if *end == key.prefix_end() {
        format!("{}*", detail.key(key))
    } else {
        format!("[{}, {})", detail.key(key), detail.key(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_write_to_the_terminal() {
        let hostile = Bytes::from("a\u{1b}[2Jb\n\u{202e}c");
        assert_eq!(
            Detail::FULL.value(&hostile),
            "\"a\\u{1b}[2Jb\\n\\u{202e}c\""
        );
    }

    #[test]
    fn long_values_say_how_much_is_gone() {
        let long = Bytes::from("x".repeat(40));
        assert_eq!(Detail::SHORT.key(&long), format!("{}…(+8)", "x".repeat(32)));
    }

    #[test]
    fn ranges_read_as_written_by_people() {
        let range = |key: &[u8], end: &[u8]| {
            super::range(&Bytes(key.to_vec()), &Bytes(end.to_vec()), Detail::SHORT)
        };
        assert_eq!(range(b"k/1", b""), "k/1");
        assert_eq!(range(b"k/", b"k0"), "k/*");
        assert_eq!(range(b"a", b"c"), "[a, c)");
        assert_eq!(range(b"\0", b"\0"), "every key");
    }
}
