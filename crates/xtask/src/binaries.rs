//! Finds the programs of PostgreSQL, Redis and RabbitMQ, Debian's places off the PATH included.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where a Debian package puts what the PATH doesn't show. `/usr/sbin/rabbitmq-server` is passed
/// over on purpose: that wrapper changes folder and user, and starts a node on default paths.
const RABBITMQ_BIN: &str = "/usr/lib/rabbitmq/bin";
const POSTGRES_LIB: &str = "/usr/lib/postgresql";

/// The folder with `initdb` and `postgres`: `ROOST_DEV_PG_BIN`, then the PATH, then Debian's newest.
pub(crate) fn postgres_bin() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("ROOST_DEV_PG_BIN") {
        let dir = PathBuf::from(dir);
        return is_postgres_bin(&dir).then_some(dir);
    }
    path_dirs()
        .into_iter()
        .find(|dir| is_postgres_bin(dir))
        .or_else(|| {
            let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(POSTGRES_LIB)
                .ok()?
                .filter_map(|entry| {
                    let path = entry.ok()?.path();
                    let version = path.file_name()?.to_str()?.parse().ok()?;
                    Some((version, path.join("bin")))
                })
                .filter(|(_, dir)| is_postgres_bin(dir))
                .collect();
            versions.sort();
            versions.pop().map(|(_, dir)| dir)
        })
}

fn is_postgres_bin(dir: &Path) -> bool {
    is_program(&dir.join("initdb")) && is_program(&dir.join("postgres"))
}

/// `redis-server`.
pub(crate) fn redis_server() -> Option<PathBuf> {
    program("redis-server")
}

/// The folder with RabbitMQ's own scripts.
pub(crate) fn rabbitmq_bin() -> Option<PathBuf> {
    std::iter::once(PathBuf::from(RABBITMQ_BIN))
        .chain(path_dirs())
        .filter(|dir| dir != Path::new("/usr/sbin") && dir != Path::new("/sbin"))
        .find(|dir| is_program(&dir.join("rabbitmq-server")))
}

/// A program on the PATH, or in the folders for administrators, which a normal user's PATH lacks.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let admin = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    path_dirs()
        .into_iter()
        .chain(admin)
        .map(|dir| dir.join(name))
        .find(|path| is_program(path))
}

fn path_dirs() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH");
    std::env::split_paths(path.as_deref().unwrap_or(OsStr::new("")))
        .filter(|dir| dir.is_absolute())
        .collect()
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
