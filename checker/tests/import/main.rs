//! Other tools' histories: what is read, judged and written again.

mod by_hand;
mod etcd;
mod fuzz;
mod verdicts;
