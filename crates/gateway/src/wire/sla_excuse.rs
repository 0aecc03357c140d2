//! Excuses for breaches.

use roost_store::sla_excuses::StoredExcuse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;

/// A period whose breaches are counted apart.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlaExcuseView {
    id: String,
    /// Null: every channel.
    channel_id: Option<String>,
    /// Breaches that fell due from here on are excused.
    starts_at: At,
    /// Those from here on aren't any more.
    ends_at: At,
    reason: String,
    /// A member.
    created_by: Option<String>,
    created_at: At,
}

impl From<StoredExcuse> for SlaExcuseView {
    fn from(stored: StoredExcuse) -> Self {
        Self {
            id: stored.id.to_string(),
            channel_id: stored.excuse.channel.map(|id| id.to_string()),
            starts_at: stored.excuse.starts_at.into(),
            ends_at: stored.excuse.ends_at.into(),
            reason: stored.excuse.reason,
            created_by: stored.created_by.map(|id| id.to_string()),
            created_at: stored.created_at.into(),
        }
    }
}

/// A period to excuse.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSlaExcuse {
    /// Null or left out: every channel.
    #[serde(default)]
    pub(crate) channel_id: Option<String>,
    #[schema(example = "2026-03-01T08:00:00.000Z", format = DateTime)]
    pub(crate) starts_at: String,
    /// At most 31 days later.
    #[schema(example = "2026-03-01T12:00:00.000Z", format = DateTime)]
    pub(crate) ends_at: String,
    #[schema(
        min_length = 1,
        max_length = 500,
        example = "The platform was down: its incident of 1 March"
    )]
    pub(crate) reason: String,
}
