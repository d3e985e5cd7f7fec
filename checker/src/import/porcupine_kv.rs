//! Porcupine's test data of a key-value store: one EDN map an event.

use std::io::BufRead;

use super::builder::{Builder, End};
use super::edn::{Form, Reader};
use super::{ImportError, Objects, Place};
use crate::models::KeyValueOp;

/// What `:f` asks for.
#[derive(Clone, Copy)]
enum Function {
    Get,
    Put,
    Append,
}

/// Reads Porcupine's key-value text, such as
/// `{:process 0, :type :invoke, :f :append, :key "0", :value "x"}`.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn porcupine_kv(input: impl BufRead) -> Result<Objects<KeyValueOp>, ImportError> {
    let mut reader = Reader::new(input);
    let mut builder = Builder::new();
    let mut cut = None;
    while let Some((place, form)) = reader.next_until_cut(&mut cut)? {
        let keyword = |name: &str| match form.get(name) {
            Some(Form::Keyword(keyword)) => Ok(keyword.as_str()),
            _ => Err(place.error(format!("an event needs a keyword :{name}"))),
        };
        let process = match form.get("process") {
            Some(&Form::Int(process)) => u64::try_from(process).ok(),
            _ => None,
        };
        let process = process.ok_or_else(|| place.error("an event needs a number :process"))?;
        let function = match keyword("f")? {
            "get" => Function::Get,
            "put" => Function::Put,
            "append" => Function::Append,
            other => {
                return Err(place.error(format!(
                    "no operation :{other} is known: :get, :put or :append is due here"
                )));
            }
        };
        let kind = keyword("type")?;
        let key = text(&form, "key", place)?;
        let value = || text(&form, "value", place);
        if kind == "invoke" {
            let value = match function {
                Function::Get => String::new(),
                Function::Put | Function::Append => value()?,
            };
            let object = builder.object(None, place)?;
            builder.invoke(process, object, (function, key, value), place)?;
            continue;
        }
        builder.complete(process, place, |(asked, key, asked_value)| {
            Ok(match (kind, asked) {
                ("ok", Function::Get) => End::Known(KeyValueOp::Get {
                    key,
                    value: value()?,
                }),
                ("ok", _) => End::Known(write(asked, key, asked_value)),
                ("info", Function::Put | Function::Append) => {
                    End::Unknown(write(asked, key, asked_value))
                }
                ("info" | "fail", _) => End::Nothing,
                (other, _) => {
                    return Err(place.error(format!(
                        "no type :{other} is known: :invoke, :ok, :fail or :info is due here"
                    )));
                }
            })
        })?;
    }
    let unknown = |(function, key, value)| match function {
        Function::Get => End::Nothing,
        _ => End::Unknown(write(function, key, value)),
    };
    Ok(builder.finish(unknown, cut))
}

fn write(function: Function, key: String, value: String) -> KeyValueOp {
    match function {
        Function::Append => KeyValueOp::Append { key, value },
        Function::Put | Function::Get => KeyValueOp::Put { key, value },
    }
}

fn text(form: &Form, name: &str, place: Place) -> Result<String, ImportError> {
    match form.get(name) {
        Some(Form::String(text)) => Ok(text.clone()),
        _ => Err(place.error(format!("an event needs a string :{name}"))),
    }
}
