//! Jepsen's `history.edn`.

use std::io::BufRead;

use super::builder::{Builder, End};
use super::edn::{Form, Reader};
use super::transactions::{is_transaction, list_append};
use super::{Atom, History, ImportError, Objects, Place, Values};
use crate::models::{CasRegisterOp, MutexOp, QueueOp, SetOp};

/// What a Jepsen test is about, as its operations (`:f`) tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// `:read`, `:write`, `:cas`.
    Register,
    /// `:add`, `:read` of the whole set.
    Set,
    /// `:enqueue`, `:dequeue`.
    Queue,
    /// `:acquire`, `:release`.
    Mutex,
    /// `:txn` of `[:append k v]` and `[:r k vs]`.
    ListAppend,
}

/// One event of a client.
pub(super) struct Event {
    pub place: Place,
    pub process: u64,
    /// `invoke`, `ok`, `fail` or `info`.
    pub kind: Kind,
    /// The operation.
    pub f: String,
    pub value: Form,
    pub error: Option<Form>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Invoke,
    Ok,
    Fail,
    Info,
}

/// Calls for each event of a client, in the order of the file. Events of others, such as the
/// nemesis, are passed over. Ends early when `each` says so; tells where the file was cut short.
pub(super) fn events(
    input: impl BufRead,
    mut each: impl FnMut(Event) -> Result<bool, ImportError>,
) -> Result<Option<ImportError>, ImportError> {
    let mut reader = Reader::new(input);
    let mut cut = None;
    while let Some((place, form)) = reader.next_until_cut(&mut cut)? {
        let Form::Map(_) = form else {
            return Err(place.error("an event is due here: a map with :process, :type and :f"));
        };
        let process = match form.get("process") {
            Some(Form::Keyword(_)) => continue,
            Some(&Form::Int(process)) => u64::try_from(process).ok(),
            _ => None,
        };
        let process = process
            .ok_or_else(|| place.error("an event needs a :process, a number or a keyword"))?;
        let keyword = |name: &str| match form.get(name) {
            Some(Form::Keyword(keyword)) => Ok(keyword.as_str()),
            _ => Err(place.error(format!("an event needs a keyword :{name}"))),
        };
        let kind = match keyword("type")? {
            "invoke" => Kind::Invoke,
            "ok" => Kind::Ok,
            "fail" => Kind::Fail,
            "info" => Kind::Info,
            other => {
                return Err(place.error(format!(
                    "no type :{other} is known: :invoke, :ok, :fail or :info is due here"
                )));
            }
        };
        let event = Event {
            place,
            process,
            kind,
            f: keyword("f")?.to_owned(),
            value: form.get("value").cloned().unwrap_or(Form::Nil),
            error: form.get("error").filter(|e| **e != Form::Nil).cloned(),
        };
        if !each(event)? {
            return Ok(None);
        }
    }
    Ok(cut)
}

/// What a file is about: the first operation that only one workload has decides.
///
/// # Errors
///
/// What cannot be read until then, and where.
pub fn workload(input: impl BufRead) -> Result<Workload, ImportError> {
    let mut found = None;
    events(input, |event| {
        found = match event.f.as_str() {
            "write" | "cas" => Some(Workload::Register),
            "add" => Some(Workload::Set),
            "enqueue" | "dequeue" => Some(Workload::Queue),
            "acquire" | "release" => Some(Workload::Mutex),
            _ if is_transaction(&event.value) => Some(Workload::ListAppend),
            "read" if matches!(untupled(&event.value), Form::Set(_)) => Some(Workload::Set),
            _ => None,
        };
        Ok(found.is_none())
    })?;
    Ok(found.unwrap_or(Workload::Register))
}

/// The value of an operation on one of several independent objects.
fn untupled(value: &Form) -> &Form {
    tuple(value).map_or(value, |(_, value)| value)
}

/// A key and a value: `[k v]`, as `independent/tuple` is printed, or a record of both.
fn tuple(value: &Form) -> Option<(&Form, &Form)> {
    match value {
        Form::Vector(pair) => match pair.as_slice() {
            [key, value] => Some((key, value)),
            _ => None,
        },
        Form::Map(_) => value.get("key").zip(value.get("value")),
        _ => None,
    }
}

/// Reads a history of one workload, one map after the other or all in one vector, such as
/// `{:process 0, :type :invoke, :f :cas, :value [1 2]}`; records as
/// `#jepsen.history.Op{…}` are maps. Operations on independent keys have the value `[k v]`.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn jepsen_edn(input: impl BufRead, workload: Workload) -> Result<History, ImportError> {
    Ok(match workload {
        Workload::Register => History::Registers(objects(input, "register")?),
        Workload::Set => History::Sets(objects(input, "set")?),
        Workload::Queue => History::Queues(objects(input, "queue")?),
        Workload::Mutex => History::Mutexes(objects(input, "mutex")?),
        Workload::ListAppend => History::ListAppend(list_append(input)?),
    })
}

/// A key, if there is one, and what is asked under it.
type Keyed<'a, Asked> = (Option<&'a Form>, Asked);

/// An object's operations in Jepsen's words.
trait Jepsen: Sized {
    /// A request, without its answer.
    type Asked;

    /// The request, and the key that it names.
    fn asked<'a>(
        f: &str,
        value: &'a Form,
        values: &mut Values,
        place: Place,
    ) -> Result<Option<Keyed<'a, Self::Asked>>, ImportError>;

    /// What its end says. The value is that of one object.
    fn end(
        asked: Self::Asked,
        event: &Event,
        value: &Form,
        values: &mut Values,
    ) -> Result<End<Self>, ImportError>;

    /// What a request with unknown result says.
    fn unknown(asked: Self::Asked) -> End<Self>;
}

fn objects<Op: Jepsen>(input: impl BufRead, what: &str) -> Result<Objects<Op>, ImportError> {
    let mut builder: Builder<Op, (bool, Op::Asked)> = Builder::new();
    let mut values = Values::default();
    let cut = events(input, |event| {
        let place = event.place;
        if event.kind == Kind::Invoke {
            let Some((key, asked)) = Op::asked(&event.f, &event.value, &mut values, place)? else {
                return Err(place.error(format!(
                    "no operation :{} of a {what} is known: the file's first operations are of \
                     a {what}, and a file holds one workload",
                    event.f
                )));
            };
            let key = key.map(|key| Atom::of(key, place)).transpose()?;
            let has_key = key.is_some();
            let object = builder.object(key, place)?;
            builder.invoke(event.process, object, (has_key, asked), place)?;
            return Ok(true);
        }
        builder.complete(event.process, place, |(has_key, asked)| {
            if event.kind == Kind::Info {
                return Ok(Op::unknown(asked));
            }
            let value = if has_key {
                untupled(&event.value)
            } else {
                &event.value
            };
            Op::end(asked, &event, value, &mut values)
        })?;
        Ok(true)
    })?;
    let mut all = builder.finish(|(_, asked)| Op::unknown(asked), cut);
    all.values = values;
    Ok(all)
}

/// A value that may be nil.
fn maybe(form: &Form, values: &mut Values, place: Place) -> Result<Option<i64>, ImportError> {
    match form {
        Form::Nil => Ok(None),
        other => values.number(other, place).map(Some),
    }
}

/// What is asked of a register.
enum OfRegister {
    Read,
    Write(Option<i64>),
    Cas(Option<i64>, Option<i64>),
}

impl Jepsen for CasRegisterOp {
    type Asked = OfRegister;

    fn asked<'a>(
        f: &str,
        value: &'a Form,
        values: &mut Values,
        place: Place,
    ) -> Result<Option<Keyed<'a, OfRegister>>, ImportError> {
        let (key, value) = match (f, tuple(value)) {
            ("read" | "write", Some((key, value))) => (Some(key), value),
            ("cas", Some((key, value))) if tuple(value).is_some() => (Some(key), value),
            _ => (None, value),
        };
        let asked = match f {
            "read" => OfRegister::Read,
            "write" => OfRegister::Write(maybe(value, values, place)?),
            "cas" => {
                let Some((from, to)) = tuple(value) else {
                    return Err(place.error("a :cas needs a pair of values, [old new]"));
                };
                OfRegister::Cas(maybe(from, values, place)?, maybe(to, values, place)?)
            }
            _ => return Ok(None),
        };
        Ok(Some((key, asked)))
    }

    fn end(
        asked: OfRegister,
        event: &Event,
        value: &Form,
        values: &mut Values,
    ) -> Result<End<Self>, ImportError> {
        let cas = |from, to, done| End::Known(Self::Cas { from, to, done });
        Ok(match (event.kind, asked) {
            (Kind::Ok, OfRegister::Read) => {
                End::Known(Self::Read(maybe(value, values, event.place)?))
            }
            (Kind::Ok, OfRegister::Write(value)) => End::Known(Self::Write(value)),
            (Kind::Ok, OfRegister::Cas(from, to)) => cas(from, to, Some(true)),
            (_, OfRegister::Cas(from, to)) if event.error.is_none() => cas(from, to, Some(false)),
            _ => End::Nothing,
        })
    }

    fn unknown(asked: OfRegister) -> End<Self> {
        match asked {
            OfRegister::Read => End::Nothing,
            OfRegister::Write(value) => End::Unknown(Self::Write(value)),
            OfRegister::Cas(from, to) => End::Unknown(Self::Cas {
                from,
                to,
                done: None,
            }),
        }
    }
}

impl Jepsen for SetOp {
    /// The element to add, or a read.
    type Asked = Option<i64>;

    fn asked<'a>(
        f: &str,
        value: &'a Form,
        values: &mut Values,
        place: Place,
    ) -> Result<Option<Keyed<'a, Option<i64>>>, ImportError> {
        let (key, value) = match tuple(value) {
            Some((key, value)) => (Some(key), value),
            None => (None, value),
        };
        Ok(match f {
            "add" => Some((key, Some(values.number(value, place)?))),
            "read" => Some((key, None)),
            _ => None,
        })
    }

    fn end(
        asked: Option<i64>,
        event: &Event,
        value: &Form,
        values: &mut Values,
    ) -> Result<End<Self>, ImportError> {
        Ok(match (event.kind, asked) {
            (Kind::Ok, Some(element)) => End::Known(Self::Add(element)),
            (Kind::Ok, None) => {
                let (Form::Set(elements) | Form::Vector(elements)) = value else {
                    let what = "a :read of a set needs its elements, as #{1 2} or [1 2]";
                    return Err(event.place.error(what));
                };
                let elements = elements.iter().map(|e| values.number(e, event.place));
                End::Known(Self::Read(elements.collect::<Result<_, _>>()?))
            }
            _ => End::Nothing,
        })
    }

    fn unknown(asked: Option<i64>) -> End<Self> {
        asked.map_or(End::Nothing, |element| End::Unknown(Self::Add(element)))
    }
}

impl Jepsen for QueueOp {
    /// The value to enqueue, or a dequeue.
    type Asked = Option<i64>;

    fn asked<'a>(
        f: &str,
        value: &'a Form,
        values: &mut Values,
        place: Place,
    ) -> Result<Option<Keyed<'a, Option<i64>>>, ImportError> {
        let (key, value) = match tuple(value) {
            Some((key, value)) => (Some(key), value),
            None => (None, value),
        };
        Ok(match f {
            "enqueue" => Some((key, Some(values.number(value, place)?))),
            "dequeue" => Some((key, None)),
            _ => None,
        })
    }

    fn end(
        asked: Option<i64>,
        event: &Event,
        value: &Form,
        values: &mut Values,
    ) -> Result<End<Self>, ImportError> {
        let is_empty = matches!(&event.error, Some(Form::Keyword(why)) if why == "empty");
        Ok(match (event.kind, asked) {
            (Kind::Ok, Some(value)) => End::Known(Self::Enqueue(value)),
            (Kind::Ok, None) => {
                let value = maybe(value, values, event.place)?;
                End::Known(value.map_or(Self::DequeueEmpty, Self::Dequeue))
            }
            (_, None) if is_empty => End::Known(Self::DequeueEmpty),
            _ => End::Nothing,
        })
    }

    fn unknown(asked: Option<i64>) -> End<Self> {
        End::Unknown(asked.map_or(Self::DequeueUnknown, Self::Enqueue))
    }
}

impl Jepsen for MutexOp {
    type Asked = Self;

    fn asked<'a>(
        f: &str,
        value: &'a Form,
        _: &mut Values,
        _: Place,
    ) -> Result<Option<Keyed<'a, Self>>, ImportError> {
        let key = tuple(value).map(|(key, _)| key);
        Ok(match f {
            "acquire" => Some((key, Self::Acquire)),
            "release" => Some((key, Self::Release)),
            _ => None,
        })
    }

    fn end(asked: Self, event: &Event, _: &Form, _: &mut Values) -> Result<End<Self>, ImportError> {
        Ok(match event.kind {
            Kind::Ok => End::Known(asked),
            _ => End::Nothing,
        })
    }

    fn unknown(asked: Self) -> End<Self> {
        End::Unknown(asked)
    }
}
