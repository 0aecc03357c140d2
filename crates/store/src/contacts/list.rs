//! Contacts as they are shown: lists, one, and their conversations.

use std::collections::HashMap;

use jiff::Timestamp;
use roost_domain::ids::{BrandId, ContactId, ConversationId, IdentityId};
use roost_domain::text::search_key;
use serde_json::{Map, Value};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::attributes;
use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::BrandTx;
use crate::visibility::Visibility;

/// A contact with their accounts and attributes.
#[derive(Debug, Clone)]
pub struct ContactDetail {
    /// Ours.
    pub id: ContactId,
    /// What they are called.
    pub name: String,
    /// Without `@`.
    pub handle: Option<String>,
    /// The picture.
    pub avatar_url: Option<String>,
    /// The brand's own name for them.
    pub external_id: Option<String>,
    /// By key.
    pub attributes: Map<String, Value>,
    /// Their accounts, oldest first.
    pub identities: Vec<StoredIdentity>,
    /// Whose conversations and identities theirs are now.
    pub merged_into: Option<ContactId>,
    /// Since when their messages do nothing.
    pub blocked_at: Option<Timestamp>,
    /// How many messages came while they were blocked.
    pub blocked_count: i64,
    /// When everything personal about them was blanked.
    pub erased_at: Option<Timestamp>,
    /// Rises with every change.
    pub version: i64,
    /// When they were first seen.
    pub created_at: Timestamp,
    /// When they last changed.
    pub updated_at: Timestamp,
    /// By what lists by name are ordered.
    pub name_key: String,
}

/// An account of a contact.
#[derive(Debug, Clone)]
pub struct StoredIdentity {
    /// Ours.
    pub id: IdentityId,
    /// Such as `x`.
    pub platform: String,
    /// The platform's id of the account.
    pub external_id: String,
    /// What the platform calls it.
    pub name: String,
    /// Without `@`.
    pub handle: Option<String>,
    /// When it was first seen.
    pub created_at: Timestamp,
}

/// Which contacts a list holds; what is none asks for nothing. Merged and erased ones are in no list.
#[derive(Debug, Clone, Default)]
pub struct ContactFilter {
    /// A part of the name or handle of any of their accounts, in any spelling.
    pub q: Option<String>,
    /// The whole handle of one of their accounts.
    pub handle: Option<String>,
    /// A platform, and the id of an account there.
    pub account: Option<(String, String)>,
    /// The brand's own name for them.
    pub external_id: Option<String>,
    /// Not changed before.
    pub updated_after: Option<Timestamp>,
    /// Only those with an account on a sandbox channel's platform.
    pub sandbox_only: bool,
}

/// The order of a list, ties by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactSort {
    /// By name, whatever case and accents.
    Name {
        /// From the end.
        descending: bool,
    },
    /// By the last change.
    UpdatedAt {
        /// The newest first.
        descending: bool,
    },
}

/// Where a page begins: after this one.
#[derive(Debug, Clone)]
pub struct ContactKey {
    /// Of a list by name.
    pub name_key: String,
    /// Of a list by the last change.
    pub updated_at: Timestamp,
    /// Ties.
    pub id: ContactId,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    handle: Option<String>,
    avatar_url: Option<String>,
    external_id: Option<String>,
    merged_into: Option<Uuid>,
    blocked_at: Option<Ts>,
    blocked_count: i64,
    erased_at: Option<Ts>,
    version: i64,
    created_at: Ts,
    updated_at: Ts,
    name_key: String,
}

impl From<Row> for ContactDetail {
    fn from(row: Row) -> Self {
        Self {
            id: ContactId(row.id),
            name: row.name,
            handle: row.handle,
            avatar_url: row.avatar_url,
            external_id: row.external_id,
            attributes: Map::new(),
            identities: Vec::new(),
            merged_into: row.merged_into.map(ContactId),
            blocked_at: row.blocked_at.map(Ts::get),
            blocked_count: row.blocked_count,
            erased_at: row.erased_at.map(Ts::get),
            version: row.version,
            created_at: row.created_at.get(),
            updated_at: row.updated_at.get(),
            name_key: row.name_key,
        }
    }
}

fn select(brand: BrandId, sandbox_only: bool) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "select p.id, p.name, p.handle, p.avatar_url, p.external_id, p.merged_into, p.blocked_at, p.blocked_count,
                p.erased_at, p.version, p.created_at, p.updated_at, p.name_key
         from contacts p where p.brand_id = ",
    );
    query.push_bind(brand.0);
    if sandbox_only {
        query.push(
            " and exists (select from identities s where s.brand_id = p.brand_id and s.contact_id = p.id
                            and s.platform = 'sandbox')",
        );
    }
    query
}

/// A page of contacts.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    filter: &ContactFilter,
    sort: ContactSort,
    after: Option<&ContactKey>,
    limit: i64,
) -> Result<Vec<ContactDetail>, StoreError> {
    let brand = tx.brand();
    let mut query = select(brand, filter.sandbox_only);
    query.push(" and p.merged_into is null and p.erased_at is null");
    filter.push(&mut query, brand);
    let (column, descending) = match sort {
        ContactSort::Name { descending } => ("p.name_key", descending),
        ContactSort::UpdatedAt { descending } => ("p.updated_at", descending),
    };
    let (than, order) = if descending {
        (" < (", " desc")
    } else {
        (" > (", "")
    };
    if let Some(after) = after {
        query.push(" and (").push(column).push(", p.id)").push(than);
        match sort {
            ContactSort::Name { .. } => query.push_bind(after.name_key.clone()),
            ContactSort::UpdatedAt { .. } => query.push_bind(Ts::from(after.updated_at)),
        };
        query.push(", ").push_bind(after.id.0).push(")");
    }
    query.push(" order by ").push(column).push(order);
    query.push(", p.id").push(order);
    query.push(" limit ").push_bind(limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(tx.conn()).await?;
    complete(tx, rows).await
}

impl ContactFilter {
    fn push(&self, query: &mut QueryBuilder<Postgres>, brand: BrandId) {
        if let Some(q) = &self.q {
            let wanted = search_key(q.trim().trim_start_matches('@'));
            let literal = wanted
                .replace('\\', "\\\\")
                .replace('%', "\\%")
                .replace('_', "\\_");
            query
                .push(" and p.id = any (array(select contact_search(")
                .push_bind(brand.0)
                .push(", ")
                .push_bind(format!("%{literal}%"))
                .push(")))");
        }
        if let Some(handle) = &self.handle {
            query
                .push(
                    " and p.id = any (array(
                        select i.contact_id from contacts h
                        join identities i on i.brand_id = h.brand_id and coalesce(i.home_id, i.contact_id) = h.id
                        where h.brand_id = ",
                )
                .push_bind(brand.0)
                .push(" and h.handle_key = ")
                .push_bind(search_key(handle.trim().trim_start_matches('@')))
                .push("))");
        }
        if let Some((platform, id)) = &self.account {
            query
                .push(" and p.id = any (array(select i.contact_id from identities i where i.brand_id = ")
                .push_bind(brand.0)
                .push(" and i.platform = ")
                .push_bind(platform.clone())
                .push(" and i.external_id = ")
                .push_bind(id.clone())
                .push("))");
        }
        if let Some(id) = &self.external_id {
            query.push(" and p.external_id = ").push_bind(id.clone());
        }
        if let Some(at) = self.updated_after {
            query.push(" and p.updated_at >= ").push_bind(Ts::from(at));
        }
    }
}

/// One contact, merged and erased ones too.
///
/// # Errors
/// When the database fails.
pub async fn find(
    tx: &mut BrandTx,
    id: ContactId,
    sandbox_only: bool,
) -> Result<Option<ContactDetail>, StoreError> {
    let mut query = select(tx.brand(), sandbox_only);
    query.push(" and p.id = ").push_bind(id.0);
    let rows: Vec<Row> = query.build_query_as().fetch_all(tx.conn()).await?;
    Ok(complete(tx, rows).await?.pop())
}

#[derive(sqlx::FromRow)]
struct IdentityRow {
    contact_id: Uuid,
    id: Uuid,
    platform: String,
    external_id: String,
    name: String,
    handle: Option<String>,
    created_at: Ts,
}

async fn complete(tx: &mut BrandTx, rows: Vec<Row>) -> Result<Vec<ContactDetail>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let brand = tx.brand();
    let ids: Vec<ContactId> = rows.iter().map(|row| ContactId(row.id)).collect();
    let mut attributes = attributes::of_contacts(tx, &ids).await?;
    let found: Vec<IdentityRow> = sqlx::query_as(
        "select i.contact_id, i.id, i.platform, i.external_id, h.name, h.handle, i.created_at
         from identities i
         join contacts h on h.brand_id = i.brand_id and h.id = coalesce(i.home_id, i.contact_id)
         where i.brand_id = $1 and i.contact_id = any ($2) order by i.created_at, i.id",
    )
    .bind(brand.0)
    .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
    .fetch_all(tx.conn())
    .await?;
    let mut identities: HashMap<ContactId, Vec<StoredIdentity>> = HashMap::new();
    for row in found {
        identities
            .entry(ContactId(row.contact_id))
            .or_default()
            .push(StoredIdentity {
                id: IdentityId(row.id),
                platform: row.platform,
                external_id: row.external_id,
                name: row.name,
                handle: row.handle,
                created_at: row.created_at.get(),
            });
    }
    let contacts = rows.into_iter().map(|row| {
        let mut contact = ContactDetail::from(row);
        contact.attributes = attributes.remove(&contact.id).unwrap_or_default();
        contact.identities = identities.remove(&contact.id).unwrap_or_default();
        contact
    });
    Ok(contacts.collect())
}

/// The ids of a contact's conversations that the caller sees, newest first, after one's instant of
/// opening and id.
///
/// # Errors
/// When the database fails.
pub async fn conversations_of(
    tx: &mut BrandTx,
    id: ContactId,
    visibility: &Visibility,
    after: Option<(Timestamp, ConversationId)>,
    limit: i64,
) -> Result<Vec<ConversationId>, StoreError> {
    let mut query = QueryBuilder::new("select c.id from conversations c where c.brand_id = ");
    query.push_bind(tx.brand().0);
    query.push(" and c.contact_id = ").push_bind(id.0);
    visibility.push(&mut query);
    if let Some((at, id)) = after {
        query
            .push(" and (c.opened_at, c.id) < (")
            .push_bind(Ts::from(at))
            .push(", ")
            .push_bind(id.0)
            .push(")");
    }
    query
        .push(" order by c.opened_at desc, c.id desc limit ")
        .push_bind(limit);
    let ids: Vec<Uuid> = query.build_query_scalar().fetch_all(tx.conn()).await?;
    Ok(ids.into_iter().map(ConversationId).collect())
}
