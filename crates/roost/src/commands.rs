//! What an operator runs by hand or by script. Standard output carries only the answer.

pub(crate) mod audit;
pub(crate) mod brand;
pub(crate) mod database;
pub(crate) mod dead;
pub(crate) mod keys;
pub(crate) mod seed;
pub(crate) mod sla;

use std::io::Write as _;

use roost_service::{Config, telemetry};

/// Reads the configuration that a command needs and starts logging.
pub(crate) fn configure(required: &[&str]) -> anyhow::Result<Config> {
    let config = Config::load_for(required)?;
    telemetry::init(config.log.format, &config.log.level)?;
    Ok(config)
}

/// Prints an answer.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}
