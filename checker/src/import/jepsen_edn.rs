//! Jepsen's `history.edn` of a test of one compare-and-set register.

use std::io::BufRead;

use super::builder::{Builder, End};
use super::edn::{Form, Reader};
use super::{ImportError, Place};
use crate::generic::Operation;
use crate::models::{CasRegisterOp, Value};

/// A request, without its answer.
enum Asked {
    Read,
    Write(Value),
    Cas(Value, Value),
}

/// Reads a history of `:read`, `:write` and `:cas`, such as
/// `{:process 0, :type :invoke, :f :cas, :value [1 2]}`, one map after the other or all in one
/// vector. Events of the nemesis are passed over.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn jepsen_edn(input: impl BufRead) -> Result<Vec<Operation<CasRegisterOp>>, ImportError> {
    let mut reader = Reader::new(input);
    let mut builder = Builder::new();
    while let Some((place, form)) = reader.next_form()? {
        let process = match form.get("process") {
            Some(Form::Keyword(name)) if name == "nemesis" => continue,
            Some(&Form::Int(process)) => u64::try_from(process).ok(),
            _ => None,
        };
        let process = process.ok_or_else(|| place.error("an event needs a number :process"))?;
        let keyword = |name: &str| match form.get(name) {
            Some(Form::Keyword(keyword)) => Ok(keyword.as_str()),
            _ => Err(place.error(format!("an event needs a keyword :{name}"))),
        };
        let value = form.get("value").unwrap_or(&Form::Nil);
        let kind = keyword("type")?;
        if kind == "invoke" {
            let asked = match keyword("f")? {
                "read" => Asked::Read,
                "write" => Asked::Write(value_of(value, place)?),
                "cas" => {
                    let Form::Vector(pair) = value else {
                        return Err(place.error("a :cas needs a pair of values"));
                    };
                    let [from, to] = pair.as_slice() else {
                        return Err(place.error("a :cas needs two values"));
                    };
                    Asked::Cas(value_of(from, place)?, value_of(to, place)?)
                }
                other => return Err(place.error(format!("no operation :{other} is known"))),
            };
            builder.invoke(process, asked, place)?;
            continue;
        }
        builder.complete(process, place, |asked| {
            let cas = |from, to, done| CasRegisterOp::Cas { from, to, done };
            Ok(match (kind, asked) {
                ("ok", Asked::Read) => End::Known(CasRegisterOp::Read(value_of(value, place)?)),
                ("ok", Asked::Write(value)) => End::Known(CasRegisterOp::Write(value)),
                ("ok", Asked::Cas(from, to)) => End::Known(cas(from, to, Some(true))),
                ("fail", Asked::Cas(from, to)) if form.get("error").is_none() => {
                    End::Known(cas(from, to, Some(false)))
                }
                ("fail", _) => End::Nothing,
                ("info", asked) => unknown(asked),
                (other, _) => return Err(place.error(format!("no type :{other} is known"))),
            })
        })?;
    }
    Ok(builder.finish(unknown))
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

fn value_of(form: &Form, place: Place) -> Result<Value, ImportError> {
    match form {
        Form::Nil => Ok(None),
        Form::Int(number) => Ok(Some(*number)),
        other => Err(place.error(format!("{other:?} is neither a number nor nil"))),
    }
}
