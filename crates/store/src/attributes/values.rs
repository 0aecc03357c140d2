//! The values that conversations and contacts have.

use std::collections::HashMap;
use std::hash::Hash;

use roost_domain::ids::{AttributeId, ContactId, ConversationId};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::value::{Kind, shown};
use crate::error::StoreError;
use crate::ledger::parse;
use crate::tx::BrandTx;

type Found = Vec<(Uuid, String, String, String)>;

fn by_owner<T: From<Uuid> + Eq + Hash>(
    rows: Found,
) -> Result<HashMap<T, Map<String, Value>>, StoreError> {
    let mut values: HashMap<T, Map<String, Value>> = HashMap::new();
    for (owner, key, kind, value) in rows {
        let kind: Kind = parse(&kind)?;
        values
            .entry(owner.into())
            .or_default()
            .insert(key, shown(kind, &value));
    }
    Ok(values)
}

/// The attributes of contacts, by key; one without any isn't there.
///
/// # Errors
/// When the database fails.
pub async fn of_contacts(
    tx: &mut BrandTx,
    ids: &[ContactId],
) -> Result<HashMap<ContactId, Map<String, Value>>, StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Found = sqlx::query_as(
        "select v.contact_id, d.key, d.type, v.value from contact_attributes v
         join attribute_definitions d on d.brand_id = v.brand_id and d.id = v.definition_id
         where v.brand_id = $1 and v.contact_id = any ($2) order by d.key",
    )
    .bind(brand.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    by_owner(rows)
}

/// The attributes of conversations, by key; one without any isn't there.
///
/// # Errors
/// When the database fails.
pub async fn of_conversations(
    tx: &mut BrandTx,
    ids: &[ConversationId],
) -> Result<HashMap<ConversationId, Map<String, Value>>, StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Found = sqlx::query_as(
        "select v.conversation_id, d.key, d.type, v.value from conversation_attributes v
         join attribute_definitions d on d.brand_id = v.brand_id and d.id = v.definition_id
         where v.brand_id = $1 and v.conversation_id = any ($2) order by d.key",
    )
    .bind(brand.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    by_owner(rows)
}

const PUT_CONTACT: &str =
    "insert into contact_attributes as v (brand_id, contact_id, definition_id, value)
     select $1, $2, * from unnest($3::uuid[], $4::text[])
     on conflict (brand_id, contact_id, definition_id) do update set value = excluded.value
         where v.value <> excluded.value";
const CUT_CONTACT: &str = "delete from contact_attributes
     where brand_id = $1 and contact_id = $2 and definition_id = any ($3)";
const PUT_CONVERSATION: &str =
    "insert into conversation_attributes as v (brand_id, conversation_id, definition_id, value)
     select $1, $2, * from unnest($3::uuid[], $4::text[])
     on conflict (brand_id, conversation_id, definition_id) do update set value = excluded.value
         where v.value <> excluded.value";
const CUT_CONVERSATION: &str = "delete from conversation_attributes
     where brand_id = $1 and conversation_id = $2 and definition_id = any ($3)";

/// Sets attributes of a contact to text forms, or takes them away; answers whether anything changed.
///
/// # Errors
/// When the database fails.
pub async fn set_of_contact(
    tx: &mut BrandTx,
    id: ContactId,
    changes: &[(AttributeId, Option<String>)],
) -> Result<bool, StoreError> {
    set(tx, id.0, changes, PUT_CONTACT, CUT_CONTACT).await
}

/// Sets attributes of a conversation to text forms, or takes them away; answers whether anything
/// changed.
///
/// # Errors
/// When the database fails.
pub async fn set_of_conversation(
    tx: &mut BrandTx,
    id: ConversationId,
    changes: &[(AttributeId, Option<String>)],
) -> Result<bool, StoreError> {
    set(tx, id.0, changes, PUT_CONVERSATION, CUT_CONVERSATION).await
}

async fn set(
    tx: &mut BrandTx,
    owner: Uuid,
    changes: &[(AttributeId, Option<String>)],
    put: &'static str,
    cut: &'static str,
) -> Result<bool, StoreError> {
    let brand = tx.brand();
    let (mut gone, mut ids, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (id, value) in changes {
        match value {
            Some(value) => {
                ids.push(id.0);
                values.push(value.as_str());
            }
            None => gone.push(id.0),
        }
    }
    let mut changed = 0;
    if !ids.is_empty() {
        let done = sqlx::query(put).bind(brand.0).bind(owner);
        let done = done.bind(ids).bind(values).execute(tx.conn()).await?;
        changed += done.rows_affected();
    }
    if !gone.is_empty() {
        let done = sqlx::query(cut).bind(brand.0).bind(owner);
        changed += done.bind(gone).execute(tx.conn()).await?.rows_affected();
    }
    Ok(changed > 0)
}
