//! Builds the binaries that the other commands run.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{process, state};

/// Which of cargo's profiles.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// Quick to run.
    Release,
}

/// The built programs.
#[derive(Debug)]
pub(crate) struct Binaries {
    pub(crate) roost: PathBuf,
    pub(crate) simulator: PathBuf,
    pub(crate) bench: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}

impl Binaries {
    /// Where cargo puts them.
    pub(crate) fn of(profile: Profile) -> Self {
        let dir = target_dir().join(match profile {
            Profile::Dev => "debug",
            Profile::Release => "release",
        });
        Self {
            roost: dir.join("roost"),
            simulator: dir.join("roost-simulator"),
            bench: dir.join("roost-bench"),
        }
    }
}

/// cargo's target folder, which the environment or a configuration file may have moved.
fn target_dir() -> PathBuf {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(state::checkout());
    process::output(&mut cargo)
        .ok()
        .and_then(|text| serde_json::from_str::<Metadata>(&text).ok())
        .map_or_else(
            || state::checkout().join("target"),
            |metadata| metadata.target_directory,
        )
}

/// The build of all binaries. Always the whole workspace: with one set of features nothing is
/// built twice.
pub(crate) fn command(profile: Profile) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(["build", "--workspace", "--bins"])
        .current_dir(state::checkout());
    match profile {
        Profile::Dev => {}
        Profile::Release => {
            command.arg("--release");
        }
    }
    command
}

/// Builds all binaries.
///
/// # Errors
/// When the build fails.
pub(crate) fn binaries(profile: Profile) -> Result<()> {
    process::run(&mut command(profile)).context("cannot build the binaries")
}
