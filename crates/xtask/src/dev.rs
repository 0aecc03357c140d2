//! `cargo xtask dev`: all of Roost on this machine, with a demo brand and customers who write.
//!
//! Whatever ends the command (Ctrl-C, SIGTERM, a failure, a panic) drops [`Session`], which stops
//! all that it started, in reverse order, and nothing else.

mod agents;
mod channel;
mod external;
mod settings;
mod summary;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use rustix::process::Signal;
use serde::Deserialize;

use crate::backing::Backing;
use crate::build::{self, Binaries};
use crate::process::{self, Logged, ProcessId};
use crate::services::Starting;
use crate::{http, interrupt, provision, say, state};
use agents::{Agents, Member};
use settings::Settings;

/// How long a role may take from its start until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// A little more than the roles' own `shutdown_grace`.
const STOP_LIMIT: Duration = Duration::from_secs(25);
/// How many demo agents have a stream open.
const AGENTS_ONLINE: usize = 2;
/// The roles in the order in which they start: whoever takes events first.
const ROLES: [&str; 7] = [
    "gateway", "relay", "router", "sla", "sender", "inbox", "ingester",
];

/// Arguments of the command.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Forget all data of earlier runs
    #[arg(long)]
    reset: bool,
    /// Start no stand-in for X: no customers write, and nothing is sent
    #[arg(long)]
    no_simulator: bool,
    /// Run each role as a process of its own instead of all in one
    #[arg(long)]
    split: bool,
}

/// What `roost seed` prints.
#[derive(Debug, Deserialize)]
struct Seeded {
    members: Vec<Member>,
}

/// Runs the command until someone stops it.
///
/// # Errors
/// One sentence on what is missing or broken.
pub(crate) fn run(arguments: &Dev) -> Result<()> {
    let begun = Instant::now();
    provision::build_tools()?;
    let mut session = Session::open()?;
    let outcome = session.serve(arguments, begun);
    let stopped_by_hand = interrupt::is_stopping();
    say::title("stopping");
    drop(session);
    if stopped_by_hand { Ok(()) } else { outcome }
}

/// All that this command has started.
#[derive(Debug)]
struct Session {
    backing: Backing,
    services: Vec<Starting>,
    children: Vec<Logged>,
    agents: Agents,
    binaries: Binaries,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.agents.stop();
        self.stop_children();
        if !self.services.is_empty() {
            self.backing.stop();
        }
        summary::remove();
    }
}

impl Session {
    fn open() -> Result<Self> {
        let backing = Backing::open("dev")?;
        Ok(Self {
            backing,
            services: Vec::new(),
            children: Vec::new(),
            agents: Agents::default(),
            binaries: Binaries::of(build::Profile::Dev),
        })
    }

    /// Starts everything, says where it is, and waits.
    fn serve(&mut self, arguments: &Dev, begun: Instant) -> Result<()> {
        self.stop_left_over();
        if arguments.reset {
            self.backing.stop();
            self.backing.set.state.clear()?;
        }
        self.start_services_and_build()?;
        if arguments.reset {
            external::reset(&self.backing, &self.binaries)?;
        }
        let mut settings =
            Settings::make(&mut self.backing, &self.binaries, arguments.no_simulator)?;
        if !arguments.no_simulator {
            self.start_simulator(&settings)?;
            settings.learn_bearer_token()?;
        }
        let members = self.prepare_database(&settings)?;
        self.start_roles(&settings, arguments.split)?;
        if !arguments.no_simulator {
            channel::connect_demo_channel(&settings, &members)
                .context("cannot connect the demo account")?;
        }
        self.bring_agents_online(&settings, &members)?;
        summary::write(&settings, &members)?;
        summary::print(&settings, &members, begun.elapsed());
        self.watch()
    }

    /// Stops what an earlier run left behind when it was killed.
    fn stop_left_over(&self) {
        let names = ROLES.iter().copied().chain(["roost", "simulator"]);
        for name in names {
            let path = self.pid_file(name);
            if let Ok(Some(process)) = state::read_json::<ProcessId>(&path) {
                process.stop(Signal::TERM, STOP_LIMIT);
                // It isn't needed any more.
                std::fs::remove_file(&path).ok();
            }
        }
    }

    /// The broker is the slowest to start, so it starts first and the build runs beside it.
    fn start_services_and_build(&mut self) -> Result<()> {
        say::title("starting services and building (the first build takes some minutes)");
        for service in self.backing.own() {
            let starting = self.backing.set.begin(service)?;
            self.services.push(starting);
        }
        let mut build = Build::start()?;
        for starting in self.services.iter_mut().rev() {
            self.backing.set.wait_ready(starting)?;
        }
        build.wait()
    }

    fn prepare_database(&mut self, settings: &Settings) -> Result<Vec<Member>> {
        say::title("preparing the database");
        process::output(settings.roost(&self.binaries).arg("migrate"))?;
        let seeded = process::output(settings.roost(&self.binaries).arg("seed"))?;
        let seeded: Seeded =
            serde_json::from_str(&seeded).context("cannot read what `roost seed` printed")?;
        Ok(seeded.members)
    }

    fn start_simulator(&mut self, settings: &Settings) -> Result<()> {
        say::title("starting the simulator");
        let state = self.backing.set.state.path("simulator");
        state::make_dir(&state, 0o700)?;
        self.start("simulator", settings.simulator(&self.binaries, &state))?;
        self.wait_for(
            "simulator",
            &format!("{}/sim/health", settings.simulator_url),
        )
    }

    fn start_roles(&mut self, settings: &Settings, split: bool) -> Result<()> {
        say::title("starting Roost");
        if split {
            for role in ROLES {
                let mut command = settings.roost(&self.binaries);
                let ops = self.backing.set.state.port(&format!("ops-{role}"))?;
                command
                    .arg(role)
                    .env("ROOST_OPS_LISTEN", format!("127.0.0.1:{ops}"));
                self.start(role, command)?;
                self.wait_for(role, &format!("http://127.0.0.1:{ops}/readyz"))?;
            }
        } else {
            let mut command = settings.roost(&self.binaries);
            command.arg("all");
            self.start("roost", command)?;
            self.wait_for("roost", &format!("{}/readyz", settings.ops_url))?;
        }
        let last = if split { "ingester" } else { "roost" };
        self.wait_for(last, &format!("{}/readyz", settings.gateway_url))?;
        self.wait_for(last, &format!("{}/readyz", settings.ingester_url))
    }

    fn bring_agents_online(&mut self, settings: &Settings, members: &[Member]) -> Result<()> {
        let agents = members
            .iter()
            .filter(|member| member.role == "agent")
            .take(AGENTS_ONLINE);
        for member in agents {
            self.agents
                .add(&settings.gateway_url, &settings.stream_url, member);
        }
        let (all, children) = (&self.agents, &mut self.children);
        let online = interrupt::wait_until(READY_LIMIT, || {
            all.are_online() || children.iter_mut().any(|child| child.ended().is_some())
        })?;
        self.check_children()?;
        if !online {
            bail!(
                "the demo agents could not get online within {} s",
                READY_LIMIT.as_secs()
            );
        }
        Ok(())
    }

    fn start(&mut self, name: &str, command: Command) -> Result<()> {
        let log = self
            .backing
            .set
            .state
            .path("log")
            .join(format!("{name}.log"));
        let child = Logged::spawn(name, command, &log)?;
        state::write_json(&self.pid_file(name), &child.id)?;
        self.children.push(child);
        Ok(())
    }

    /// Waits until an address answers 200, while all that was started goes on running.
    fn wait_for(&mut self, name: &str, url: &str) -> Result<()> {
        let begun = Instant::now();
        while !http::is_ok(url) {
            self.check_children()?;
            if begun.elapsed() > READY_LIMIT {
                let tail = self
                    .children
                    .iter()
                    .find(|child| child.name == name)
                    .map(Logged::tail);
                bail!(
                    "{name} was not ready within {} s ({url}); {}",
                    READY_LIMIT.as_secs(),
                    tail.unwrap_or_default()
                );
            }
            interrupt::sleep(Duration::from_millis(50))?;
        }
        Ok(())
    }

    fn check_children(&mut self) -> Result<()> {
        for child in &mut self.children {
            child.check()?;
        }
        for service in &mut self.services {
            service.process.check()?;
        }
        Ok(())
    }

    /// Until someone stops us, or a part ends by itself.
    fn watch(&mut self) -> Result<()> {
        loop {
            interrupt::sleep(Duration::from_millis(250))?;
            self.check_children()?;
        }
    }

    fn stop_children(&mut self) {
        for mut child in std::mem::take(&mut self.children).into_iter().rev() {
            child.stop(Signal::TERM, STOP_LIMIT);
            // The next start would find it gone anyway.
            std::fs::remove_file(self.pid_file(&child.name)).ok();
        }
    }

    fn pid_file(&self, name: &str) -> std::path::PathBuf {
        self.backing.set.state.path(&format!("{name}.pid.json"))
    }
}

/// A build that runs beside other work, and is ended when that work fails.
#[derive(Debug)]
struct Build {
    child: Child,
    is_over: bool,
}

impl Build {
    fn start() -> Result<Self> {
        let child = build::command(build::Profile::Dev)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start cargo")?;
        Ok(Self {
            child,
            is_over: false,
        })
    }

    fn wait(&mut self) -> Result<()> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.is_over = true;
                if !status.success() {
                    bail!("the build failed ({status})");
                }
                return Ok(());
            }
            interrupt::sleep(Duration::from_millis(50))?;
        }
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        if !self.is_over {
            if let Ok(cargo) = ProcessId::of_spawned(self.child.id()) {
                cargo.stop(Signal::TERM, Duration::from_secs(5));
            }
            // Reaps it.
            self.child.wait().ok();
        }
    }
}
