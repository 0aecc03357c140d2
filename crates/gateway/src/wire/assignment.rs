//! Assignments and the decisions behind them.

use roost_store::assignments::{CandidateView as Candidate, DecisionView as Decision};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;

/// Who has a conversation, or why it waits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssignmentView {
    pub(crate) conversation_id: String,
    pub(crate) member_id: Option<String>,
    pub(crate) team_id: Option<String>,
    /// Why it waits for an assignee.
    pub(crate) waiting_reason: Option<String>,
    /// The newest decision; none before the first.
    pub(crate) decision: Option<DecisionView>,
}

/// A decision.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionView {
    id: String,
    conversation_id: String,
    /// `assigned`, `waiting` or `unassigned`.
    outcome: String,
    member_id: Option<String>,
    team_id: Option<String>,
    /// `router`, `member` or `reply`.
    decided_by: String,
    /// The member who decided.
    actor_id: Option<String>,
    reason: String,
    /// Whether it took the member over their capacity.
    over_capacity: bool,
    candidates: Vec<CandidateView>,
    decided_at: At,
}

/// A member who was looked at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CandidateView {
    member_id: String,
    eligible: bool,
    /// The rule that kept them from it.
    excluded_by: Option<String>,
    load: i32,
    capacity: i32,
    rank: Option<usize>,
}

impl From<Decision> for DecisionView {
    fn from(decision: Decision) -> Self {
        Self {
            id: decision.id.to_string(),
            conversation_id: decision.conversation.to_string(),
            outcome: decision.outcome,
            member_id: decision.member.map(|id| id.to_string()),
            team_id: decision.team.map(|id| id.to_string()),
            decided_by: decision.decided_by,
            actor_id: decision.actor.map(|id| id.to_string()),
            reason: decision.reason,
            over_capacity: decision.over_capacity,
            candidates: decision.candidates.into_iter().map(Into::into).collect(),
            decided_at: decision.decided_at.into(),
        }
    }
}

impl From<Candidate> for CandidateView {
    fn from(candidate: Candidate) -> Self {
        Self {
            member_id: candidate.member_id.to_string(),
            eligible: candidate.eligible,
            excluded_by: candidate.excluded_by,
            load: candidate.load,
            capacity: candidate.capacity,
            rank: candidate.rank,
        }
    }
}

/// To whom a conversation shall go: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assign {
    pub(crate) member_id: Option<String>,
    pub(crate) team_id: Option<String>,
}
