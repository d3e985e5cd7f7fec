//! `gauntlet doctor`.

use std::path::PathBuf;

use checker::verdict::Exit;
use clap::Args as ClapArgs;
use failpoints::process::{SpawnSpec, Spawner};

use super::runtime;
use crate::capabilities::Capability;
use crate::console::outln;
use crate::install;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Where run directories would go.
    #[arg(long, default_value = "runs")]
    out: PathBuf,
}

/// One thing tried on this machine.
struct Finding {
    what: &'static str,
    result: Result<String, String>,
    remedy: &'static str,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Exit> {
    let launcher = std::env::current_exe()?;
    let capabilities = Capability::ALL.map(|capability| Finding {
        what: capability.name(),
        result: capability.probe(&launcher),
        remedy: capability.remedy(),
    });
    let mut findings = vec![
        Finding {
            what: "ports",
            result: ports(),
            remedy: "free some ports below the range in /proc/sys/net/ipv4/ip_local_port_range",
        },
        Finding {
            what: "processes",
            result: processes(),
            remedy: "members are started through this executable again: allow it to be executed",
        },
        Finding {
            what: "link cuts",
            result: link_cuts(),
            remedy: "reading /proc/net/tcp and /proc/<pid>/fd of own processes must be allowed",
        },
        Finding {
            what: "disk",
            result: disk(&args.out),
            remedy: "choose another place with --out, or free some space",
        },
        Finding {
            what: "open files",
            result: open_files(),
            remedy: "raise the limit: ulimit -n 4096",
        },
        Finding {
            what: "etcd",
            result: etcd(),
            remedy: "gauntlet etcd install 3.5.16, or give --store /path/to/etcd",
        },
        Finding {
            what: "gofail",
            result: gofail(),
            remedy: "connections on loopback must be allowed",
        },
    ];
    findings.extend(capabilities);
    let mut off = 0;
    for finding in &findings {
        match &finding.result {
            Ok(detail) => outln!("ok   {:<22} {detail}", finding.what),
            Err(why) => {
                off += 1;
                outln!("OFF  {:<22} {why}", finding.what);
                outln!("     {:<22} {}", "", finding.remedy);
            }
        }
    }
    outln!(
        "{} of {} work on this machine",
        findings.len() - off,
        findings.len()
    );
    Ok(if off == 0 {
        Exit::Holds
    } else {
        Exit::NothingRan
    })
}

fn gofail() -> Result<String, String> {
    let runtime = runtime().map_err(|error| error.to_string())?;
    let tried = runtime.block_on(failpoints::gofail::probe());
    tried.map_err(|error| error.to_string())?;
    Ok("failpoints of binaries built with it can be set over loopback".into())
}

fn ports() -> Result<String, String> {
    let leases: Result<Vec<_>, _> = (0..15).map(|_| failpoints::ports::lease()).collect();
    let leases = leases.map_err(|error| error.to_string())?;
    let all: Vec<_> = leases
        .iter()
        .map(failpoints::ports::PortLease::port)
        .collect();
    Ok(format!(
        "15 leased for five members, the first is {}",
        all[0]
    ))
}

fn processes() -> Result<String, String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let launcher = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut spec = SpawnSpec::new(launcher, "/bin/sleep", dir.path().join("log"));
    spec.args = vec!["60".into()];
    let spawner = Spawner::new().map_err(|error| error.to_string())?;
    let process = spawner
        .spawn_blocking(spec)
        .map_err(|error| error.to_string())?;
    process.pause().map_err(|error| error.to_string())?;
    process.resume().map_err(|error| error.to_string())?;
    process.kill().map_err(|error| error.to_string())?;
    let runtime = runtime().map_err(|error| error.to_string())?;
    let status = runtime.block_on(process.exit());
    Ok(format!(
        "started, paused, resumed and killed one ({status})"
    ))
}

fn link_cuts() -> Result<String, String> {
    failpoints::network::probe()?;
    Ok("the dialling member of a connection can be found by its socket".into())
}

fn disk(out: &std::path::Path) -> Result<String, String> {
    std::fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let stat = nix::sys::statvfs::statvfs(out).map_err(|error| error.to_string())?;
    let free_mib = (stat.blocks_available() * stat.fragment_size()) >> 20;
    if free_mib < 1024 {
        return Err(format!(
            "{} has {free_mib} MiB free; a run may need 500",
            out.display()
        ));
    }
    let probe = out.join(".doctor");
    let start = std::time::Instant::now();
    for _ in 0..20 {
        std::fs::write(&probe, [0; 512])
            .and_then(|()| std::fs::File::open(&probe)?.sync_data())
            .map_err(|error| format!("{}: {error}", probe.display()))?;
    }
    let fsync_ms = start.elapsed().as_secs_f64() * 1000.0 / 20.0;
    let _ = std::fs::remove_file(&probe);
    Ok(format!(
        "{free_mib} MiB free in {}, a synced write takes {fsync_ms:.2} ms",
        out.display()
    ))
}

fn open_files() -> Result<String, String> {
    let (soft, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .map_err(|error| error.to_string())?;
    if soft < 1024 {
        Err(format!("only {soft}"))
    } else {
        Ok(format!("{soft}"))
    }
}

fn etcd() -> Result<String, String> {
    let options = install::Options::from_env().map_err(|error| error.to_string())?;
    let listing = install::list(&options).map_err(|error| error.to_string())?;
    if listing.installed.is_empty() {
        return Err("no release is installed".into());
    }
    let versions: Vec<_> = listing
        .installed
        .iter()
        .map(|one| one.version.to_string())
        .collect();
    Ok(versions.join(", "))
}
