//! What a person and a program are told once everything is ready.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::agents::Member;
use super::settings::{APP, BRAND_ACCOUNT, BRAND_HANDLE, Settings};
use crate::{say, state};

fn path() -> Result<PathBuf> {
    Ok(state::tools_dir()?.join("dev.json"))
}

/// Writes `.roost/dev.json`, in the checkout wherever the state lives.
///
/// # Errors
/// When it can't be written.
pub(super) fn write(settings: &Settings, members: &[Member]) -> Result<()> {
    state::write_json(&path()?, &describe(settings, members))
}

/// Removes it: what it names is gone.
pub(super) fn remove() {
    if let Ok(path) = path() {
        // It may never have been written.
        std::fs::remove_file(path).ok();
    }
}

fn describe(settings: &Settings, members: &[Member]) -> Value {
    json!({
        "gateway_url": settings.gateway_url,
        "ingester_url": settings.ingester_url,
        "simulator_url": settings.has_simulator.then_some(&settings.simulator_url),
        "mailbox_url": settings.has_simulator.then(|| format!("{}/mailbox", settings.simulator_url)),
        "stream_url": settings.stream_url,
        "members": members,
        "x_app": {
            "name": APP,
            "consumer_key": settings.consumer_key,
            "consumer_secret": settings.consumer_secret,
            "account_id": BRAND_ACCOUNT,
            "handle": BRAND_HANDLE,
        },
        "database_url": settings.database_url,
        "redis_url": settings.redis_url,
        "amqp_url": settings.amqp_url,
    })
}

/// Prints addresses and sign-ins.
pub(super) fn print(settings: &Settings, members: &[Member], took: Duration) {
    say::result(format!("\nRoost is ready (after {} s)\n", took.as_secs()));
    say::result(format!("  API        {}", settings.gateway_url));
    say::result(format!("  stream     {}", settings.stream_url));
    say::result(format!(
        "  webhooks   {}/webhooks/x/{APP}",
        settings.ingester_url
    ));
    if settings.has_simulator {
        say::result(format!(
            "  phone      {}   (write to @{BRAND_HANDLE})",
            settings.simulator_url
        ));
        say::result(format!("  mailbox    {}/mailbox", settings.simulator_url));
    }
    say::result("\n  sign-ins");
    for member in members {
        let Member {
            name,
            email,
            password,
            role,
        } = member;
        say::result(format!("    {role:<11}{email:<34}{password:<24}{name}"));
    }
    say::result("\n  all of this for programs: .roost/dev.json; Ctrl-C stops everything\n");
}
