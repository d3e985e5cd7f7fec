//! The functions of a release, by the patterns that scenarios use.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use failpoints::symbol::{Layout, Point, ResultUse, SymbolError, Symbols};

fn etcd() -> std::path::PathBuf {
    std::env::var_os("ETCD").expect("ETCD=/path/to/etcd").into()
}

fn version() -> String {
    let output = Command::new(etcd()).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().next().unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

#[test]
#[ignore = "needs ETCD"]
fn a_release_has_its_functions() {
    let start = Instant::now();
    let symbols = Symbols::open(&etcd()).unwrap();
    let opened = start.elapsed();
    println!(
        "{}: {} functions of {}, table of {}, read in {opened:?}",
        version(),
        symbols.len(),
        symbols.go_version().unwrap(),
        symbols.layout()
    );
    assert!(
        (25_000..=35_000).contains(&symbols.len()),
        "{}",
        symbols.len()
    );
    assert!(symbols.go_version().unwrap().starts_with("go1."));
    // Half a second in release builds; a debug build on a busy machine has
    // more.
    let limit = if cfg!(debug_assertions) { 10_000 } else { 500 };
    assert!(opened < Duration::from_millis(limit), "{opened:?}");
    for pattern in [
        "backend.(*backend).defrag",
        "backend.defragdb",
        "(*WAL).Save",
        "main.main",
    ] {
        let found = symbols.find(pattern).unwrap();
        assert!(found.entry < found.end, "{pattern}");
        assert_eq!(
            symbols.addresses(found, Point::Entry).unwrap(),
            [found.entry]
        );
    }
    for pattern in [
        "backend.(*backend).defrag",
        "backend.defragdb",
        "(*applierV3backend).Put",
    ] {
        let found = symbols.find(pattern).unwrap();
        let returns = symbols.addresses(found, Point::Return).unwrap();
        assert!(!returns.is_empty(), "{pattern}");
        assert!(
            returns
                .iter()
                .all(|at| (found.entry..found.end).contains(at))
        );
    }
}

#[test]
#[ignore = "needs ETCD"]
fn what_may_be_skipped_is_told() {
    let symbols = Symbols::open(&etcd()).unwrap();
    let start = Instant::now();
    let uses = |pattern| {
        symbols
            .results_read(symbols.find(pattern).unwrap())
            .unwrap()
    };
    let defragdb = uses("backend.defragdb");
    assert!(matches!(defragdb, ResultUse::Used { .. }), "{defragdb:?}");
    println!("asked in {:?}", start.elapsed());
    let version = version();
    let refresh = "(*authStore).refreshRangePermCache";
    match version.as_str() {
        "3.4.23" | "3.5.16" => {
            let refresh = uses(refresh);
            assert!(
                matches!(refresh, ResultUse::Unused { call_sites } if call_sites > 3),
                "{refresh:?}"
            );
        }
        // The code is elsewhere in these, and what there is is inlined.
        "3.5.0" | "3.5.1" => {
            let error = symbols.find(refresh).unwrap_err();
            let SymbolError::NotFound { nearest, .. } = &error else {
                panic!("{error}");
            };
            assert!(
                nearest.iter().any(|name| name.contains("(*authStore).")),
                "{error}"
            );
        }
        _ => {}
    }
    if !version.starts_with("3.4.") {
        let hooks = uses("(*backendHooks).OnPreCommitUnsafe");
        assert_eq!(
            hooks,
            ResultUse::Unknown,
            "it is called through an interface"
        );
    }
    let layout = match symbols.go_version().unwrap() {
        old if old.starts_with("go1.16") => Layout::Go116,
        old if old.starts_with("go1.18") || old.starts_with("go1.19") => Layout::Go118,
        _ => Layout::Go120,
    };
    assert_eq!(symbols.layout(), layout);
}

#[test]
#[ignore = "needs ETCD"]
fn a_running_etcd_is_known_by_its_file() {
    let symbols = Symbols::open(&etcd()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(etcd())
        .arg("--data-dir")
        .arg(dir.path())
        .args(["--listen-client-urls", "http://127.0.0.1:0"])
        .args(["--advertise-client-urls", "http://127.0.0.1:0"])
        .args(["--listen-peer-urls", "http://127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let bias = symbols.bias_in(i32::try_from(child.id()).unwrap());
    let other = Symbols::open(&etcd())
        .unwrap()
        .bias_in(std::process::id() as i32);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(bias.unwrap(), 0, "releases are not position-independent");
    assert!(matches!(
        other.unwrap_err(),
        SymbolError::OtherBinary { .. }
    ));
}
