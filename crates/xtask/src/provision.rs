//! Installs what the machine lacks: Debian's packages, by root, without starting the services
//! that the packages bring.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::services::Service;
use crate::{account, binaries, process, say};

/// Makes sure that the programs of the given services are there.
///
/// # Errors
/// One sentence with the command to type when a normal user lacks one, or when the
/// installation fails.
pub(crate) fn services(services: &[Service]) -> Result<()> {
    let names_postgres = std::env::var_os("ROOST_DEV_PG_BIN").is_some();
    if names_postgres && services.contains(&Service::Postgres) && binaries::postgres_bin().is_none()
    {
        bail!("ROOST_DEV_PG_BIN names a folder without initdb and postgres");
    }
    let mut missing = Vec::new();
    for service in services {
        let (is_there, package) = match service {
            Service::Postgres => (binaries::postgres_bin().is_some(), "postgresql"),
            Service::Redis => (binaries::redis_server().is_some(), "redis-server"),
            Service::Rabbitmq => (binaries::rabbitmq_bin().is_some(), "rabbitmq-server"),
        };
        if !is_there {
            missing.push(package);
        }
    }
    packages(&missing)?;
    for service in services {
        let is_there = match service {
            Service::Postgres => binaries::postgres_bin().is_some(),
            Service::Redis => binaries::redis_server().is_some(),
            Service::Rabbitmq => binaries::rabbitmq_bin().is_some(),
        };
        if !is_there {
            bail!(
                "the package of {} was installed but its programs were not found",
                service.name()
            );
        }
    }
    Ok(())
}

/// Makes sure that a C compiler is there: the TLS library is partly written in C.
///
/// # Errors
/// As for [`services`].
pub(crate) fn build_tools() -> Result<()> {
    let is_there = binaries::program("cc").is_some();
    packages(if is_there { &[] } else { &["build-essential"] })
}

/// Installs Debian packages as root; tells a normal user what to type.
///
/// # Errors
/// When the user isn't root, or apt fails.
pub(crate) fn packages(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if !account::is_root() {
        bail!(
            "missing on this machine: {names}; type `sudo apt-get install --no-install-recommends \
             {names}` once (then `sudo systemctl disable --now {names}` if you don't want them \
             as system services)"
        );
    }
    let Some(apt) = binaries::program("apt-get") else {
        bail!("missing on this machine: {names}; install them by your system's package manager");
    };
    say::title(format!("installing {names}"));
    let _guard = NoServiceStarts::new(Path::new("/usr/sbin/policy-rc.d"))?;
    let install = || {
        let mut command = Command::new(&apt);
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(packages);
        process::output(&mut command)
    };
    if install().is_ok() {
        return Ok(());
    }
    // Package lists that are missing or too old are the usual reason.
    process::output(Command::new(&apt).args(["update", "--quiet"]))
        .context("cannot read the package lists")?;
    install().with_context(|| format!("cannot install {names}"))?;
    Ok(())
}

const NO_STARTS: &str =
    "#!/bin/sh\n# Written by `cargo xtask` while it installs packages.\nexit 101\n";

/// While this lives, packages don't start the services they bring (Debian's `policy-rc.d`, see
/// invoke-rc.d(8)). What was there before is put back, on failure too.
#[derive(Debug)]
struct NoServiceStarts {
    path: PathBuf,
    before: Option<(Vec<u8>, fs::Permissions)>,
}

impl NoServiceStarts {
    fn new(path: &Path) -> Result<Self> {
        let before = match fs::read(path) {
            // Ours, from a run that was killed: nothing to put back.
            Ok(bytes) if bytes == NO_STARTS.as_bytes() => None,
            Ok(bytes) => Some((bytes, fs::metadata(path)?.permissions())),
            Err(_) => None,
        };
        let guard = Self {
            path: path.to_owned(),
            before,
        };
        fs::write(path, NO_STARTS)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(guard)
    }
}

impl Drop for NoServiceStarts {
    fn drop(&mut self) {
        let restored = match &self.before {
            Some((bytes, permissions)) => fs::write(&self.path, bytes)
                .and_then(|()| fs::set_permissions(&self.path, permissions.clone())),
            None => fs::remove_file(&self.path),
        };
        if let Err(error) = restored {
            say::failure(format!("cannot restore {}: {error}", self.path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_was_there_before_is_put_back() {
        let dir = crate::state::scratch("policy");
        let path = dir.join("policy-rc.d");
        fs::write(&path, NO_STARTS).unwrap();
        drop(NoServiceStarts::new(&path).unwrap());
        assert!(!path.exists(), "a leftover of our own was kept");
        fs::write(&path, "mine").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        {
            let _guard = NoServiceStarts::new(&path).unwrap();
            assert!(fs::read_to_string(&path).unwrap().contains("exit 101"));
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        fs::remove_dir_all(dir).unwrap();
    }
}
