//! The clocks of a conversation, as they are shown.

use jiff::Timestamp;
use roost_domain::ids::{ClockId, ConversationId, PolicyId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::BrandTx;

/// A clock.
#[derive(Debug, Clone)]
pub struct ShownClock {
    /// Ours.
    pub id: ClockId,
    /// What it measures.
    pub kind: String,
    /// The cycle it belongs to.
    pub cycle: i32,
    /// `running`, `met`, `met_late` or `cancelled`.
    pub state: String,
    /// Why it was cancelled, where that was no resolve: `blocked` or `erased`.
    pub cancelled_as: Option<String>,
    /// Whose target it took.
    pub policy: PolicyId,
    /// Its target.
    pub target_seconds: i64,
    /// When it began.
    pub started_at: Timestamp,
    /// The last instant in time.
    pub due_at: Timestamp,
    /// When its warning fired.
    pub warned_at: Option<Timestamp>,
    /// The due instant, once the breach has fired.
    pub breached_at: Option<Timestamp>,
    /// When it was answered or cancelled.
    pub settled_at: Option<Timestamp>,
    /// The reply that answered it.
    pub settled_by: Option<Uuid>,
    /// The message that began it.
    pub started_by: Uuid,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    kind: String,
    cycle: i32,
    state: String,
    cancelled_as: Option<String>,
    policy_id: Uuid,
    target_seconds: i64,
    started_at: Ts,
    due_at: Ts,
    warned_at: Option<Ts>,
    breached_at: Option<Ts>,
    settled_at: Option<Ts>,
    settled_by: Option<Uuid>,
    started_by: Uuid,
}

/// All clocks of a conversation, newest cycle first, and the database's time.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    conversation: ConversationId,
) -> Result<(Timestamp, Vec<ShownClock>), StoreError> {
    let brand = tx.brand();
    let now: Ts = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(tx.conn())
        .await?;
    let rows: Vec<Row> = sqlx::query_as(
        "select id, kind, cycle, state, cancelled_as, policy_id, target_seconds, started_at, due_at, warned_at, breached_at,
                settled_at, settled_by, started_by
         from sla_clocks where brand_id = $1 and conversation_id = $2
         order by cycle desc, started_at desc, id desc limit 200",
    )
    .bind(brand.0)
    .bind(conversation.0)
    .fetch_all(tx.conn())
    .await?;
    let clocks = rows
        .into_iter()
        .map(|row| ShownClock {
            id: ClockId(row.id),
            kind: row.kind,
            cycle: row.cycle,
            // A late message may have it run again.
            cancelled_as: row.cancelled_as.filter(|_| row.state == "cancelled"),
            state: row.state,
            policy: PolicyId(row.policy_id),
            target_seconds: row.target_seconds,
            started_at: row.started_at.get(),
            due_at: row.due_at.get(),
            warned_at: row.warned_at.map(Ts::get),
            breached_at: row.breached_at.map(Ts::get),
            settled_at: row.settled_at.map(Ts::get),
            settled_by: row.settled_by,
            started_by: row.started_by,
        })
        .collect();
    Ok((now.get(), clocks))
}
