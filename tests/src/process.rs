//! A program of ours as a child of the test: its log is kept, it dies with its handle, and no other
//! process is ever touched.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Lines of a log that are shown when a test fails.
const TAIL: usize = 60;

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a program; both its outputs go to `<folder>/<name>.log`, after what is there.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = append_to(&log);
        let errors = output.try_clone().unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name: name.to_owned(),
            log,
            child,
        }
    }

    /// Starts a program that prints a line when it is ready; answers the line.
    ///
    /// # Panics
    /// When it can't be started, or ends without a line.
    #[must_use]
    pub fn start_and_read(name: &str, folder: &Path, command: &mut Command) -> (Self, String) {
        let log = folder.join(format!("{name}.log"));
        let errors = append_to(&log);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let process = Self {
            name: name.to_owned(),
            log,
            child,
        };
        assert!(
            !line.is_empty(),
            "{name} ended at once:\n{}",
            process.tail()
        );
        (process, line.trim_end().to_owned())
    }

    /// SIGKILL: no farewell.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// When the system refuses to say.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Everything that it wrote, as text.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last lines that it wrote.
    #[must_use]
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(TAIL);
        format!(
            "--- {} ({})\n{}",
            self.name,
            self.log.display(),
            lines[from..].join("\n")
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn append_to(log: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .unwrap()
}

/// A command without the `ROOST_…` settings of whoever runs the tests.
#[must_use]
pub fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ROOST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Ports of loopback that nobody listens on.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    // All are held before any is let go, so that none is given twice.
    let listeners: [TcpListener; COUNT] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners
        .each_ref()
        .map(|listener| listener.local_addr().unwrap().port())
}

/// A new folder for logs; it stays when the test fails.
///
/// # Panics
/// When it can't be made.
#[must_use]
pub fn log_folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("roost-test-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
