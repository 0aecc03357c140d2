//! The database's word, not older than is said: 2 s where a session or key may end.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An end counts within 5 s everywhere: this age, the stream's own beat and a slow query together.
const MAX_AGE: Duration = Duration::from_secs(2);
/// Entries after which old ones are thrown out.
const MAX_ENTRIES: usize = 20_000;

/// What was heard lately.
#[derive(Debug)]
pub(crate) struct Fresh<K, V> {
    known: Mutex<HashMap<K, (Instant, V)>>,
    max_age: Duration,
}

impl<K, V> Default for Fresh<K, V> {
    fn default() -> Self {
        Self::aged(MAX_AGE)
    }
}

impl<K, V> Fresh<K, V> {
    /// For what may be older than a session's end.
    pub(crate) fn aged(max_age: Duration) -> Self {
        Self {
            known: Mutex::default(),
            max_age,
        }
    }
}

impl<K: Eq + Hash, V: Clone> Fresh<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(key).filter(|(at, _)| at.elapsed() < self.max_age);
        found.map(|(_, value)| value.clone())
    }

    pub(crate) fn put(&self, entries: impl IntoIterator<Item = (K, V)>) {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > MAX_ENTRIES {
            known.retain(|_, (at, _)| at.elapsed() < self.max_age);
        }
        known.extend(entries.into_iter().map(|(key, value)| (key, (now, value))));
    }

    /// Forgets one, after this process has changed it.
    pub(crate) fn forget(&self, key: &K) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    /// Forgets all for which `is_gone`.
    pub(crate) fn forget_where(&self, is_gone: impl Fn(&V) -> bool) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, (_, value)| !is_gone(value));
    }
}
