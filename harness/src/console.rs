//! Printing that ends nothing: who reads it may have stopped.
//!
//! `println!` and `eprintln!` panic where nobody reads any more. After
//! `gauntlet run steady 2>&1 | head` the run would end in its middle, without a
//! verdict; here the rest is not shown, and the run goes on to its end.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// As `println!`.
macro_rules! outln {
    () => { $crate::console::out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::console::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// As `eprintln!`.
macro_rules! errln {
    ($($text:tt)*) => { $crate::console::err(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {errln, outln};

/// Set once standard output could not be written to for another reason than that nobody reads it.
static LOST: AtomicBool = AtomicBool::new(false);

/// To standard output. What cannot be written there, on a full disk for example, is said once on
/// standard error.
pub(crate) fn out(text: Arguments<'_>) {
    if let Err(error) = write(&mut io::stdout().lock(), text)
        && !LOST.swap(true, Ordering::Relaxed)
    {
        errln!("gauntlet: standard output: {error}; not all is shown");
    }
}

/// To standard error.
pub(crate) fn err(text: Arguments<'_>) {
    // Nowhere is left to say that it failed.
    let _ = write(&mut io::stderr().lock(), text);
}

fn write(to: &mut impl Write, text: Arguments<'_>) -> io::Result<()> {
    match to.write_fmt(text).and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
