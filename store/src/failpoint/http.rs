//! gofail's HTTP endpoint (gofail's `runtime/http.go`).

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

use super::{FailpointError, NAMES, clear, pairs, set, status};

/// A connection has one request, and this much time for it.
const CONNECTION_LIMIT: Duration = Duration::from_secs(5);
/// So long a panic waits for answers that are under way.
const PANIC_LIMIT: Duration = Duration::from_secs(1);
const BODY_LIMIT: usize = 1 << 16;

/// Connections whose request has come and whose answer has not left.
static ANSWERING: AtomicUsize = AtomicUsize::new(0);

struct Answering;

impl Answering {
    fn new() -> Self {
        ANSWERING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        ANSWERING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until answers that are under way have left, so that a panic does not take the answer to
/// the request that asked for it.
pub(super) fn let_answers_out() {
    let until = Instant::now() + PANIC_LIMIT;
    while ANSWERING.load(Ordering::SeqCst) > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Serves on a thread of its own: it has to answer while every other thread is held.
pub(super) fn start(listener: TcpListener) -> std::io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("failpoints".to_owned())
        .spawn(move || runtime.block_on(accept(listener)))?;
    Ok(address)
}

async fn accept(listener: TcpListener) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => crate::fatal!("cannot serve failpoints", "error": error.to_string()),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream))),
            Err(error) => {
                crate::warning!("failpoints: cannot accept", "error": error.to_string());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: tokio::net::TcpStream) {
    let answering = OnceLock::new();
    let service = service_fn(|request: Request<Incoming>| {
        answering.get_or_init(Answering::new);
        async { Ok::<_, Infallible>(answer(request).await) }
    });
    let served = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes away or says nothing is its own affair.
    let _ = tokio::time::timeout(CONNECTION_LIMIT, served).await;
}

fn said(code: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = code;
    response
}

fn refused(code: StatusCode, why: String) -> Response<Full<Bytes>> {
    said(code, why + "\n")
}

async fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let key = head.uri.path().trim_start_matches('/');
    match head.method {
        Method::GET => get(key),
        Method::PUT => match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => put(key, &String::from_utf8_lossy(&body.to_bytes())),
            Err(_) => refused(StatusCode::BAD_REQUEST, "failed ReadAll in PUT".to_owned()),
        },
        Method::DELETE => match clear(key) {
            Ok(()) => said(StatusCode::NO_CONTENT, String::new()),
            Err(why) => refused(
                StatusCode::BAD_REQUEST,
                format!("failed to delete failpoint {why}"),
            ),
        },
        _ => {
            let why = "Method not allowed".to_owned();
            refused(StatusCode::METHOD_NOT_ALLOWED, why)
        }
    }
}

fn get(key: &str) -> Response<Full<Bytes>> {
    if key.is_empty() {
        return said(StatusCode::OK, list());
    }
    let failed = |code, why| refused(code, format!("failed to GET: {why}"));
    match key.strip_suffix("/count") {
        Some(name) => match status(name) {
            Ok((_, hits)) => said(StatusCode::OK, hits.to_string()),
            Err(why @ FailpointError::NoSuchName) => failed(StatusCode::NOT_FOUND, why),
            Err(why) => failed(StatusCode::INTERNAL_SERVER_ERROR, why),
        },
        None => match status(key) {
            Ok((text, _)) => said(StatusCode::OK, text + "\n"),
            Err(why) => failed(StatusCode::NOT_FOUND, why),
        },
    }
}

fn list() -> String {
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    let lines = names.into_iter().map(|name| {
        let text = status(name).map_or_else(|_| String::new(), |(text, _)| text);
        format!("{name}={text}\n")
    });
    lines.collect()
}

fn put(key: &str, body: &str) -> Response<Full<Bytes>> {
    let all = if key.eq_ignore_ascii_case("failpoints") {
        match pairs(body) {
            Ok(all) => all,
            Err(why) => return refused(StatusCode::BAD_REQUEST, why.to_string()),
        }
    } else {
        vec![(key, body)]
    };
    for (name, terms) in all {
        if let Err(why) = set(name, terms) {
            let why = format!("fail to set failpoint: {why}");
            return refused(StatusCode::BAD_REQUEST, why);
        }
    }
    said(StatusCode::NO_CONTENT, String::new())
}
