//! Disks over FUSE: what programs see of each fault, and that nothing stays.

#[path = "disk/bench.rs"]
mod bench;
#[path = "disk/errors.rs"]
mod errors;
#[path = "disk/loss.rs"]
mod loss;
#[path = "disk/mapped.rs"]
mod mapped;
#[path = "disk/member.rs"]
mod member;
#[path = "disk/rounds.rs"]
mod rounds;
