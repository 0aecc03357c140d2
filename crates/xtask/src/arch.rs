//! `cargo xtask arch`: the arrows between the crates, and rules about sources that no lint knows.

mod rules;
mod source;
mod workspace;

use anyhow::{Result, bail};

use crate::say;
use workspace::Workspace;

/// Checks every rule and reports every violation.
///
/// # Errors
/// When a rule is violated, or cargo can't describe the workspace.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::read()?;
    let mut faults = Vec::new();
    for rule in &rules::RULES {
        for fault in (rule.check)(&workspace) {
            faults.push(format!(
                "{}: {fault} (never: {}; {})",
                rule.id, rule.never, rule.why
            ));
        }
    }
    faults.extend(source::check(&crate::state::checkout())?);
    for fault in &faults {
        say::failure(fault);
    }
    if !faults.is_empty() {
        bail!("{} violations of the rules of the house", faults.len());
    }
    say::step(format!(
        "{} dependency rules and the source rules hold",
        rules::RULES.len()
    ));
    Ok(())
}
