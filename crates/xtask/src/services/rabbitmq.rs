//! A private RabbitMQ node: its own cookie, its own epmd, nothing read from /etc or written to /var.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Service, Services, probe};
use crate::{binaries, process, say};

/// The broker's administrator, who replaces the well-known `guest`.
pub(super) const USER: &str = "roost";

const NODE: &str = "roost@localhost";
const DIST_PORT: &str = "rabbitmq-dist";
const EPMD_PORT: &str = "rabbitmq-epmd";

/// Two schedulers and no busy waiting: the broker shares a small machine with builds and tests.
/// Without the last setting the distribution port listens on every address.
const ERLANG: &str = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none \
                      -kernel inet_dist_use_interface {127,0,0,1}";

/// Writes the settings and makes the command that serves them.
pub(super) fn prepare(services: &mut Services) -> Result<Command> {
    let bin = binaries::rabbitmq_bin().context("RabbitMQ is not installed")?;
    let port = services.state.port(Service::Rabbitmq.name())?;
    let dist_port = services.state.port(DIST_PORT)?;
    services.state.port(EPMD_PORT)?;
    let password = services.state.password(Service::Rabbitmq.name())?;
    let dir = services.state.path("rabbitmq");
    for part in ["", "home", "conf", "mnesia", "log"] {
        services.service_dir(&dir.join(part))?;
    }
    // Quorum queues keep their log in memory: a small watermark would raise the alarm under any
    // load, and a large log segment would fill it.
    let config = format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\n\
         default_user = {USER}\n\
         default_pass = {password}\n\
         raft.wal_max_size_bytes = 64000000\n\
         vm_memory_high_watermark.absolute = 1GiB\n\
         disk_free_limit.absolute = 1GB\n\
         log.console = false\n\
         log.file = rabbitmq.log\n"
    );
    services.service_file(&dir.join("conf/rabbitmq.conf"), &config)?;
    services.service_file(&dir.join("conf/plugins"), "[].\n")?;
    services.service_file(&dir.join("conf/env.conf"), "")?;
    let mut command = services.command(&bin.join("rabbitmq-server"));
    environment(services, &mut command)?;
    command
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", dist_port.to_string())
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG)
        // The start script then replaces itself by the node, as under systemd: one process to
        // watch, and a SIGTERM that reaches it.
        .env("RUNNING_UNDER_SYSTEMD", "true");
    Ok(command)
}

/// What the node and its command-line tools must agree on.
fn environment(services: &Services, command: &mut Command) -> Result<()> {
    let dir = services.state.path("rabbitmq");
    let epmd_port = services
        .state
        .known_port(EPMD_PORT)
        .context("RabbitMQ was never started here")?;
    command
        .env("HOME", dir.join("home"))
        .env("RABBITMQ_NODENAME", NODE)
        .env("ERL_EPMD_PORT", epmd_port.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_MNESIA_BASE", dir.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", dir.join("log"))
        .env("RABBITMQ_PID_FILE", dir.join("node.pid"))
        .env("RABBITMQ_GENERATED_CONFIG_DIR", dir.join("conf/generated"))
        .env("RABBITMQ_CONFIG_FILE", dir.join("conf/rabbitmq"))
        .env("RABBITMQ_ADVANCED_CONFIG_FILE", dir.join("conf/advanced"))
        .env("RABBITMQ_CONF_ENV_FILE", dir.join("conf/env.conf"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("conf/plugins"));
    Ok(())
}

/// Whether it answers the AMQP header; `rabbitmqctl` takes up to 20 s to say the same.
pub(super) fn is_ready(services: &Services) -> bool {
    let Ok(port) = services.port(Service::Rabbitmq) else {
        return false;
    };
    probe(port, b"AMQP\x00\x00\x09\x01").is_some_and(|answer| !answer.is_empty())
}

/// Ends the private epmd, which outlives its node and refuses to go before it.
pub(super) fn stop_epmd(services: &Services) {
    let Some(port) = services.state.known_port(EPMD_PORT) else {
        return;
    };
    if probe(port, b"").is_none() && std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
        return;
    }
    let Some(epmd) = binaries::program("epmd") else {
        return;
    };
    let mut command = services.command(&epmd);
    command
        .env("ERL_EPMD_PORT", port.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .arg("-kill");
    if let Err(error) = process::output(&mut command) {
        say::step(format!(
            "the broker's epmd on port {port} stays behind: {error:#}"
        ));
    }
}

/// Runs `rabbitmqctl` with the node's own settings.
pub(super) fn control(services: &Services, arguments: &[String]) -> Result<String> {
    let bin = binaries::rabbitmq_bin().context("RabbitMQ is not installed")?;
    let mut command = services.command(&bin.join("rabbitmqctl"));
    environment(services, &mut command)?;
    process::output(command.args(arguments))
}
