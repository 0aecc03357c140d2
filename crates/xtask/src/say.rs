//! What the commands tell the person at the terminal. Progress goes to standard error, so that
//! standard output holds only what another program may want to read.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the one place that talks to the terminal"
)]

use std::fmt::Display;

/// One line of progress.
pub(crate) fn step(text: impl Display) {
    eprintln!("  {text}");
}

/// A line that stands out: the name of the step that begins.
pub(crate) fn title(text: impl Display) {
    eprintln!("==> {text}");
}

/// The result of a command, for people and programs.
pub(crate) fn result(text: impl Display) {
    println!("{text}");
}

/// Why the command failed.
pub(crate) fn failure(text: impl Display) {
    eprintln!("xtask: {text}");
}
