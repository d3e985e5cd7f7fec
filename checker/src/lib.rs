//! History in, verdict out: no async, no network, no clock.
//!
//! | question | engine | answer |
//! | --- | --- | --- |
//! | Is a history of etcd's key-value API linearizable? | [`linearizable::check`]: the order of revisions, near-linear | [`Outcome`](linearizable::Outcome): `Holds { order }`, `Violated { witness }`, `Inconclusive { reached, why }` |
//! | Is one of any other object, whose [`Model`](generic::Model) is in [`models`] or yours? | [`generic::check`]: just-in-time linearization | [`Verdict`](generic::Verdict): the same three |
//! | Of registers whose values are unique? | [`zones::check`]: Gibbons & Korach's zones, blind to revisions | [`Outcome`](zones::Outcome) |
//! | Of transactions on lists? | [`transactions::check`]: Elle's anomalies, blind to revisions | [`Outcome`](transactions::Outcome): the same three, with anomalies by name |
//! | Did a whole run keep its promises? | [`judge`]: all [`checks`], the engines held against each other | [`Judgement`](verdict::Judgement), with its [`Exit`](verdict::Exit) |
//! | A file of another tool? | [`import::judge()`] | [`Judged`](import::judge::Judged) |
//!
//! Every `Holds` rests on an order that was replayed, answer by answer; every `Violated` on a proof
//! that stands alone; what neither can be said of is `Inconclusive`, with how far the search came.
//! Options bound what is tried and the bytes held, and take a stop flag; the generic engine judges
//! independent parts on threads.
//!
//! ```
//! use checker::import::{Format, judge, judge::Options, read_bytes};
//! use checker::verdict::Verdict;
//!
//! let log = "INFO  jepsen.util - 0 :invoke :write 1
//! INFO  jepsen.util - 0 :ok :write 1
//! INFO  jepsen.util - 1 :invoke :read nil
//! INFO  jepsen.util - 1 :ok :read 2
//! ";
//! let history = read_bytes(log.as_bytes(), Format::JepsenLog).unwrap();
//! let judged = judge(&history, &Options::default()).unwrap();
//! assert_eq!(judged.report.verdict, Verdict::Violated);
//! assert_eq!(judged.exit().code(), 1);
//! println!("{}", judged.report.summary);
//! ```
//!
//! The files of a run are in [`history`], the sequential store in [`model`]. What to read: M. Herlihy
//! and J. Wing, *Linearizability*, TOPLAS 1990; the papers behind each engine are named in its
//! module.
#![forbid(unsafe_code)]

pub mod checks;
pub mod export;
pub mod generic;
pub mod history;
pub mod import;
pub mod judge;
pub mod linearizable;
pub mod model;
pub mod models;
pub mod stats;
pub mod transactions;
pub mod verdict;
pub mod zones;
