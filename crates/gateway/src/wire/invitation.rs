//! Invitations.

use roost_store::invitations::StoredInvitation;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;

/// Whom to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateInvitation {
    #[schema(min_length = 3, max_length = 320, example = "ana@harbor.example")]
    pub(crate) email: String,
    /// `owner`, `admin`, `supervisor`, `agent` or `analyst`. Only an owner makes owners.
    #[schema(example = "agent")]
    pub(crate) role: String,
    /// The teams of the seat.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub(crate) team_ids: Vec<String>,
}

/// An invitation that nobody has accepted yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitationView {
    #[schema(example = "inv_01h455vb4pex5vsknk084sn02q")]
    id: String,
    email: String,
    role: &'static str,
    team_ids: Vec<String>,
    /// Who invited.
    member_id: String,
    /// Mails that went out.
    sent_count: i32,
    sent_at: At,
    /// Its link is good until then; sending it again makes a new one.
    expires_at: At,
    created_at: At,
}

impl From<StoredInvitation> for InvitationView {
    fn from(stored: StoredInvitation) -> Self {
        Self {
            id: stored.id.to_string(),
            email: stored.email,
            role: stored.role.as_str(),
            team_ids: stored.teams.iter().map(ToString::to_string).collect(),
            member_id: stored.by.to_string(),
            sent_count: stored.sent_count,
            sent_at: stored.sent_at.into(),
            expires_at: stored.expires_at.into(),
            created_at: stored.created_at.into(),
        }
    }
}
