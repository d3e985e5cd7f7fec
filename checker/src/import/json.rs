//! JSON objects one after the other, each with its place.

use std::io::BufRead;

use serde::de::DeserializeOwned;

use super::{FORM_MAX, ImportError, Place};

/// Splits an input into the JSON objects that stand in it one after the other, on lines of their
/// own or over several.
pub(super) struct Objects<R> {
    input: R,
    place: Place,
    bytes_max: usize,
    bytes: Vec<u8>,
}

impl<R: BufRead> Objects<R> {
    pub(super) fn new(input: R) -> Self {
        Self::with_limit(input, FORM_MAX)
    }

    /// With another limit on the bytes of an object than [`FORM_MAX`].
    pub(super) fn with_limit(input: R, bytes_max: usize) -> Self {
        Self {
            input,
            place: Place { line: 1, column: 1 },
            bytes_max,
            bytes: Vec::new(),
        }
    }

    /// The next object and the place where it begins.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<(Place, T)>, ImportError> {
        let Some(start) = self.split()? else {
            return Ok(None);
        };
        serde_json::from_slice(&self.bytes)
            .map(|object| Some((start, object)))
            .map_err(|error| {
                let line = error.line().max(1) as u64 - 1;
                let column = error.column().max(1) as u64;
                let place = Place {
                    line: start.line + line,
                    column: if line == 0 {
                        start.column + column - 1
                    } else {
                        column
                    },
                };
                let text = error.to_string();
                let what = text.rfind(" at line ").map_or(&*text, |at| &text[..at]);
                place.error(what)
            })
    }

    /// As [`Objects::next`], but a file that ends within an object only ends: `cut` says where.
    pub(super) fn next_until_cut<T: DeserializeOwned>(
        &mut self,
        cut: &mut Option<ImportError>,
    ) -> Result<Option<(Place, T)>, ImportError> {
        match self.next() {
            Err(error) if error.is_cut => {
                *cut = Some(error);
                Ok(None)
            }
            other => other,
        }
    }

    /// Puts the bytes of the next object into `bytes`: up to the brace that closes the first.
    fn split(&mut self) -> Result<Option<Place>, ImportError> {
        self.bytes.clear();
        let mut start = None;
        let (mut depth, mut in_string, mut is_escaped) = (0_u32, false, false);
        loop {
            let here = self.place;
            let buffered = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(here.error(format!("cannot be read: {error}"))),
            };
            if buffered.is_empty() {
                return match start {
                    None => Ok(None),
                    Some(start) => Err(Place::cut(start, "the file ends within this object")),
                };
            }
            let mut used = 0;
            let mut is_whole = false;
            for &byte in buffered {
                if start.is_none() {
                    match byte {
                        b' ' | b'\t' | b'\r' | b'\n' => {}
                        b'{' => start = Some(self.place),
                        _ => return Err(self.place.error("a JSON object is due here")),
                    }
                }
                used += 1;
                self.place = self.place.after(byte);
                if start.is_none() {
                    continue;
                }
                self.bytes.push(byte);
                if in_string {
                    match byte {
                        _ if is_escaped => is_escaped = false,
                        b'\\' => is_escaped = true,
                        b'"' => in_string = false,
                        _ => {}
                    }
                } else {
                    match byte {
                        b'"' => in_string = true,
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                }
                if depth == 0 && !in_string {
                    is_whole = true;
                    break;
                }
                if self.bytes.len() > self.bytes_max {
                    let what = format!("an object of more than {} bytes", self.bytes_max);
                    return Err(start.unwrap_or(here).error(what));
                }
            }
            self.input.consume(used);
            if is_whole {
                return Ok(start);
            }
        }
    }
}

impl Place {
    fn after(self, byte: u8) -> Self {
        if byte == b'\n' {
            Self {
                line: self.line + 1,
                column: 1,
            }
        } else {
            Self {
                column: self.column + 1,
                ..self
            }
        }
    }
}
