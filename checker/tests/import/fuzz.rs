//! The fuzzers' body on mutated seeds, for a bounded number of executions: `FUZZ_EXECUTIONS` gives
//! another. With libFuzzer: `checker/fuzz`.

#[path = "../../fuzz/body.rs"]
mod body;

use std::path::Path;

use checker::import::Format;

/// Executions of each format where nothing else is asked for.
const EXECUTIONS: u64 = 4_000;

/// Bytes of an input, at most.
const BYTES_MAX: usize = 4096;

/// Pieces that mean something to one reader or another.
const PIECES: [&str; 48] = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "#{",
    "#_",
    "#a ",
    "^",
    "##Inf ",
    "\"",
    "\\",
    "\\u00",
    ";",
    "\n",
    ",",
    ":",
    "nil",
    "true",
    "-1",
    "0",
    "1",
    "2",
    "9223372036854775807",
    "-9223372036854775808",
    "1e9",
    ":process ",
    ":type ",
    ":invoke",
    ":ok",
    ":fail",
    ":info",
    ":f ",
    ":read",
    ":write",
    ":cas",
    ":value ",
    ":key ",
    ":error :empty",
    "[:append 1 2]",
    "[:r 1 [2]]",
    "\"call\":",
    "\"ret\":null",
    "\"rev\":",
    "\"Error\": \"x\"",
    "null",
    "INFO jepsen.util - 1\t:invoke\t:read\tnil\n",
];

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).expect("below a usize")
    }
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(24)).min(bytes.len());
    match random.below(9) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        3 => {
            let byte = u8::try_from(random.below(256)).expect("a byte");
            bytes.insert(at, byte);
        }
        4 | 5 => {
            let piece = PIECES[random.below(PIECES.len())].bytes();
            drop(bytes.splice(at..end, piece));
        }
        6 => {
            // A digit becomes another.
            let digits: Vec<_> = (0..bytes.len())
                .filter(|i| bytes[*i].is_ascii_digit())
                .collect();
            if let Some(digit) = digits.get(random.below(digits.len())) {
                bytes[*digit] = b'0' + u8::try_from(random.below(10)).expect("a digit");
            }
        }
        7 => {
            // A line comes again, elsewhere.
            let lines: Vec<Vec<u8>> = bytes
                .split_inclusive(|b| *b == b'\n')
                .map(<[u8]>::to_vec)
                .collect();
            if !lines.is_empty() {
                let line = lines[random.below(lines.len())].clone();
                let mut lines = lines;
                let to = random.below(lines.len());
                if random.below(2) == 0 {
                    lines.remove(to);
                } else {
                    lines.insert(to, line);
                }
                *bytes = lines.concat();
            }
        }
        _ => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len());
            drop(bytes.splice(at.., other[from..].iter().copied()));
        }
    }
    bytes.truncate(BYTES_MAX);
}

fn fuzz(format: Format, target: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let mut seeds = Vec::new();
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .expect("seeds")
        .map(|entry| entry.expect("a seed").path())
        .collect();
    names.sort();
    for name in names {
        seeds.push(std::fs::read(name).expect("a seed"));
    }
    for seed in &seeds {
        body::run(format, seed);
    }
    let executions = std::env::var("FUZZ_EXECUTIONS").ok();
    let executions = executions.map_or(EXECUTIONS, |text| text.parse().expect("a number"));
    let start: u64 = std::env::var("FUZZ_SEED").map_or(1, |text| text.parse().expect("a number"));
    for execution in 0..executions {
        let mut random = Random(start << 40 | execution);
        let mut bytes = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(6) {
            mutate(&mut bytes, &seeds, &mut random);
        }
        let input = bytes.clone();
        if std::panic::catch_unwind(|| body::run(format, &input)).is_err() {
            panic!(
                "{format}, execution {execution}: {}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
    println!("{executions} executions of {format}");
}

#[test]
fn history_jsonl() {
    fuzz(Format::HistoryJsonl, "history_jsonl");
}

#[test]
fn jepsen_edn() {
    fuzz(Format::JepsenEdn, "jepsen_edn");
}

#[test]
fn jepsen_log() {
    fuzz(Format::JepsenLog, "jepsen_log");
}

#[test]
fn porcupine_kv() {
    fuzz(Format::PorcupineKv, "porcupine_kv");
}

#[test]
fn compact_jsonl() {
    fuzz(Format::CompactJsonl, "compact_jsonl");
}

#[test]
fn etcd_operations() {
    fuzz(Format::EtcdRobustness, "etcd_operations");
}
