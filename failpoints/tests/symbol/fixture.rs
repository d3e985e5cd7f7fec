//! Small ELF executables as Go's linker would lay them out, byte by byte.

use failpoints::symbol::Layout;

/// A piece of a function's code.
#[derive(Clone)]
pub(crate) enum Op {
    Raw(&'static [u8]),
    /// A direct call.
    Call(&'static str),
    /// A direct jump.
    Jump(&'static str),
}

/// How Go's release is written down.
#[derive(Clone, Copy)]
pub(crate) enum BuildInfo {
    None,
    /// As since Go 1.18: the string itself.
    Inline,
    /// As before: a pointer to the string.
    Pointer,
}

/// What to build.
#[derive(Clone)]
pub(crate) struct Binary {
    pub(crate) layout: Layout,
    pub(crate) position_independent: bool,
    /// Whether the section headers are left.
    pub(crate) sections: bool,
    /// Whether the header of the table says where the text starts.
    pub(crate) text_start: bool,
    /// Whether there is module data, which says so too.
    pub(crate) module_data: bool,
    pub(crate) build_info: BuildInfo,
    pub(crate) functions: Vec<(&'static str, Vec<Op>)>,
    /// Functions that something points to.
    pub(crate) pointed_to: Vec<&'static str>,
}

/// The bytes, and where things ended up.
pub(crate) struct Built {
    pub(crate) bytes: Vec<u8>,
    pub(crate) entries: Vec<u64>,
    /// Where the function table is in the file.
    pub(crate) table: std::ops::Range<usize>,
}

pub(crate) const VERSION: &str = "go1.99.3";
/// C code that external linking puts before Go's.
const STARTUP: usize = 64;
const TEXT: usize = 0x1000;

impl Binary {
    pub(crate) fn new(layout: Layout, functions: &[(&'static str, &[Op])]) -> Self {
        let functions = functions.iter().map(|(name, ops)| (*name, ops.to_vec()));
        Self {
            layout,
            position_independent: false,
            sections: true,
            text_start: true,
            module_data: true,
            build_info: BuildInfo::Inline,
            functions: functions.collect(),
            pointed_to: Vec::new(),
        }
    }

    pub(crate) fn build(&self) -> Built {
        let base = if self.position_independent {
            0
        } else {
            0x40_0000
        };
        let text_at = base + TEXT as u64;
        let (text, entries) = self.text(text_at + STARTUP as u64);
        let end = text_at + (STARTUP + text.len()) as u64;

        let data_offset = (TEXT + STARTUP + text.len()).next_multiple_of(0x1000);
        let mut data = Data {
            vaddr: base + data_offset as u64,
            bytes: Vec::new(),
            relocations: Vec::new(),
            relocate: self.position_independent,
        };
        let info_at = self.build_info(&mut data);
        data.align(32);
        let table_at = data.here();
        self.table(&mut data, &entries, text_at + STARTUP as u64, end);
        let table_end = data.here();
        if self.module_data {
            data.align(8);
            data.pointer(table_at);
            data.bytes.extend([0; 6 * 24 + 8]);
            for address in [entries[0], end, text_at + STARTUP as u64] {
                data.pointer(address);
            }
        }
        for name in &self.pointed_to {
            data.align(8);
            let index = self.functions.iter().position(|(n, _)| n == name).unwrap();
            data.pointer(entries[index]);
        }
        data.align(8);
        let relocations = std::mem::take(&mut data.relocations);
        let (rela_at, rela_size) = (data.here(), 24 * relocations.len() as u64);
        for (at, value) in relocations {
            put64(&mut data.bytes, &[at, 8, value]);
        }
        let dynamic_at = data.here();
        for (tag, value) in [(7, rela_at), (8, rela_size), (0, 0)] {
            put64(&mut data.bytes, &[tag, value]);
        }
        let dynamic_size = data.here() - dynamic_at;

        let mut bytes = self.headers(text_at);
        let segments = [
            (1, 5, text_at, TEXT, STARTUP + text.len()),
            (1, 6, data.vaddr, data_offset, data.bytes.len()),
            (
                2,
                6,
                dynamic_at,
                data_offset + (dynamic_at - data.vaddr) as usize,
                dynamic_size as usize,
            ),
        ];
        for (kind, flags, vaddr, offset, size) in segments {
            put32(&mut bytes, &[kind, flags]);
            let (offset, size) = (offset as u64, size as u64);
            put64(&mut bytes, &[offset, vaddr, vaddr, size, size, 0x1000]);
        }
        bytes.resize(TEXT, 0);
        bytes.extend([0x90; STARTUP]);
        bytes.extend(&text);
        bytes.resize(data_offset, 0);
        bytes.extend(&data.bytes);
        let in_file = |vaddr: u64| data_offset + (vaddr - data.vaddr) as usize;
        let table = in_file(table_at)..in_file(table_end);
        if self.sections {
            let all = [
                (".text", text_at, TEXT, STARTUP + text.len()),
                (".gopclntab", table_at, table.start, table.len()),
                (".go.buildinfo", info_at, in_file(info_at), 96),
            ];
            sections(&mut bytes, &all);
        }
        Built {
            bytes,
            entries,
            table,
        }
    }

    fn headers(&self, entry: u64) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let kind: u16 = if self.position_independent { 3 } else { 2 };
        bytes.extend(kind.to_le_bytes());
        bytes.extend(62_u16.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        put64(&mut bytes, &[entry, 64, 0]);
        bytes.extend(0_u32.to_le_bytes());
        put16(&mut bytes, &[64, 56, 3, 64, 0, 0]);
        bytes
    }

    /// Functions one after the other, each padded to 32 bytes.
    fn text(&self, start: u64) -> (Vec<u8>, Vec<u64>) {
        let size = |ops: &[Op]| {
            let sizes = ops.iter().map(|op| match op {
                Op::Raw(bytes) => bytes.len(),
                Op::Call(_) | Op::Jump(_) => 5,
            });
            sizes.sum::<usize>().next_multiple_of(32)
        };
        let mut entries = Vec::new();
        let mut at = start;
        for (_, ops) in &self.functions {
            entries.push(at);
            at += size(ops) as u64;
        }
        let mut text = Vec::new();
        for (_, ops) in &self.functions {
            for op in ops {
                let (opcode, name) = match op {
                    Op::Raw(bytes) => {
                        text.extend(*bytes);
                        continue;
                    }
                    Op::Call(name) => (0xe8, name),
                    Op::Jump(name) => (0xe9, name),
                };
                let index = self.functions.iter().position(|(n, _)| n == name).unwrap();
                let after = start + text.len() as u64 + 5;
                text.push(opcode);
                text.extend((entries[index].wrapping_sub(after) as i32).to_le_bytes());
            }
            text.resize(text.len().next_multiple_of(32), 0xcc);
        }
        (text, entries)
    }

    /// Returns where it is.
    fn build_info(&self, data: &mut Data) -> u64 {
        let string_at = data.here();
        data.bytes.extend(VERSION.as_bytes());
        data.align(8);
        let header_at = data.here();
        data.pointer(string_at);
        data.bytes.extend((VERSION.len() as u64).to_le_bytes());
        data.align(16);
        let at = data.here();
        match self.build_info {
            BuildInfo::None => {}
            BuildInfo::Inline => {
                data.bytes.extend(b"\xff Go buildinf:\x08\x02");
                data.bytes.extend([0; 16]);
                data.bytes.push(VERSION.len() as u8);
                data.bytes.extend(VERSION.as_bytes());
            }
            BuildInfo::Pointer => {
                data.bytes.extend(b"\xff Go buildinf:\x08\x00");
                data.pointer(header_at);
                data.pointer(0);
            }
        }
        data.bytes.resize((at - data.vaddr) as usize + 96, 0);
        at
    }

    fn table(&self, data: &mut Data, entries: &[u64], text: u64, end: u64) {
        let start = data.here();
        let count = entries.len();
        let (magic, words, wide): (u32, usize, bool) = match self.layout {
            Layout::Go12 => (0xffff_fffb, 1, true),
            Layout::Go116 => (0xffff_fffa, 7, true),
            Layout::Go118 => (0xffff_fff0, 8, false),
            Layout::Go120 => (0xffff_fff1, 8, false),
        };
        let width = if wide { 8 } else { 4 };
        // Header, functab, descriptions, names.
        let functab = 8 + 8 * words;
        let described = functab + (2 * count + 1) * width;
        let description = width + 8;
        let names = described + count * description;
        let (base, names_base) = match self.layout {
            Layout::Go12 => (0, 0),
            _ => (functab, names),
        };
        let mut named = vec![names - names_base];
        for (name, _) in &self.functions {
            named.push(named[named.len() - 1] + name.len() + 1);
        }

        data.bytes.extend(magic.to_le_bytes());
        data.bytes.extend([0, 0, 1, 8]);
        let word = |data: &mut Data, value: usize| {
            data.bytes.extend((value as u64).to_le_bytes());
        };
        word(data, count);
        if self.layout != Layout::Go12 {
            word(data, 0);
            if !wide {
                match self.text_start {
                    true => data.pointer(text),
                    false => word(data, 0),
                }
            }
            for offset in [names, 0, 0, 0, functab] {
                word(data, offset);
            }
        }
        let number = |data: &mut Data, value: u64| match wide {
            true => data.bytes.extend(value.to_le_bytes()),
            false => data.bytes.extend((value as u32).to_le_bytes()),
        };
        let address = |data: &mut Data, value: u64| match wide {
            true => data.pointer(value),
            false => data.bytes.extend(((value - text) as u32).to_le_bytes()),
        };
        for (index, entry) in entries.iter().enumerate() {
            address(data, *entry);
            number(data, (described + index * description - base) as u64);
        }
        address(data, end);
        assert_eq!(data.here() - start, described as u64);
        for (index, entry) in entries.iter().enumerate() {
            address(data, *entry);
            // Name, then one word of arguments and one of results.
            data.bytes.extend((named[index] as u32).to_le_bytes());
            data.bytes.extend(16_u32.to_le_bytes());
        }
        for (name, _) in &self.functions {
            data.bytes.extend(name.as_bytes());
            data.bytes.push(0);
        }
    }
}

struct Data {
    vaddr: u64,
    bytes: Vec<u8>,
    relocations: Vec<(u64, u64)>,
    relocate: bool,
}

impl Data {
    fn here(&self) -> u64 {
        self.vaddr + self.bytes.len() as u64
    }

    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    /// A pointer, as it lies in the file: relocated ones are 0.
    fn pointer(&mut self, value: u64) {
        if self.relocate && value != 0 {
            self.relocations.push((self.here(), value));
        }
        let stored = if self.relocate { 0 } else { value };
        self.bytes.extend(stored.to_le_bytes());
    }
}

fn put16(bytes: &mut Vec<u8>, values: &[u16]) {
    bytes.extend(values.iter().flat_map(|one| one.to_le_bytes()));
}

fn put32(bytes: &mut Vec<u8>, values: &[u32]) {
    bytes.extend(values.iter().flat_map(|one| one.to_le_bytes()));
}

fn put64(bytes: &mut Vec<u8>, values: &[u64]) {
    bytes.extend(values.iter().flat_map(|one| one.to_le_bytes()));
}

/// Appends section headers, and says where in the ELF header.
fn sections(bytes: &mut Vec<u8>, all: &[(&str, u64, usize, usize)]) {
    let mut names = vec![0];
    let mut headers = vec![0; 64];
    let header = |name: u32, kind: u32, vaddr: u64, offset: usize, size: usize| {
        let mut one = Vec::new();
        put32(&mut one, &[name, kind]);
        let (offset, size) = (offset as u64, size as u64);
        put64(&mut one, &[2, vaddr, offset, size, 0, 1, 0]);
        one
    };
    for (name, vaddr, offset, size) in all {
        headers.extend(header(names.len() as u32, 1, *vaddr, *offset, *size));
        names.extend(name.as_bytes());
        names.push(0);
    }
    let strings = header(names.len() as u32, 3, 0, bytes.len(), names.len() + 10);
    names.extend(b".shstrtab\0");
    headers.extend(strings);
    bytes.extend(&names);
    let at = bytes.len() as u64;
    bytes.extend(&headers);
    bytes[0x28..0x30].copy_from_slice(&at.to_le_bytes());
    let count = all.len() as u16 + 2;
    bytes[0x3c..0x3e].copy_from_slice(&count.to_le_bytes());
    bytes[0x3e..0x40].copy_from_slice(&(count - 1).to_le_bytes());
}
