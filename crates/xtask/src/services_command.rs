//! `cargo xtask services`: a private set of services for whoever needs one. The fault tests kill
//! and restart theirs through this command.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::services::{Service, Services as Set};
use crate::{provision, say, state};

/// Arguments of the command.
#[derive(Debug, Args)]
pub(crate) struct Services {
    /// Folder in which the set lives [default: the one of `cargo xtask test`]
    #[arg(long)]
    state: Option<PathBuf>,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Start all that don't run, wait until they are ready, print addresses and pids as JSON
    Start,
    /// Stop all; data and ports are kept
    Stop,
    /// Print addresses and pids as JSON
    Status,
    /// Start one again on the same port and data
    StartOne { service: Service },
    /// Stop one in good order
    StopOne { service: Service },
    /// Kill one with SIGKILL, its helper processes too
    KillOne { service: Service },
    /// Freeze one with SIGSTOP: it accepts connections and answers nothing
    PauseOne { service: Service },
    /// Let a frozen one go on
    ResumeOne { service: Service },
    /// Run rabbitmqctl against the set's broker
    Rabbitmqctl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Runs the command.
///
/// # Errors
/// When a service can't be found, started or stopped.
pub(crate) fn run(arguments: Services) -> Result<()> {
    let root = match arguments.state {
        Some(path) => path,
        None => state::default_dir("test")?,
    };
    match &arguments.act {
        Act::Start => provision::services(&Service::ALL)?,
        Act::StartOne { service } => provision::services(&[*service])?,
        Act::Stop
        | Act::Status
        | Act::StopOne { .. }
        | Act::KillOne { .. }
        | Act::PauseOne { .. }
        | Act::ResumeOne { .. }
        | Act::Rabbitmqctl { .. } => {}
    }
    let mut set = Set::open(&root)?;
    match arguments.act {
        Act::Start => {
            let missing: Vec<Service> = Service::ALL
                .into_iter()
                .filter(|one| set.running(*one).is_none())
                .collect();
            set.start_all(&missing)?;
        }
        Act::Stop => {
            for service in Service::ALL.into_iter().rev() {
                set.stop(service);
            }
        }
        Act::Status => {}
        Act::StartOne { service } => {
            set.start_all(&[service])?;
        }
        Act::StopOne { service } => set.stop(service),
        Act::KillOne { service } => set.kill(service)?,
        Act::PauseOne { service } => set.freeze(service, true)?,
        Act::ResumeOne { service } => set.freeze(service, false)?,
        Act::Rabbitmqctl { arguments } => {
            say::result(set.rabbitmqctl(&arguments)?);
            return Ok(());
        }
    }
    say::result(serde_json::to_string_pretty(&set.describe()?)?);
    Ok(())
}
