//! Jepsen's log of a test of one compare-and-set register.

use std::io::{BufRead, Read};

use super::builder::{Builder, End};
use super::history::LEAST;
use super::{FORM_MAX, ImportError, Objects, Place};
use crate::models::{CasRegisterOp, Value};

/// A request, without its answer.
#[derive(Clone, Copy)]
enum Asked {
    Read,
    Write(Value),
    Cas(Value, Value),
}

/// Reads lines such as `INFO jepsen.util - 4 :invoke :cas [2 4]`. Lines of other loggers, and of
/// the nemesis, are passed over. A last line without its end counts as cut short: the rest of a
/// number may be missing.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn jepsen_log(mut input: impl BufRead) -> Result<Objects<CasRegisterOp>, ImportError> {
    let mut builder = Builder::new();
    let mut bytes = Vec::new();
    let mut cut = None;
    for line in 1.. {
        let start = Place { line, column: 1 };
        bytes.clear();
        let mut limited = (&mut input).take(FORM_MAX as u64 + 1);
        let read = limited.read_until(b'\n', &mut bytes);
        match read.map_err(|error| start.error(format!("cannot be read: {error}")))? {
            0 => break,
            read if read > FORM_MAX => {
                return Err(start.error(format!("a line of more than {FORM_MAX} bytes")));
            }
            _ => {}
        }
        if !bytes.ends_with(b"\n") {
            cut = Some(start.cut("the last line has no end"));
            break;
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let column = error.valid_up_to() as u64 + 1;
            Place { line, column }.error("not UTF-8")
        })?;
        event(&mut Words { text, at: 0, line }, &mut builder)?;
    }
    Ok(builder.finish(unknown, cut))
}

fn unknown(asked: Asked) -> End<CasRegisterOp> {
    match asked {
        Asked::Read => End::Nothing,
        Asked::Write(value) => End::Unknown(CasRegisterOp::Write(value)),
        Asked::Cas(from, to) => End::Unknown(CasRegisterOp::Cas {
            from,
            to,
            done: None,
        }),
    }
}

fn event(
    words: &mut Words,
    builder: &mut Builder<CasRegisterOp, Asked>,
) -> Result<(), ImportError> {
    let is_ours = words.next().is_some() && words.next().is_some_and(|w| w.1 == "jepsen.util");
    if !is_ours || words.next().is_none_or(|w| w.1 != "-") {
        return Ok(());
    }
    let (place, process) = words.due("a process")?;
    if process == ":nemesis" {
        return Ok(());
    }
    let process = process
        .parse()
        .map_err(|_| place.error(format!("{process:?} is no process")))?;
    let (type_place, kind) = words.due("a type")?;
    let (function_place, function) = words.due("an operation")?;
    if kind == ":invoke" {
        let asked = match function {
            ":read" => Asked::Read,
            ":write" => Asked::Write(words.value()?),
            ":cas" => {
                let (from, to) = words.pair()?;
                Asked::Cas(from, to)
            }
            other => {
                return Err(function_place.error(format!(
                    "no operation {other} is known: a Jepsen log holds :read, :write and :cas"
                )));
            }
        };
        let object = builder.object(None, place)?;
        return builder.invoke(process, object, asked, place);
    }
    builder.complete(process, place, |asked| {
        Ok(match (kind, asked) {
            (":ok", Asked::Read) => End::Known(CasRegisterOp::Read(words.value()?)),
            (":ok", Asked::Write(value)) => End::Known(CasRegisterOp::Write(value)),
            (":ok", Asked::Cas(from, to)) => End::Known(CasRegisterOp::Cas {
                from,
                to,
                done: Some(true),
            }),
            (":fail", Asked::Cas(from, to)) if words.rest().starts_with('[') => {
                End::Known(CasRegisterOp::Cas {
                    from,
                    to,
                    done: Some(false),
                })
            }
            (":fail", _) => End::Nothing,
            (":info", asked) => unknown(asked),
            (other, _) => {
                return Err(type_place.error(format!(
                    "no type {other} is known: :invoke, :ok, :fail or :info is due here"
                )));
            }
        })
    })
}

/// The words of one line.
struct Words<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl<'a> Words<'a> {
    fn place(&self) -> Place {
        Place {
            line: self.line,
            column: self.at as u64 + 1,
        }
    }

    fn rest(&self) -> &'a str {
        self.text[self.at..].trim()
    }

    fn next(&mut self) -> Option<(Place, &'a str)> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        let rest = rest.trim();
        let place = self.place();
        let word = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
        self.at += word.len();
        (!word.is_empty()).then_some((place, word))
    }

    fn due(&mut self, what: &str) -> Result<(Place, &'a str), ImportError> {
        let place = self.place();
        self.next()
            .ok_or_else(|| place.error(format!("{what} is due here")))
    }

    fn value(&mut self) -> Result<Value, ImportError> {
        let (place, word) = self.due("a value")?;
        value_of(word, place)
    }

    fn pair(&mut self) -> Result<(Value, Value), ImportError> {
        let (place, from) = self.due("a pair of values")?;
        let (to_place, to) = self.due("a second value")?;
        match (from.strip_prefix('['), to.strip_suffix(']')) {
            (Some(from), Some(to)) => Ok((value_of(from, place)?, value_of(to, to_place)?)),
            _ => Err(place.error("a pair of values in brackets is due here")),
        }
    }
}

fn value_of(word: &str, place: Place) -> Result<Value, ImportError> {
    match word {
        "nil" => Ok(None),
        number => match number.parse() {
            Ok(number) if number < LEAST => {
                Err(place.error(format!("{number} is too low a number")))
            }
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(place.error(format!("{number:?} is neither a number nor nil"))),
        },
    }
}
