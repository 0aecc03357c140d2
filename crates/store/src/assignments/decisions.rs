//! Decisions as they are kept: who, why, and who else was looked at.

use jiff::Timestamp;
use roost_domain::ids::{BrandId, ConversationId, DecisionId, MemberId, TeamId};
use roost_domain::routing::Judged;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::BrandTx;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decided {
    /// This member has it.
    Assigned(MemberId),
    /// It waits.
    Waiting,
    /// It was taken from whoever had it.
    Unassigned,
}

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecidedBy {
    /// The router.
    Router,
    /// A member, by hand.
    Member,
    /// A member, by replying.
    Reply,
}

/// A decision to keep.
#[derive(Debug, Clone)]
pub(crate) struct NewDecision {
    pub(crate) conversation: ConversationId,
    pub(crate) team: Option<TeamId>,
    pub(crate) outcome: Decided,
    pub(crate) by: DecidedBy,
    pub(crate) actor: Option<MemberId>,
    pub(crate) reason: String,
    pub(crate) over_capacity: bool,
    pub(crate) candidates: Vec<CandidateView>,
}

impl NewDecision {
    pub(super) fn by_hand(
        conversation: ConversationId,
        team: Option<TeamId>,
        outcome: Decided,
        actor: MemberId,
        reason: &str,
    ) -> Self {
        Self {
            conversation,
            team,
            outcome,
            by: DecidedBy::Member,
            actor: Some(actor),
            reason: reason.to_owned(),
            over_capacity: false,
            candidates: Vec::new(),
        }
    }

    fn row(&self, brand: BrandId) -> Value {
        let (outcome, member) = match self.outcome {
            Decided::Assigned(member) => ("assigned", Some(member.0)),
            Decided::Waiting => ("waiting", None),
            Decided::Unassigned => ("unassigned", None),
        };
        json!({
            "brand_id": brand.0,
            "id": Uuid::now_v7(),
            "conversation_id": self.conversation.0,
            "outcome": outcome,
            "member_id": member,
            "team_id": self.team.map(|team| team.0),
            "decided_by": match self.by {
                DecidedBy::Router => "router",
                DecidedBy::Member => "member",
                DecidedBy::Reply => "reply",
            },
            "actor_id": self.actor.map(|actor| actor.0),
            "reason": self.reason,
            "over_capacity": self.over_capacity,
            "candidates": self.candidates,
        })
    }
}

/// Keeps decisions; their conversations must be stored and locked. The time is taken here, under the
/// lock: the newest decision is the one that holds.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    brand: BrandId,
    decisions: &[NewDecision],
) -> Result<(), StoreError> {
    if decisions.is_empty() {
        return Ok(());
    }
    let rows: Vec<Value> = decisions
        .iter()
        .map(|decision| decision.row(brand))
        .collect();
    sqlx::query(
        "insert into assignment_decisions (
             brand_id, id, conversation_id, outcome, member_id, team_id, decided_by, actor_id, reason, over_capacity,
             candidates, decided_at)
         select
             brand_id, id, conversation_id, outcome, member_id, team_id, decided_by, actor_id, reason, over_capacity,
             candidates, clock_timestamp()
         from jsonb_populate_recordset(null::assignment_decisions, $1)",
    )
    .bind(Json(rows))
    .execute(connection)
    .await?;
    Ok(())
}

/// A member who was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateView {
    /// Who.
    pub member_id: MemberId,
    /// Whether they could have got it.
    pub eligible: bool,
    /// The rule that kept them from it.
    pub excluded_by: Option<String>,
    /// Open conversations that they held before.
    pub load: i32,
    /// How many they may hold.
    pub capacity: i32,
    /// Place among the eligible, from 1.
    pub rank: Option<usize>,
}

impl From<&Judged> for CandidateView {
    fn from(judged: &Judged) -> Self {
        Self {
            member_id: judged.member,
            eligible: judged.excluded_by.is_none(),
            excluded_by: judged.excluded_by.map(|rule| rule.as_str().to_owned()),
            load: judged.load,
            capacity: judged.capacity,
            rank: judged.rank,
        }
    }
}

/// A kept decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionView {
    /// Ours.
    pub id: DecisionId,
    /// About which conversation.
    pub conversation: ConversationId,
    /// `assigned`, `waiting` or `unassigned`.
    pub outcome: String,
    /// Who got it.
    pub member: Option<MemberId>,
    /// In which team's queue.
    pub team: Option<TeamId>,
    /// `router`, `member` or `reply`.
    pub decided_by: String,
    /// The member who decided.
    pub actor: Option<MemberId>,
    /// Why, in words that an agent understands.
    pub reason: String,
    /// Whether it took the member over their capacity.
    pub over_capacity: bool,
    /// Everyone who was looked at, eligible ones first by rank.
    pub candidates: Vec<CandidateView>,
    /// When (database time).
    pub decided_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    conversation_id: Uuid,
    outcome: String,
    member_id: Option<Uuid>,
    team_id: Option<Uuid>,
    decided_by: String,
    actor_id: Option<Uuid>,
    reason: String,
    over_capacity: bool,
    candidates: Json<Vec<CandidateView>>,
    decided_at: Ts,
}

impl From<Row> for DecisionView {
    fn from(row: Row) -> Self {
        Self {
            id: DecisionId(row.id),
            conversation: ConversationId(row.conversation_id),
            outcome: row.outcome,
            member: row.member_id.map(MemberId),
            team: row.team_id.map(TeamId),
            decided_by: row.decided_by,
            actor: row.actor_id.map(MemberId),
            reason: row.reason,
            over_capacity: row.over_capacity,
            candidates: row.candidates.0,
            decided_at: row.decided_at.get(),
        }
    }
}

/// The decision that holds now.
///
/// # Errors
/// When the database fails.
pub async fn latest(
    tx: &mut BrandTx,
    conversation: ConversationId,
) -> Result<Option<DecisionView>, StoreError> {
    Ok(list(tx, conversation, None, 1).await?.pop())
}

/// A conversation's decisions, newest first, those older than a given one.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    conversation: ConversationId,
    before: Option<(Timestamp, DecisionId)>,
    limit: i64,
) -> Result<Vec<DecisionView>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, conversation_id, outcome, member_id, team_id, decided_by, actor_id, reason, over_capacity,
                candidates, decided_at
         from assignment_decisions
         where brand_id = $1 and conversation_id = $2
           and ($3::timestamptz is null or (decided_at, id) < ($3, $4))
         order by decided_at desc, id desc limit $5",
    )
    .bind(brand.0)
    .bind(conversation.0)
    .bind(before.map(|(at, _)| Ts::from(at)))
    .bind(before.map(|(_, id)| id.0))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}
