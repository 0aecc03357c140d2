//! Rate limits with the headers that tell about them.
//!
//! Fixed windows, as the platform's `x-rate-limit-reset` suggests: a window opens with its first
//! call. Numbers of `published`: the platform's rate-limit page (sends 15 per 15 min and 1,440
//! per 24 h for a user, 1,440 per 24 h for an app; look-ups 15 per 15 min; typing and read 1,000
//! per 15 min).

use std::collections::HashMap;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, now_ms};

const QUARTER_HOUR_S: u64 = 15 * 60;
const DAY_S: u64 = 24 * 60 * 60;
const UNLIMITED: u64 = 1_000_000;

/// Which set of limits holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LimitMode {
    /// As the platform publishes them.
    Published,
    /// 200 sends per 15 minutes, so that a demo isn't mute after 15.
    #[default]
    Dev,
    /// Nothing is refused; the headers tell of a very large budget.
    Off,
}

/// Endpoints that share a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    /// All ways to send a DM.
    Send,
    /// All ways to read DMs.
    Lookup,
    /// Typing indicators and read receipts.
    Presence,
    /// Everything else.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    User(AccountId),
    UserDay(AccountId),
    AppDay,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    used: u64,
    ends_s: u64,
}

/// The state of one window after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gauge {
    limit: u64,
    remaining: u64,
    reset_s: u64,
    refused: bool,
}

/// What a call found: its short window and, for sends, the two long ones.
#[derive(Debug, Clone)]
pub(crate) struct Quota {
    /// Header prefix and gauge, the short window first.
    gauges: Vec<(&'static str, Gauge)>,
}

/// All windows.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(crate) mode: LimitMode,
    windows: HashMap<(Family, Scope), Window>,
}

impl Limits {
    pub(crate) fn new(mode: LimitMode) -> Self {
        Self {
            mode,
            windows: HashMap::new(),
        }
    }

    /// Counts one call, unless a window refuses it; a refused call costs nothing.
    pub(crate) fn take(&mut self, family: Family, account: AccountId) -> Quota {
        let now_s = now_ms() / 1000;
        let plan = self.plan(family, account);
        let full = plan.iter().any(|&(_, scope, limit, length_s)| {
            self.window(family, scope, now_s, length_s).used >= limit
        });
        let gauges = plan.into_iter().map(|(prefix, scope, limit, length_s)| {
            let window = self.window(family, scope, now_s, length_s);
            let refused = window.used >= limit;
            if !full {
                window.used += 1;
            }
            let remaining = limit.saturating_sub(window.used);
            (
                prefix,
                Gauge {
                    limit,
                    remaining,
                    reset_s: window.ends_s,
                    refused,
                },
            )
        });
        Quota {
            gauges: gauges.collect(),
        }
    }

    fn plan(&self, family: Family, user: AccountId) -> Vec<(&'static str, Scope, u64, u64)> {
        let short = match (self.mode, family) {
            (LimitMode::Off, _) => UNLIMITED,
            (LimitMode::Published, Family::Send | Family::Lookup) => 15,
            (LimitMode::Dev, Family::Send) => 200,
            (LimitMode::Dev, Family::Lookup) => 300,
            (LimitMode::Published | LimitMode::Dev, Family::Presence) => 1_000,
            (LimitMode::Published | LimitMode::Dev, Family::Other) => 450,
        };
        let mut plan = vec![("x-rate-limit", Scope::User(user), short, QUARTER_HOUR_S)];
        if family == Family::Send {
            let day = if self.mode == LimitMode::Published {
                1_440
            } else {
                UNLIMITED
            };
            plan.push(("x-user-limit-24hour", Scope::UserDay(user), day, DAY_S));
            plan.push(("x-app-limit-24hour", Scope::AppDay, day, DAY_S));
        }
        plan
    }

    fn window(&mut self, family: Family, scope: Scope, now_s: u64, length_s: u64) -> &mut Window {
        let fresh = Window {
            used: 0,
            ends_s: now_s + length_s,
        };
        let window = self.windows.entry((family, scope)).or_insert(fresh);
        if window.ends_s <= now_s {
            *window = fresh;
        }
        window
    }
}

impl Quota {
    pub(crate) fn is_exhausted(&self) -> bool {
        self.gauges.iter().any(|(_, gauge)| gauge.refused)
    }

    /// Makes the quota look spent until `reset_s` (a fault).
    pub(crate) fn spent(reset_s: u64) -> Self {
        let gauge = Gauge {
            limit: 15,
            remaining: 0,
            reset_s,
            refused: true,
        };
        Self {
            gauges: vec![("x-rate-limit", gauge)],
        }
    }

    /// Writes the headers. `x-rate-limit-*` tells of the window that refused, if one did, so that
    /// a client that reads only these waits long enough.
    pub(crate) fn stamp(&self, headers: &mut HeaderMap) {
        for (prefix, gauge) in &self.gauges {
            put(headers, prefix, gauge);
        }
        if let Some((_, gauge)) = self.gauges.iter().find(|(_, gauge)| gauge.refused) {
            put(headers, "x-rate-limit", gauge);
        }
    }
}

fn put(headers: &mut HeaderMap, prefix: &str, gauge: &Gauge) {
    let values = [
        ("limit", gauge.limit),
        ("remaining", gauge.remaining),
        ("reset", gauge.reset_s),
    ];
    for (name, value) in values {
        if let Ok(name) = HeaderName::try_from(format!("{prefix}-{name}")) {
            headers.insert(name, HeaderValue::from(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: AccountId = AccountId(1);

    #[test]
    fn the_sixteenth_send_of_a_quarter_hour_is_refused_and_costs_nothing() {
        let mut limits = Limits::new(LimitMode::Published);
        for left in (0..15).rev() {
            let quota = limits.take(Family::Send, USER);
            assert!(!quota.is_exhausted());
            assert_eq!(quota.gauges[0].1.remaining, left);
        }
        let refused = limits.take(Family::Send, USER);
        assert!(refused.is_exhausted());
        assert_eq!(refused.gauges[1].1.remaining, 1_440 - 15);
        assert!(!limits.take(Family::Send, AccountId(2)).is_exhausted());
        assert!(!limits.take(Family::Lookup, USER).is_exhausted());
    }

    #[test]
    fn headers_tell_of_the_window_that_refused() {
        let mut limits = Limits::new(LimitMode::Published);
        for user in 0..96 {
            for _ in 0..15 {
                assert!(!limits.take(Family::Send, AccountId(user)).is_exhausted());
            }
        }
        let quota = limits.take(Family::Send, AccountId(1_000));
        assert!(quota.is_exhausted());
        let mut headers = HeaderMap::new();
        quota.stamp(&mut headers);
        let get = |name| {
            headers
                .get(name)
                .and_then(|v: &HeaderValue| v.to_str().ok())
        };
        assert_eq!(get("x-rate-limit-limit"), Some("1440"));
        assert_eq!(get("x-rate-limit-remaining"), Some("0"));
        assert_eq!(get("x-app-limit-24hour-remaining"), Some("0"));
    }

    #[test]
    fn off_refuses_nothing() {
        let mut limits = Limits::new(LimitMode::Off);
        assert!((0..5_000).all(|_| !limits.take(Family::Send, USER).is_exhausted()));
    }
}
