//! Erasing a contact for good: what is personal is blanked, rows and figures stay, and a digest by a key
//! that isn't in the database keeps a later back-fill from bringing anything back.

use std::collections::HashMap;

use jiff::Timestamp;
use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, ContactId, MemberId};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::audit::Auditor;
use crate::contacts::{IdentityName, close_all};
use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::inbound::EventKey;
use crate::ledger::{ActKind, Cause};
use crate::search;
use crate::ts::Ts;
use crate::tx::BrandTx;

/// What came of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasureOutcome {
    /// Done.
    Done(Erased),
    /// It was done before.
    Before,
    /// No such contact.
    Missing,
    /// It is part of another contact: erase that one.
    Merged,
}

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// Digests of the accounts.
    pub identities: Vec<String>,
    /// Messages that were blanked.
    pub messages: u64,
    /// Files that were blanked.
    pub attachments: u64,
    /// Raw events that were blanked or deleted.
    pub raw_events: i64,
}

/// What stands for an account whose id must not be kept.
fn digest(audit: &Auditor, name: &IdentityName) -> String {
    let IdentityName {
        brand,
        platform,
        external_id,
    } = name;
    audit.digest(&format!("identity\n{brand}\n{platform}\n{external_id}"))
}

/// Erases a contact with every contact that was merged into it: they are one person. Their open
/// conversations are resolved, and clocks cancelled as `erased`.
///
/// # Errors
/// When the database fails.
pub async fn erase(
    tx: &mut BrandTx,
    audit: &Auditor,
    id: ContactId,
    member: MemberId,
    cause: &Cause,
) -> Result<ErasureOutcome, StoreError> {
    let brand = tx.brand();
    let accounts: Vec<(Uuid, String, String)> = sqlx::query_as(
        "select id, platform, external_id from identities where brand_id = $1 and contact_id = $2
         order by id for update",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_all(tx.conn())
    .await?;
    let state: Option<(bool, bool)> = sqlx::query_as(
        "select merged_into is not null, erased_at is not null from contacts where brand_id = $1 and id = $2
         for update",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    match state {
        None => return Ok(ErasureOutcome::Missing),
        Some((_, true)) => return Ok(ErasureOutcome::Before),
        Some((true, _)) => return Ok(ErasureOutcome::Merged),
        Some((false, false)) => {}
    }
    let identities: Vec<Uuid> = accounts.iter().map(|(id, _, _)| *id).collect();
    close_all(tx, &identities, ActKind::Erase, member, cause).await?;
    let customers: Vec<String> = accounts.iter().map(|(_, _, id)| id.clone()).collect();
    let raw_events: i64 = sqlx::query_scalar("select contact_erase_raw($1, $2, $3)")
        .bind(brand.0)
        .bind(vec![id.0])
        .bind(&customers)
        .fetch_one(tx.conn())
        .await?;
    search::forget_contact(tx, id).await?;
    let (messages, attachments) = blank_conversations(tx, id).await?;
    let mut digests = Vec::new();
    for (_, platform, external_id) in accounts {
        let name = IdentityName {
            brand,
            platform,
            external_id,
        };
        digests.push(digest(audit, &name));
    }
    leave_digests(tx, &digests).await?;
    blank_contact(tx, id).await?;
    let data = json!({ "contact_id": id, "messages": messages });
    append_subject_event(tx, EventType::ContactErased, id.0, cause, data).await?;
    Ok(ErasureOutcome::Done(Erased {
        identities: digests,
        messages,
        attachments,
        raw_events,
    }))
}

async fn blank_conversations(tx: &mut BrandTx, id: ContactId) -> Result<(u64, u64), StoreError> {
    let brand = tx.brand();
    let conversations: Vec<Uuid> =
        sqlx::query_scalar("select id from conversations where brand_id = $1 and contact_id = $2")
            .bind(brand.0)
            .bind(id.0)
            .fetch_all(tx.conn())
            .await?;
    let attachments = sqlx::query(
        "update attachments a set source_url = null, data = null
         from messages m where m.brand_id = $1 and m.conversation_id = any ($2)
           and a.brand_id = m.brand_id and a.message_id = m.id",
    )
    .bind(brand.0)
    .bind(&conversations)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "update send_attempts a set error = null
         from messages m where m.brand_id = $1 and m.conversation_id = any ($2)
           and a.brand_id = m.brand_id and a.message_id = m.id",
    )
    .bind(brand.0)
    .bind(&conversations)
    .execute(tx.conn())
    .await?;
    // What has not been sent never is. An attempt that is under way ends as it ends.
    sqlx::query(
        "update outbound_messages
         set recipient_id = '', fingerprint = '', detail = null,
             state = case when state in ('queued', 'unknown') then 'failed' else state end,
             code = case when state in ('queued', 'unknown') then 'erased' else code end,
             needs_decision = false,
             -- A look-up that finds nothing doesn't send the blank text again.
             requeues = greatest(requeues, 1)
         where brand_id = $1 and conversation_id = any ($2)",
    )
    .bind(brand.0)
    .bind(&conversations)
    .execute(tx.conn())
    .await?;
    let messages = sqlx::query(
        "update messages set text = '', entities = null, quick_reply_answer = null, initiated_via = null,
                client_ref = null
         where brand_id = $1 and conversation_id = any ($2)",
    )
    .bind(brand.0)
    .bind(&conversations)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "update conversations set preview = '', origin_ref = null, external_id = null, has_failed_send = false
         where brand_id = $1 and id = any ($2)",
    )
    .bind(brand.0)
    .bind(&conversations)
    .execute(tx.conn())
    .await?;
    // Free text may hold anything; what was chosen from a list is a figure in reports.
    sqlx::query(
        "delete from conversation_attributes v using attribute_definitions d
         where v.brand_id = $1 and v.conversation_id = any ($2)
           and d.brand_id = v.brand_id and d.id = v.definition_id and d.type = 'text'",
    )
    .bind(brand.0)
    .bind(&conversations)
    .execute(tx.conn())
    .await?;
    // Events name clients' own references, which may hold anything too.
    sqlx::query(
        "update events set client_ref = null where brand_id = $1 and conversation_id = any ($2)",
    )
    .bind(brand.0)
    .bind(&conversations)
    .execute(tx.conn())
    .await?;
    Ok((messages.rows_affected(), attachments.rows_affected()))
}

async fn leave_digests(tx: &mut BrandTx, digests: &[String]) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "insert into erased_identities (brand_id, digest, erased_at)
         select $1, digest, clock_timestamp() from unnest($2::text[]) digest
         on conflict (brand_id, digest) do update set erased_at = excluded.erased_at",
    )
    .bind(brand.0)
    .bind(digests)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What an erased contact is called.
const NAME: &str = "Erased contact";

async fn blank_contact(tx: &mut BrandTx, id: ContactId) -> Result<(), StoreError> {
    let brand = tx.brand();
    // Merged contacts are those that its accounts were made with, and whatever lies between.
    let contacts: Vec<Uuid> = sqlx::query_scalar(
        "with recursive person (id) as (
             select $2::uuid
             union select c.id from contacts c join person p on c.brand_id = $1 and c.merged_into = p.id
         ) select id from person",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_all(tx.conn())
    .await?;
    sqlx::query("delete from contact_attributes where brand_id = $1 and contact_id = any ($2)")
        .bind(brand.0)
        .bind(&contacts)
        .execute(tx.conn())
        .await?;
    sqlx::query(
        "update contacts set name = $3, name_key = '', handle = null, handle_key = '', avatar_url = null,
                external_id = null, erased_at = now(), version = version + 1, updated_at = now()
         where brand_id = $1 and id = any ($2)",
    )
    .bind(brand.0)
    .bind(&contacts)
    .bind(NAME)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "update identities set external_id = 'erased:' || id where brand_id = $1 and contact_id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .execute(tx.conn())
    .await?;
    // Kept answers are sealed, and nobody knows whom they tell of. The requests stay known, so that
    // none has its effect twice; a repeat is answered without a body.
    sqlx::query("update idempotency set body = null where brand_id = $1 and body is not null")
        .bind(brand.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// When these accounts were erased, of those that were.
///
/// # Errors
/// When the database fails.
pub(crate) async fn recall(
    connection: &mut PgConnection,
    audit: &Auditor,
    names: &[&IdentityName],
) -> Result<HashMap<IdentityName, Timestamp>, StoreError> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let by_digest: HashMap<(Uuid, String), &IdentityName> = names
        .iter()
        .map(|name| ((name.brand.0, digest(audit, name)), *name))
        .collect();
    let (brands, digests): (Vec<Uuid>, Vec<String>) = by_digest.keys().cloned().unzip();
    let rows: Vec<(Uuid, String, Ts)> = sqlx::query_as(
        "select e.brand_id, e.digest, e.erased_at
         from unnest($1::uuid[], $2::text[]) as wanted (brand_id, digest)
         join erased_identities e using (brand_id, digest)",
    )
    .bind(brands)
    .bind(digests)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(brand, digest, at)| {
            Some(((*by_digest.get(&(brand, digest))?).clone(), at.get()))
        })
        .collect())
}

/// Blanks events that were kept before it was known that they must not be. Their rows stay: the same
/// event is still told from a new one.
///
/// # Errors
/// When the database fails.
pub async fn blank_events(
    connection: &mut PgConnection,
    events: &[(BrandId, EventKey)],
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let brands: Vec<Uuid> = events.iter().map(|(brand, _)| brand.0).collect();
    let channels: Vec<Uuid> = events.iter().map(|(_, key)| key.0.0).collect();
    let kinds: Vec<&str> = events.iter().map(|(_, key)| key.1.as_str()).collect();
    let ids: Vec<&str> = events.iter().map(|(_, key)| key.2.as_str()).collect();
    sqlx::query(
        "update inbound_events e set payload = ''
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as t (brand_id, channel_id, kind, id)
         where e.brand_id = t.brand_id and e.channel_id = t.channel_id and e.kind = t.kind
           and e.platform_event_id = t.id",
    )
    .bind(brands)
    .bind(channels)
    .bind(kinds)
    .bind(ids)
    .execute(connection)
    .await?;
    Ok(())
}
