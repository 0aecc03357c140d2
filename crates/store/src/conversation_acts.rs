//! What members do to a conversation that is no message: its status and its priority.

use jiff::Timestamp;
use roost_domain::conversation::{Priority, Status};
use roost_domain::ids::{ConversationId, MemberId};

use crate::error::StoreError;
use crate::ledger::{ActKind, Cause, Ledger};
use crate::tx::BrandTx;

/// A wanted change; what is none stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConversationChange {
    /// The status to set; snoozed takes its end from `snooze_until`.
    pub status: Option<Status>,
    /// When a snooze ends.
    pub snooze_until: Option<Timestamp>,
    /// How urgent.
    pub priority: Option<Priority>,
    /// Only if the conversation still has this version.
    pub if_version: Option<i64>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// Done, or there was nothing to do.
    Done,
    /// No such conversation.
    Missing,
    /// It has another version by now.
    Stale {
        /// The present one.
        version: i64,
        /// The fields that changed since, as far as the log names them.
        fields: Vec<String>,
    },
}

/// Changes a conversation, all or nothing.
///
/// Happens once for each call: the version guard, where it is given, refuses the second of two.
///
/// # Errors
/// When the database fails.
pub async fn change(
    tx: &mut BrandTx,
    id: ConversationId,
    change: &ConversationChange,
    member: MemberId,
    cause: &Cause,
) -> Result<ChangeOutcome, StoreError> {
    let brand = tx.brand();
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &[id]).await?;
    let Some(before) = ledger.get(id) else {
        return Ok(ChangeOutcome::Missing);
    };
    let (version, state) = (before.version, before.state);
    if let Some(wanted) = change.if_version
        && wanted != version
    {
        let fields = changed_since(tx, id, wanted).await?;
        return Ok(ChangeOutcome::Stale { version, fields });
    }
    let act = match (change.status, change.snooze_until) {
        (Some(Status::Snoozed) | None, Some(until)) => Some(ActKind::Snooze(until)),
        (Some(Status::Open), _) => Some(ActKind::Open),
        (Some(Status::Pending), _) => Some(ActKind::Pend),
        (Some(Status::Resolved), _) => Some(ActKind::Resolve),
        (Some(Status::Snoozed) | None, None) => None,
    };
    let changes_nothing = change.snooze_until == state.snoozed_until
        && change.status.is_none_or(|status| status == state.status);
    if let Some(act) = act.filter(|_| !changes_nothing) {
        ledger.act(id, act, Some(member), cause);
    }
    if let Some(priority) = change.priority {
        ledger.set_priority(id, priority, cause);
    }
    ledger.refold(tx.conn(), cause).await?;
    ledger.flush(tx.conn()).await?;
    Ok(ChangeOutcome::Done)
}

/// The fields that the log says have changed after a version.
async fn changed_since(
    tx: &mut BrandTx,
    id: ConversationId,
    version: i64,
) -> Result<Vec<String>, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select distinct field from events e
         cross join lateral jsonb_object_keys(e.data -> 'changed') field
         where e.brand_id = $1 and e.conversation_id = $2 and jsonb_typeof(e.data -> 'changed') = 'object'
           and (e.data ->> 'version')::bigint > $3
         order by field",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(version)
    .fetch_all(tx.conn())
    .await?)
}
