//! `cargo xtask test`: everything that CI runs, on services of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::backing::Backing;
use crate::clients::{self, Clients};
use crate::services::Service;
use crate::{arch, binaries, build, check, process, provision, say, state};

/// Arguments of the command.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Run only the tests: no formatting, lints or dependency rules
    #[arg(long)]
    no_checks: bool,
    /// Leave out the tests that need Node and Python, and say so
    #[arg(long)]
    no_clients: bool,
    /// Run the storm test at its full size
    #[arg(long)]
    full_storm: bool,
    /// Passed on to the test runner
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When something can't be set up, or a check or test fails.
pub(crate) fn run(arguments: &Test) -> Result<()> {
    provision::build_tools()?;
    let mut running = Running::start("test")?;
    let begun = Instant::now();
    if !arguments.no_checks {
        check::formatting()?;
        check::lints()?;
        say::title("dependency rules");
        arch::run()?;
        check::examples()?;
    }
    let clients = if arguments.no_clients {
        say::title("LEFT OUT: the tests that drive the simulator with other people's clients");
        None
    } else {
        say::title("clients for the tests");
        Some(clients::prepare()?)
    };
    say::title("binaries");
    build::binaries(build::Profile::Dev)?;
    running.wait()?;
    say::title(format!("tests (set up in {} s)", begun.elapsed().as_secs()));
    let mut runner = runner(&arguments.arguments);
    let bins = build::Binaries::of(build::Profile::Dev);
    running.describe_to(&mut runner, &bins)?;
    describe_clients(&mut runner, clients.as_ref())?;
    if arguments.full_storm {
        runner.env("ROOST_TEST_STORM", "full");
    }
    process::run_last(&mut runner)
}

/// The test runner: nextest where it is installed.
fn runner(arguments: &[String]) -> Command {
    let has_nextest = binaries::program("cargo-nextest").is_some();
    let mut command = Command::new("cargo");
    if has_nextest {
        command.args(["nextest", "run"]);
    } else {
        command.arg("test");
    }
    command
        .arg("--workspace")
        .args(arguments)
        .current_dir(state::checkout());
    command
}

fn describe_clients(command: &mut Command, clients: Option<&Clients>) -> Result<()> {
    match clients {
        Some(clients) => {
            command
                .env("ROOST_TEST_NODE", &clients.node)
                .env("ROOST_TEST_PYTHON", &clients.python)
                .env("PATH", clients::path_with(&clients.node)?);
        }
        None => {
            command.env("ROOST_TEST_NO_CLIENTS", "1");
        }
    }
    Ok(())
}

/// Services that are started beside the build and stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    backing: Backing,
    starting: Vec<crate::services::Starting>,
}

impl Running {
    /// Begins to start the services in the state folder called `name`.
    ///
    /// # Errors
    /// When one can't be started.
    pub(crate) fn start(name: &str) -> Result<Self> {
        let backing = Backing::open(name)?;
        let mut running = Self {
            backing,
            starting: Vec::new(),
        };
        for service in running.backing.own() {
            running.starting.push(running.backing.set.begin(service)?);
        }
        Ok(running)
    }

    /// Waits until all are ready.
    ///
    /// # Errors
    /// When one ends or doesn't answer in time.
    pub(crate) fn wait(&mut self) -> Result<()> {
        for starting in self.starting.iter_mut().rev() {
            self.backing.set.wait_ready(starting)?;
        }
        Ok(())
    }

    /// Tells a test runner or bench where everything is. Each name begins with `ROOST_TEST_`,
    /// which the binaries under test don't take for a setting.
    ///
    /// # Errors
    /// When a service was never started.
    pub(crate) fn describe_to(
        &mut self,
        command: &mut Command,
        binaries: &build::Binaries,
    ) -> Result<()> {
        for variable in [
            "ROOST_DATABASE_URL",
            "ROOST_REDIS_URL",
            "ROOST_AMQP_URL",
            "ROOST_CONFIG",
        ] {
            command.env_remove(variable);
        }
        command
            .env("ROOST_TEST_ADMIN_URL", self.backing.url(Service::Postgres)?)
            .env("ROOST_TEST_REDIS_URL", self.backing.url(Service::Redis)?)
            .env("ROOST_TEST_AMQP_URL", self.backing.url(Service::Rabbitmq)?)
            .env("ROOST_TEST_ROOST_BIN", &binaries.roost)
            .env("ROOST_TEST_SIMULATOR_BIN", &binaries.simulator)
            .env("ROOST_TEST_XTASK_BIN", own_path()?)
            .env("ROOST_TEST_CHECKOUT", state::checkout());
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.backing.stop();
    }
}

/// This program's path, also after a build has replaced its file.
fn own_path() -> Result<PathBuf> {
    let path = std::env::current_exe().context("cannot find this program's own path")?;
    let text = path.to_string_lossy();
    Ok(PathBuf::from(
        text.strip_suffix(" (deleted)").unwrap_or(&text),
    ))
}
