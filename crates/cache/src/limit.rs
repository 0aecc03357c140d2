//! Rate limits and their answers.

use std::time::Duration;
use uuid::Uuid;

/// An allowance that refills evenly: `count` per `period`, and at most `burst`
/// at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// What is limited, such as `sign_in`; part of the key.
    pub scope: &'static str,
    /// Units per period.
    pub count: u32,
    /// The period.
    pub period: Duration,
    /// Units at once; at least 1.
    pub burst: u32,
}

impl RateLimit {
    /// Microseconds in which one unit comes back.
    pub(crate) fn emission_micros(&self) -> u64 {
        let period = u64::try_from(self.period.as_micros()).unwrap_or(u64::MAX);
        (period / u64::from(self.count.max(1))).max(1)
    }

    /// Microseconds in which the whole burst comes back.
    pub(crate) fn tolerance_micros(&self) -> u64 {
        self.emission_micros()
            .saturating_mul(u64::from(self.burst.max(1)))
    }

    /// Braces make all keys of a brand live on one node of a cluster.
    pub(crate) fn key(&self, prefix: &str, brand: Option<Uuid>, key: &str) -> String {
        let brand = brand.map_or_else(|| "all".to_owned(), |brand| brand.to_string());
        format!("{prefix}:{{{brand}}}:limit:{}:{key}", self.scope)
    }

    /// For one of several processes that can't see the others.
    pub(crate) fn halved(self) -> Self {
        Self {
            period: self.period.saturating_mul(2),
            burst: (self.burst / 2).max(1),
            ..self
        }
    }
}

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Redis, for all processes.
    Redis,
    /// This process alone, because Redis is away.
    Local,
}

/// The answer to one request for allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Go on.
    pub allowed: bool,
    /// Units left.
    pub remaining: u32,
    /// When refused: how long until it would be allowed. Otherwise zero.
    pub retry_after: Duration,
    /// How long until the whole burst is back.
    pub reset_after: Duration,
    /// Who decided.
    pub source: Source,
}
