//! A process as gofail makes it: points that are set over HTTP or from the
//! environment, and a port on which to reach them.
//!
//! Protocol and grammar are those of gofail's `runtime/http.go` and
//! `runtime/terms.go`.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

const POINTS: [&str; 3] = [
    "raftBeforeSave",
    "walBeforeSync",
    "go.etcd.io/etcd/server/etcdserver/beforeCommit",
];

const NO_POINT: &str = "failpoint: failpoint does not exist";
const DISABLED: &str = "failpoint: failpoint is disabled";

#[derive(Clone, Debug)]
struct Term {
    /// What is left of each count, or a probability.
    counts: Vec<u64>,
    percents: Vec<f64>,
    action: String,
    value: String,
}

struct Terms {
    text: String,
    chain: Vec<Term>,
    acted: u64,
}

type Points = Arc<Mutex<BTreeMap<String, Option<Terms>>>>;

fn main() {
    failpoints::process::launcher_main();
    let port: u16 = std::env::args()
        .nth(1)
        .and_then(|port| port.parse().ok())
        .expect("a port to be reached on");
    let points: Points = Arc::default();
    lock(&points).extend(POINTS.map(|name| (name.to_owned(), None)));
    if let Ok(set) = std::env::var("GOFAIL_FAILPOINTS") {
        for one in set.split(';').filter(|one| !one.is_empty()) {
            match one.split('=').collect::<Vec<_>>()[..] {
                [name, terms] => drop(enable(&points, name, terms)),
                _ => {
                    println!("fail to parse failpoint: bad failpoint {one:?}");
                    exit(1);
                }
            }
        }
    }
    if let Ok(address) = std::env::var("GOFAIL_HTTP") {
        let listener = TcpListener::bind(&address).unwrap_or_else(|error| {
            println!("listen tcp {address}: {error}");
            exit(1);
        });
        let points = Arc::clone(&points);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let points = Arc::clone(&points);
                thread::spawn(move || serve(&points, &stream));
            }
        });
    }
    let work = TcpListener::bind(("127.0.0.1", port)).expect("the port");
    for stream in work.incoming().flatten() {
        let points = Arc::clone(&points);
        thread::spawn(move || {
            for name in BufReader::new(&stream).lines().map_while(Result::ok) {
                let value = reach(&points, &name).unwrap_or_else(|| "-".to_owned());
                let _ = (&stream).write_all(format!("{value}\n").as_bytes());
            }
        });
    }
}

fn lock(points: &Points) -> MutexGuard<'_, BTreeMap<String, Option<Terms>>> {
    points.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What generated code does at a point: the value it returns with, if any.
fn reach(points: &Points, name: &str) -> Option<String> {
    let term = {
        let mut points = lock(points);
        let terms = points.get_mut(name)?.as_mut()?;
        let index = terms.chain.iter_mut().position(allows)?;
        terms.acted += 1;
        terms.chain[index].clone()
    };
    match term.action.as_str() {
        "return" => Some(term.value),
        "sleep" => {
            let (number, unit) = match term.value.strip_suffix("ns") {
                Some(number) => (number, Duration::from_nanos(1)),
                None => (term.value.as_str(), Duration::from_millis(1)),
            };
            thread::sleep(unit * number.parse().unwrap_or(0));
            None
        }
        "panic" => {
            eprintln!("panic: failpoint panic: {name}");
            exit(2);
        }
        _ => None,
    }
}

fn allows(term: &mut Term) -> bool {
    for left in &mut term.counts {
        if *left == 0 {
            return false;
        }
        *left -= 1;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let random = f64::from(now.unwrap_or_default().subsec_nanos() % 1000) / 10.0;
    term.percents.iter().all(|percent| random <= *percent)
}

fn enable(points: &Points, name: &str, text: &str) -> Result<(), &'static str> {
    let mut points = lock(points);
    let point = points.get_mut(name).ok_or(NO_POINT)?;
    let chain: Option<Vec<_>> = text.split("->").map(term).collect();
    *point = Some(Terms {
        text: text.to_owned(),
        chain: chain.ok_or("failpoint: could not parse terms")?,
        acted: 0,
    });
    Ok(())
}

/// `(<float> "%" | <int> "*")* <action> ["(" <value> ")"]`
fn term(text: &str) -> Option<Term> {
    let (mut counts, mut percents, mut rest) = (Vec::new(), Vec::new(), text);
    while rest.starts_with(|one: char| one.is_ascii_digit()) {
        let end = rest.find(|one: char| !one.is_ascii_digit() && one != '.')?;
        let (number, behind) = rest.split_at(end);
        match (number.contains('.'), &behind[..1]) {
            (true, "%") => percents.push(number.parse().ok()?),
            (false, "*") => counts.push(number.parse().ok()?),
            _ => return None,
        }
        rest = &behind[1..];
    }
    let actions = ["off", "return", "sleep", "panic", "break", "print"];
    let action = actions.into_iter().find(|one| rest.starts_with(one))?;
    let value = match &rest[action.len()..] {
        "" => "",
        value => value.strip_prefix('(')?.strip_suffix(')')?,
    };
    Some(Term {
        counts,
        percents,
        action: action.to_owned(),
        value: value.trim_matches('"').to_owned(),
    })
}

/// One request; the connection ends with it.
fn serve(points: &Points, stream: &TcpStream) {
    if let Ok((method, key, body)) = request(stream) {
        let (status, said) = answer(points, &method, &key, &body);
        let _ = write!(&*stream, "HTTP/1.0 {status} Something\r\n\r\n{said}");
    }
}

fn request(stream: &TcpStream) -> io::Result<(String, String, String)> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split(' ');
    let (method, path) = words.next().zip(words.next()).ok_or_else(bad)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().map_err(|_| bad())?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body)?;
    let key = path.strip_prefix('/').ok_or_else(bad)?;
    Ok((method.to_owned(), key.to_owned(), body))
}

fn answer(points: &Points, method: &str, key: &str, body: &str) -> (u16, String) {
    let status = |key: &str| match lock(points).get(key) {
        None => Err(NO_POINT),
        Some(None) => Err(DISABLED),
        Some(Some(terms)) => Ok((terms.text.clone(), terms.acted)),
    };
    match (method, key.strip_suffix("/count")) {
        ("PUT", _) => match enable(points, key, body) {
            Ok(()) => (204, String::new()),
            Err(why) => (400, format!("fail to set failpoint: {why}\n")),
        },
        ("DELETE", _) => match status(key) {
            Ok(_) => {
                lock(points).insert(key.to_owned(), None);
                (204, String::new())
            }
            Err(why) => (400, format!("failed to delete failpoint {why}\n")),
        },
        ("GET", _) if key.is_empty() => {
            let names: Vec<_> = lock(points).keys().cloned().collect();
            let text = |name: &String| status(name).map(|(text, _)| text).unwrap_or_default();
            let lines = names.iter().map(|name| format!("{name}={}", text(name)));
            (200, lines.collect::<Vec<_>>().join("\n") + "\n")
        }
        ("GET", Some(name)) => match status(name) {
            Ok((_, acted)) => (200, acted.to_string()),
            Err(NO_POINT) => (404, format!("failed to GET: {NO_POINT}\n")),
            Err(why) => (500, format!("failed to GET: {why}\n")),
        },
        ("GET", None) => match status(key) {
            Ok((text, _)) => (200, text + "\n"),
            Err(why) => (404, format!("failed to GET: {why}\n\n")),
        },
        _ => (405, "Method not allowed\n".to_owned()),
    }
}
