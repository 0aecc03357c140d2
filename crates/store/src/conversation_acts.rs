//! What members do to a conversation that is no message: its status and its priority.

mod fields;
mod undo;

use jiff::Timestamp;
use roost_domain::conversation::{Priority, Status};
use roost_domain::ids::{BrandId, ConversationId, MemberId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::{ActKind, Cause, Ledger};
use crate::tx::BrandTx;
pub use fields::{FieldChange, FieldRefusal, LabelChange};
pub use undo::{Undone, no_reply_needed, undo};

/// A wanted change; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct ConversationChange {
    /// The status to set; snoozed takes its end from `snooze_until`.
    pub status: Option<Status>,
    /// When a snooze ends.
    pub snooze_until: Option<Timestamp>,
    /// How urgent.
    pub priority: Option<Priority>,
    /// Labels, skills, attributes.
    pub fields: FieldChange,
    /// Only if the conversation still has this version.
    pub if_version: Option<i64>,
    /// To be put away although a response clock runs on.
    pub is_confirmed: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// Done, or there was nothing to do.
    Done,
    /// No such conversation.
    Missing,
    /// It would be a second unresolved conversation with the same customer: this is the first.
    Exists(ConversationId),
    /// The brand doesn't know what the change names.
    Refused(FieldRefusal),
    /// A response clock would run on while it is put away, and nobody said that this is meant.
    Unconfirmed,
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
    let wants_work = change.snooze_until.is_some()
        || change
            .status
            .is_some_and(|status| status != Status::Resolved);
    let rival = if wants_work {
        lock_identity(tx.conn(), brand, id).await?;
        other_unresolved(tx.conn(), brand, id).await?
    } else {
        None
    };
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &[id]).await?;
    let Some(before) = ledger.get(id) else {
        return Ok(ChangeOutcome::Missing);
    };
    let (version, state) = (before.version, before.state);
    let answer_is_due = before.is_answer_due();
    if let Some(rival) = rival.filter(|_| state.status == Status::Resolved) {
        return Ok(ChangeOutcome::Exists(rival));
    }
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
        if matches!(act, ActKind::Snooze(_)) && answer_is_due && !change.is_confirmed {
            return Ok(ChangeOutcome::Unconfirmed);
        }
        ledger.act(id, act, Some(member), cause);
    }
    if let Some(priority) = change.priority {
        ledger.set_priority(id, priority, cause);
    }
    if let Err(refusal) = fields::apply(tx, &mut ledger, id, &change.fields, cause).await? {
        return Ok(ChangeOutcome::Refused(refusal));
    }
    ledger.refold(tx.conn(), cause).await?;
    ledger.flush(tx.conn()).await?;
    Ok(ChangeOutcome::Done)
}

/// Locks the customer's account of a conversation, which comes before the conversation itself: nobody
/// opens another one meanwhile.
pub(crate) async fn lock_identity(
    connection: &mut PgConnection,
    brand: BrandId,
    id: ConversationId,
) -> Result<(), StoreError> {
    sqlx::query(
        "select i.id from conversations c
         join identities i on i.brand_id = c.brand_id and i.id = c.identity_id
         where c.brand_id = $1 and c.id = $2 for update of i",
    )
    .bind(brand.0)
    .bind(id.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// As [`lock_identity`] for many, in the order of the identities' ids: a change of many conversations in
/// one transaction begins with it.
///
/// # Errors
/// When the database fails.
pub async fn lock_identities(tx: &mut BrandTx, ids: &[ConversationId]) -> Result<(), StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query(
        "select id from identities where brand_id = $1 and id in (
             select identity_id from conversations where brand_id = $1 and id = any ($2))
         order by id for update",
    )
    .bind(brand.0)
    .bind(ids)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Another conversation of the same customer over the same channel that isn't resolved.
pub(crate) async fn other_unresolved(
    connection: &mut PgConnection,
    brand: BrandId,
    id: ConversationId,
) -> Result<Option<ConversationId>, StoreError> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "select o.id from conversations c
         join conversations o on o.brand_id = c.brand_id and o.channel_id = c.channel_id
              and o.identity_id = c.identity_id and o.surface = c.surface
         where c.brand_id = $1 and c.id = $2 and o.id <> c.id and o.status <> 'resolved'",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(connection)
    .await?;
    Ok(found.map(ConversationId))
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
