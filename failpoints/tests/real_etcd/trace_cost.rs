//! What being armed costs etcd.

use std::time::{Duration, Instant};

use failpoints::trace::{Act, Arm, Point, SyscallStop};

use crate::member::{Member, Writers};
use crate::trace::{entry, tracer};

/// Writes a second while this is so.
async fn rate(writers: &Writers, time: Duration) -> f64 {
    let (before, start) = (writers.done(), Instant::now());
    tokio::time::sleep(time).await;
    (writers.done() - before) as f64 / start.elapsed().as_secs_f64()
}

/// Alternates armed and not, so that both see the same machine.
async fn cost(point: Point, turns: u32, turn: Duration) -> f64 {
    let member = Member::start().await;
    let tracer = tracer(&member).await;
    let writers = Writers::start(&member, 12);
    rate(&writers, turn).await;
    let (mut armed, mut free) = (0.0, 0.0);
    for _ in 0..turns {
        let arm = Arm::new("cost", point.clone(), Act::Report);
        let arm = tracer.arm(arm).await.unwrap();
        armed += rate(&writers, turn).await;
        tracer.disarm(arm).await.unwrap();
        free += rate(&writers, turn).await;
    }
    let turns = f64::from(turns);
    println!("armed {:.0}/s, not {:.0}/s", armed / turns, free / turns);
    assert_eq!(writers.failed(), 0);
    armed / free
}

fn turns() -> (u32, Duration) {
    match std::env::var("TRACE_COST").is_ok() {
        true => (20, Duration::from_secs(1)),
        false => (3, Duration::from_millis(200)),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ETCD"]
async fn an_armed_function_costs_nothing_until_it_is_hit() {
    let (turns, turn) = turns();
    let share = cost(entry("backend.defragdb"), turns, turn).await;
    println!("function armed, not hit: {:.1} % of unarmed", 100.0 * share);
    // At least 95 % when measured; a busy machine makes it noise.
    assert!(share > 0.5, "{share}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ETCD"]
async fn an_armed_system_call_costs_what_it_costs() {
    let (turns, turn) = turns();
    let point = Point::Syscall {
        calls: vec!["rename".into()],
        path: None,
        at: SyscallStop::Entry,
    };
    let share = cost(point, turns, turn).await;
    println!(
        "system call armed, not hit: {:.1} % of unarmed",
        100.0 * share
    );
    assert!(share > 0.02, "{share}");
}
