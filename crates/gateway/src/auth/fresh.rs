//! The database's word, at most 2 s old.

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
}

impl<K, V> Default for Fresh<K, V> {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash, V: Clone> Fresh<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(key).filter(|(at, _)| at.elapsed() < MAX_AGE);
        found.map(|(_, value)| value.clone())
    }

    pub(crate) fn put(&self, entries: impl IntoIterator<Item = (K, V)>) {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > MAX_ENTRIES {
            known.retain(|_, (at, _)| at.elapsed() < MAX_AGE);
        }
        known.extend(entries.into_iter().map(|(key, value)| (key, (now, value))));
    }

    /// Forgets one, after this process has changed it.
    pub(super) fn forget(&self, key: &K) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    /// Forgets all for which `is_gone`.
    pub(super) fn forget_where(&self, is_gone: impl Fn(&V) -> bool) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, (_, value)| !is_gone(value));
    }
}
