//! What members say about a contact: name, external id, attributes.

use std::collections::BTreeMap;

use roost_domain::event::EventType;
use roost_domain::ids::ContactId;
use roost_domain::text::search_key;
use serde_json::{Value, json};

use crate::attributes::{self, Subject};
use crate::changed::{Changed, expect_version};
use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::{Cause, rematch_contact};
use crate::search::{self, NamedContact};
use crate::tx::BrandTx;

/// A wanted change; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct ContactChange {
    /// What to call them, whatever the platform calls them.
    pub name: Option<String>,
    /// The brand's own name for them; the inner none takes it away.
    pub external_id: Option<Option<String>>,
    /// By key; null takes a value away.
    pub attributes: BTreeMap<String, Value>,
    /// Only if the contact still has this version.
    pub if_version: Option<i64>,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContactOutcome {
    /// As with everything else.
    Plain(Changed<()>),
    /// It is part of another contact: that one can be changed.
    Merged,
    /// Nothing is left to change.
    Erased,
    /// Keys that no definition has.
    UnknownAttributes(Vec<String>),
    /// Keys whose values don't fit their definitions, and what they should be.
    InvalidAttributes(Vec<(String, String)>),
}

/// Changes a contact, all or nothing. An external id that another contact has is refused by
/// `contacts_external_key`.
///
/// # Errors
/// When the database fails or the constraint refuses.
pub async fn change(
    tx: &mut BrandTx,
    id: ContactId,
    change: &ContactChange,
    cause: &Cause,
) -> Result<ContactOutcome, StoreError> {
    let brand = tx.brand();
    let held: Option<(i64, bool, bool)> = sqlx::query_as(
        "select version, merged_into is not null, erased_at is not null from contacts
         where brand_id = $1 and id = $2 for no key update",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    match expect_version(held, change.if_version, |held| held.0) {
        Changed::Missing => return Ok(ContactOutcome::Plain(Changed::Missing)),
        Changed::Done((_, true, _)) => return Ok(ContactOutcome::Merged),
        Changed::Done((_, _, true)) => return Ok(ContactOutcome::Erased),
        Changed::Stale { version } => {
            return Ok(ContactOutcome::Plain(Changed::Stale { version }));
        }
        Changed::Done(_) => {}
    }
    let wanted = attributes::read(tx, Subject::Contact, &change.attributes).await?;
    let (unknown, invalid) = wanted.faults();
    if !unknown.is_empty() {
        return Ok(ContactOutcome::UnknownAttributes(unknown));
    } else if !invalid.is_empty() {
        return Ok(ContactOutcome::InvalidAttributes(invalid));
    }
    let told = sqlx::query(
        "update contacts
         set name = coalesce($3, name), name_key = coalesce($4, name_key), is_renamed = is_renamed or $3 is not null,
             external_id = case when $5 then $6 else external_id end
         where brand_id = $1 and id = $2
           and (name is distinct from coalesce($3, name) or $5 and external_id is distinct from $6)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&change.name)
    .bind(change.name.as_deref().map(search_key))
    .bind(change.external_id.is_some())
    .bind(change.external_id.clone().flatten())
    .execute(tx.conn())
    .await?;
    let valued = attributes::set_of_contact(tx, id, &wanted.values).await?;
    if told.rows_affected() == 0 && !valued {
        return Ok(ContactOutcome::Plain(Changed::Done(())));
    }
    let (version, name, handle): (i64, String, Option<String>) = sqlx::query_as(
        "update contacts set version = version + 1, updated_at = now() where brand_id = $1 and id = $2
         returning version, name, handle",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_one(tx.conn())
    .await?;
    let named = NamedContact {
        brand,
        id,
        name: &name,
        handle: handle.as_deref(),
    };
    search::index_contacts(tx.conn(), &[named]).await?;
    // Which fields, not what they hold: the log keeps nothing personal.
    let mut fields: Vec<String> = Vec::new();
    fields.extend(change.name.iter().map(|_| "name".to_owned()));
    fields.extend(change.external_id.iter().map(|_| "external_id".to_owned()));
    fields.extend(
        change
            .attributes
            .keys()
            .map(|key| format!("attributes.{key}")),
    );
    let data = json!({ "contact_id": id, "version": version, "changed_fields": fields });
    append_subject_event(tx, EventType::ContactUpdated, id.0, cause, data).await?;
    if valued {
        rematch_contact(tx, id, cause).await?;
    }
    Ok(ContactOutcome::Plain(Changed::Done(())))
}
