//! `gauntlet symbols`, as a process, on binaries made byte by byte.

// The other users of the fixture build binaries in other ways.
#[allow(dead_code)]
#[path = "../../failpoints/tests/symbol/fixture.rs"]
mod fixture;

use std::process::{Command, Output};

use failpoints::symbol::Layout;
use fixture::{Binary, Op};

const CHECK: Op = Op::Raw(&[0x49, 0x3b, 0x66, 0x10]);
const RET: Op = Op::Raw(&[0xc3]);
/// test rax, rax
const READ: Op = Op::Raw(&[0x48, 0x85, 0xc0]);
/// xor eax, eax
const CLEAR: Op = Op::Raw(&[0x31, 0xc0]);

fn symbols(args: &[&str]) -> Output {
    let functions: [(_, &[Op]); 7] = [
        (
            "main.main",
            &[
                CHECK,
                Op::Call("etcd/a/backend.(*backend).defrag"),
                CLEAR,
                RET,
            ],
        ),
        (
            "etcd/a/backend.(*backend).defrag",
            &[
                CHECK,
                Op::Call("etcd/a/backend.defragdb"),
                READ,
                Op::Call("etcd/a/backend.(*backend).refresh"),
                Op::Call("etcd/a/backend.zero"),
                RET,
            ],
        ),
        ("etcd/a/backend.(*backend).defrag.func1", &[CHECK, RET]),
        (
            "etcd/a/backend.(*backend).refresh",
            &[CHECK, Op::Raw(&[0x74, 1]), RET, CLEAR, RET],
        ),
        ("etcd/a/backend.defragdb", &[CHECK, RET]),
        // xor eax, eax
        ("etcd/a/backend.zero", &[CLEAR, RET]),
        (
            "etcd/a/backend.Hooks.Commit",
            &[CHECK, Op::Jump("main.main")],
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let binary = Binary::new(Layout::Go120, &functions).build();
    std::fs::write(dir.path().join("etcd"), binary.bytes).unwrap();
    std::fs::write(dir.path().join("script"), "#!/bin/sh\n").unwrap();
    Command::new(env!("CARGO_BIN_EXE_gauntlet"))
        .arg("symbols")
        .args(args)
        .current_dir(dir.path())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn functions_are_listed_with_what_skipping_them_would_be() {
    let output = symbols(&["./etcd", "backend.*"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let expected = "\
./etcd: 7 functions, go1.99.3, table layout of Go 1.20
address       bytes returns  skip             function
0x401060         32       1  skippable        etcd/a/backend.(*backend).defrag
0x4010a0         32       2  skippable        etcd/a/backend.(*backend).refresh
0x4010c0         32       1  returns a value  etcd/a/backend.defragdb
0x4010e0         32       1  skippable        etcd/a/backend.zero
0x401100         32  0+jump  unknown          etcd/a/backend.Hooks.Commit
";
    assert_eq!(text(&output.stdout), expected);
    let closures = symbols(&["./etcd", "(*backend).*.func*"]);
    assert!(text(&closures.stdout).contains("etcd/a/backend.(*backend).defrag.func1\n"));
}

#[test]
fn json_has_every_address() {
    let output = symbols(&["./etcd", "defragdb", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!({
        "binary": "./etcd",
        "layout": "Go 1.20",
        "go": "go1.99.3",
        "functions": 7,
        "matches": [{
            "name": "etcd/a/backend.defragdb",
            "entry": "0x4010c0",
            "size": 32,
            "returns": ["0x4010c4"],
            "tail_jumps": [],
            "skip": "returns a value",
            "reads": ["0x401069"],
        }],
    });
    assert_eq!(json, expected);
}

#[test]
fn without_a_match_the_nearest_names_are_given() {
    let output = symbols(&["./etcd", "backend.(*backend).Defrag"]);
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stderr);
    assert!(
        said.contains("nearest: etcd/a/backend.(*backend).defrag"),
        "{said}"
    );
    assert!(said.contains("inlined"), "{said}");
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn wrong_files_and_names_are_exit_64() {
    for (args, what) in [
        (["./script", "x"], "./script cannot be used: it is a script"),
        (["./nothing", "x"], "cannot read ./nothing"),
        (["./", "x"], "it is no regular file"),
        (["etcd", "x"], "give ./etcd, or etcd@3.5.16"),
        (["consul@1.2.3", "x"], "`consul` is not a store"),
        (["./etcd", ""], "PATTERN is empty"),
    ] {
        let output = symbols(&args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(what), "{said}");
        assert!(!said.contains("--store"), "there is no such flag: {said}");
    }
}
