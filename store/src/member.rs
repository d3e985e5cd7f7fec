//! A member as a process: flags, signals, exit codes.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Flags};
use crate::server::{Ending, Server};
use crate::service::Listeners;
use crate::{failpoint, log};

/// Wrong flags (`EX_USAGE`).
const USAGE: u8 = 64;
/// Threads that requests are served on.
const THREADS: usize = 4;

/// Runs a member until it is told to end, with the flags behind the program's name. Ends the process
/// by itself where it cannot go on: with code 1 and a fatal line, or with code 2 after a panic.
///
/// Gives 0 in the end, and 64 for wrong flags.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = std::iter::once("etcd".into()).chain(args);
    let config = match Flags::try_parse_from(args) {
        Ok(flags) if flags.version => {
            println!("etcd Version: {}", crate::ETCD_VERSION);
            let version = env!("CARGO_PKG_VERSION");
            println!("gauntlet's embedded store {version}, which behaves as that release does");
            return ExitCode::SUCCESS;
        }
        Ok(flags) => flags.settle(),
        Err(error) => {
            // Where it cannot be printed nobody reads it.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp => ExitCode::SUCCESS,
                _ => ExitCode::from(USAGE),
            };
        }
    };
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            log::line(
                "error",
                "failed to verify flags",
                &log::json!({ "error": format!("{error:#}") }),
            );
            return ExitCode::from(USAGE);
        }
    };
    failpoint::panic_hook();
    if let Err(error) = failpoint::start() {
        crate::fatal!("failed to start failpoints", "error": error.to_string());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(live(config)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::fatal!("discovery failed", "error": format!("{error:#}")),
    }
}

async fn live(config: Config) -> anyhow::Result<()> {
    let bugs: Vec<_> = config
        .bugs
        .iter()
        .map(|bug| format!("#{bug}: {}", bug.title()))
        .collect();
    crate::info!("embedded store",
        "name": config.name, "etcd-version": crate::ETCD_VERSION,
        "data-dir": config.data_dir.display().to_string(), "planted-bugs": bugs);
    let listeners = Listeners::bind(&config.listen_client_urls)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(config).await?;
    let serve = async {
        tokio::select! {
            () = server.publish() => listeners.serve(&server).await,
            _ = server.ending() => Ok(()),
        }
    };
    let wait = async {
        let name = tokio::select! {
            _ = terminate.recv() => "terminated",
            _ = interrupt.recv() => "interrupt",
            Ending::Removed = server.ending() => return leave().await,
        };
        crate::info!("received signal; shutting down", "signal": name);
    };
    let stop = async {
        wait.await;
        server.stop().await;
        Ok(())
    };
    tokio::try_join!(serve, stop)?;
    Ok(())
}

/// Others hear of the removal before this member is gone.
async fn leave() {
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    crate::warning!("server error",
        "error": "the member has been permanently removed from the cluster");
    crate::warning!("data-dir used by this member must be removed");
}
