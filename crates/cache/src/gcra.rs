//! The generic cell rate algorithm: one instant per key, the "theoretical
//! arrival time" up to which the allowance is used.

use crate::limit::{Decision, RateLimit, Source};
use redis::{Script, ScriptInvocation};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time is the server's, so that processes agree; every key expires. Answers
/// {allowed, remaining, retry µs, reset µs}. Microseconds fit a double exactly.
static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local emission = tonumber(ARGV[1])
local tolerance = tonumber(ARGV[2])
local used = tonumber(redis.call('GET', KEYS[1]) or now)
if used < now then used = now end
local after = used + emission * tonumber(ARGV[3])
local ready = after - tolerance
if ready > now then
  return {0, math.floor((tolerance - (used - now)) / emission), ready - now, used - now}
end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return {1, math.floor((tolerance - (after - now)) / emission), 0, after - now}
",
    )
});

/// What the script answers.
pub(crate) type Answer = (i64, i64, i64, i64);

pub(crate) fn invocation(limit: &RateLimit, key: &str, cost: u32) -> ScriptInvocation<'static> {
    let mut invocation = SCRIPT.prepare_invoke();
    invocation
        .key(key)
        .arg(limit.emission_micros())
        .arg(limit.tolerance_micros())
        .arg(cost.max(1));
    invocation
}

pub(crate) fn decision(answer: Answer, source: Source) -> Decision {
    let (allowed, remaining, retry, reset) = answer;
    let micros = |value: i64| Duration::from_micros(u64::try_from(value).unwrap_or(0));
    Decision {
        allowed: allowed == 1,
        remaining: u32::try_from(remaining.max(0)).unwrap_or(u32::MAX),
        retry_after: micros(retry),
        reset_after: micros(reset),
        source,
    }
}

/// Keys that the process keeps for itself at most.
const MAX_KEYS: usize = 10_000;

/// The same algorithm in this process.
#[derive(Debug, Default)]
pub(crate) struct LocalBuckets {
    used_until: Mutex<HashMap<String, Instant>>,
}

impl LocalBuckets {
    pub(crate) fn allow(&self, limit: &RateLimit, key: String, cost: u32) -> Decision {
        self.allow_at(limit, key, cost, Instant::now())
    }

    fn allow_at(&self, limit: &RateLimit, key: String, cost: u32, now: Instant) -> Decision {
        let mut keys = self
            .used_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MAX_KEYS {
            keys.retain(|_, used| *used > now);
            if keys.len() >= MAX_KEYS {
                // More live keys than we keep: forgetting lets some through.
                keys.clear();
            }
        }
        let emission = Duration::from_micros(limit.emission_micros());
        let tolerance = Duration::from_micros(limit.tolerance_micros());
        let used = keys.get(&key).map_or(now, |used| (*used).max(now)) - now;
        let after = used + emission.saturating_mul(cost.max(1));
        let allowed = after <= tolerance;
        let reset = if allowed { after } else { used };
        if allowed {
            keys.insert(key, now + after);
        }
        let left = tolerance.saturating_sub(reset).as_micros() / emission.as_micros().max(1);
        Decision {
            allowed,
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            retry_after: after.saturating_sub(tolerance),
            reset_after: reset,
            source: Source::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit {
        scope: "test",
        count: 10,
        period: Duration::from_secs(1),
        burst: 3,
    };

    #[test]
    fn a_burst_passes_and_then_one_per_tenth_of_a_second() {
        let buckets = LocalBuckets::default();
        let start = Instant::now();
        let allow = |at: u64| {
            let now = start + Duration::from_millis(at);
            buckets.allow_at(&LIMIT, "k".to_owned(), 1, now)
        };
        assert_eq!(allow(0).remaining, 2);
        assert!(allow(0).allowed && allow(0).allowed);
        let refused = allow(0);
        assert!(!refused.allowed);
        assert_eq!(refused.retry_after, Duration::from_millis(100));
        assert!(!allow(99).allowed);
        assert!(allow(100).allowed);
        assert!(!allow(100).allowed);
    }

    #[test]
    fn many_keys_do_not_grow_without_bound() {
        let buckets = LocalBuckets::default();
        for n in 0..3 * MAX_KEYS {
            buckets.allow(&LIMIT, n.to_string(), 1);
        }
        assert!(buckets.used_until.lock().unwrap().len() <= MAX_KEYS);
    }
}
