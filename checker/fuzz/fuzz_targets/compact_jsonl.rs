//! The reader of `Format::CompactJsonl`.
#![no_main]

#[path = "../body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(checker::import::Format::CompactJsonl, bytes));
