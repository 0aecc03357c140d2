//! Logs: one JSON line per event on standard error.

use anyhow::Context as _;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For a person at a terminal.
    Text,
}

/// lapin reports as errors what we handle and log ourselves, so it is silent
/// unless a directive asks for it (`info,lapin=warn`).
const BEFORE: &str = "lapin=off";

/// lapin logs a returned message with its whole body; message text never
/// belongs in a log.
const AFTER: &str = "lapin::returned_messages=off";

/// Installs the global subscriber. `level` is a level (`info`) or a list of
/// `tracing` filter directives (`info,roost_bus=debug`).
///
/// # Errors
/// When the level cannot be parsed or a subscriber is already installed.
pub fn init(format: LogFormat, level: &str) -> anyhow::Result<()> {
    let filter = filter(level)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
        LogFormat::Text => lines.try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("cannot install log subscriber: {error}"))
}

fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(format!("{BEFORE},{level},{AFTER}"))
        .with_context(|| format!("cannot parse log level {level:?}"))
}

/// Whether `level` is something [`init`] takes; the reason where it isn't.
pub(crate) fn check_level(level: &str) -> Result<(), String> {
    filter(level)
        .map(|_| ())
        .map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_parse_and_nonsense_does_not() {
        assert!(check_level("info").is_ok());
        assert!(check_level("warn,roost_bus=debug").is_ok());
        assert!(check_level("info,roost_bus=loudest").is_err());
    }
}
