//! The terms of a gofail point: what happens when it is reached.
//!
//! Source: gofail's `runtime/terms.go`. Its parser takes more than is good: a
//! modifier without an action ends the process when the point is reached, a
//! `sleep` that is no time is ignored, a quoted string with an escape is cut
//! wrongly, `50%` is refused (it wants `50.0%`). So terms are read here, and
//! written in the one form that every release of gofail understands.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest text that is read.
const TEXT_LIMIT: usize = 4096;

/// `[N*][P%]ACTION[(VALUE)]`, any number of them with `->` between: the first
/// whose modifiers allow it acts.
///
/// Read from text and written as text: `3*sleep(100)->1*panic`.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms(Vec<Term>);

/// One term of [`Terms`].
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// When it acts: all must allow it, asked in this order.
    pub modifiers: Vec<Modifier>,
    /// What it does.
    pub action: Action,
}

/// What limits a term.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Modifier {
    /// `N*`: the first N times.
    Times(u32),
    /// `P%`: with this probability, in percent, above 0 and at most 100.
    Percent(f64),
}

/// What a term does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing.
    Off,
    /// Hands a value to the code behind the point, which says what it takes.
    Return(Value),
    /// Sleeps. gofail's number is in milliseconds.
    Sleep(Duration),
    /// Panics, which ends a Go process with exit code 2.
    Panic(Value),
    /// Starts gdb on the process.
    Break,
    /// Prints the point's name on standard output.
    Print,
}

/// A value in parentheses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// None, with parentheses or without.
    Nothing,
    /// `(7)`.
    Number(i64),
    /// `(true)`.
    Bool(bool),
    /// `("text")`.
    Text(String),
}

/// Why a text is no term of gofail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no gofail term: {what}, at `{rest}`; write [N*][P%]ACTION[(VALUE)], such as 3*sleep(100)->1*panic"
)]
pub struct TermError {
    /// The text.
    pub text: String,
    /// Where it goes wrong: the text from there.
    pub rest: String,
    /// What is wrong.
    pub what: String,
}

impl Terms {
    /// One term.
    pub fn new(term: Term) -> Self {
        Self(vec![term])
    }

    /// Panics at every hit.
    pub fn panic() -> Self {
        Self::always(Action::Panic(Value::Nothing))
    }

    /// Sleeps at every hit.
    pub fn sleep(time: Duration) -> Self {
        Self::always(Action::Sleep(time))
    }

    fn always(action: Action) -> Self {
        Self::new(Term {
            modifiers: Vec::new(),
            action,
        })
    }

    /// The terms, in order; at least one.
    pub fn terms(&self) -> &[Term] {
        &self.0
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("->")?;
            }
            for modifier in &term.modifiers {
                match modifier {
                    Modifier::Times(times) => write!(f, "{times}*")?,
                    // A number without a dot would be taken for a count.
                    Modifier::Percent(percent) if percent.fract() == 0.0 => {
                        write!(f, "{percent}.0%")?;
                    }
                    Modifier::Percent(percent) => write!(f, "{percent}%")?,
                }
            }
            match &term.action {
                Action::Off => f.write_str("off")?,
                Action::Break => f.write_str("break")?,
                Action::Print => f.write_str("print")?,
                Action::Return(value) => write!(f, "return{value}")?,
                Action::Panic(value) => write!(f, "panic{value}")?,
                Action::Sleep(time) if time.subsec_nanos() % 1_000_000 == 0 => {
                    write!(f, "sleep({})", time.as_millis())?;
                }
                Action::Sleep(time) => write!(f, "sleep(\"{}ns\")", time.as_nanos())?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Number(number) => write!(f, "({number})"),
            Self::Bool(yes) => write!(f, "({yes})"),
            Self::Text(text) => write!(f, "(\"{text}\")"),
        }
    }
}

impl FromStr for Terms {
    type Err = TermError;

    fn from_str(text: &str) -> Result<Self, TermError> {
        let mut reader = Reader { text, rest: text };
        if text.len() > TEXT_LIMIT {
            return Err(reader.error("it is too long"));
        }
        let mut all = Vec::new();
        loop {
            all.push(reader.term()?);
            if reader.rest.is_empty() {
                return Ok(Self(all));
            }
            if !reader.eat("->") {
                return Err(reader.error("expected -> or the end"));
            }
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn error(&self, what: impl Into<String>) -> TermError {
        let short = |text: &str| text.chars().take(80).collect();
        TermError {
            text: short(self.text),
            rest: short(self.rest),
            what: what.into(),
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn term(&mut self) -> Result<Term, TermError> {
        let mut modifiers = Vec::new();
        while self.rest.starts_with(|one: char| one.is_ascii_digit()) {
            modifiers.push(self.modifier()?);
        }
        let names = ["off", "return", "sleep", "panic", "break", "print"];
        let Some(name) = names.into_iter().find(|name| self.eat(name)) else {
            let all = names.join(", ");
            return Err(self.error(format!("expected an action, one of {all}")));
        };
        let before = self.rest;
        let value = self.value()?;
        let action = match (name, value) {
            ("return", value) => Action::Return(value),
            ("panic", value) => Action::Panic(value),
            ("sleep", value) => match time(&value) {
                Some(time) => Action::Sleep(time),
                None => {
                    self.rest = before;
                    let what = "sleep takes milliseconds, (100), or a time, (\"1.5s\")";
                    return Err(self.error(what));
                }
            },
            ("off", Value::Nothing) => Action::Off,
            ("break", Value::Nothing) => Action::Break,
            ("print", Value::Nothing) => Action::Print,
            (name, _) => {
                self.rest = before;
                return Err(self.error(format!("{name} takes no value")));
            }
        };
        Ok(Term { modifiers, action })
    }

    fn modifier(&mut self) -> Result<Modifier, TermError> {
        let is_number = |one: char| one.is_ascii_digit() || one == '.';
        let end = self.rest.find(|one| !is_number(one));
        let (number, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let percent = number
            .parse()
            .ok()
            .filter(|one| (0.0..=100.0).contains(one));
        let modifier = match rest.chars().next() {
            Some('*') => number.parse().ok().map(Modifier::Times),
            Some('%') => percent.filter(|one| *one > 0.0).map(Modifier::Percent),
            _ => None,
        };
        let Some(modifier) = modifier else {
            return Err(self.error("expected a count such as 3*, or a probability such as 12.5%"));
        };
        self.rest = &rest[1..];
        Ok(modifier)
    }

    fn value(&mut self) -> Result<Value, TermError> {
        let start = self.rest;
        if !self.eat("(") || self.eat(")") {
            return Ok(Value::Nothing);
        }
        let value = if self.eat("\"") {
            // Not what gofail would have to unescape, as it takes the wrong
            // length then.
            let end = self
                .rest
                .find(|one: char| matches!(one, '"' | '\\') || one.is_control());
            let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest;
            self.eat("\"").then(|| Value::Text(text.to_owned()))
        } else {
            let end = self.rest.find(')').unwrap_or(self.rest.len());
            let (plain, rest) = self.rest.split_at(end);
            self.rest = rest;
            match plain {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                // As it would be written: gofail counts its characters.
                number => number
                    .parse::<i64>()
                    .ok()
                    .filter(|read| read.to_string() == number)
                    .map(Value::Number),
            }
        };
        match value {
            Some(value) if self.eat(")") => Ok(value),
            _ => {
                self.rest = start;
                Err(self.error(
                    "expected a value in parentheses: (7), (true), or (\"text\") without escapes",
                ))
            }
        }
    }
}

/// Go's `time.ParseDuration`, without signs; or milliseconds.
fn time(value: &Value) -> Option<Duration> {
    let text = match value {
        Value::Number(ms) => return Some(Duration::from_millis(u64::try_from(*ms).ok()?)),
        Value::Text(text) => text,
        Value::Nothing | Value::Bool(_) => return None,
    };
    let mut rest = text.as_str();
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|one: char| !one.is_ascii_digit() && one != '.')?;
        let (number, behind) = rest.split_at(end);
        let units = [
            ("ns", 1e-9),
            ("us", 1e-6),
            ("µs", 1e-6),
            ("ms", 1e-3),
            ("s", 1.0),
            ("m", 60.0),
            ("h", 3600.0),
        ];
        let (unit, size) = units
            .into_iter()
            .find(|(unit, _)| behind.starts_with(unit))?;
        seconds += number.parse::<f64>().ok()? * size;
        rest = &behind[unit.len()..];
    }
    // Go's own limit is 292 years.
    (!text.is_empty() && seconds < 1e9)
        .then(|| Duration::from_nanos((seconds * 1e9).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_written_as_gofail_reads_them() {
        for (text, written) in [
            ("panic", "panic"),
            ("panic()", "panic"),
            ("panic(\"now\")", "panic(\"now\")"),
            ("sleep(100)", "sleep(100)"),
            ("sleep(\"1.5s\")", "sleep(1500)"),
            ("sleep(\"1m2s3ms\")", "sleep(62003)"),
            ("sleep(\"250us\")", "sleep(\"250000ns\")"),
            ("return(-7)", "return(-7)"),
            ("return(true)", "return(true)"),
            ("return(\"a b\")", "return(\"a b\")"),
            ("50%off", "50.0%off"),
            ("12.5%print", "12.5%print"),
            ("3*sleep(100)->1*panic", "3*sleep(100)->1*panic"),
            ("2*50.0%return->break", "2*50.0%return->break"),
        ] {
            let terms: Terms = text.parse().unwrap();
            assert_eq!(terms.to_string(), written);
            assert_eq!(written.parse::<Terms>().unwrap(), terms, "{text}");
        }
    }

    #[test]
    fn what_gofail_would_misread_is_refused() {
        for (text, what) in [
            ("", "expected an action"),
            ("3*", "expected an action"),
            ("explode", "expected an action"),
            (" panic", "expected an action"),
            ("panic->", "expected an action"),
            ("panic panic", "expected ->"),
            ("sleep", "sleep takes"),
            ("sleep()", "sleep takes"),
            ("sleep(true)", "sleep takes"),
            ("sleep(-1)", "sleep takes"),
            ("sleep(\"soon\")", "sleep takes"),
            ("sleep(\"5\")", "sleep takes"),
            ("sleep(5", "in parentheses"),
            ("return(05)", "in parentheses"),
            ("return(\"a\\n\")", "in parentheses"),
            ("return(\"a)", "in parentheses"),
            ("off(1)", "off takes no value"),
            ("101%panic", "expected a count"),
            ("0%panic", "expected a count"),
            ("1.5*panic", "expected a count"),
            ("99999999999*panic", "expected a count"),
            ("3", "expected a count"),
        ] {
            let error = text.parse::<Terms>().unwrap_err();
            assert!(error.to_string().contains(what), "{text}: {error}");
        }
        assert!("off->".repeat(2000).parse::<Terms>().is_err());
    }
}
