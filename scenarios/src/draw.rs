//! Values that a plan draws, and how scenario files write them.

use std::fmt;

use crate::stream::Stream;

/// A value of a scenario: fixed, or drawn when a plan is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Draw {
    Fixed(u64),
    /// Uniform, both ends included.
    Range(u64, u64),
    /// One of these, each as likely.
    AnyOf(Vec<Draw>),
}

impl Draw {
    pub(crate) fn draw(&self, stream: &mut Stream) -> u64 {
        match self {
            Self::Fixed(value) => *value,
            Self::Range(low, high) => stream.between(*low, *high),
            Self::AnyOf(choices) => {
                let index = stream.below(choices.len() as u64) as usize;
                choices[index].draw(stream)
            }
        }
    }

    /// One of these; a single one is fixed.
    pub(crate) fn any_of(mut choices: Vec<Self>) -> Self {
        match choices.len() {
            1 => choices.remove(0),
            _ => Self::AnyOf(choices),
        }
    }

    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    /// Smallest and largest value.
    pub(crate) fn bounds(&self) -> (u64, u64) {
        match self {
            Self::Fixed(value) => (*value, *value),
            Self::Range(low, high) => (*low, *high),
            Self::AnyOf(choices) => choices
                .iter()
                .map(Draw::bounds)
                .reduce(|(a, b), (c, d)| (a.min(c), b.max(d)))
                .unwrap_or((0, 0)),
        }
    }
}

/// What a number in a scenario file counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Things.
    Count,
    /// Time, in microseconds.
    Time,
}

impl Unit {
    pub(crate) fn examples(self) -> &'static str {
        match self {
            Self::Count => r#"3, "2..4" or [50, 100]"#,
            Self::Time => r#""250 ms", "0..20 ms" or ["1 s", "2 s"]"#,
        }
    }

    /// A value in this unit, as scenario files write it.
    pub(crate) fn show(self, value: u64) -> String {
        match self {
            Self::Count => value.to_string(),
            Self::Time => Micros(value).to_string(),
        }
    }

    /// Reads `3`, `2..4`, `250 ms`, `0..20 ms`, `500 ms..2 s`.
    pub(crate) fn parse(self, text: &str) -> Result<Draw, String> {
        let wrong = || format!("{text:?} is not understood; allowed: {}", self.examples());
        let Some((low, high)) = text.split_once("..") else {
            return self.number(text, None).map(Draw::Fixed).ok_or_else(wrong);
        };
        let unit = match self {
            Self::Count => None,
            Self::Time => Some(split_unit(high).1),
        };
        let low = self.number(low, unit).ok_or_else(wrong)?;
        let high = self.number(high, None).ok_or_else(wrong)?;
        if low > high {
            return Err(format!(
                "the range {text:?} is inverted; write the smaller end first"
            ));
        }
        Ok(Draw::Range(low, high))
    }

    fn number(self, text: &str, default_unit: Option<&str>) -> Option<u64> {
        let text = text.trim();
        match self {
            Self::Count => text.parse().ok(),
            Self::Time => {
                let (digits, mut unit) = split_unit(text);
                if unit.is_empty() {
                    unit = default_unit?;
                }
                let scale = match unit {
                    "us" => 1.0,
                    "ms" => 1e3,
                    "s" => 1e6,
                    "min" => 60e6,
                    _ => return None,
                };
                let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
                let value: f64 = plain.then(|| digits.parse().ok())??;
                let micros = (value * scale).round();
                (micros < 1e12).then_some(micros as u64)
            }
        }
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    (text[..at].trim_end(), &text[at..])
}

/// Microseconds, shown in the largest unit that needs at most three decimals.
struct Micros(u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, scale, unit) = match self.0 {
            n if n >= 1_000_000 && n % 1_000 == 0 => (n / 1_000, 1_000, "s"),
            n if n >= 1_000 => (n, 1_000, "ms"),
            n => return write!(f, "{n} us"),
        };
        let decimals = format!("{:03}", whole % scale);
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{} {unit}", whole / scale),
            decimals => write!(f, "{}.{decimals} {unit}", whole / scale),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_counts() {
        assert_eq!(Unit::Count.parse("3"), Ok(Draw::Fixed(3)));
        assert_eq!(Unit::Count.parse("2..4"), Ok(Draw::Range(2, 4)));
        assert_eq!(Unit::Count.parse("2 .. 4"), Ok(Draw::Range(2, 4)));
        for wrong in ["", "x", "-1", "1..", "..2", "1.5", "1..2..3"] {
            assert!(Unit::Count.parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_times_to_the_microsecond() {
        assert_eq!(Unit::Time.parse("250 ms"), Ok(Draw::Fixed(250_000)));
        assert_eq!(Unit::Time.parse("250ms"), Ok(Draw::Fixed(250_000)));
        assert_eq!(Unit::Time.parse("2.5 s"), Ok(Draw::Fixed(2_500_000)));
        assert_eq!(Unit::Time.parse("0..20 ms"), Ok(Draw::Range(0, 20_000)));
        assert_eq!(
            Unit::Time.parse("500 us..2 s"),
            Ok(Draw::Range(500, 2_000_000))
        );
        for wrong in [
            "", "250", "0..20", "ms", "1 hour", "-1 ms", "1e3 ms", "1.2.3 s",
        ] {
            assert!(Unit::Time.parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shows_times_as_files_write_them() {
        for (micros, text) in [
            (0, "0 us"),
            (999, "999 us"),
            (13_250, "13.25 ms"),
            (250_000, "250 ms"),
            (1_000_000, "1 s"),
            (2_345_000, "2.345 s"),
            (2_345_678, "2345.678 ms"),
        ] {
            assert_eq!(Unit::Time.show(micros), text);
            assert_eq!(Unit::Time.parse(text), Ok(Draw::Fixed(micros)));
        }
    }

    #[test]
    fn an_inverted_range_is_refused() {
        assert_eq!(
            Unit::Time.parse("20..5 ms"),
            Err(r#"the range "20..5 ms" is inverted; write the smaller end first"#.into())
        );
    }
}
