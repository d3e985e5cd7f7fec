//! gofail's HTTP endpoint.
//!
//! Source: gofail's `runtime/http.go`. Names are not escaped in paths.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{GofailError, Terms};

/// How long one answer may take. A process under load takes milliseconds.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// The longest answer that is read. etcd has about 60 points.
const ANSWER_LIMIT: u64 = 1 << 20;

/// The endpoint of one process that was built with gofail and started with
/// [`endpoint`](super::endpoint).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gofail {
    address: SocketAddr,
}

/// A point, as [`Gofail::list`] has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its terms as they were set; none if it is off.
    pub terms: Option<String>,
}

struct Answer {
    status: u16,
    body: String,
}

impl Gofail {
    /// The endpoint at an address.
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every point of the process, by name.
    ///
    /// # Errors
    ///
    /// [`GofailError`].
    pub async fn list(&self) -> Result<Vec<Listed>, GofailError> {
        let answer = self.ask("GET", "", "").await?;
        if answer.status != 200 {
            return Err(self.refused(answer));
        }
        let lines = answer.body.lines().filter(|line| !line.is_empty());
        let listed = lines.map(|line| {
            let (name, terms) = line.split_once('=').unwrap_or((line, ""));
            Listed {
                name: name.to_owned(),
                terms: (!terms.is_empty()).then(|| terms.to_owned()),
            }
        });
        Ok(listed.collect())
    }

    /// The terms of a point as they were set; none if it is off.
    ///
    /// # Errors
    ///
    /// [`GofailError::NoSuchPoint`] and others.
    pub async fn get(&self, name: &str) -> Result<Option<String>, GofailError> {
        let answer = self.ask("GET", name, "").await?;
        match answer.status {
            200 => Ok(Some(answer.body.trim_end().to_owned())),
            _ if is_off(&answer) => Ok(None),
            _ => Err(self.failed(name, answer).await),
        }
    }

    /// Sets a point.
    ///
    /// # Errors
    ///
    /// [`GofailError::NoSuchPoint`] and others.
    pub async fn set(&self, name: &str, terms: &Terms) -> Result<(), GofailError> {
        let answer = self.ask("PUT", name, &terms.to_string()).await?;
        match answer.status {
            200..300 => Ok(()),
            _ => Err(self.failed(name, answer).await),
        }
    }

    /// Switches a point off; says whether it was on. Whoever sleeps in it
    /// sleeps on.
    ///
    /// # Errors
    ///
    /// [`GofailError::NoSuchPoint`] and others.
    pub async fn clear(&self, name: &str) -> Result<bool, GofailError> {
        let answer = self.ask("DELETE", name, "").await?;
        match answer.status {
            200..300 => Ok(true),
            _ if is_off(&answer) => Ok(false),
            _ => Err(self.failed(name, answer).await),
        }
    }

    /// How often a point has acted since it was set; none if it is off.
    /// Releases of gofail before 0.2 cannot tell: to them there is no such
    /// point.
    ///
    /// # Errors
    ///
    /// [`GofailError::NoSuchPoint`] and others.
    pub async fn count(&self, name: &str) -> Result<Option<u64>, GofailError> {
        let answer = self.ask("GET", &format!("{name}/count"), "").await?;
        match (answer.status, answer.body.trim().parse()) {
            (200, Ok(count)) => Ok(Some(count)),
            _ if is_off(&answer) => Ok(None),
            _ => Err(self.failed(name, answer).await),
        }
    }

    async fn failed(&self, name: &str, answer: Answer) -> GofailError {
        if !answer.body.contains("does not exist") {
            return self.refused(answer);
        }
        let all = self.list().await.unwrap_or_default();
        let mut near: Vec<_> = all
            .into_iter()
            .map(|one| (strsim::normalized_levenshtein(&one.name, name), one.name))
            .collect();
        near.sort_by(|(a, one), (b, other)| b.total_cmp(a).then(one.cmp(other)));
        GofailError::NoSuchPoint {
            address: self.address,
            name: name.to_owned(),
            nearest: near.into_iter().take(5).map(|(_, name)| name).collect(),
        }
    }

    fn refused(&self, answer: Answer) -> GofailError {
        GofailError::Refused {
            address: self.address,
            status: answer.status,
            said: answer.body.trim().chars().take(500).collect(),
        }
    }

    /// One request on a connection of its own. By HTTP/1.0, so that the body
    /// is not chunked and ends with the connection.
    async fn ask(&self, method: &str, path: &str, body: &str) -> Result<Answer, GofailError> {
        super::check_name(path)?;
        let request = format!(
            "{method} /{path} HTTP/1.0\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            let read = stream.take(ANSWER_LIMIT).read_to_end(&mut answer).await;
            // A process that a point has just killed answers first, and resets
            // what it did not read.
            match read {
                Err(error) if answer.is_empty() => Err(error),
                _ => Ok(answer),
            }
        };
        let unreachable = |reason| GofailError::Unreachable {
            address: self.address,
            reason,
        };
        let answer = timeout(REQUEST_LIMIT, exchange)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
            .map_err(unreachable)?;
        parse(&answer).ok_or_else(|| unreachable(io::Error::other("its answer is no whole HTTP")))
    }
}

/// gofail says so with three different codes.
fn is_off(answer: &Answer) -> bool {
    answer.body.contains("failpoint is disabled")
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let first = lines.next()?.strip_prefix("HTTP/1.")?;
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let same = name.eq_ignore_ascii_case("content-length");
        same.then(|| value.trim().parse::<usize>().ok())?
    });
    let body = match length {
        Some(length) => body.get(..length)?,
        None => body,
    };
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}
