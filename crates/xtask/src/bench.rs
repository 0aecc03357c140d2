//! `cargo xtask bench NAME`: the benches of `tests/`, on release builds and services of their own.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::build::{self, Binaries, Profile};
use crate::test::Running;
use crate::{process, provision, say};

/// Arguments of the command.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Which bench, and what is passed on to it
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When something can't be set up, or the bench fails.
pub(crate) fn run(arguments: &Bench) -> Result<()> {
    provision::build_tools()?;
    let mut running = Running::start("bench")?;
    say::title("building in release mode; the first time takes some minutes");
    build::binaries(Profile::Release)?;
    running.wait()?;
    let binaries = Binaries::of(Profile::Release);
    let mut bench = Command::new(&binaries.bench);
    bench.args(&arguments.arguments);
    running.describe_to(&mut bench, &binaries)?;
    process::run_last(&mut bench)
}
