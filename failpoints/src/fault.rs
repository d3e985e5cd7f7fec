//! What every kind of fault has in common: it is injected, then healed.
//!
//! [`inject`] gives a fault to a task of its own and returns an [`Injected`]
//! guard. The task, not the caller, runs both steps to their end:
//!
//! * a caller cancelled while it waits for `inject` leaves no half-made fault;
//! * dropping the guard heals, as [`Injected::heal`] does, only unheard;
//! * a fault whose injection failed half-way is healed too.
//!
//! Faults compose: hold several guards. Where two touch the same thing (two
//! pauses of one member, two cuts of one link), it heals with the last.
//!
//! A runtime that shuts down cancels the tasks. What is left then falls to the
//! owners: dropping a [`Process`](crate::process::Process) kills it, dropping
//! the proxies closes their connections.

use std::future::Future;
use std::pin::Pin;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Whatever went wrong inside one fault.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One step of a fault, under way.
pub type Step<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>>;

/// Something that can be broken and mended.
///
/// The two steps are called once each, in order, by [`inject`]. A fault that
/// has nothing to mend (a defragmentation) answers `heal` at once; one that
/// waits to be hit (a breakpoint) is injected once it is armed.
pub trait Fault: Send + 'static {
    /// What it does to whom, for reports: `pause m2`.
    fn name(&self) -> String;

    /// Breaks it; resolves once the fault is in force.
    fn inject(&mut self) -> Step<'_>;

    /// Mends it; resolves once nothing of the fault is left. Also called after
    /// an injection that failed, to undo what it did manage.
    fn heal(&mut self) -> Step<'_>;
}

/// A step of a fault that failed.
#[derive(Debug, thiserror::Error)]
#[error("fault `{fault}`: {step}: {source}")]
pub struct FaultError {
    /// The fault's name.
    pub fault: String,
    /// `inject` or `heal`.
    pub step: &'static str,
    /// The reason.
    pub source: BoxError,
}

/// A fault in force. Heals when dropped.
#[derive(Debug)]
#[must_use = "dropping it heals the fault"]
pub struct Injected {
    name: String,
    release: oneshot::Sender<()>,
    keeper: JoinHandle<Result<(), FaultError>>,
}

impl Injected {
    /// The fault's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Heals, and waits until that is done. Cancelling the wait does not
    /// cancel the healing.
    ///
    /// # Errors
    ///
    /// The fault's own reason why it could not be healed, or its panic.
    pub async fn heal(self) -> Result<(), FaultError> {
        drop(self.release);
        join(self.name, self.keeper).await
    }
}

/// Puts a fault in force.
///
/// # Errors
///
/// The fault's own reason why it could not be injected; it has been healed
/// by then.
///
/// # Panics
///
/// Outside a tokio runtime.
pub async fn inject(mut fault: Box<dyn Fault>) -> Result<Injected, FaultError> {
    let name = fault.name();
    let (release, released) = oneshot::channel::<()>();
    let (report, reported) = oneshot::channel();
    let keeper = tokio::spawn({
        let name = name.clone();
        async move {
            let failed = |step| {
                let fault = name.clone();
                move |source| FaultError {
                    fault,
                    step,
                    source,
                }
            };
            let injected = fault.inject().await.map_err(failed("inject"));
            if injected.is_ok() {
                let _ = report.send(());
                let _ = released.await;
            }
            let healed = fault.heal().await.map_err(failed("heal"));
            injected.and(healed)
        }
    });
    if reported.await.is_ok() {
        return Ok(Injected {
            name,
            release,
            keeper,
        });
    }
    match join(name.clone(), keeper).await {
        Err(error) => Err(error),
        Ok(()) => Err(FaultError {
            fault: name,
            step: "inject",
            source: "ended without a report".into(),
        }),
    }
}

async fn join(fault: String, keeper: JoinHandle<Result<(), FaultError>>) -> Result<(), FaultError> {
    keeper.await.unwrap_or_else(|error| {
        Err(FaultError {
            fault,
            step: "keep",
            source: error.into(),
        })
    })
}
