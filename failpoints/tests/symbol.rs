//! Reading functions of Go binaries, all layouts, whole and damaged.

// The other users of the fixture build binaries in other ways.
#[allow(dead_code)]
#[path = "symbol/fixture.rs"]
mod fixture;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use failpoints::symbol::{Layout, Point, SymbolError, Symbols};
use fixture::{Binary, BuildInfo, Built, Op, VERSION};

const LAYOUTS: [Layout; 4] = [Layout::Go12, Layout::Go116, Layout::Go118, Layout::Go120];

/// cmp rsp, [r14+16]: what functions begin with since Go 1.17.
const CHECK: Op = Op::Raw(&[0x49, 0x3b, 0x66, 0x10]);
const RET: Op = Op::Raw(&[0xc3]);

const DEFRAG: &str = "go.etcd.io/etcd/server/v3/mvcc/backend.(*backend).defrag";

fn functions() -> Vec<(&'static str, &'static [Op])> {
    vec![
        ("runtime.text", &[RET]),
        ("runtime.morestack", &[RET]),
        (
            DEFRAG,
            &[
                CHECK,
                Op::Raw(&[0x74, 1]),
                RET,
                Op::Raw(&[0xb8, 0xc3, 0xc3, 0, 0]),
                RET,
            ],
        ),
        (
            "go.etcd.io/etcd/server/v3/mvcc/backend.(*backend).defrag.func1",
            &[CHECK, RET],
        ),
        (
            "go.etcd.io/etcd/server/v3/mvcc/backend.defragdb",
            &[CHECK, RET],
        ),
        (
            "go.etcd.io/etcd/server/v3/auth.(*authStore).Close",
            &[CHECK, Op::Jump("runtime.morestack")],
        ),
        (
            "go.etcd.io/etcd/server/v3/lease.(*lessor).Close",
            &[CHECK, RET],
        ),
        ("main.main", &[CHECK, RET]),
    ]
}

fn open_bytes(bytes: &[u8]) -> Result<Symbols, SymbolError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("etcd");
    std::fs::write(&path, bytes).unwrap();
    Symbols::open(&path)
}

fn open(binary: &Binary) -> (Symbols, Built) {
    let built = binary.build();
    (open_bytes(&built.bytes).unwrap(), built)
}

#[test]
fn every_layout_reads_alike() {
    for layout in LAYOUTS {
        for position_independent in [false, true] {
            for sections in [true, false] {
                let mut binary = Binary::new(layout, &functions());
                binary.position_independent = position_independent;
                binary.sections = sections;
                let (symbols, built) = open(&binary);
                let case = format!("{layout}, {position_independent}, {sections}");
                assert_eq!(symbols.layout(), layout, "{case}");
                assert_eq!(symbols.go_version(), Some(VERSION), "{case}");
                assert_eq!(symbols.len(), functions().len(), "{case}");
                let found: Vec<_> = symbols.functions().collect();
                for (index, (name, _)) in functions().iter().enumerate() {
                    assert_eq!(found[index].name, *name, "{case}");
                    assert_eq!(found[index].entry, built.entries[index], "{case}");
                    assert_eq!(found[index].end, built.entries[index] + 32, "{case}");
                }
            }
        }
    }
}

#[test]
fn the_text_start_comes_from_the_module_data_the_header_or_the_section() {
    for (module_data, text_start) in [(true, false), (false, true)] {
        let mut binary = Binary::new(Layout::Go120, &functions());
        binary.module_data = module_data;
        binary.text_start = text_start;
        for position_independent in [false, true] {
            binary.position_independent = position_independent;
            let (symbols, built) = open(&binary);
            assert_eq!(symbols.find("main.main").unwrap().entry, built.entries[7]);
        }
    }
    // C code comes first in .text here, so its start would be wrong.
    let mut binary = Binary::new(Layout::Go120, &functions());
    (binary.module_data, binary.text_start) = (false, false);
    let error = open_bytes(&binary.build().bytes).unwrap_err();
    assert!(matches!(error, SymbolError::Damaged { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("the address its offsets count from")
    );
}

#[test]
fn the_release_is_read_in_both_forms() {
    for (build_info, version) in [
        (BuildInfo::Inline, Some(VERSION)),
        (BuildInfo::Pointer, Some(VERSION)),
        (BuildInfo::None, None),
    ] {
        for sections in [true, false] {
            let mut binary = Binary::new(Layout::Go118, &functions());
            (binary.build_info, binary.sections) = (build_info, sections);
            assert_eq!(open(&binary).0.go_version(), version);
        }
    }
}

#[test]
fn one_function_is_found_or_the_error_says_what_to_write() {
    let (symbols, built) = open(&Binary::new(Layout::Go116, &functions()));
    for pattern in [
        DEFRAG,
        "backend.(*backend).defrag",
        "(*backend).defrag",
        "backend.*.defrag",
    ] {
        assert_eq!(
            symbols.find(pattern).unwrap().entry,
            built.entries[2],
            "{pattern}"
        );
    }
    assert_eq!(symbols.find("defragdb").unwrap().entry, built.entries[4]);
    assert_eq!(
        symbols.find("(*backend).defrag.func1").unwrap().entry,
        built.entries[3]
    );
    assert_eq!(symbols.find_all("*").len(), 7, "all but the closure");
    let first = symbols.find_first(&["(*backend).compact", "backend.defragdb", "main.main"]);
    assert_eq!(first.unwrap().entry, built.entries[4]);

    let error = symbols.find("(*).Close").unwrap_err();
    let SymbolError::Ambiguous { names, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(names.len(), 2);
    assert!(
        error.to_string().contains("(*authStore).Close, go.etcd.io"),
        "{error}"
    );

    let error = symbols.find("backend.(*backend).Defrag").unwrap_err();
    let SymbolError::NotFound { nearest, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(nearest[0], DEFRAG);
    assert!(error.to_string().contains("inlined"), "{error}");
    assert!(symbols.find_all("").is_empty());
}

#[test]
fn two_functions_of_one_name_are_told_apart_by_address() {
    let functions: [(_, &[Op]); 2] = [("runtime.memmove", &[RET]), ("runtime.memmove", &[RET])];
    let (symbols, built) = open(&Binary::new(Layout::Go120, &functions));
    let error = symbols.find("runtime.memmove").unwrap_err().to_string();
    for entry in built.entries {
        assert!(error.contains(&format!("(at {entry:#x})")), "{error}");
    }
}

#[test]
fn entry_and_return_points() {
    let (symbols, built) = open(&Binary::new(Layout::Go120, &functions()));
    let defrag = symbols.find("(*backend).defrag").unwrap();
    let at = built.entries[2];
    assert_eq!(symbols.addresses(defrag, Point::Entry).unwrap(), [at]);
    let returns = symbols.addresses(defrag, Point::Return).unwrap();
    assert_eq!(returns, [at + 6, at + 12], "not the bytes inside mov");

    let close = symbols.find("(*authStore).Close").unwrap();
    let error = symbols.addresses(close, Point::Return).unwrap_err();
    let jump = built.entries[5] + 4;
    assert!(
        error
            .to_string()
            .contains(&format!("leaves by a jump at {jump:#x}")),
        "{error}"
    );
    assert_eq!(symbols.returns(close).unwrap().tail_jumps, [jump]);
}

#[test]
fn code_that_cannot_be_decoded_is_an_error() {
    let functions: [(_, &[Op]); 2] = [
        ("main.main", &[RET]),
        ("main.data", &[Op::Raw(&[0x06]), RET]),
    ];
    let (symbols, built) = open(&Binary::new(Layout::Go120, &functions));
    let data = symbols.find("main.data").unwrap();
    let error = symbols
        .addresses(data, Point::Return)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("the bytes at {:#x}", built.entries[1])),
        "{error}"
    );
    assert!(symbols.addresses(data, Point::Entry).is_ok());
}

#[test]
fn files_that_are_no_go_binaries_are_named() {
    let open = |bytes: &[u8]| open_bytes(bytes).unwrap_err().to_string();
    let not = |bytes: &[u8], what: &str| {
        let said = open(bytes);
        assert!(said.contains(what) && said.contains("/etcd"), "{said}");
    };
    not(b"", "no ELF file");
    not(b"hello", "no ELF file");
    not(b"#!/bin/sh\nexec etcd\n", "a script");
    not(b"\x7fELF", "64-bit");
    let whole = Binary::new(Layout::Go120, &functions()).build();
    let mut arm = whole.bytes.clone();
    arm[18] = 183;
    not(&arm, "only x86-64");
    let mut narrow = whole.bytes.clone();
    narrow[4] = 1;
    not(&narrow, "64-bit");
    let mut object = whole.bytes.clone();
    object[16] = 1;
    not(&object, "no executable");
    let mut plain = whole.bytes.clone();
    plain[whole.table.start] = 0;
    not(&plain, "no Go function table");
    let error = Symbols::open(Path::new("/nonexistent/etcd")).unwrap_err();
    assert!(matches!(error, SymbolError::Read { .. }), "{error}");
    let error = Symbols::open(Path::new("/")).unwrap_err();
    assert!(error.to_string().contains("no regular file"), "{error}");
}

/// A small generator of numbers, so that a failure comes back.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64 (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Everything that can be asked of a binary.
fn ask_all(bytes: &[u8]) -> bool {
    let Ok(symbols) = open_bytes(bytes) else {
        return false;
    };
    let all: Vec<_> = symbols.functions().collect();
    assert_eq!(all.len(), symbols.len());
    for one in &all {
        let _ = symbols.addresses(*one, Point::Return);
    }
    let _ = symbols.find("(*backend).defrag");
    let _ = symbols.results_read_of(&all);
    true
}

#[test]
fn damaged_files_are_errors_never_panics() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut read, mut refused) = (0, 0);
    for layout in LAYOUTS {
        for position_independent in [false, true] {
            let mut binary = Binary::new(layout, &functions());
            binary.position_independent = position_independent;
            binary.sections = numbers.below(2) == 0;
            let Built { bytes, table, .. } = binary.build();
            let mut count = |bytes: &[u8]| match ask_all(bytes) {
                true => read += 1,
                false => refused += 1,
            };
            for _ in 0..25 {
                count(&bytes[..numbers.below(bytes.len())]);
                // Headers, table, anything.
                for range in [0..232, table.clone(), 0..bytes.len()] {
                    let mut garbled = bytes.clone();
                    for _ in 0..1 + numbers.below(4) {
                        let at = range.start + numbers.below(range.len());
                        garbled[at] =
                            [0, 1, 0x7f, 0x80, 0xff, numbers.below(256) as u8][numbers.below(6)];
                    }
                    count(&garbled);
                }
            }
        }
    }
    assert!(read > 40 && refused > 200, "{read} read, {refused} refused");
}

#[test]
fn each_field_of_the_table_is_checked() {
    for layout in LAYOUTS {
        let Built { bytes, table, .. } = Binary::new(layout, &functions()).build();
        for value in [u64::MAX, 1 << 63, 1 << 40, 0x7fff_ffff, 0xffff_fff0] {
            for at in (table.start + 8..table.end - 8).step_by(8) {
                let mut garbled = bytes.clone();
                garbled[at..at + 8].copy_from_slice(&value.to_le_bytes());
                ask_all(&garbled);
            }
        }
        let mut many = bytes.clone();
        many[table.start + 8..table.start + 16].copy_from_slice(&u64::MAX.to_le_bytes());
        let error = open_bytes(&many).unwrap_err();
        assert!(matches!(error, SymbolError::Damaged { .. }), "{error}");
        assert!(
            error.to_string().contains("claims 18446744073709551615"),
            "{error}"
        );
        let cut = open_bytes(&bytes[..table.start + 20]).unwrap_err();
        assert!(cut.to_string().contains("cut off"), "{cut}");
    }
}

#[test]
fn a_process_is_known_by_its_file() {
    let (symbols, _) = open(&Binary::new(Layout::Go120, &functions()));
    let own = i32::try_from(std::process::id()).unwrap();
    let error = symbols.bias_in(own).unwrap_err();
    let SymbolError::OtherBinary { pid, runs, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*pid, own);
    assert_eq!(*runs, std::env::current_exe().unwrap());
    let error = symbols.bias_in(i32::MAX).unwrap_err();
    assert!(matches!(error, SymbolError::Process { .. }), "{error}");
}

#[test]
fn addresses_are_moved_by_where_a_process_was_loaded() {
    // mov eax, 34; syscall; jmp back: pause(2) for ever.
    let wait: &[Op] = &[Op::Raw(&[0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7])];
    let dir = tempfile::tempdir().unwrap();
    for position_independent in [false, true] {
        let mut binary = Binary::new(Layout::Go118, &[("main.main", wait)]);
        binary.position_independent = position_independent;
        let path = dir.path().join(position_independent.to_string());
        std::fs::write(&path, binary.build().bytes).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let symbols = Symbols::open(&path).unwrap();
        let mut child = Command::new(&path).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let bias = symbols.bias_in(pid);
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        // The same path, another file.
        std::fs::rename(&path, dir.path().join("away")).unwrap();
        std::fs::write(&path, binary.build().bytes).unwrap();
        let replaced = Symbols::open(&path).unwrap().bias_in(pid);
        child.kill().unwrap();
        child.wait().unwrap();

        let bias = bias.unwrap();
        assert_eq!(bias != 0, position_independent, "{bias:#x}");
        let main = symbols.find("main.main").unwrap();
        let is_code = |line: &str| {
            let (range, rest) = line.split_once(' ').unwrap();
            let (from, to) = range.split_once('-').unwrap();
            let address = |text| u64::from_str_radix(text, 16).unwrap();
            let own = rest.ends_with(&*path.to_string_lossy()) && rest.as_bytes()[2] == b'x';
            own && (address(from)..address(to)).contains(&(main.entry + bias))
        };
        assert!(maps.lines().any(is_code), "{bias:#x} is not in {maps}");
        let error = replaced.unwrap_err();
        assert!(matches!(error, SymbolError::OtherBinary { .. }), "{error}");
        assert!(error.to_string().contains("/away"), "{error}");
    }
}
