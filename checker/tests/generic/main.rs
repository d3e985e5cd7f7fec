//! The generic engine, against a plain search over all orders and against itself.

mod budgets;
mod by_hand;
mod counted;
#[path = "../../benches/support/lean.rs"]
mod lean;
mod oracle;
mod random;
mod subjects;
#[path = "../../benches/support/wgl.rs"]
#[expect(dead_code, reason = "shared with benches")]
mod wgl;

#[global_allocator]
static COUNTED: counted::Counted = counted::Counted;
