//! Which lane an account's events take.
//!
//! A token bucket per account, in this process: who sends beyond its share goes
//! to the bulk lane until it has kept within its share for 10 s, so that one
//! account's flood doesn't hold up the others.

use roost_bus::Lane;
use roost_service::config;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const QUIET: Duration = Duration::from_secs(10);
/// Accounts remembered at most; those at rest are forgotten first.
const MAX_ACCOUNTS: usize = 50_000;

/// One account of an app.
type Key = (String, String);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    refilled: Instant,
    exceeded: Option<Instant>,
}

/// The buckets of all accounts.
#[derive(Debug)]
pub(crate) struct Lanes {
    rate: f64,
    burst: f64,
    buckets: Mutex<HashMap<Key, Bucket>>,
}

impl Lanes {
    pub(crate) fn new(config: config::Lanes) -> Self {
        Self {
            rate: config.account_rate_per_second.into(),
            burst: config.account_burst.into(),
            buckets: Mutex::default(),
        }
    }

    /// The lane for `count` events that came together: they stay together.
    pub(crate) fn choose(&self, app: &str, account: &str, count: u32, now: Instant) -> Lane {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_ACCOUNTS {
            self.forget_resting(&mut buckets, now);
        }
        let key = (app.to_owned(), account.to_owned());
        let bucket = buckets.entry(key).or_insert(Bucket {
            tokens: self.burst,
            refilled: now,
            exceeded: None,
        });
        let since = now.saturating_duration_since(bucket.refilled).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * self.rate).min(self.burst);
        bucket.refilled = now;
        let count = f64::from(count);
        if bucket.tokens < count {
            bucket.tokens = 0.0;
            bucket.exceeded = Some(now);
        } else {
            bucket.tokens -= count;
        }
        match bucket.exceeded {
            Some(at) if now.saturating_duration_since(at) < QUIET => Lane::Bulk,
            Some(_) => {
                bucket.exceeded = None;
                Lane::Main
            }
            None => Lane::Main,
        }
    }

    /// A full bucket without a mark is as good as none.
    fn forget_resting(&self, buckets: &mut HashMap<Key, Bucket>, now: Instant) {
        let full_after = Duration::from_secs_f64(self.burst / self.rate).max(QUIET);
        buckets.retain(|_, bucket| now.saturating_duration_since(bucket.refilled) < full_after);
        if buckets.len() >= MAX_ACCOUNTS {
            buckets.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes() -> Lanes {
        Lanes::new(config::Lanes {
            account_rate_per_second: 10,
            account_burst: 20,
        })
    }

    #[test]
    fn a_flood_takes_the_bulk_lane_until_it_was_quiet() {
        let (lanes, start) = (lanes(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        for _ in 0..20 {
            assert_eq!(lanes.choose("main", "1", 1, at(0)), Lane::Main);
        }
        assert_eq!(lanes.choose("main", "1", 1, at(0)), Lane::Bulk);
        assert_eq!(lanes.choose("main", "2", 1, at(0)), Lane::Main);
        assert_eq!(lanes.choose("other", "1", 1, at(0)), Lane::Main);
        assert_eq!(lanes.choose("main", "1", 1, at(9_999)), Lane::Bulk);
        assert_eq!(lanes.choose("main", "1", 1, at(10_000)), Lane::Main);
    }

    #[test]
    fn going_on_beyond_the_share_keeps_it_there() {
        let (lanes, start) = (lanes(), Instant::now());
        for second in 0..30 {
            let now = start + Duration::from_secs(second);
            let lane = lanes.choose("main", "1", 40, now);
            assert_eq!(lane, Lane::Bulk, "second {second}");
        }
    }

    #[test]
    fn accounts_at_rest_are_forgotten() {
        let (lanes, start) = (lanes(), Instant::now());
        for n in 0..2 * MAX_ACCOUNTS {
            lanes.choose("main", &n.to_string(), 1, start);
        }
        assert!(lanes.buckets.lock().unwrap().len() <= MAX_ACCOUNTS);
    }
}
