//! When events of each kind last came for each channel, written once a minute at most.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use roost_store::Store;
use roost_store::signs::{self, Sign};

const EVERY: Duration = Duration::from_secs(60);
/// Signs remembered at most; forgetting them all costs one statement each.
const MAX_SIGNS: usize = 100_000;

/// What this process has written lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signs(Arc<Mutex<HashMap<Sign, Instant>>>);

impl Signs {
    /// Those that are due to be written; they count as written from here on.
    fn take_due(&self, seen: &BTreeSet<Sign>, now: Instant) -> Vec<Sign> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() > MAX_SIGNS {
            written.clear();
        }
        let is_due = |sign: &&Sign| {
            written
                .get(*sign)
                .is_none_or(|at| now.saturating_duration_since(*at) >= EVERY)
        };
        let due: Vec<Sign> = seen.iter().filter(is_due).copied().collect();
        written.extend(due.iter().map(|sign| (*sign, now)));
        due
    }

    /// Writes what is due, in the background: messages don't wait for it. It is for people who look at a
    /// channel's health, and what is lost is made up for a minute later.
    pub(crate) fn note(&self, store: &Store, seen: &BTreeSet<Sign>) {
        let due = self.take_due(seen, Instant::now());
        if due.is_empty() {
            return;
        }
        let store = store.clone();
        tokio::spawn(async move {
            if let Err(error) = signs::note(&store, &due).await {
                tracing::debug!(%error, "cannot note which channels had events");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use roost_domain::ids::{BrandId, ChannelId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_sign_is_written_once_a_minute() {
        let (signs, start) = (Signs::default(), Instant::now());
        let sign = |kind| Sign {
            brand: BrandId(Uuid::nil()),
            channel: ChannelId(Uuid::nil()),
            kind,
        };
        let both = BTreeSet::from([sign("dm"), sign("read")]);
        let one = BTreeSet::from([sign("dm")]);
        assert_eq!(signs.take_due(&one, start), vec![sign("dm")]);
        assert_eq!(signs.take_due(&both, start), vec![sign("read")]);
        assert!(signs.take_due(&both, start + EVERY / 2).is_empty());
        assert_eq!(signs.take_due(&both, start + EVERY).len(), 2);
    }
}
