//! The folder in which one set of services lives: its lock, its ports and its passwords.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::account;

/// What a state folder remembers between two starts.
#[derive(Default, Debug, Serialize, Deserialize)]
struct Saved {
    /// Loopback ports by purpose, taken again when still free.
    ports: BTreeMap<String, u16>,
    /// Generated passwords and keys by purpose.
    secrets: BTreeMap<String, String>,
}

/// An open, locked state folder.
#[derive(Debug)]
pub(crate) struct State {
    root: PathBuf,
    saved: Saved,
    /// Held until this value is dropped; the kernel frees it even when we are killed.
    _lock: File,
}

/// The checkout in which this program was built.
pub(crate) fn checkout() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_owned()
}

/// Eight hexadecimal digits that stand for this checkout: two checkouts on one machine share
/// nothing.
pub(crate) fn checkout_hash() -> String {
    format!(
        "{:08x}",
        fnv1a(checkout().as_os_str().as_encoded_bytes()) >> 32
    )
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Where the state called `name` of this checkout lives: in `.roost/`, but for root under
/// /var/tmp, since root's services run as another account that may not reach the checkout.
///
/// # Errors
/// When the folder can't be made.
pub(crate) fn default_dir(name: &str) -> Result<PathBuf> {
    if account::is_root() {
        let base = PathBuf::from(format!("/var/tmp/roost-{}", checkout_hash()));
        make_dir(&base, 0o755)?;
        Ok(base.join(name))
    } else {
        Ok(tools_dir()?.join(name))
    }
}

/// `.roost/` in the checkout: what isn't a service's data.
///
/// # Errors
/// When the folder can't be made.
pub(crate) fn tools_dir() -> Result<PathBuf> {
    let dir = checkout().join(".roost");
    make_dir(&dir, 0o755)?;
    Ok(dir)
}

impl State {
    /// Opens the folder and locks it against other commands.
    ///
    /// # Errors
    /// When another command holds it, or when it isn't ours.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        make_dir(root, 0o755)?;
        let root = root.canonicalize()?;
        let path = root.join("lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        if lock.try_lock().is_err() {
            let mut holder = String::new();
            lock.read_to_string(&mut holder).ok();
            bail!(
                "another xtask command (pid {}) is using {}: stop it first",
                holder.trim(),
                root.display()
            );
        }
        lock.set_len(0)?;
        write!(lock, "{}", std::process::id())?;
        let saved = read_json(&root.join("state.json"))?.unwrap_or_default();
        Ok(Self {
            root,
            saved,
            _lock: lock,
        })
    }

    /// A path inside the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Removes all that the folder holds but its lock; services must have stopped.
    ///
    /// # Errors
    /// When a file can't be removed.
    pub(crate) fn clear(&mut self) -> Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name == "lock") {
                continue;
            }
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
        self.saved = Saved::default();
        Ok(())
    }

    /// The port for `purpose`: the one of the last start when it is free, else a new one.
    ///
    /// # Errors
    /// When no port is free or the choice can't be saved.
    pub(crate) fn port(&mut self, purpose: &str) -> Result<u16> {
        if let Some(port) = self.saved.ports.get(purpose).copied()
            && becomes_free(port)
        {
            return Ok(port);
        }
        let taken: Vec<u16> = self.saved.ports.values().copied().collect();
        let port = free_port(&taken)?;
        self.saved.ports.insert(purpose.to_owned(), port);
        self.save()?;
        Ok(port)
    }

    /// The port chosen for `purpose` before, free or not.
    pub(crate) fn known_port(&self, purpose: &str) -> Option<u16> {
        self.saved.ports.get(purpose).copied()
    }

    /// A password of 24 random bytes that is safe inside a URL; the same at each start.
    ///
    /// # Errors
    /// When it can't be made or saved.
    pub(crate) fn password(&mut self, purpose: &str) -> Result<String> {
        self.secret(purpose, || Ok(URL_SAFE_NO_PAD.encode(random::<24>()?)))
    }

    /// A key of 32 random bytes in base64; the same at each start.
    ///
    /// # Errors
    /// When it can't be made or saved.
    pub(crate) fn key(&mut self, purpose: &str) -> Result<String> {
        self.secret(purpose, || Ok(STANDARD.encode(random::<32>()?)))
    }

    fn secret(&mut self, purpose: &str, make: impl FnOnce() -> Result<String>) -> Result<String> {
        if let Some(secret) = self.saved.secrets.get(purpose) {
            return Ok(secret.clone());
        }
        let secret = make()?;
        self.saved
            .secrets
            .insert(purpose.to_owned(), secret.clone());
        self.save()?;
        Ok(secret)
    }

    fn save(&self) -> Result<()> {
        write_json(&self.root.join("state.json"), &self.saved)
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(bytes)
}

/// Whether a port is free, or will be in a moment: what was just killed may have children that hold
/// it until they notice.
fn becomes_free(port: u16) -> bool {
    const PATIENCE: Duration = Duration::from_secs(3);
    let started = Instant::now();
    while !is_free(port) {
        if started.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// A free loopback port below the range from which the kernel takes the local ports of outgoing
/// connections: a service that is restarted on such a port may find it taken by its own client.
fn free_port(taken: &[u16]) -> Result<u16> {
    const FROM: u16 = 15_000;
    const TRIES: usize = 500;
    let ephemeral = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(32_768);
    let below = if ephemeral > FROM { ephemeral } else { 32_768 };
    for _ in 0..TRIES {
        let port = FROM + u16::from_be_bytes(random()?) % (below - FROM);
        if !taken.contains(&port) && is_free(port) {
            return Ok(port);
        }
    }
    bail!("no free loopback port between {FROM} and {below}")
}

/// Makes a folder, or checks that the one found is a real folder of ours: the parents may be
/// writable for all.
///
/// # Errors
/// When it can't be made or is someone else's.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<()> {
    match fs::DirBuilder::new()
        .recursive(false)
        .mode(mode)
        .create(path)
    {
        Ok(()) => {
            // The mode above was cut by the umask.
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path)?;
            let me = fs::metadata("/proc/self")?.uid();
            if !found.is_dir() || (found.uid() != me && !account::is_root()) {
                bail!("{} is not a folder of this user", path.display());
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = path.parent().context("a folder without a parent")?;
            make_dir(parent, 0o755)?;
            make_dir(path, mode)?;
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot make {}", path.display()));
        }
    }
    Ok(())
}

/// Reads a JSON file; none when it isn't there.
///
/// # Errors
/// When it can't be read or parsed.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is broken: remove it", path.display()))
            .map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes a JSON file that only its owner can read, all of it or nothing.
///
/// # Errors
/// When it can't be written.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    write_private(path, &text)
}

/// Writes a text file that only its owner can read, all of it or nothing.
///
/// # Errors
/// When it can't be written.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let part = path.with_extension("part");
    // Left over from a run that was killed, perhaps with other permissions.
    fs::remove_file(&part).ok();
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&part, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// A fresh folder for a unit test.
#[cfg(test)]
pub(crate) fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("roost-xtask-{name}-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_secrets_are_the_same_at_the_next_start() {
        let dir = scratch("state");
        let (port, secret) = {
            let mut state = State::open(&dir).unwrap();
            (
                state.port("redis").unwrap(),
                state.password("redis").unwrap(),
            )
        };
        let mut state = State::open(&dir).unwrap();
        assert_eq!(state.port("redis").unwrap(), port);
        assert_eq!(state.password("redis").unwrap(), secret);
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert_ne!(
            state.port("redis").unwrap(),
            port,
            "a taken port was chosen again"
        );
        drop(listener);
        drop(state);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_second_command_is_told_who_holds_the_folder() {
        let dir = scratch("lock");
        let first = State::open(&dir).unwrap();
        let error = State::open(&dir).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        State::open(&dir).unwrap();
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn secrets_are_for_the_owner_only() {
        let dir = scratch("mode");
        write_json(&dir.join("a.json"), &1).unwrap();
        let mode = fs::metadata(dir.join("a.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(dir).unwrap();
    }
}
