//! The generic engine, against a plain search over all orders and against itself.

mod by_hand;
mod oracle;
mod random;
mod subjects;
