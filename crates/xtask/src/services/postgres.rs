//! A private PostgreSQL: loopback only, passwords, and durable.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{Service, Services};
use crate::process::ProcessId;
use crate::{binaries, interrupt, process, say};

/// The superuser of the private instance; Roost itself gets lesser roles by `roost bootstrap`.
pub(super) const ADMIN: &str = "roost_admin";

/// Durability stays on (the default, repeated because tests rely on it). The rest is room for
/// many tests at once on a small machine.
const SETTINGS: [&str; 9] = [
    "listen_addresses=127.0.0.1",
    // A socket's path is limited to 107 bytes, and nobody needs one.
    "unix_socket_directories=",
    "fsync=on",
    "synchronous_commit=on",
    "max_connections=300",
    "shared_buffers=512MB",
    "max_wal_size=2GB",
    "log_line_prefix=%m [%p] %q%u@%d ",
    "timezone=UTC",
];

/// Makes the data folder when there is none, and the command that serves it.
pub(super) fn prepare(services: &mut Services) -> Result<Command> {
    let bin = binaries::postgres_bin().context("PostgreSQL is not installed")?;
    let port = services.state.port(Service::Postgres.name())?;
    let dir = services.state.path("postgres");
    let data = dir.join("data");
    services.service_dir(&dir)?;
    if !data.join("PG_VERSION").exists() {
        say::step("making the database folder");
        // Left over from an initdb that was cut off.
        fs::remove_dir_all(&data).ok();
        let password = services.state.password(Service::Postgres.name())?;
        let password_file = dir.join("password");
        services.service_file(&password_file, &password)?;
        let mut initdb = services.command(&bin.join("initdb"));
        initdb
            .arg("-D")
            .arg(&data)
            .args(["-U", ADMIN, "-E", "UTF8", "--locale=C.UTF-8"]);
        initdb.args(["--auth=scram-sha-256", "--no-sync"]);
        initdb.arg("--pwfile").arg(&password_file);
        let made = process::output(&mut initdb);
        fs::remove_file(&password_file)?;
        made.context("cannot make the database folder")?;
    }
    clear_after_crash(&data)?;
    let mut command = services.command(&bin.join("postgres"));
    command.arg("-D").arg(&data).args(["-p", &port.to_string()]);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    Ok(command)
}

/// Removes the pid file of a server that was killed. The server would do so itself, but for a
/// dead process that nobody has reaped (containers without an init) it gives up.
fn clear_after_crash(data: &Path) -> Result<()> {
    let limit = Duration::from_secs(15);
    let is_quiet = || ProcessId::working_in(data).is_empty();
    // Back ends of a killed server end by themselves, within moments.
    if !interrupt::wait_until(limit, is_quiet)? {
        bail!(
            "processes of an earlier server still work in {}",
            data.display()
        );
    }
    match fs::remove_file(data.join("postmaster.pid")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("cannot remove the pid file of the killed server")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The server writes its status into the eighth line of its pid file, where `pg_ctl` reads it.
pub(super) fn is_ready(services: &Services) -> bool {
    let path = services.state.path("postgres/data/postmaster.pid");
    let Ok(text) = fs::read_to_string(path) else {
        return false;
    };
    let pid = services
        .running(Service::Postgres)
        .map(|process| process.pid.to_string());
    let mut lines = text.lines();
    lines.next().map(str::to_owned) == pid && lines.nth(6).map(str::trim) == Some("ready")
}
