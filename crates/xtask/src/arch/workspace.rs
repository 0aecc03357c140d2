//! The workspace as cargo describes it.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{process, state};

/// Our crates with their direct dependencies, and what the shipped binary is made of.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) packages: Vec<Package>,
    /// Names of all crates, ours included, in the normal tree of `roost`.
    pub(super) roost_tree: Vec<String>,
    /// Names of all crates in the normal tree of any crate of ours.
    pub(super) whole_tree: Vec<String>,
}

/// One crate of ours.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) dependencies: Vec<Dependency>,
}

/// A direct dependency.
#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// `null` is a normal one; else "dev" or "build".
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

impl Dependency {
    /// Whether it serves tests only.
    pub(super) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    /// When cargo fails.
    pub(super) fn read() -> Result<Self> {
        let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"])?;
        let mut workspace = Self::parse(&metadata)?;
        let tree = [
            "tree",
            "-e",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ];
        workspace.roost_tree = names(&cargo(&[&tree[..], &["-p", "roost"]].concat())?);
        workspace.whole_tree = names(&cargo(&[&tree[..], &["--workspace"]].concat())?);
        Ok(workspace)
    }

    /// Reads the answer of `cargo metadata --no-deps`.
    pub(super) fn parse(metadata: &str) -> Result<Self> {
        let metadata: Metadata =
            serde_json::from_str(metadata).context("cannot read cargo metadata")?;
        Ok(Self {
            packages: metadata.packages,
            ..Self::default()
        })
    }

    /// Whether a crate of that name is ours.
    pub(super) fn is_ours(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.name == name)
    }

    /// Every direct dependency as (crate, dependency).
    pub(super) fn edges(&self) -> impl Iterator<Item = (&str, &Dependency)> {
        self.packages.iter().flat_map(|package| {
            package
                .dependencies
                .iter()
                .map(|dependency| (package.name.as_str(), dependency))
        })
    }
}

fn names(tree: &str) -> Vec<String> {
    let mut names: Vec<String> = tree
        .lines()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    names
}

fn cargo(arguments: &[&str]) -> Result<String> {
    process::output(
        Command::new("cargo")
            .args(arguments)
            .current_dir(state::checkout()),
    )
}
