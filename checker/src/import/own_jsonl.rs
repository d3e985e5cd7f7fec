//! gauntlet's own `history.jsonl`, outside its run directory.

use std::collections::HashMap;
use std::io::BufRead;

use super::etcd_report::{EtcdHistory, Lines};
use super::{ImportError, Place};
use crate::history::{ReadError, Reader, Record};

/// Builds that begin so have written a file that holds every request that was made: those that
/// `gauntlet history convert` wrote.
pub(crate) const WHOLE: &str = "converted from ";

/// Reads a `history.jsonl` by itself. What the harness asked on its own account is not in it.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn own_jsonl(input: impl BufRead) -> Result<EtcdHistory, ImportError> {
    let mut reader = match Reader::<_, Record>::new(input) {
        Ok(reader) => reader,
        Err(error) => return Err(place_of(&error, 1)),
    };
    let mut history = EtcdHistory {
        is_whole: reader.header().build.starts_with(WHOLE),
        ..EtcdHistory::new(String::new())
    };
    let mut positions: HashMap<u64, usize> = HashMap::new();
    let mut line = 1;
    for record in reader.by_ref() {
        line += 1;
        let record = record.map_err(|error| place_of(&error, line))?;
        match &record {
            Record::Invoke(invoke) => {
                positions.insert(invoke.id, history.lines.len());
                history.lines.push(Lines {
                    id: invoke.id,
                    file: 0,
                    client: u64::from(invoke.client),
                    call: line,
                    ret: None,
                });
            }
            Record::Return(end) => {
                if let Some(at) = positions.get(&end.id) {
                    history.lines[*at].ret = Some(line);
                }
            }
            _ => {}
        }
        history.records.push(record);
    }
    history.lines.sort_by_key(|lines| lines.id);
    let place = Place {
        line: line + 1,
        column: 1,
    };
    match reader.footer() {
        None => history.cut = Some(place.cut("the file ends without its footer")),
        Some(footer) if footer.records != history.records.len() as u64 => {
            let what = format!(
                "the footer speaks of {} records, and there are {}",
                footer.records,
                history.records.len()
            );
            history.cut = Some(place.cut(what));
        }
        Some(_) => {}
    }
    Ok(history)
}

fn place_of(error: &ReadError, line: u64) -> ImportError {
    match error {
        ReadError::Malformed {
            line,
            column,
            message,
            ..
        } => Place {
            line: *line as u64,
            column: (*column).max(1) as u64,
        }
        .error(message.clone()),
        other => Place { line, column: 1 }.error(other.to_string()),
    }
}
