//! The linearizability check against hand-written histories, a brute-force oracle and a simulated
//! store.

mod by_hand;
mod history;
