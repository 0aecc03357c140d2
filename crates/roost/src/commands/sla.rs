//! `roost sla`: whether the clocks are what the log gives.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use roost_domain::ids::BrandId;
use roost_store::sla_verify::{Difference, verify};

use super::{configure, print};

/// A command, or else the role.
#[derive(Debug, Args)]
pub(crate) struct Sla {
    #[command(subcommand)]
    pub(crate) command: Option<Act>,
}

/// What to do with them.
#[derive(Debug, Subcommand)]
pub(crate) enum Act {
    /// Rebuild every clock from messages, acts, policy and calendar, and name those that differ from the
    /// stored ones; fails if any does. Changes nothing.
    Verify {
        /// Only this brand's.
        #[arg(long)]
        brand: Option<BrandId>,
    },
    /// Run this role and these.
    #[command(external_subcommand)]
    Roles(Vec<String>),
}

pub(crate) async fn verify_all(brand: Option<BrandId>) -> anyhow::Result<()> {
    let config = configure(&["database_url"])?;
    let reports = verify(&config.database.url, brand)
        .await
        .context("cannot read the clocks")?;
    let mut differences = 0;
    for report in &reports {
        let word = if report.differences.is_empty() {
            "ok"
        } else {
            "DIFFERS"
        };
        print(&format!(
            "{}  {} conversations  {word}",
            report.brand, report.conversations
        ))?;
        for difference in &report.differences {
            print(&format!("  {}", describe(difference)))?;
        }
        differences += report.differences.len();
    }
    if differences > 0 {
        bail!("clocks are not what the log gives: {differences} differences");
    }
    Ok(())
}

fn describe(difference: &Difference) -> String {
    format!(
        "{} {} {}: {}",
        difference.conversation,
        difference.kind.as_str(),
        difference.clock,
        difference.what
    )
}
