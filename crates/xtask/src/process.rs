//! Processes that we started, by an identity that a reused pid cannot take.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// A process as the kernel knows it. A pid alone may belong to someone else by the time we
/// signal it; pid, start time and boot together never do, and the executable is compared as
/// well once it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pub(crate) pid: i32,
    /// Clock ticks between boot and the start of the process (`proc(5)`, field 22 of `stat`).
    started: u64,
    boot: String,
    /// Absent while a start script may still replace itself by the real program.
    exe: Option<PathBuf>,
}

impl ProcessId {
    /// The identity of a process that has just been spawned; its executable isn't settled yet.
    ///
    /// # Errors
    /// When there is no such process.
    pub(crate) fn of_spawned(pid: u32) -> Result<Self> {
        let pid = i32::try_from(pid).context("pid out of range")?;
        let (_, started) = stat(pid).with_context(|| format!("no process {pid}"))?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(Self {
            pid,
            started,
            boot: boot.trim().to_owned(),
            exe: None,
        })
    }

    /// The identity of a process that is up, its executable included.
    ///
    /// # Errors
    /// When there is no such process.
    pub(crate) fn of_running(pid: u32) -> Result<Self> {
        let mut id = Self::of_spawned(pid)?;
        id.exe = exe(id.pid);
        Ok(id)
    }

    /// Whether this very process still runs; a zombie doesn't.
    pub(crate) fn is_alive(&self) -> bool {
        let Some((state, started)) = stat(self.pid) else {
            return false;
        };
        let same_boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .is_ok_and(|boot| boot.trim() == self.boot);
        let same_exe = self.exe.is_none() || self.exe == exe(self.pid);
        state != 'Z' && state != 'X' && started == self.started && same_boot && same_exe
    }

    /// Sends a signal if this very process still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            // It may end between the two lines: then there is nothing left to signal.
            kill_process(pid, signal).ok();
        }
    }

    /// Waits for the end of the process. Not interruptible: stopping must finish.
    pub(crate) fn wait_gone(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while self.is_alive() {
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Asks with `signal`, waits, and kills what doesn't listen.
    pub(crate) fn stop(&self, signal: Signal, limit: Duration) {
        self.signal(signal);
        if !self.wait_gone(limit) {
            self.signal(Signal::KILL);
            self.wait_gone(Duration::from_secs(10));
        }
    }

    /// The direct children of this process.
    pub(crate) fn children(&self) -> Vec<Self> {
        Self::select(|pid| parent(pid) == Some(self.pid))
    }

    /// The live processes whose working folder is `dir`.
    pub(crate) fn working_in(dir: &Path) -> Vec<Self> {
        Self::select(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir))
    }

    fn select(is_meant: impl Fn(u32) -> bool) -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| is_meant(*pid))
            .filter_map(|pid| Self::of_spawned(pid).ok())
            .filter(Self::is_alive)
            .collect()
    }
}

/// State letter and start time of a process. The name in parentheses may hold anything, so
/// fields are counted from its end.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

fn parent(pid: u32) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}

fn exe(pid: i32) -> Option<PathBuf> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    // A rebuild or an upgrade replaces the file under a running program.
    let text = path.to_string_lossy();
    Some(PathBuf::from(
        text.strip_suffix(" (deleted)").unwrap_or(&text),
    ))
}

/// A child process with its log. Dropping it stops nothing: whoever started it decides.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) name: String,
    pub(crate) id: ProcessId,
    child: Child,
    log: PathBuf,
    log_start: u64,
}

impl Logged {
    /// Starts `command` in a process group of its own (so that a Ctrl-C at the terminal reaches
    /// only us, who stop things in order), its output appended to `log`.
    ///
    /// # Errors
    /// When the log can't be opened or the program can't be started.
    pub(crate) fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = open_log(log)?;
        let log_start = file.metadata()?.len();
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let id = ProcessId::of_spawned(child.id())?;
        Ok(Self {
            name: name.to_owned(),
            id,
            child,
            log: log.to_owned(),
            log_start,
        })
    }

    /// How the process ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Fails with one sentence and the end of the log when the process has ended.
    ///
    /// # Errors
    /// The end of the process.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.ended() {
            bail!("{} ended by itself ({status}); {}", self.name, self.tail());
        }
        Ok(())
    }

    /// The end of what the process wrote since it was started, with the name of its log.
    pub(crate) fn tail(&self) -> String {
        describe_tail(&self.log, self.log_start)
    }

    /// Ends the process: SIGTERM first, SIGKILL past `limit`.
    pub(crate) fn stop(&mut self, signal: Signal, limit: Duration) {
        self.id.stop(signal, limit);
        // Reaps it; the identity above has already been seen to be gone.
        self.child.wait().ok();
    }
}

/// A log file readable only by its owner: services print their settings into it.
///
/// # Errors
/// When it can't be opened.
pub(crate) fn open_log(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot open log {}", path.display()))
}

/// The last lines of a log from `start` on, in the words of an error message.
pub(crate) fn describe_tail(log: &Path, start: u64) -> String {
    const LINES: usize = 12;
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let from = start.max(file.metadata()?.len().saturating_sub(64 * 1024));
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut bytes)
    });
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if read.is_err() || lines.is_empty() {
        return format!("its log {} is empty", log.display());
    }
    let last = lines
        .get(lines.len().saturating_sub(LINES)..)
        .unwrap_or_default();
    format!(
        "the end of its log {}:\n    {}",
        log.display(),
        last.join("\n    ")
    )
}

/// A failure that the program which failed has told about at length: nothing is added, so that
/// its own summary stays the last word.
#[derive(Debug)]
pub(crate) struct AlreadySaid;

impl std::fmt::Display for AlreadySaid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for AlreadySaid {}

/// Runs a program to its end, killing it when someone asks us to stop.
///
/// # Errors
/// When it can't be started, fails, or is interrupted.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = program_line(command);
    let status = run_to_end(command)?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

/// As [`run`], for a program whose own output says why it failed.
///
/// # Errors
/// As for [`run`]; [`AlreadySaid`] when it fails.
pub(crate) fn run_last(command: &mut Command) -> Result<()> {
    if run_to_end(command)?.success() {
        Ok(())
    } else {
        Err(AlreadySaid.into())
    }
}

fn run_to_end(command: &mut Command) -> Result<ExitStatus> {
    let name = program_line(command);
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Err(interrupted) = crate::interrupt::sleep(Duration::from_millis(50)) {
            ProcessId::of_spawned(child.id())?.stop(Signal::TERM, Duration::from_secs(5));
            child.wait()?;
            return Err(interrupted);
        }
    };
    Ok(status)
}

/// Runs a program to its end and answers its standard output; what it says on standard error
/// becomes part of the failure.
///
/// # Errors
/// When it can't be started or fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = program_line(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed ({}): {}", output.status, error.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The program and its first argument: enough to say what failed, without the secrets that
/// later arguments may hold.
fn program_line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy();
    match command.get_args().next() {
        Some(argument) => format!("{name} {}", argument.to_string_lossy()),
        None => name.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_more_than_its_pid() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcessId::of_running(child.id()).unwrap();
        assert!(id.is_alive());
        let reused = ProcessId {
            started: id.started + 1,
            ..id.clone()
        };
        assert!(!reused.is_alive());
        let replaced = ProcessId {
            exe: Some("/bin/other".into()),
            ..id.clone()
        };
        assert!(!replaced.is_alive());
        replaced.signal(Signal::KILL);
        assert!(id.is_alive(), "a stranger's process was signalled");
        id.stop(Signal::TERM, Duration::from_secs(5));
        assert!(!id.is_alive());
        child.wait().unwrap();
    }

    #[test]
    fn the_tail_holds_only_what_came_since_the_start() {
        let dir = crate::state::scratch("tail");
        let log = dir.join("x.log");
        fs::write(&log, "old line\nnew line\n").unwrap();
        let text = describe_tail(&log, 9);
        assert!(
            text.contains("new line") && !text.contains("old line"),
            "{text}"
        );
        fs::remove_dir_all(dir).unwrap();
    }
}
