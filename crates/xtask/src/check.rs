//! `cargo xtask check`: what CI checks without running a test.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{arch, binaries, process, say, state};

/// Arguments of the command.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Also run cargo-deny, cargo-machete and typos, which must be installed by hand
    #[arg(long)]
    tools: bool,
}

/// A tool that is built from source and therefore not part of CI.
struct Tool {
    program: &'static str,
    package: &'static str,
    arguments: &'static [&'static str],
}

const TOOLS: [Tool; 3] = [
    Tool {
        program: "cargo-deny",
        package: "cargo-deny",
        arguments: &["deny", "check", "bans", "licenses", "sources"],
    },
    Tool {
        program: "cargo-machete",
        package: "cargo-machete",
        arguments: &["machete"],
    },
    Tool {
        program: "typos",
        package: "typos-cli",
        arguments: &[],
    },
];

/// Runs every check and reports all that fail.
///
/// # Errors
/// When a check fails.
pub(crate) fn run(arguments: &Check) -> Result<()> {
    formatting()?;
    lints()?;
    arch::run()?;
    documentation()?;
    if arguments.tools {
        tools()?;
    }
    Ok(())
}

/// `cargo fmt --check`.
///
/// # Errors
/// When a file isn't formatted.
pub(crate) fn formatting() -> Result<()> {
    say::title("formatting");
    cargo(&["fmt", "--all", "--check"]).context("run `cargo fmt --all`")
}

/// clippy, its warnings as errors.
///
/// # Errors
/// When it finds something.
pub(crate) fn lints() -> Result<()> {
    say::title("lints");
    cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])
}

/// The examples in doc comments, which nextest doesn't run.
///
/// # Errors
/// When one fails.
pub(crate) fn examples() -> Result<()> {
    say::title("examples in the documentation");
    cargo(&["test", "--workspace", "--doc", "--quiet"])
}

fn documentation() -> Result<()> {
    say::title("documentation");
    let mut command = Command::new("cargo");
    command
        .args([
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
            "--quiet",
        ])
        .env("RUSTDOCFLAGS", "-D warnings")
        .current_dir(state::checkout());
    process::run(&mut command)
}

fn tools() -> Result<()> {
    let mut missing = Vec::new();
    for tool in &TOOLS {
        if binaries::program(tool.program).is_none() {
            missing.push(tool.package);
            continue;
        }
        say::title(tool.program);
        let program = if tool.arguments.is_empty() {
            tool.program
        } else {
            "cargo"
        };
        process::run(
            Command::new(program)
                .args(tool.arguments)
                .current_dir(state::checkout()),
        )?;
    }
    if !missing.is_empty() {
        let names = missing.join(" ");
        bail!("not run: {names}; install them by `cargo install --locked {names}`");
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> Result<()> {
    process::run(
        Command::new("cargo")
            .args(arguments)
            .current_dir(state::checkout()),
    )
}
