//! Merging contacts: whole conversations move, none are joined, and an undo gives each account its own
//! back.
//!
//! Locks are taken in one order: accounts by id, contacts by id, conversations by id. The inbox holds
//! an account while it works on its conversations, so a message comes wholly before or after a merge.

use jiff::Timestamp;
use roost_domain::event::EventType;
use roost_domain::ids::{ContactId, ConversationId, MemberId, MergeId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::{Cause, Ledger};
use crate::ts::Ts;
use crate::tx::BrandTx;

/// A merge.
#[derive(Debug, Clone)]
pub struct StoredMerge {
    /// Ours.
    pub id: MergeId,
    /// Who has everything now.
    pub survivor: ContactId,
    /// Who had it.
    pub merged: ContactId,
    /// How many conversations moved.
    pub conversations: i32,
    /// Who did it.
    pub merged_by: Option<MemberId>,
    /// When.
    pub created_at: Timestamp,
    /// When it was undone.
    pub undone_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    survivor_id: Uuid,
    merged_id: Uuid,
    conversations: i32,
    merged_by: Option<Uuid>,
    created_at: Ts,
    undone_at: Option<Ts>,
}

/// One merge.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut BrandTx, id: MergeId) -> Result<Option<StoredMerge>, StoreError> {
    let brand = tx.brand();
    let row: Option<Row> = sqlx::query_as(
        "select id, survivor_id, merged_id, conversations, merged_by, created_at, undone_at from contact_merges
         where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| StoredMerge {
        id: MergeId(row.id),
        survivor: ContactId(row.survivor_id),
        merged: ContactId(row.merged_id),
        conversations: row.conversations,
        merged_by: row.merged_by.map(MemberId),
        created_at: row.created_at.get(),
        undone_at: row.undone_at.map(Ts::get),
    }))
}

/// What came of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeOutcome {
    /// Done.
    Done(MergeId),
    /// There is no such contact.
    Missing(ContactId),
    /// It was merged already.
    Already(ContactId),
    /// It was erased.
    Erased(ContactId),
    /// One is blocked and the other isn't: a merge would block or unblock by the way.
    OneIsBlocked(ContactId),
}

#[derive(sqlx::FromRow)]
struct Held {
    id: Uuid,
    is_merged: bool,
    is_erased: bool,
    is_blocked: bool,
}

async fn lock_identities(tx: &mut BrandTx, of: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select id from identities where brand_id = $1 and contact_id = any ($2) order by id for update",
    )
    .bind(brand.0)
    .bind(of)
    .fetch_all(tx.conn())
    .await?)
}

async fn lock_contacts(tx: &mut BrandTx, ids: &[Uuid]) -> Result<Vec<Held>, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_as(
        "select id, merged_into is not null as is_merged, erased_at is not null as is_erased,
                blocked_at is not null as is_blocked
         from contacts where brand_id = $1 and id = any ($2) order by id for no key update",
    )
    .bind(brand.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?)
}

/// Makes the accounts and conversations of one contact another's.
///
/// # Errors
/// When the database fails.
pub async fn merge(
    tx: &mut BrandTx,
    survivor: ContactId,
    merged: ContactId,
    member: MemberId,
    cause: &Cause,
) -> Result<MergeOutcome, StoreError> {
    let brand = tx.brand();
    let both = [survivor.0, merged.0];
    lock_identities(tx, &both).await?;
    let held = lock_contacts(tx, &both).await?;
    for id in [survivor, merged] {
        match held.iter().find(|one| one.id == id.0) {
            None => return Ok(MergeOutcome::Missing(id)),
            Some(one) if one.is_erased => return Ok(MergeOutcome::Erased(id)),
            Some(one) if one.is_merged => return Ok(MergeOutcome::Already(id)),
            Some(_) => {}
        }
    }
    if let Some(blocked) = held.iter().find(|one| one.is_blocked)
        && held.iter().any(|one| !one.is_blocked)
    {
        return Ok(MergeOutcome::OneIsBlocked(ContactId(blocked.id)));
    }
    // Another merge may have brought accounts while this one waited.
    let identities = lock_identities(tx, &[merged.0]).await?;
    let moved = move_to(tx, &identities, survivor).await?;
    let id = MergeId(Uuid::now_v7());
    sqlx::query(
        "insert into contact_merges (brand_id, id, survivor_id, merged_id, conversations, merged_by)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(survivor.0)
    .bind(merged.0)
    .bind(i32::try_from(moved.count).unwrap_or(i32::MAX))
    .bind(member.0)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into contact_merge_identities (brand_id, merge_id, identity_id)
         select $1, $2, identity from unnest($3::uuid[]) identity",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&identities)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "update contacts set merged_into = case when id = $3 then $2 end, version = version + 1, updated_at = now()
         where brand_id = $1 and id in ($2, $3)",
    )
    .bind(brand.0)
    .bind(survivor.0)
    .bind(merged.0)
    .execute(tx.conn())
    .await?;
    let data = json!({ "contact_id": survivor, "merged_id": merged, "merge_id": id });
    tell(
        tx,
        EventType::ContactMerged,
        survivor,
        &moved.unresolved,
        &data,
        cause,
    )
    .await?;
    Ok(MergeOutcome::Done(id))
}

/// What came of an undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoOutcome {
    /// Done.
    Done,
    /// There is no such merge.
    Missing,
    /// It was undone already.
    Nothing,
    /// One of the contacts was erased since.
    Erased,
}

/// Undoes a merge: each account that moved goes back with all its conversations, those that were opened
/// since too. It may have moved on meanwhile, with the survivor; later merges don't claim it any more.
///
/// # Errors
/// When the database fails.
pub async fn undo(tx: &mut BrandTx, id: MergeId, cause: &Cause) -> Result<UndoOutcome, StoreError> {
    let brand = tx.brand();
    let row: Option<(Uuid, Uuid, bool)> = sqlx::query_as(
        "select survivor_id, merged_id, undone_at is not null from contact_merges
         where brand_id = $1 and id = $2 for update",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    let Some((survivor, merged, is_undone)) = row else {
        return Ok(UndoOutcome::Missing);
    };
    if is_undone {
        return Ok(UndoOutcome::Nothing);
    }
    let identities: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select i.id, i.contact_id from identities i
         where i.brand_id = $1 and i.id in (
             select identity_id from contact_merge_identities where brand_id = $1 and merge_id = $2)
         order by i.id for update",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_all(tx.conn())
    .await?;
    let mut contacts: Vec<Uuid> = identities.iter().map(|(_, holder)| *holder).collect();
    contacts.extend([survivor, merged]);
    let held = lock_contacts(tx, &contacts).await?;
    if held.iter().any(|one| one.is_erased) {
        return Ok(UndoOutcome::Erased);
    }
    let merged = ContactId(merged);
    let ids: Vec<Uuid> = identities.iter().map(|(id, _)| *id).collect();
    let moved = move_to(tx, &ids, merged).await?;
    // It comes back as blocked or not as who held it is now.
    sqlx::query(
        "update contacts c
         set merged_into = null, version = version + 1, updated_at = now(),
             blocked_at = case when exists (select from identities i where i.brand_id = c.brand_id
                                               and i.contact_id = c.id and i.is_blocked)
                               then coalesce(c.blocked_at, now()) end
         where c.brand_id = $1 and c.id = $2",
    )
    .bind(brand.0)
    .bind(merged.0)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "update contacts set version = version + 1, updated_at = now()
         where brand_id = $1 and id = any ($2) and id <> $3",
    )
    .bind(brand.0)
    .bind(&contacts)
    .bind(merged.0)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "delete from contact_merge_identities where brand_id = $1 and merge_id > $2 and identity_id = any ($3)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&ids)
    .execute(tx.conn())
    .await?;
    sqlx::query("update contact_merges set undone_at = now() where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    let data = json!({ "contact_id": merged, "survivor_id": ContactId(survivor), "merge_id": id });
    tell(
        tx,
        EventType::ContactUnmerged,
        merged,
        &moved.unresolved,
        &data,
        cause,
    )
    .await?;
    Ok(UndoOutcome::Done)
}

struct Moved {
    count: usize,
    unresolved: Vec<ConversationId>,
}

/// Gives accounts, which this transaction holds, and their conversations to a contact.
async fn move_to(
    tx: &mut BrandTx,
    identities: &[Uuid],
    to: ContactId,
) -> Result<Moved, StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "update identities set home_id = coalesce(home_id, contact_id), contact_id = $3
         where brand_id = $1 and id = any ($2)",
    )
    .bind(brand.0)
    .bind(identities)
    .bind(to.0)
    .execute(tx.conn())
    .await?;
    let conversations: Vec<(Uuid, bool)> = sqlx::query_as(
        "select id, status <> 'resolved' from conversations where brand_id = $1 and identity_id = any ($2)
         order by id for update",
    )
    .bind(brand.0)
    .bind(identities)
    .fetch_all(tx.conn())
    .await?;
    sqlx::query(
        "update conversations set contact_id = $3, updated_at = now() where brand_id = $1 and identity_id = any ($2)",
    )
    .bind(brand.0)
    .bind(identities)
    .bind(to.0)
    .execute(tx.conn())
    .await?;
    Ok(Moved {
        count: conversations.len(),
        unresolved: conversations
            .into_iter()
            .filter(|(_, is_unresolved)| *is_unresolved)
            .map(|(id, _)| ConversationId(id))
            .collect(),
    })
}

/// Tells the brand, and whoever has one of the moved conversations open.
async fn tell(
    tx: &mut BrandTx,
    kind: EventType,
    subject: ContactId,
    conversations: &[ConversationId],
    data: &Value,
    cause: &Cause,
) -> Result<(), StoreError> {
    append_subject_event(tx, kind, subject.0, cause, data.clone()).await?;
    let brand = tx.brand();
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, conversations).await?;
    for id in conversations {
        ledger.emit(*id, kind, cause, Some(data.clone()));
    }
    ledger.flush(tx.conn()).await?;
    Ok(())
}
