//! An ELF executable as it would lie in memory, were it loaded at bias 0.

use object::LittleEndian;
use object::elf::{
    DT_RELA, DT_RELASZ, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, PF_X, PT_DYNAMIC, PT_LOAD,
    R_X86_64_RELATIVE,
};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _, SectionHeader as _};

type Header = FileHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;

/// The size of one `Elf64_Rela`.
const RELA_SIZE: usize = 24;

/// Why a file is no image; the text completes "cannot be used: ".
#[derive(Debug)]
pub(super) struct NotAnImage(pub(super) String);

#[derive(Clone, Copy, Debug)]
struct Segment {
    vaddr: u64,
    offset: usize,
    len: usize,
    executable: bool,
}

/// The segments of an executable, with relative relocations applied: what a
/// pointer in a position-independent file holds is then its address at bias 0.
#[derive(Debug)]
pub(super) struct Image {
    bytes: Vec<u8>,
    segments: Vec<Segment>,
    /// Names and address ranges of the sections that lie in memory; none if
    /// the section headers are stripped or damaged.
    sections: Vec<(String, u64, u64)>,
    /// The address execution starts at.
    pub(super) entry: u64,
    /// Whether it is loaded at a bias (`ET_DYN`).
    pub(super) relocatable: bool,
}

impl Image {
    /// Reads the headers and applies the relocations.
    pub(super) fn new(bytes: Vec<u8>) -> Result<Self, NotAnImage> {
        let (mut image, relocations) = Self::headers(&bytes)?;
        image.bytes = bytes;
        for (at, value) in relocations {
            if let Some(range) = image.range(at, 8) {
                image.bytes[range].copy_from_slice(&value.to_le_bytes());
            }
        }
        Ok(image)
    }

    fn headers(bytes: &[u8]) -> Result<(Self, Vec<(u64, u64)>), NotAnImage> {
        let not = |what: &str| NotAnImage(what.to_owned());
        if bytes.starts_with(b"#!") {
            return Err(not("it is a script"));
        }
        if !bytes.starts_with(b"\x7fELF") {
            return Err(not("it is no ELF file"));
        }
        if bytes.get(4..6) != Some(&[2, 1]) {
            return Err(not("it is not for a 64-bit little-endian machine"));
        }
        let header = Header::parse(bytes).map_err(|error| not(&format!("{error}")))?;
        let machine = header.e_machine.get(LE);
        if machine != EM_X86_64 {
            return Err(NotAnImage(format!(
                "it is for another machine (ELF machine {machine:?}), and only x86-64 is understood"
            )));
        }
        let kind = header.e_type.get(LE);
        if kind != ET_EXEC && kind != ET_DYN {
            return Err(not("it is an ELF file, but no executable"));
        }
        let program = header
            .program_headers(LE, bytes)
            .map_err(|error| not(&format!("its program headers: {error}")))?;
        let mut image = Self {
            bytes: Vec::new(),
            segments: Vec::new(),
            sections: Vec::new(),
            entry: header.e_entry.get(LE),
            relocatable: kind == ET_DYN,
        };
        for one in program.iter().filter(|one| one.p_type(LE) == PT_LOAD) {
            let (offset, len) = one.file_range(LE);
            let range = usize::try_from(offset).ok().zip(usize::try_from(len).ok());
            let whole = range.filter(|&(offset, len)| {
                offset
                    .checked_add(len)
                    .is_some_and(|end| end <= bytes.len())
                    && one.p_vaddr(LE).checked_add(len as u64).is_some()
            });
            let Some((offset, len)) = whole else {
                return Err(not("it is cut off: a segment reaches past its end"));
            };
            image.segments.push(Segment {
                vaddr: one.p_vaddr(LE),
                offset,
                len,
                executable: one.p_flags(LE).contains(PF_X),
            });
        }
        if image.segments.is_empty() {
            return Err(not("it has nothing to load"));
        }
        // Stripped or damaged section headers are no error: all that is needed
        // is found without them.
        if let Ok(sections) = header.sections(LE, bytes) {
            image.sections = sections
                .iter()
                .filter(|section| section.sh_addr(LE) != 0)
                .filter_map(|section| {
                    let name =
                        std::str::from_utf8(sections.section_name(LE, section).ok()?).ok()?;
                    Some((name.to_owned(), section.sh_addr(LE), section.sh_size(LE)))
                })
                .collect();
        }
        let dynamic = program.iter().find(|one| one.p_type(LE) == PT_DYNAMIC);
        let relocations = match dynamic.and_then(|one| one.dynamic(LE, bytes).ok().flatten()) {
            None => Vec::new(),
            Some(entries) => {
                let value = |tag| {
                    let mut found = entries.iter().filter(|entry| entry.tag(LE) == tag);
                    found.next().map(|entry| entry.d_val.get(LE))
                };
                image.relative(bytes, value(DT_RELA), value(DT_RELASZ))
            }
        };
        Ok((image, relocations))
    }

    /// Places and values of the relative relocations (System V ABI, x86-64
    /// supplement, 4.4): each value is its addend, the bias being 0. Packed
    /// ones (`DT_RELR`) need nothing done: their addends are in place.
    fn relative(&self, bytes: &[u8], at: Option<u64>, size: Option<u64>) -> Vec<(u64, u64)> {
        let table = at.zip(size).and_then(|(at, size)| {
            let range = self.range(at, usize::try_from(size).ok()?)?;
            bytes.get(range)
        });
        let word = |entry: &[u8], at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&entry[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let entries = table.unwrap_or_default().chunks_exact(RELA_SIZE);
        entries
            .filter(|entry| word(entry, 8) & 0xffff_ffff == u64::from(R_X86_64_RELATIVE.0))
            .map(|entry| (word(entry, 0), word(entry, 16)))
            .collect()
    }

    fn segment(&self, vaddr: u64) -> Option<&Segment> {
        let mut segments = self.segments.iter();
        segments.find(|one| vaddr >= one.vaddr && vaddr - one.vaddr < one.len as u64)
    }

    fn range(&self, vaddr: u64, len: usize) -> Option<std::ops::Range<usize>> {
        let segment = self.segment(vaddr)?;
        let skip = usize::try_from(vaddr - segment.vaddr).ok()?;
        (segment.len - skip >= len).then(|| segment.offset + skip..segment.offset + skip + len)
    }

    /// The bytes at an address; none if they are not all in one segment's part
    /// of the file.
    pub(super) fn at(&self, vaddr: u64, len: usize) -> Option<&[u8]> {
        self.bytes.get(self.range(vaddr, len)?)
    }

    /// The pointer-sized word at an address.
    pub(super) fn word(&self, vaddr: u64) -> Option<u64> {
        word(self.at(vaddr, 8)?, 0)
    }

    /// Whether every address of the range is code.
    pub(super) fn is_code(&self, from: u64, to: u64) -> bool {
        from < to
            && self.segment(from).is_some_and(|segment| {
                segment.executable && to - segment.vaddr <= segment.len as u64
            })
    }

    /// Each segment's address and bytes.
    pub(super) fn segments(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let segments = self.segments.iter();
        segments.map(|one| (one.vaddr, &self.bytes[one.offset..one.offset + one.len]))
    }

    /// The address and the bytes of a section, if it is there by that name.
    pub(super) fn section(&self, name: &str) -> Option<(u64, &[u8])> {
        let (_, vaddr, size) = self.sections.iter().find(|(n, ..)| n == name)?;
        Some((*vaddr, self.at(*vaddr, usize::try_from(*size).ok()?)?))
    }

    /// All pointer-aligned words with their addresses.
    pub(super) fn words(&self) -> impl Iterator<Item = (u64, u64)> {
        self.segments().flat_map(|(vaddr, bytes)| {
            let skip = (vaddr.wrapping_neg() % 8) as usize;
            let words = bytes.get(skip..).unwrap_or_default().chunks_exact(8);
            words.enumerate().map(move |(index, bytes)| {
                let value = word(bytes, 0).unwrap_or_default();
                (vaddr + (skip + 8 * index) as u64, value)
            })
        })
    }
}

/// The 8-byte number at an offset.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// The 4-byte number at an offset.
pub(super) fn half(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}
