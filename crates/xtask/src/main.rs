//! Development commands: `cargo xtask dev`, `cargo xtask test` and what they are made of.
//!
//! It must stay small: everyone waits for its build before anything else happens. So no async
//! runtime, no database or broker client; services are spoken to by their own programs, and
//! Roost by HTTP. Start reading at [`dev`].

mod account;
mod address;
mod arch;
mod backing;
mod bench;
mod binaries;
mod build;
mod check;
mod clients;
mod dev;
mod http;
mod interrupt;
mod process;
mod provision;
mod say;
mod services;
mod services_command;
mod state;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Development commands of Roost.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run all of Roost here, with a demo brand and customers who write
    Dev(dev::Dev),
    /// Start, stop, kill and inspect a private set of PostgreSQL, Redis and RabbitMQ
    Services(services_command::Services),
    /// Check formatting, lints, dependency rules and documentation
    Check(check::Check),
    /// Run everything that CI runs
    Test(test::Test),
    /// Run a bench on release builds
    Bench(bench::Bench),
    /// Check who depends on whom, and a few rules about sources
    Arch,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is::<process::AlreadySaid>() {
                say::failure(format!("{error:#}"));
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    interrupt::install()?;
    match arguments.command {
        Command::Dev(command) => dev::run(&command),
        Command::Services(command) => services_command::run(command),
        Command::Check(command) => check::run(&command),
        Command::Test(command) => test::run(&command),
        Command::Bench(command) => bench::run(&command),
        Command::Arch => arch::run(),
    }
}
