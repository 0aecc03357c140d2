//! Whose processor time was it? Read from `/proc`, for the parts that take part in a measurement.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use anyhow::Context as _;

/// Ticks a second of the times in `/proc`: fixed in Linux's interface to programs.
const TICKS: f64 = 100.0;

/// Processor time of all processors, in seconds since the start of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    busy: f64,
    all: f64,
}

impl Machine {
    /// The share of all processors that was busy since then.
    pub(crate) fn busy_since(&self, before: &Self) -> f64 {
        (self.busy - before.busy) / (self.all - before.all).max(f64::MIN_POSITIVE)
    }
}

/// All processors together.
///
/// # Errors
/// When `/proc/stat` isn't as documented.
pub(crate) fn whole_machine() -> anyhow::Result<Machine> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    // user nice system idle iowait irq softirq steal
    let times: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let all: f64 = times.iter().sum();
    let idle: f64 = times.iter().skip(3).take(2).sum();
    Ok(Machine {
        busy: (all - idle) / TICKS,
        all: all / TICKS,
    })
}

/// A part of the system: a process and its children.
#[derive(Debug, Clone)]
struct Part {
    name: &'static str,
    root: u32,
}

/// The parts that are watched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts(Vec<Part>);

/// Processor time of the parts at an instant.
#[derive(Debug)]
pub(crate) struct Reading {
    machine: Machine,
    parts: BTreeMap<&'static str, f64>,
}

impl Parts {
    /// This process, and the servers that listen on these ports of loopback.
    ///
    /// # Errors
    /// When nobody listens on a port.
    pub(crate) fn new(ports: &[(&'static str, u16)]) -> anyhow::Result<Self> {
        let mut parts = vec![Part {
            name: "load generator",
            root: std::process::id(),
        }];
        for (name, port) in ports {
            let root =
                listener(*port).with_context(|| format!("find who listens on port {port}"))?;
            parts.push(Part { name, root });
        }
        Ok(Self(parts))
    }

    /// Reads all clocks.
    ///
    /// # Errors
    /// When `/proc` isn't as documented.
    pub(crate) fn read(&self) -> anyhow::Result<Reading> {
        let mut processes = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            if let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            {
                processes.extend(process(pid));
            }
        }
        let mut parts = BTreeMap::new();
        for part in &self.0 {
            let own = processes.iter().find(|process| process.pid == part.root);
            let mut time = own.map_or(0.0, |own| own.own);
            // A server's helper processes; the bench's children are parts of their own.
            if part.root != std::process::id() {
                time += own.map_or(0.0, |own| own.ended_children);
                let children = processes
                    .iter()
                    .filter(|process| process.parent == part.root);
                time += children
                    .map(|child| child.own + child.ended_children)
                    .sum::<f64>();
            }
            parts.insert(part.name, time);
        }
        Ok(Reading {
            machine: whole_machine()?,
            parts,
        })
    }
}

/// Processor time between two readings, in seconds.
#[derive(Debug, Clone)]
pub(crate) struct Spent {
    parts: Vec<(&'static str, f64)>,
    outside: f64,
    idle: f64,
    all: f64,
}

impl Reading {
    /// What each part took since then.
    pub(crate) fn since(&self, before: &Self) -> Spent {
        let all = (self.machine.all - before.machine.all).max(f64::MIN_POSITIVE);
        let mut parts: Vec<_> = self
            .parts
            .iter()
            .map(|(name, time)| (*name, time - before.parts.get(name).copied().unwrap_or(0.0)))
            .collect();
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let busy = self.machine.busy - before.machine.busy;
        let ours: f64 = parts.iter().map(|(_, time)| time).sum();
        Spent {
            parts,
            outside: (busy - ours).max(0.0),
            idle: (all - busy).max(0.0),
            all,
        }
    }
}

impl Spent {
    /// The share of all processors that none of the parts took.
    pub(crate) fn outside(&self) -> f64 {
        self.outside / self.all
    }

    /// What one of so many pieces of work cost, part by part.
    pub(crate) fn each(&self, count: usize) -> String {
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX)).max(1.0);
        let costs = self
            .parts
            .iter()
            .map(|(name, time)| format!("{name} {:.0}", time / count * 1e6));
        let sum: f64 = self.parts.iter().map(|(_, time)| time).sum();
        format!(
            "{:.0} µs of processor time each: {}",
            sum / count * 1e6,
            costs.collect::<Vec<_>>().join(", ")
        )
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, time) in &self.parts {
            write!(f, "{name} {:.0} %, ", time / self.all * 100.0)?;
        }
        write!(
            f,
            "others {:.0} %, idle {:.0} %",
            self.outside() * 100.0,
            self.idle / self.all * 100.0
        )
    }
}

struct Process {
    pid: u32,
    parent: u32,
    own: f64,
    ended_children: f64,
}

fn process(pid: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let time = |field: usize| {
        fields
            .get(field)
            .and_then(|ticks| ticks.parse::<f64>().ok())
            .map(|ticks| ticks / TICKS)
    };
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        own: time(11)? + time(12)?,
        ended_children: time(13)? + time(14)?,
    })
}

/// The process that listens on a port of loopback.
pub(crate) fn listener(port: u16) -> Option<u32> {
    let suffix = format!(":{port:04X}");
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| {
            let rows = table.lines().skip(1).map(|row| {
                row.split_whitespace()
                    .map(ToOwned::to_owned)
                    .collect::<Vec<_>>()
            });
            rows.filter(|row| row.get(1).is_some_and(|local| local.ends_with(&suffix)))
                // 0A: listening.
                .filter(|row| row.get(3).is_some_and(|state| state == "0A"))
                .filter_map(|row| row.get(9).cloned())
                .collect::<Vec<_>>()
        })
        .collect();
    let sockets: Vec<String> = inodes
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let holds = |pid: &u32| {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        files
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|target| {
                target
                    .to_str()
                    .is_some_and(|target| sockets.iter().any(|socket| socket == target))
            })
    };
    let pids = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // Children of a server hold its socket too; the server came first.
    pids.filter(holds).min()
}
