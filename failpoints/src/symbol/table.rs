//! Go's function table, `runtime.pclntab`.
//!
//! Sources: "Go 1.2 Runtime Symbol Table"; Go's `runtime/symtab.go` (pcHeader,
//! functab, moduledata), `runtime/runtime2.go` (_func), `debug/gosym` and
//! `cmd/link/internal/ld/pcln.go` at Go 1.15, 1.17, 1.19 and 1.27.
//!
//! | | since | header after magic, 0, 0, quantum, pointer size | functab entry |
//! |---|---|---|---|
//! | [`Layout::Go12`] | 1.2 | count; the functab follows, offsets from the table's start | address, offset: 8 bytes each |
//! | [`Layout::Go116`] | 1.16 | count, files, offsets of names, units, files, pcs, functab | address, offset: 8 bytes each |
//! | [`Layout::Go118`], [`Layout::Go120`] | 1.18, 1.20 | count, files, text start, offsets as before | offset from the text start, offset: 4 bytes each |
//!
//! The text start is taken from the module data, as Go's runtime does it: the
//! header's field is 0 since Go 1.26. See [`text_start`].

use std::collections::HashSet;
use std::fmt;

use super::elf::{Image, half, word};

/// How a binary's function table is laid out, by the Go release that brought
/// the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Go 1.2 to 1.15.
    Go12,
    /// Go 1.16 and 1.17.
    Go116,
    /// Go 1.18 and 1.19.
    Go118,
    /// Go 1.20 and later.
    Go120,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Go12 => "Go 1.2",
            Self::Go116 => "Go 1.16",
            Self::Go118 => "Go 1.18",
            Self::Go120 => "Go 1.20",
        })
    }
}

impl Layout {
    const ALL: [(u32, Self); 4] = [
        (0xffff_fffb, Self::Go12),
        (0xffff_fffa, Self::Go116),
        (0xffff_fff0, Self::Go118),
        (0xffff_fff1, Self::Go120),
    ];

    /// Reads a header's first 8 bytes.
    fn of(header: &[u8]) -> Option<Self> {
        let magic = half(header, 0)?;
        let (_, layout) = Self::ALL.into_iter().find(|(known, _)| *known == magic)?;
        (header.get(4..8)? == [0, 0, 1, 8]).then_some(layout)
    }

    fn is_relative(self) -> bool {
        matches!(self, Self::Go118 | Self::Go120)
    }
}

/// One function, as the table has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) entry: u64,
    pub(super) end: u64,
    /// Where its name is, from the table's start.
    name: (u32, u32),
    /// Where its description is, from the table's start.
    described: u32,
    /// Bytes of arguments and results on the stack; negative if unknown.
    pub(super) args: i32,
}

/// A table that was found and read.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) layout: Layout,
    vaddr: u64,
    /// The functab's first and last byte, from the table's start.
    functab: (u64, u64),
    /// In order of their addresses.
    pub(super) entries: Vec<Entry>,
}

/// The longest name that is believed. Go's own are below 1,000 bytes.
const NAME_LIMIT: usize = 16 << 10;

impl Table {
    /// Finds the table and reads it; none if there is none.
    pub(super) fn find(image: &Image) -> Option<Result<Self, String>> {
        for name in [".gopclntab", ".data.rel.ro.gopclntab"] {
            if let Some((vaddr, bytes)) = image.section(name)
                && Layout::of(bytes).is_some()
            {
                return Some(Self::read(image, vaddr, bytes));
            }
        }
        // No section headers, or a linker that merged the section into
        // another: the header starts at a pointer-aligned address.
        let mut damaged = None;
        for (vaddr, bytes) in image.segments() {
            let skip = vaddr.wrapping_neg() as usize % 8;
            for at in (skip..bytes.len()).step_by(8) {
                // Cheaper than asking for the layout: all magics end so.
                if bytes[at + 1..].starts_with(&[0xff, 0xff, 0xff, 0, 0, 1, 8])
                    && Layout::of(&bytes[at..]).is_some()
                {
                    match Self::read(image, vaddr + at as u64, &bytes[at..]) {
                        Ok(table) => return Some(Ok(table)),
                        Err(why) => damaged = damaged.or(Some(Err(why))),
                    }
                }
            }
        }
        damaged
    }

    fn read(image: &Image, vaddr: u64, table: &[u8]) -> Result<Self, String> {
        let cut = || "it is cut off".to_owned();
        let layout = Layout::of(table).ok_or_else(cut)?;
        let field = |index: usize| word(table, 8 + 8 * index).ok_or_else(cut);
        let offset = |index: usize| {
            let at = usize::try_from(field(index)?).unwrap_or(usize::MAX);
            match at < table.len() {
                true => Ok(at),
                false => Err(format!("part {index} would be {at} bytes into it")),
            }
        };
        // Names start at `names`; the functab at `funcs`, its offsets from `base`.
        let (names, funcs, base) = match layout {
            Layout::Go12 => (0, 16, 0),
            Layout::Go116 => (offset(2)?, offset(6)?, offset(6)?),
            Layout::Go118 | Layout::Go120 => (offset(3)?, offset(7)?, offset(7)?),
        };
        let width = if layout.is_relative() { 4 } else { 8 };
        let number = |at: usize| match width {
            4 => half(table, at).map(u64::from),
            _ => word(table, at),
        };
        let count = usize::try_from(field(0)?).unwrap_or(usize::MAX);
        let room = table.len().saturating_sub(funcs + width) / (2 * width);
        if count == 0 || count > room {
            return Err(format!(
                "it has room for {room} functions and claims {count}"
            ));
        }
        let address = |index: usize| number(funcs + index * 2 * width).ok_or_else(cut);
        let text = match layout.is_relative() {
            false => 0,
            true => {
                let ends = (address(0)?, address(count)?);
                let starts = (0..count).filter_map(|index| address(index).ok());
                text_start(image, vaddr, ends, field(2)?, starts)
                    .ok_or("the address its offsets count from is not to be found")?
            }
        };

        let mut entries = Vec::with_capacity(count);
        let mut start = text.checked_add(address(0)?).ok_or_else(cut)?;
        for index in 0..count {
            let end = text.checked_add(address(index + 1)?).ok_or_else(cut)?;
            let bad = |what: &str| format!("function {index} of {count} {what}");
            if end < start {
                return Err(bad("comes after the next one"));
            }
            let at = number(funcs + index * 2 * width + width)
                .and_then(|at| usize::try_from(at).ok()?.checked_add(base))
                .ok_or_else(cut)?;
            let name = half(table, at.saturating_add(width)).map(|name| name as usize);
            let args = half(table, at.saturating_add(width + 4));
            let (Some(name), Some(args)) = (name, args) else {
                return Err(bad("is described outside of it"));
            };
            let name = names + name;
            let text = table.get(name..).unwrap_or_default();
            let text = &text[..text.len().min(NAME_LIMIT)];
            let len = text.iter().position(|byte| *byte == 0);
            let len = len.filter(|len| std::str::from_utf8(&text[..*len]).is_ok());
            let Some(len) = len else {
                return Err(bad("has no proper name"));
            };
            // Holes between text sections are marked by functions without a
            // name, and two marks may share an address.
            if len > 0 && start < end {
                if !image.is_code(start, end) {
                    return Err(bad("is not in the program's code"));
                }
                entries.push(Entry {
                    entry: start,
                    end,
                    name: (u32::try_from(name).map_err(|_| cut())?, len as u32),
                    described: u32::try_from(at).map_err(|_| cut())?,
                    args: args as i32,
                });
            }
            start = end;
        }
        if entries.is_empty() {
            return Err("it names no function".to_owned());
        }
        Ok(Self {
            layout,
            vaddr,
            functab: (funcs as u64, (funcs + count * 2 * width + width) as u64),
            entries,
        })
    }

    /// The function that an address is in.
    pub(super) fn containing(&self, address: u64) -> Option<&Entry> {
        let after = self.entries.partition_point(|one| one.entry <= address);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        (address < entry.end).then_some(entry)
    }

    /// The functions that something points to: they may be called through a
    /// pointer, as methods are through interfaces. Pointers in the table
    /// itself, as layouts before Go 1.18 have them, do not count.
    pub(super) fn pointed_to(&self, image: &Image) -> HashSet<u64> {
        let functab = self.vaddr + self.functab.0..self.vaddr + self.functab.1;
        let own = |at: u64, entry: &Entry| {
            functab.contains(&at) || at == self.vaddr + u64::from(entry.described)
        };
        let by_address = |value: &u64| self.containing(*value).filter(|one| one.entry == *value);
        let pointers = image
            .words()
            .filter_map(|(at, value)| by_address(&value).map(|entry| (at, entry)));
        pointers
            .filter(|(at, entry)| !own(*at, entry))
            .map(|(_, entry)| entry.entry)
            .collect()
    }

    /// The name of a function.
    pub(super) fn name<'a>(&self, image: &'a Image, entry: &Entry) -> &'a str {
        let (at, len) = entry.name;
        let bytes = image.at(self.vaddr + u64::from(at), len as usize);
        std::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    }
}

/// Where `minpc`, `maxpc` and `text` are in the runtime's `moduledata` since Go
/// 1.16: after the pointer to the header, six slices and a pointer.
const MINPC: u64 = 8 + 6 * 24 + 8;

/// How many functions are looked at for the padding before them. A function
/// that fills its last 16 or 32 bytes has none after it: at most one in 16.
const PADDING_SAMPLE: usize = 256;

/// The address `runtime.text`, from which entries count since Go 1.18.
///
/// From the module data, which is where a pointer to the table is followed by
/// the first and the last address of the code, as far apart as the functab's
/// ends are. Else from the table's header, where releases before Go 1.26 have
/// it. Else the start of `.text`, if there is padding before the functions
/// then, as Go's linker leaves it; C code may come first in that section.
fn text_start(
    image: &Image,
    table: u64,
    ends: (u64, u64),
    header: u64,
    starts: impl Iterator<Item = u64>,
) -> Option<u64> {
    let (first, last) = ends;
    let holds = |text: &u64| {
        let from = text.checked_add(first);
        from.zip(text.checked_add(last))
            .is_some_and(|(from, to)| image.is_code(from, to))
    };
    let pointers = image.words().filter(|(_, value)| *value == table);
    let module_data = pointers.map(|(at, _)| at).find_map(|at| {
        let min = image.word(at.checked_add(MINPC)?)?;
        let max = image.word(at.checked_add(MINPC + 8)?)?;
        let text = image.word(at.checked_add(MINPC + 16)?)?;
        let fits = text.checked_add(first) == Some(min) && text.checked_add(last) == Some(max);
        (fits && holds(&text)).then_some(text)
    });
    let header = Some(header).filter(|text| *text != 0 && holds(text));
    module_data.or(header).or_else(|| {
        let (text, _) = image.section(".text")?;
        let (mut padded, mut all) = (0, 0);
        for start in starts.skip(1).take(PADDING_SAMPLE) {
            let before = image.at(text.checked_add(start)?.checked_sub(1)?, 1)?;
            padded += usize::from(before == [0xcc]);
            all += 1;
        }
        (holds(&text) && padded * 5 >= all * 4).then_some(text)
    })
}
