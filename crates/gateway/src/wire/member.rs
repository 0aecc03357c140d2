//! Members.

use roost_store::members::StoredMember;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;
use crate::input::maybe;

/// A member.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberView {
    id: String,
    /// `person`, or `bot` for an API key's.
    kind: &'static str,
    name: String,
    /// None for a bot.
    email: Option<String>,
    role: &'static str,
    /// How many open conversations they take.
    capacity: i32,
    /// How many they have.
    load: i64,
    skills: Vec<String>,
    team_ids: Vec<String>,
    external_id: Option<String>,
    presence: PresenceView,
    active: bool,
}

/// Whether a member takes work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PresenceView {
    /// `online`, `away` or `offline`.
    status: &'static str,
    since: Option<At>,
}

impl From<StoredMember> for MemberView {
    fn from(member: StoredMember) -> Self {
        Self {
            id: member.id.to_string(),
            kind: if member.is_bot() { "bot" } else { "person" },
            name: member.name,
            email: member.email,
            role: member.role.as_str(),
            capacity: member.capacity,
            load: member.load,
            skills: member.skills,
            team_ids: member.teams.iter().map(ToString::to_string).collect(),
            external_id: member.external_id,
            presence: PresenceView {
                status: member.presence.as_str(),
                since: member.present_since.map(At),
            },
            active: member.active,
        }
    }
}

/// A change of a member; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberPatch {
    pub(crate) name: Option<String>,
    /// A whole number from 0 to 10,000.
    pub(crate) capacity: Option<i64>,
    /// `owner`, `admin`, `supervisor`, `agent` or `analyst`.
    pub(crate) role: Option<String>,
    /// False deactivates: open conversations go back to the queue.
    pub(crate) active: Option<bool>,
    /// All teams of the member.
    pub(crate) team_ids: Option<Vec<String>>,
    /// All skills of the member, by name or id.
    pub(crate) skills: Option<Vec<String>>,
    #[serde(default, deserialize_with = "maybe")]
    #[schema(value_type = Option<String>)]
    pub(crate) external_id: Option<Option<String>>,
}

/// A wanted presence.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPresence {
    /// `online`, `away` or `offline`.
    pub(crate) status: String,
}
