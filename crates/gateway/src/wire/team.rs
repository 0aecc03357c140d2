//! Teams.

use roost_store::teams::{QueuedConversation, StoredTeam};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;

/// A team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamView {
    id: String,
    name: String,
    routing: RoutingView,
    /// Whether conversations of channels without a team go here.
    is_default: bool,
    /// Whether only its members, supervisors and above see its conversations.
    is_closed: bool,
    member_ids: Vec<String>,
}

/// How a team routes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoutingView {
    /// `auto` or `manual`.
    mode: String,
}

impl From<StoredTeam> for TeamView {
    fn from(team: StoredTeam) -> Self {
        Self {
            id: team.id.to_string(),
            name: team.name,
            routing: RoutingView { mode: team.mode },
            is_default: team.is_default,
            is_closed: team.is_closed,
            member_ids: team.members.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A team to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTeam {
    #[schema(min_length = 1, max_length = 200, example = "Billing")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) routing: CreateRouting,
    /// Whether only its members, supervisors and above see its conversations.
    #[serde(default)]
    pub(crate) is_closed: bool,
    #[serde(default)]
    pub(crate) member_ids: Vec<String>,
}

/// A change of a team; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TeamPatch {
    #[schema(min_length = 1, max_length = 200)]
    pub(crate) name: Option<String>,
    pub(crate) routing: Option<CreateRouting>,
    pub(crate) is_closed: Option<bool>,
    /// True makes it the default team, in place of the one that was.
    pub(crate) is_default: Option<bool>,
    /// All its members.
    pub(crate) member_ids: Option<Vec<String>>,
}

/// How a team shall route.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateRouting {
    /// `auto` (the default) or `manual`.
    pub(crate) mode: Option<String>,
}

/// A conversation that waits in a team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueuedView {
    conversation_id: String,
    priority: String,
    /// Since when it waits for an assignee.
    queued_at: At,
    /// The earliest due instant of its running clocks.
    next_due_at: Option<At>,
    waiting_reason: Option<String>,
}

impl From<QueuedConversation> for QueuedView {
    fn from(queued: QueuedConversation) -> Self {
        Self {
            conversation_id: queued.id.to_string(),
            priority: queued.priority,
            queued_at: queued.queued_at.into(),
            next_due_at: queued.due_at.map(At),
            waiting_reason: queued.reason,
        }
    }
}
