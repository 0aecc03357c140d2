//! When each app was last challenged, for people who look at a channel's health.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use roost_store::{Store, signs};

const EVERY: Duration = Duration::from_secs(60);

/// What this process has written lately.
#[derive(Debug, Default)]
pub(crate) struct Challenges(Mutex<HashMap<String, Instant>>);

impl Challenges {
    /// Whether it is time to write; if so it counts as written.
    fn is_due(&self, app: &str, now: Instant) -> bool {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = written
            .get(app)
            .is_none_or(|at| now.saturating_duration_since(*at) >= EVERY);
        if is_due {
            // Only apps that exist come here, so there is a bound.
            written.insert(app.to_owned(), now);
        }
        is_due
    }

    /// Notes a challenge that was answered, at most once a minute and in the background: the answer
    /// depends on no database.
    pub(crate) fn note(&self, store: Option<&Store>, app: &str) {
        let Some(store) = store else { return };
        if !self.is_due(app, Instant::now()) {
            return;
        }
        let (store, app) = (store.clone(), app.to_owned());
        tokio::spawn(async move {
            if let Err(error) = signs::note_crc(&store, "x", &app).await {
                tracing::debug!(%error, app, "cannot note a challenge");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_written_once_a_minute_for_each_app() {
        let (challenges, start) = (Challenges::default(), Instant::now());
        assert!(challenges.is_due("main", start));
        assert!(!challenges.is_due("main", start + EVERY / 2));
        assert!(challenges.is_due("other", start));
        assert!(challenges.is_due("main", start + EVERY));
    }
}
