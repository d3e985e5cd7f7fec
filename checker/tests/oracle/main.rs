//! Every engine on small histories against two others that share nothing with them: stateright's
//! `LinearizabilityTester`, and the plain search of Wing, Gong and Lowe.
//!
//! Default case counts are for a debug build in seconds; `PROPTEST_CASES` raises them.

#[path = "../linearizable/history.rs"]
#[expect(dead_code, unused_imports, reason = "shared with tests")]
mod history;
#[path = "../linearizable/mutate.rs"]
mod mutate;
#[path = "../linearizable/simulate.rs"]
mod simulate;
#[path = "../generic/subjects.rs"]
#[expect(dead_code, reason = "shared with tests")]
mod subjects;
#[path = "../../benches/support/wgl.rs"]
mod wgl;

mod etcd;
mod judges;
mod models;
mod registers;

use proptest::prelude::ProptestConfig;

fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|n| n.parse().ok()).unwrap_or(cases),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
