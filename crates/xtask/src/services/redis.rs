//! A private Redis that keeps nothing: Roost must stand its loss.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Service, Services, probe};
use crate::binaries;

/// Writes the settings and makes the command that serves them.
pub(super) fn prepare(services: &mut Services) -> Result<Command> {
    let program = binaries::redis_server().context("Redis is not installed")?;
    let port = services.state.port(Service::Redis.name())?;
    let password = services.state.password(Service::Redis.name())?;
    let dir = services.state.path("redis");
    services.service_dir(&dir)?;
    let config = dir.join("redis.conf");
    // The password stands in a file and not among the arguments, which anyone can list.
    let text = format!(
        "port {port}\nbind 127.0.0.1\nrequirepass {password}\nsave \"\"\nappendonly no\n\
         daemonize no\ndir {}\n",
        dir.display()
    );
    services.service_file(&config, &text)?;
    let mut command = services.command(&program);
    command.arg(&config);
    Ok(command)
}

/// Whether it answers a PING.
pub(super) fn is_ready(services: &Services) -> bool {
    let Ok(port) = services.port(Service::Redis) else {
        return false;
    };
    // Unauthenticated: the refusal is an answer too.
    probe(port, b"PING\r\n").is_some_and(|answer| answer.starts_with(b"-NOAUTH"))
}
