//! API keys.

use jiff::Timestamp;
use roost_store::api_keys::StoredKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;
use crate::input::maybe;

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyView {
    id: String,
    name: String,
    /// `live`, or `test`: sees sandbox channels only.
    mode: &'static str,
    /// `active`, `expired` or `revoked`.
    status: &'static str,
    /// What it may do at most.
    role: &'static str,
    /// What of that it may do.
    scopes: Vec<String>,
    /// Whose conversations it sees; null for all.
    team_ids: Option<Vec<String>>,
    /// Over which channels; null for all.
    channel_ids: Option<Vec<String>>,
    /// The last four characters of the key.
    hint: String,
    /// The member, of kind bot, as whom it acts.
    member_id: String,
    /// Until when the key from before the last rotation is good.
    previous_until: Option<At>,
    expires_at: Option<At>,
    /// To the minute.
    last_used_at: Option<At>,
    revoked_at: Option<At>,
    created_by: String,
    created_at: At,
}

impl From<StoredKey> for ApiKeyView {
    fn from(key: StoredKey) -> Self {
        let now = Timestamp::now();
        let status = if key.revoked_at.is_some() {
            "revoked"
        } else if key.expires_at.is_some_and(|at| at <= now) {
            "expired"
        } else {
            "active"
        };
        Self {
            id: key.id.to_string(),
            name: key.name,
            mode: mode(key.is_test),
            status,
            role: key.role.as_str(),
            scopes: key.scopes,
            team_ids: key
                .teams
                .map(|ids| ids.iter().map(ToString::to_string).collect()),
            channel_ids: key
                .channels
                .map(|ids| ids.iter().map(ToString::to_string).collect()),
            hint: key.hint,
            member_id: key.member.to_string(),
            previous_until: key.previous_until.filter(|until| *until > now).map(At),
            expires_at: key.expires_at.map(At),
            last_used_at: key.last_used_at.map(At),
            revoked_at: key.revoked_at.map(At),
            created_by: key.created_by.to_string(),
            created_at: key.created_at.into(),
        }
    }
}

/// The word for whether a key sees sandbox channels only.
pub(crate) fn mode(is_test: bool) -> &'static str {
    if is_test { "test" } else { "live" }
}

/// A key with its secret, which is shown once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewApiKeyView {
    /// The secret: put it away now, nobody can show it again.
    #[schema(example = "rk_live_Zk1nV0c3R2FtS3J5cHRvUmFuZG9tQnl0ZXMxMjM0NTY")]
    pub(crate) key: String,
    #[serde(flatten)]
    pub(crate) view: ApiKeyView,
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKey {
    #[schema(min_length = 1, max_length = 200, example = "Order system")]
    pub(crate) name: String,
    /// `live` or `test`.
    #[schema(example = "live")]
    pub(crate) mode: String,
    /// `admin`, `supervisor`, `agent` or `analyst`; not above your own.
    #[schema(example = "agent")]
    pub(crate) role: String,
    /// What of the role's permissions it may use.
    #[schema(min_items = 1, example = json!(["conversations:read", "messages:write"]))]
    pub(crate) scopes: Vec<String>,
    /// Whose conversations it sees; left out or null for all.
    pub(crate) team_ids: Option<Vec<String>>,
    /// Over which channels; left out or null for all.
    pub(crate) channel_ids: Option<Vec<String>>,
    /// When it runs out; left out or null for never.
    pub(crate) expires_at: Option<String>,
}

/// A change of a key; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeyPatch {
    #[schema(min_length = 1, max_length = 200)]
    pub(crate) name: Option<String>,
    #[schema(min_items = 1)]
    pub(crate) scopes: Option<Vec<String>>,
    /// Null for all.
    #[serde(default, deserialize_with = "maybe")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) team_ids: Option<Option<Vec<String>>>,
    /// Null for all.
    #[serde(default, deserialize_with = "maybe")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) channel_ids: Option<Option<Vec<String>>>,
    /// Null for never.
    #[serde(default, deserialize_with = "maybe")]
    #[schema(value_type = Option<String>)]
    pub(crate) expires_at: Option<Option<String>>,
}
