//! What a brand may use and what it has used.

use roost_store::usage::{Limits, Usage};
use serde::Serialize;
use utoipa::ToSchema;

use super::At;

/// What a brand may use and what it has used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageView {
    /// Active people; API keys are none.
    members: Allowance,
    /// Connected accounts.
    channels: Allowance,
    /// Messages in and out in this calendar month, by UTC.
    messages: Allowance,
    requests: RequestAllowance,
}

/// How much of something may be used and is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Allowance {
    /// Null: no limit.
    limit: Option<u32>,
    used: i64,
    /// When counting begins anew; null for what is counted as it is.
    resets_at: Option<At>,
}

/// How often the brand's members and keys may ask; `RateLimit` headers say what is left.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestAllowance {
    /// Null: no limit.
    limit_per_minute: Option<u32>,
}

impl UsageView {
    pub(crate) fn new(limits: Limits, usage: Usage) -> Self {
        let some = |limit: u32| (limit > 0).then_some(limit);
        Self {
            members: Allowance {
                limit: some(limits.members),
                used: usage.members,
                resets_at: None,
            },
            channels: Allowance {
                limit: some(limits.channels),
                used: usage.channels,
                resets_at: None,
            },
            messages: Allowance {
                limit: some(limits.messages_per_month),
                used: usage.messages,
                resets_at: Some(usage.month_ends_at.into()),
            },
            requests: RequestAllowance {
                limit_per_minute: some(limits.requests_per_minute),
            },
        }
    }
}
