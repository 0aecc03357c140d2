//! Under which account the services run: PostgreSQL refuses to run as root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;

/// An unprivileged account that root hands the services to.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    uid: u32,
    gid: u32,
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// The account that the services get: none for a normal user (they run as that user), else
/// `postgres` where a package has made it, else our own `roost`.
///
/// # Errors
/// When root has no such account and can't make one.
pub(crate) fn for_services() -> Result<Option<Account>> {
    if !is_root() {
        return Ok(None);
    }
    if let Some(account) = find("postgres").or_else(|| find("roost")) {
        return Ok(Some(account));
    }
    process::output(Command::new("useradd").args([
        "--system",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
        "roost",
    ]))
    .context("cannot make the account \"roost\" for the services")?;
    find("roost")
        .context("the account \"roost\" is not in /etc/passwd")
        .map(Some)
}

fn find(name: &str) -> Option<Account> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| parse(line, name))
}

fn parse(line: &str, name: &str) -> Option<Account> {
    let mut fields = line.split(':');
    if fields.next()? != name {
        return None;
    }
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account {
        name: name.to_owned(),
        uid,
        gid,
    })
}

impl Account {
    /// Makes a command run as this account, without root's supplementary groups.
    pub(crate) fn drop_to(&self, command: &mut Command) {
        // std clears the supplementary groups when root sets a uid.
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives a file or folder to this account.
    ///
    /// # Errors
    /// When the owner can't be changed.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} to {}", path.display(), self.name))
    }

    /// Checks that this account can reach a folder: every parent must be searchable.
    ///
    /// # Errors
    /// When it can't.
    pub(crate) fn check_reach(&self, path: &Path) -> Result<()> {
        let mut command = Command::new("test");
        command.arg("-x").arg(path).current_dir("/");
        self.drop_to(&mut command);
        if !command.status().context("cannot run test(1)")?.success() {
            bail!(
                "the account {} cannot reach {}: choose a folder whose parents are searchable by all",
                self.name,
                path.display()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_passwd_lines() {
        let line = "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        let account = parse(line, "postgres").unwrap();
        assert_eq!((account.uid, account.gid), (101, 104));
        assert!(parse(line, "post").is_none());
    }
}
