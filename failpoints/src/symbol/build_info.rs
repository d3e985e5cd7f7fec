//! Which Go release built a binary.
//!
//! Source: Go's `debug/buildinfo`: a blob of 16 bytes with magic, pointer size
//! and flags, then either two pointers to Go strings (before Go 1.18), or, at
//! 32, two strings with their lengths before them.

use super::elf::{Image, word};

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The longest version that is believed: `go1.19.8`, or that with the names of
/// experiments behind it.
const VERSION_LIMIT: usize = 256;

/// The release, as `go1.19.8`; none if the binary does not say.
pub(super) fn go_version(image: &Image) -> Option<String> {
    if let Some((_, bytes)) = image.section(".go.buildinfo") {
        return version_in(image, bytes);
    }
    image.segments().find_map(|(vaddr, bytes)| {
        let skip = vaddr.wrapping_neg() as usize % 16;
        let starts = (skip..bytes.len()).step_by(16);
        let mut found = starts.filter(|at| bytes[*at..].starts_with(MAGIC));
        found.find_map(|at| version_in(image, &bytes[at..]))
    })
}

fn version_in(image: &Image, blob: &[u8]) -> Option<String> {
    if !blob.starts_with(MAGIC) {
        return None;
    }
    let inline = blob.get(15)? & 2 != 0;
    let text = if inline {
        // A length below 128 is one byte; longer ones go on in the next.
        let (low, high) = (*blob.get(32)?, *blob.get(33)?);
        let (at, len) = match low < 0x80 {
            true => (33, usize::from(low)),
            false => (34, usize::from(low & 0x7f) | usize::from(high) << 7),
        };
        (len <= VERSION_LIMIT).then(|| blob.get(at..at + len))??
    } else {
        let string = word(blob, 16)?;
        let len = usize::try_from(image.word(string.checked_add(8)?)?).ok()?;
        (len <= VERSION_LIMIT).then(|| image.at(image.word(string)?, len))??
    };
    let text = std::str::from_utf8(text).ok()?;
    let plain = text.chars().all(|one| one.is_ascii_graphic() || one == ' ');
    (plain && !text.is_empty()).then(|| text.to_owned())
}
