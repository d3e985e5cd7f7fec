//! Failpoints under the names that etcd's gofail points have, set by `GOFAIL_FAILPOINTS` and served
//! as gofail serves them at `GOFAIL_HTTP`.
//!
//! In the code they are `fail::fail_point!("beforeCommit")`. What happens there is decided here, by
//! gofail's terms: crate `fail` only leads the way, since it neither counts hits nor reads those.
//! Source: gofail's `runtime/runtime.go`, `terms.go` and `http.go`.

mod http;

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use failpoints::gofail::{Action, Modifier, Terms, Value};

/// Every failpoint of the store.
pub const NAMES: &[&str] = &[
    // The database.
    "afterCommit",
    "afterStartDBTxn",
    "afterWritebackBuf",
    "beforeCommit",
    "beforeStartDBTxn",
    "beforeWritebackBuf",
    "commitAfterPreCommitHook",
    "commitBeforePreCommitHook",
    "defragBeforeCopy",
    "defragBeforeRename",
    // Keys and their history.
    "compactAfterCommitBatch",
    "compactAfterCommitScheduledCompact",
    "compactAfterSetFinishedCompact",
    "compactBeforeCommitBatch",
    "compactBeforeCommitScheduledCompact",
    "compactBeforeSetFinishedCompact",
    // The log.
    "raftAfterApplySnap",
    "raftAfterSave",
    "raftAfterSaveSnap",
    "raftAfterWALRelease",
    "raftBeforeApplySnap",
    "raftBeforeFollowerSend",
    "raftBeforeLeaderSend",
    "raftBeforeSave",
    "raftBeforeSaveSnap",
    "raftBeforeWALSaveSnaphot",
    // Applying it. `applyBeforeData` is ours: between the index of an entry and its data.
    "applyAfterOpenSnapshot",
    "applyBeforeData",
    "applyBeforeOpenSnapshot",
    "beforeApplyOneConfChange",
    // Watchers.
    "beforeMoveVictims",
    "beforeProgressIfSync",
    "beforeSendWatchResponse",
    "beforeSyncWatchers",
];

/// Why a failpoint could not be set or asked. Texts are gofail's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FailpointError {
    /// There is none of that name.
    #[error("failpoint: failpoint does not exist")]
    NoSuchName,
    /// It is off.
    #[error("failpoint: failpoint is disabled")]
    Off,
    /// Its terms are none.
    #[error("failpoint: could not parse terms")]
    BadTerms,
}

/// Why the environment could not be followed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `GOFAIL_FAILPOINTS` is not `NAME=TERMS[;NAME=TERMS]`.
    #[error("fail to parse failpoint: bad failpoint {0:?}")]
    BadList(String),
    /// `GOFAIL_HTTP` cannot be listened at.
    #[error("listen tcp {0}: {1}")]
    Listen(String, std::io::Error),
}

/// A point that is on.
struct Armed {
    text: String,
    chain: Vec<(Vec<Modifier>, Action)>,
    hits: u64,
}

static ARMED: LazyLock<Mutex<BTreeMap<&'static str, Armed>>> = LazyLock::new(Mutex::default);

fn armed() -> MutexGuard<'static, BTreeMap<&'static str, Armed>> {
    ARMED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn known(name: &str) -> Result<&'static str, FailpointError> {
    let found = NAMES.iter().copied().find(|one| *one == name);
    found.ok_or(FailpointError::NoSuchName)
}

/// Does what `GOFAIL_FAILPOINTS` and `GOFAIL_HTTP` say. Names that do not exist are passed over, as
/// gofail does; terms that are none are printed. To be called once, before anything else.
///
/// # Errors
/// [`StartError`]. gofail prints it and ends the process with exit code 1.
pub fn start() -> Result<(), StartError> {
    if let Ok(list) = std::env::var("GOFAIL_FAILPOINTS") {
        for (name, terms) in pairs(&list)? {
            if set(name, terms) == Err(FailpointError::BadTerms) {
                println!("failed to enable \"{name}={terms}\"");
            }
        }
    }
    match std::env::var("GOFAIL_HTTP") {
        Ok(address) if !address.is_empty() => match serve(&address) {
            Ok(_) => Ok(()),
            Err(error) => Err(StartError::Listen(address, error)),
        },
        _ => Ok(()),
    }
}

/// Serves gofail's HTTP endpoint, on a thread of its own, at `host:port`. Gives the address, with
/// the port that was found for port 0.
///
/// # Errors
/// When it cannot be listened there.
pub fn serve(address: &str) -> std::io::Result<SocketAddr> {
    let addresses: Vec<_> = address.to_socket_addrs()?.collect();
    http::start(std::net::TcpListener::bind(&addresses[..])?)
}

fn pairs(list: &str) -> Result<Vec<(&str, &str)>, StartError> {
    let all = list.split(';').filter(|one| !one.is_empty());
    all.map(|one| match one.split('=').collect::<Vec<_>>()[..] {
        [name, terms] => Ok((name, terms)),
        _ => Err(StartError::BadList(one.to_owned())),
    })
    .collect()
}

/// Sets a failpoint, in gofail's terms; its hits count from 0.
///
/// # Errors
/// [`FailpointError::NoSuchName`]; [`FailpointError::BadTerms`], also for `break`, which here is
/// no action.
pub fn set(name: &str, terms: &str) -> Result<(), FailpointError> {
    let name = known(name)?;
    let parsed: Terms = terms.parse().map_err(|_| FailpointError::BadTerms)?;
    let chain: Vec<_> = parsed
        .terms()
        .iter()
        .map(|term| (term.modifiers.clone(), term.action.clone()))
        .collect();
    if chain.iter().any(|(_, action)| *action == Action::Break) {
        return Err(FailpointError::BadTerms);
    }
    let (text, hits) = (terms.to_owned(), 0);
    let mut armed = armed();
    armed.insert(name, Armed { text, chain, hits });
    fail::cfg_callback(name, move || reach(name)).map_err(|_| FailpointError::BadTerms)
}

/// Switches a failpoint off. Whoever sleeps there sleeps on.
///
/// # Errors
/// [`FailpointError::NoSuchName`], [`FailpointError::Off`].
pub fn clear(name: &str) -> Result<(), FailpointError> {
    let name = known(name)?;
    let mut armed = armed();
    fail::remove(name);
    armed.remove(name).map(drop).ok_or(FailpointError::Off)
}

/// A failpoint's terms as they were set, and how often one of them has acted.
///
/// # Errors
/// [`FailpointError::NoSuchName`], [`FailpointError::Off`].
pub fn status(name: &str) -> Result<(String, u64), FailpointError> {
    let name = known(name)?;
    let armed = armed();
    let point = armed.get(name).ok_or(FailpointError::Off)?;
    Ok((point.text.clone(), point.hits))
}

/// What happens where the code reaches the point: the first term whose modifiers allow it acts.
fn reach(name: &'static str) {
    let action = {
        let mut armed = armed();
        let Some(point) = armed.get_mut(name) else {
            return;
        };
        let Some(at) = point.chain.iter_mut().position(|(all, _)| allowed(all)) else {
            return;
        };
        point.hits += 1;
        point.chain[at].1.clone()
    };
    match action {
        Action::Sleep(time) => std::thread::sleep(time),
        Action::Print => println!("failpoint print: {name}"),
        Action::Panic(value) => {
            http::let_answers_out();
            match value {
                Value::Nothing => panic!("failpoint panic: {name}"),
                value => panic!("failpoint panic: {value}"),
            }
        }
        // None of the points hands a value to the code behind it.
        Action::Off | Action::Return(_) | Action::Break => {}
    }
}

fn allowed(modifiers: &mut [Modifier]) -> bool {
    modifiers.iter_mut().all(|one| match one {
        Modifier::Times(0) => false,
        Modifier::Times(left) => {
            *left -= 1;
            true
        }
        Modifier::Percent(percent) => rand::random_bool(*percent / 100.0),
    })
}

/// From now on a panic in any thread ends the process, with exit code 2 and a line as Go writes it.
/// For the server's main.
pub fn panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let owned = payload.downcast_ref::<String>().map(String::as_str);
        let text = owned.or_else(|| payload.downcast_ref::<&str>().copied());
        let at = panic.location().map(ToString::to_string);
        let thread = std::thread::current();
        eprintln!(
            "panic: {}\n\nthread {} at {}\n{}",
            text.unwrap_or("of unknown kind"),
            thread.name().unwrap_or("without a name"),
            at.unwrap_or_default(),
            std::backtrace::Backtrace::capture(),
        );
        std::process::exit(2);
    }));
}
