//! What a process says about itself on `/readyz`.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What a failing check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The process can't do its job: `/readyz` answers 503.
    Required,
    /// The process works with less: `/readyz` shows it and answers 200.
    Degrading,
}

/// One line of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckStatus {
    /// Whether the checked part works.
    pub ok: bool,
    /// Whether the process is unready without it.
    pub required: bool,
    /// Why, in a few words; no secrets, no message text.
    pub detail: String,
}

/// The body of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Every required check is ok.
    pub ready: bool,
    /// Some check, required or not, is failing.
    pub degraded: bool,
    /// Each check by name.
    pub checks: BTreeMap<&'static str, CheckStatus>,
}

type Probe = Box<dyn Fn() -> (bool, String) + Send + Sync>;

enum Source {
    Told { ok: bool, detail: String },
    Asked(Probe),
}

struct Entry {
    weight: Weight,
    source: Source,
}

/// Named checks of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Health {
    entries: Arc<Mutex<BTreeMap<&'static str, Entry>>>,
}

impl Health {
    /// No checks: ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check that its owner sets; it fails with "starting" until then.
    #[must_use]
    pub fn check(&self, name: &'static str, weight: Weight) -> Check {
        let check = Check {
            health: self.clone(),
            name,
            weight,
        };
        check.down("starting");
        check
    }

    /// Adds a check that is asked at each report. `probe` must return at once.
    pub fn probe(
        &self,
        name: &'static str,
        weight: Weight,
        probe: impl Fn() -> (bool, String) + Send + Sync + 'static,
    ) {
        let source = Source::Asked(Box::new(probe));
        self.put(name, Entry { weight, source });
    }

    /// The state of every check now.
    #[must_use]
    pub fn report(&self) -> Report {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let checks: BTreeMap<_, _> = entries
            .iter()
            .map(|(name, entry)| {
                let (ok, detail) = match &entry.source {
                    Source::Told { ok, detail } => (*ok, detail.clone()),
                    Source::Asked(probe) => probe(),
                };
                let required = entry.weight == Weight::Required;
                let status = CheckStatus {
                    ok,
                    required,
                    detail,
                };
                (*name, status)
            })
            .collect();
        Report {
            ready: checks.values().all(|check| check.ok || !check.required),
            degraded: checks.values().any(|check| !check.ok),
            checks,
        }
    }

    fn put(&self, name: &'static str, entry: Entry) {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, entry);
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health").field(&self.report()).finish()
    }
}

/// The owner's end of one check.
#[derive(Debug, Clone)]
pub struct Check {
    health: Health,
    name: &'static str,
    weight: Weight,
}

impl Check {
    /// The part works.
    pub fn up(&self) {
        self.set(true, "ok");
    }

    /// The part doesn't work, and why.
    pub fn down(&self, detail: impl Into<String>) {
        self.set(false, detail);
    }

    /// Either, with a word on it.
    pub fn set(&self, ok: bool, detail: impl Into<String>) {
        let source = Source::Told {
            ok,
            detail: detail.into(),
        };
        let weight = self.weight;
        self.health.put(self.name, Entry { weight, source });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_required_check_decides_and_a_degrading_one_only_shows() {
        let health = Health::new();
        let broker = health.check("broker", Weight::Required);
        health.probe("redis", Weight::Degrading, || (false, "down".to_owned()));
        assert!(!health.report().ready, "starting is not ready");
        broker.up();
        let report = health.report();
        assert!(report.ready && report.degraded);
        broker.down("no confirm for 6 s");
        let report = health.report();
        assert!(!report.ready);
        assert_eq!(report.checks["broker"].detail, "no confirm for 6 s");
    }
}
