//! The linearizability check against hand-written histories, a brute-force oracle and a simulated
//! store.

mod against_oracle;
mod by_hand;
mod history;
mod mutate;
mod oracle;
mod simulate;
mod simulated;
