//! Puts and gets, one JSON object an operation: a form for benches and small tools.
//!
//! `{"c":client,"call":ns,"ret":ns|null,"op":"put"|"get","k":key,"v":value|null,"mod":n|null,"rev":n|null}`
//!
//! `ret` is null where the result is unknown, `v` null where a get found nothing. `mod` is the
//! revision of the value that a get saw, `rev` that of the store in the answer; a file without them
//! is about plain registers. Keys are strings or integers, values integers or strings.

use std::io::BufRead;

use serde::Deserialize;

use super::etcd_report::{EtcdHistory, Lines};
use super::history::LEAST;
use super::json;
use super::{Atom, History, ImportError, Objects, Origin, Place, Values};
use crate::generic::Operation;
use crate::history::{
    Bytes, Invoke, KeyValue, Outcome, PutRequest, PutResponse, RangeRequest, RangeResponse, Record,
    Request, Response, ResponseHeader, Return,
};
use crate::models::CasRegisterOp;

#[derive(Deserialize)]
struct Line {
    c: u32,
    call: u64,
    ret: Option<u64>,
    op: Kind,
    k: Scalar,
    v: Option<Scalar>,
    #[serde(rename = "mod")]
    mod_revision: Option<i64>,
    rev: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Put,
    Get,
}

#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Int(i64),
    Text(String),
}

impl Scalar {
    fn atom(self) -> Atom {
        match self {
            Self::Int(number) => Atom::Int(number),
            Self::Text(text) => Atom::Text(text),
        }
    }

    fn bytes(self) -> Bytes {
        match self {
            Self::Int(number) => Bytes::from(number.to_string()),
            Self::Text(text) => Bytes::from(text),
        }
    }
}

/// Reads a file whose operations carry revisions as one of etcd, others as registers by key.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn compact_jsonl(input: impl BufRead) -> Result<History, ImportError> {
    let mut objects = json::Objects::new(input);
    let mut cut = None;
    let mut lines: Vec<(Place, Line)> = Vec::new();
    let mut revisions: Option<bool> = None;
    while let Some((place, line)) = objects.next_until_cut::<Line>(&mut cut)? {
        if line.ret.is_some_and(|ret| ret < line.call) {
            return Err(place.error("the operation returns before it is called: ret < call"));
        }
        if line.op == Kind::Put && line.v.is_none() {
            return Err(place.error("a put needs a value v"));
        }
        if line.ret.is_some() {
            let has = line.rev.is_some();
            if *revisions.get_or_insert(has) != has {
                let what = "some answers have a revision rev and some have none: give all of \
                            them, or none";
                return Err(place.error(what));
            }
            let lacks_mod = line.op == Kind::Get && line.v.is_some() && line.mod_revision.is_none();
            if has && lacks_mod {
                return Err(place.error("a get that saw a value needs its revision mod"));
            }
        }
        lines.push((place, line));
    }
    Ok(if revisions == Some(true) {
        History::Etcd(etcd(lines, cut))
    } else {
        History::Registers(registers(lines, cut)?)
    })
}

fn registers(
    lines: Vec<(Place, Line)>,
    cut: Option<ImportError>,
) -> Result<Objects<CasRegisterOp>, ImportError> {
    let mut all = Objects {
        operations: Vec::with_capacity(lines.len()),
        origins: Vec::with_capacity(lines.len()),
        objects: Vec::with_capacity(lines.len()),
        names: Vec::new(),
        values: Values::default(),
        left_out: 0,
        cut,
    };
    let mut numbers = std::collections::HashMap::new();
    for (place, line) in lines {
        if line.op == Kind::Get && line.ret.is_none() {
            all.left_out += 1;
            continue;
        }
        let object = *numbers.entry(line.k.clone()).or_insert_with(|| {
            all.names.push(Some(line.k.atom()));
            u32::try_from(all.names.len() - 1).unwrap_or(u32::MAX)
        });
        let value = match line.v.map(Scalar::atom) {
            None => None,
            Some(Atom::Int(number)) if number < LEAST => {
                return Err(place.error(format!("{number} is too low a number")));
            }
            Some(Atom::Int(number)) => Some(number),
            Some(atom) => Some(all.values.intern(atom)),
        };
        all.operations.push(Operation {
            op: match line.op {
                Kind::Put => CasRegisterOp::Write(value),
                Kind::Get => CasRegisterOp::Read(value),
            },
            call: line.call,
            ret: line.ret,
        });
        all.objects.push(object);
        all.origins.push(Origin {
            process: u64::from(line.c),
            call: place.line,
            ret: None,
        });
    }
    Ok(all)
}

fn etcd(lines: Vec<(Place, Line)>, cut: Option<ImportError>) -> EtcdHistory {
    let mut history = EtcdHistory {
        is_partial: true,
        cut,
        ..EtcdHistory::new(String::new())
    };
    for (number, (place, line)) in (0..).zip(lines) {
        let id = 2 * number;
        history.lines.push(Lines {
            id,
            file: 0,
            client: u64::from(line.c),
            call: place.line,
            ret: None,
        });
        let header = ResponseHeader {
            revision: line.rev.unwrap_or(0),
            ..ResponseHeader::default()
        };
        let key = line.k.bytes();
        let (request, response) = match line.op {
            Kind::Put => {
                let put = PutRequest {
                    key,
                    value: line.v.map_or_else(Bytes::default, Scalar::bytes),
                    ..PutRequest::default()
                };
                let answer = PutResponse {
                    header,
                    prev_kv: None,
                };
                (Request::Put(put), Response::Put(answer))
            }
            Kind::Get => {
                let kvs: Vec<_> = line
                    .v
                    .map(|value| KeyValue {
                        key: key.clone(),
                        value: value.bytes(),
                        mod_revision: line.mod_revision.unwrap_or(0),
                        ..KeyValue::default()
                    })
                    .into_iter()
                    .collect();
                let answer = RangeResponse {
                    header,
                    count: i64::from(!kvs.is_empty()),
                    kvs,
                    more: false,
                };
                let range = RangeRequest {
                    key,
                    ..RangeRequest::default()
                };
                (Request::Range(range), Response::Range(answer))
            }
        };
        history.records.push(Record::Invoke(Invoke {
            id,
            at: line.call,
            client: line.c,
            member: "the store".to_owned(),
            user: None,
            request,
        }));
        if let Some(at) = line.ret {
            history.is_whole |= line.rev.is_some_and(|rev| rev <= 2);
            let outcome = Outcome::Ok { response };
            history
                .records
                .push(Record::Return(Return { id, at, outcome }));
        }
    }
    history
}
