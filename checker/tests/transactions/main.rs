//! Anomalies of list-append transactions.

mod by_hand;
mod guarded;
mod large;
mod oracle;
mod random;
mod simulate;
mod text;
