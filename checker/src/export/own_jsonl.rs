//! gauntlet's own `history.jsonl`.

use std::io::Write;

use super::{ExportError, Exported};
use crate::history::{ClockPair, Footer, Header, Record, SCHEMA_MAJOR, SCHEMA_MINOR, Stream};
use crate::import::etcd_report::partial::{Compactions, Completed, complete};
use crate::import::{Format, History};

/// Writes a history of etcd as a `history.jsonl`, with answers that lack fields asked in
/// [another way](crate::import::etcd_report::partial). `build` names the writer.
///
/// # Errors
///
/// When it is no history of etcd, or cannot be written.
pub fn own_jsonl(
    history: &History,
    from: Format,
    build: &str,
    mut out: impl Write,
) -> Result<Exported, ExportError> {
    let inexpressible = |what: &str| ExportError::Inexpressible {
        format: "history-jsonl",
        what: what.to_owned(),
    };
    let History::Etcd(history) = history else {
        return Err(inexpressible(
            "histories of other objects than etcd: convert to jepsen-edn",
        ));
    };
    if !history.is_partial {
        return Err(inexpressible("this: it is one already, copy the file"));
    }
    let Completed {
        mut records,
        counted_only,
        compactions,
        ..
    } = complete(history, Compactions::Unknown);
    let at = |record: &Record| match record {
        Record::Invoke(invoke) => (invoke.at, false),
        Record::Return(end) => (end.at, true),
        Record::Watch(delivery) => (delivery.at, true),
        Record::Header(_) | Record::Footer(_) => (0, false),
    };
    records.sort_by_key(at);
    let clock = |at| ClockPair {
        at,
        wall_unix_ns: 0,
    };
    let end = records.last().map_or(0, |record| at(record).0);
    let by = format!("{from} by {build}");
    let header = Header {
        stream: Stream::History,
        major: SCHEMA_MAJOR,
        minor: SCHEMA_MINOR,
        build: if history.is_whole {
            format!("{}{by}", crate::import::WHOLE)
        } else {
            by
        },
        clock: clock(0),
    };
    let footer = Footer {
        clock: clock(end),
        records: records.len() as u64,
    };
    let mut line = |record: &Record| -> Result<(), ExportError> {
        serde_json::to_writer(&mut out, record).map_err(std::io::Error::from)?;
        out.write_all(b"\n")?;
        Ok(())
    };
    line(&Record::Header(header))?;
    let mut exported = Exported::default();
    for record in &records {
        exported.operations += u64::from(matches!(record, Record::Invoke(_)));
        line(record)?;
    }
    if history.cut.is_none() {
        line(&Record::Footer(footer))?;
    }
    out.flush()?;
    exported.leave_out("requests that are not judged", history.left_out);
    exported.leave_out(
        "compactions that are of unknown result now, as the revision of their answer is unknown",
        compactions,
    );
    exported.leave_out("ranges of which the count alone is kept", counted_only);
    let persisted = history.persisted.len() as u64;
    exported.leave_out(
        "requests that were persisted unheard and are of unknown result now",
        persisted,
    );
    Ok(exported)
}
