//! Points of gofail, for binaries that were built with them.
//!
//! etcd's own robustness test builds every release with gofail
//! (<https://github.com/etcd-io/gofail>), which makes marked comments in the
//! source into points that can sleep, panic or return. A process so built
//! serves them over HTTP ([`Gofail`]) where [`endpoint`] says, and starts with
//! those that [`environment`] sets. [`Point`] is the fault.
//!
//! Release binaries have no such points: see [`symbol`](crate::symbol).

mod client;
mod terms;

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

pub use client::{Gofail, Listed};
pub use terms::{Action, Modifier, Term, TermError, Terms, Value};

use crate::fault::{Fault, Step};

/// How long a process may take to switch a point off. Early releases of gofail
/// do that only once nobody sleeps in it.
const HEAL_LIMIT: Duration = Duration::from_secs(30);
/// How long to wait until it is asked once more.
const HEAL_PAUSE: Duration = Duration::from_millis(50);

/// What went wrong with a point.
#[derive(Debug, thiserror::Error)]
pub enum GofailError {
    /// The name cannot be a point's.
    #[error("`{name}` cannot name a gofail point: {what}")]
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The terms cannot be set through the environment.
    #[error(
        "`{name}={terms}` cannot be set through GOFAIL_FAILPOINTS, where ; and = have a meaning; set it over HTTP"
    )]
    NotInEnvironment {
        /// The point's name.
        name: String,
        /// Its terms.
        terms: String,
    },
    /// Nobody answers, or not in time, or not in HTTP.
    #[error(
        "no gofail endpoint answers at {address}: {reason}; the binary must be built with gofail, be started with GOFAIL_HTTP={address}, and run"
    )]
    Unreachable {
        /// Where it was looked for.
        address: SocketAddr,
        /// The reason.
        reason: io::Error,
    },
    /// The process has no point of this name.
    #[error("the process at {address} has no gofail point `{name}`; nearest: {}", .nearest.join(", "))]
    NoSuchPoint {
        /// The process's endpoint.
        address: SocketAddr,
        /// The name.
        name: String,
        /// The names nearest to it, nearest first; none if it has no points.
        nearest: Vec<String>,
    },
    /// The process answered with an error.
    #[error("the gofail endpoint at {address} answered {status}: {said}")]
    Refused {
        /// The process's endpoint.
        address: SocketAddr,
        /// The HTTP status.
        status: u16,
        /// What it said.
        said: String,
    },
}

fn check_name(name: &str) -> Result<(), GofailError> {
    let what = if name.len() > 1024 {
        "it is too long"
    } else if name.contains(|one: char| !one.is_ascii_graphic() || one == '=' || one == ';') {
        "it may not contain spaces, = or ;"
    } else if name.eq_ignore_ascii_case("failpoints") {
        "gofail takes it for the list of all points"
    } else {
        return Ok(());
    };
    Err(GofailError::BadName {
        name: name.chars().take(80).collect(),
        what,
    })
}

/// Whether a text can be the name of a point: one that is empty or ends in
/// `/count` would be taken for another request.
fn check_point(name: &str) -> Result<(), GofailError> {
    let what = match name {
        "" => "it is empty",
        _ if name.ends_with("/count") => "gofail takes it for the count of another",
        _ => return check_name(name),
    };
    Err(GofailError::BadName {
        name: name.to_owned(),
        what,
    })
}

/// The variable that makes a process serve its points at an address, for
/// [`SpawnSpec::envs`](crate::process::SpawnSpec::envs).
pub fn endpoint(address: SocketAddr) -> (OsString, OsString) {
    ("GOFAIL_HTTP".into(), address.to_string().into())
}

/// The variable that makes a process start with points set, for
/// [`SpawnSpec::envs`](crate::process::SpawnSpec::envs). Points that the
/// process does not have are ignored by it.
///
/// # Errors
///
/// [`GofailError::BadName`] or [`GofailError::NotInEnvironment`].
pub fn environment<'a>(
    points: impl IntoIterator<Item = (&'a str, &'a Terms)>,
) -> Result<(OsString, OsString), GofailError> {
    let mut value = String::new();
    for (name, terms) in points {
        check_point(name)?;
        let terms = terms.to_string();
        if terms.contains([';', '=']) {
            return Err(GofailError::NotInEnvironment {
                name: name.to_owned(),
                terms,
            });
        }
        let separator = if value.is_empty() { "" } else { ";" };
        value.push_str(&format!("{separator}{name}={terms}"));
    }
    Ok(("GOFAIL_FAILPOINTS".into(), value.into()))
}

/// Says whether points can be served on this machine: loopback is all it takes.
///
/// # Errors
///
/// [`GofailError::Unreachable`].
pub async fn probe() -> Result<(), GofailError> {
    let unreachable =
        |address: SocketAddr| move |reason| GofailError::Unreachable { address, reason };
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind(any).await.map_err(unreachable(any))?;
    let address = listener.local_addr().map_err(unreachable(any))?;
    let server = async {
        let (mut stream, _) = listener.accept().await?;
        let mut request = [0; 512];
        let _ = stream.read(&mut request).await?;
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n\n").await?;
        stream.shutdown().await
    };
    let gofail = Gofail::new(address);
    let (served, listed) = tokio::join!(
        tokio::time::timeout(client::REQUEST_LIMIT, server),
        gofail.list()
    );
    listed?;
    served
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(unreachable(address))
}

/// A point of one member that is set, then switched off.
///
/// It lives in the process's memory: a process that ends takes it along. The
/// member that comes back has it off, unless its environment sets it; healing
/// switches it off then too.
#[derive(Debug)]
pub struct Point {
    member: String,
    gofail: Gofail,
    point: String,
    terms: Terms,
    tried: bool,
}

impl Point {
    /// A point of a member.
    ///
    /// # Errors
    ///
    /// [`GofailError::BadName`].
    pub fn new(
        member: impl Into<String>,
        gofail: Gofail,
        point: impl Into<String>,
        terms: Terms,
    ) -> Result<Self, GofailError> {
        let point = point.into();
        check_point(&point)?;
        Ok(Self {
            member: member.into(),
            gofail,
            point,
            terms,
            tried: false,
        })
    }

    /// Until the point is known to be off, or the process to be gone.
    async fn switch_off(&self) -> Result<(), GofailError> {
        let deadline = Instant::now() + HEAL_LIMIT;
        loop {
            let error = match self.gofail.clear(&self.point).await {
                // Another process may have been started on the port.
                Ok(_) | Err(GofailError::NoSuchPoint { .. }) => return Ok(()),
                Err(GofailError::Unreachable { reason, .. })
                    if reason.kind() == io::ErrorKind::ConnectionRefused =>
                {
                    return Ok(());
                }
                Err(error) => error,
            };
            if Instant::now() >= deadline {
                return Err(error);
            }
            tokio::time::sleep(HEAL_PAUSE).await;
        }
    }
}

impl Fault for Point {
    fn name(&self) -> String {
        format!("gofail {} {}={}", self.member, self.point, self.terms)
    }

    fn inject(&mut self) -> Step<'_> {
        Box::pin(async {
            self.tried = true;
            Ok(self.gofail.set(&self.point, &self.terms).await?)
        })
    }

    fn heal(&mut self) -> Step<'_> {
        Box::pin(async {
            if self.tried {
                self.switch_off().await?;
            }
            Ok(())
        })
    }
}
