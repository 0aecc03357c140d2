//! Customers and their accounts on the platforms.

mod blocked;
mod change;
mod list;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use roost_domain::ids::{BrandId, ChannelId, ContactId, ConversationId, IdentityId};
use roost_domain::text::search_key;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::audit::Auditor;
use crate::erasure;
use crate::error::StoreError;
use crate::search::{self, NamedContact};
use crate::ts::Ts;
pub(crate) use blocked::close_all;
pub use blocked::{BlockOutcome, BlockedMessage, block, keep_blocked, unblock};
pub use change::{ContactChange, ContactOutcome, change};
pub use list::{
    ContactDetail, ContactFilter, ContactKey, ContactSort, StoredIdentity, conversations_of, find,
    list,
};

/// A customer's account on a platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityName {
    /// The brand.
    pub brand: BrandId,
    /// Such as `x`.
    pub platform: String,
    /// The platform's id of the account.
    pub external_id: String,
}

/// What the platform told of a customer, as far as it did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The display name.
    pub name: Option<String>,
    /// The handle without `@`.
    pub handle: Option<String>,
    /// The picture.
    pub avatar_url: Option<String>,
}

/// A known customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The account.
    pub identity: IdentityId,
    /// The customer.
    pub contact: ContactId,
    /// The contact that keeps what the platform tells of the account: the one that it was made with.
    pub home: ContactId,
    /// Whether this transaction saw the customer first.
    pub is_new: bool,
    /// Whether the customer's messages are kept and do nothing.
    pub is_blocked: bool,
    /// No conversation that was resolved before this reopens.
    pub unblocked_at: Option<Timestamp>,
    /// What is older belongs to somebody who was erased, and is dropped.
    pub erased_before: Option<Timestamp>,
}

/// How those who were erased are recognised.
#[derive(Debug, Clone, Copy)]
pub struct Recall<'a> {
    /// Holds the key of their digests.
    pub audit: &'a Auditor,
    /// The newest event of each account in the batch.
    pub newest: &'a HashMap<IdentityName, Timestamp>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    brand_id: Uuid,
    id: Uuid,
    contact_id: Uuid,
    platform: &'a str,
    external_id: &'a str,
    name: &'a str,
    name_key: String,
    handle: Option<&'a str>,
    handle_key: String,
    avatar_url: Option<&'a str>,
    erased_before: Option<Timestamp>,
}

impl Row<'_> {
    fn named(&self) -> NamedContact<'_> {
        NamedContact {
            brand: BrandId(self.brand_id),
            id: ContactId(self.contact_id),
            name: self.name,
            handle: self.handle,
        }
    }
}

/// Finds or makes the identities and contacts of a batch and locks the identities in the order of
/// their ids; a profile that changed is taken over. Those wanted without a profile are only found.
///
/// One identity for each account, whoever makes it: the unique key decides, and who loses the race
/// reads what the winner wrote.
///
/// # Errors
/// When the database fails.
pub async fn resolve(
    connection: &mut PgConnection,
    wanted: &BTreeMap<IdentityName, Option<Profile>>,
) -> Result<HashMap<IdentityName, Known>, StoreError> {
    resolve_unless_erased(connection, wanted, None).await
}

/// As [`resolve`], but makes none for an account that was erased, unless something of it is newer than
/// the erasure.
///
/// # Errors
/// When the database fails.
pub async fn resolve_unless_erased(
    connection: &mut PgConnection,
    wanted: &BTreeMap<IdentityName, Option<Profile>>,
    recall: Option<Recall<'_>>,
) -> Result<HashMap<IdentityName, Known>, StoreError> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let mut known = lock(connection, wanted).await?;
    let unknown: Vec<&IdentityName> = wanted
        .iter()
        .filter(|(name, profile)| profile.is_some() && !known.contains_key(*name))
        .map(|(name, _)| name)
        .collect();
    let erased = match recall {
        Some(recall) => erasure::recall(connection, recall.audit, &unknown).await?,
        None => HashMap::new(),
    };
    let is_gone = |name: &IdentityName| {
        let newest = recall.and_then(|recall| recall.newest.get(name));
        erased
            .get(name)
            .is_some_and(|at| newest.is_none_or(|newest| newest <= at))
    };
    let missing: Vec<Row<'_>> = unknown
        .into_iter()
        .filter(|name| !is_gone(name))
        .filter_map(|name| {
            let profile = wanted.get(name)?.as_ref()?;
            let shown = profile.name.as_deref().or(profile.handle.as_deref());
            let shown = shown.unwrap_or(&name.external_id);
            Some(Row {
                brand_id: name.brand.0,
                id: Uuid::now_v7(),
                contact_id: Uuid::now_v7(),
                platform: &name.platform,
                external_id: &name.external_id,
                name: shown,
                name_key: search_key(shown),
                handle: profile.handle.as_deref(),
                handle_key: search_key(profile.handle.as_deref().unwrap_or_default()),
                avatar_url: profile.avatar_url.as_deref(),
                erased_before: erased.get(name).copied(),
            })
        })
        .collect();
    if !missing.is_empty() {
        // The contact has to stand before the identity refers to it; one that lost the race goes again.
        sqlx::query(
            "insert into contacts (brand_id, id, name, name_key, handle, handle_key, avatar_url)
             select brand_id, contact_id, name, name_key, handle, handle_key, avatar_url
             from jsonb_to_recordset($1) as t (brand_id uuid, contact_id uuid, name text, name_key text,
                                              handle text, handle_key text, avatar_url text)",
        )
        .bind(Json(&missing))
        .execute(&mut *connection)
        .await?;
        let named: Vec<NamedContact<'_>> = missing.iter().map(Row::named).collect();
        search::index_contacts(connection, &named).await?;
        let made: Vec<(Uuid,)> = sqlx::query_as(
            "insert into identities (brand_id, id, contact_id, platform, scope, external_id, erased_before)
             select brand_id, id, contact_id, platform, '', external_id, erased_before
             from jsonb_to_recordset($1) as t (brand_id uuid, id uuid, contact_id uuid, platform text,
                                              external_id text, erased_before timestamptz)
             order by brand_id, platform, external_id
             on conflict on constraint identities_external_key do nothing
             returning id",
        )
        .bind(Json(&missing))
        .fetch_all(&mut *connection)
        .await?;
        if made.len() < missing.len() {
            sqlx::query(
                "delete from contacts c using jsonb_to_recordset($1) as t (brand_id uuid, contact_id uuid)
                 where c.brand_id = t.brand_id and c.id = t.contact_id
                   and not exists (select from identities i
                                   where i.brand_id = c.brand_id and i.contact_id = c.id)",
            )
            .bind(Json(&missing))
            .execute(&mut *connection)
            .await?;
        }
        let before = known;
        known = lock(connection, wanted).await?;
        for (name, one) in &mut known {
            one.is_new =
                !before.contains_key(name) && made.iter().any(|(id,)| *id == one.identity.0);
        }
    }
    take_over_profiles(connection, wanted, &known).await?;
    Ok(known)
}

async fn lock(
    connection: &mut PgConnection,
    wanted: &BTreeMap<IdentityName, Option<Profile>>,
) -> Result<HashMap<IdentityName, Known>, StoreError> {
    let brands: Vec<Uuid> = wanted.keys().map(|name| name.brand.0).collect();
    let platforms: Vec<&str> = wanted.keys().map(|name| name.platform.as_str()).collect();
    let externals: Vec<&str> = wanted
        .keys()
        .map(|name| name.external_id.as_str())
        .collect();
    let rows: Vec<KnownRow> = sqlx::query_as(
        "select i.brand_id, i.id, i.contact_id, coalesce(i.home_id, i.contact_id) as home_id, i.platform,
                i.external_id, i.is_blocked, i.unblocked_at, i.erased_before
         from identities i
         where (i.brand_id, i.platform, i.scope, i.external_id) in (
             select brand_id, platform, '', external_id
             from unnest($1::uuid[], $2::text[], $3::text[]) as w (brand_id, platform, external_id))
         order by i.id for update",
    )
    .bind(brands)
    .bind(platforms)
    .bind(externals)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let name = IdentityName {
                brand: BrandId(row.brand_id),
                platform: row.platform,
                external_id: row.external_id,
            };
            let known = Known {
                identity: IdentityId(row.id),
                contact: ContactId(row.contact_id),
                home: ContactId(row.home_id),
                is_new: false,
                is_blocked: row.is_blocked,
                unblocked_at: row.unblocked_at.map(Ts::get),
                erased_before: row.erased_before.map(Ts::get),
            };
            (name, known)
        })
        .collect())
}

#[derive(sqlx::FromRow)]
struct KnownRow {
    brand_id: Uuid,
    id: Uuid,
    contact_id: Uuid,
    home_id: Uuid,
    platform: String,
    external_id: String,
    is_blocked: bool,
    unblocked_at: Option<Ts>,
    erased_before: Option<Ts>,
}

async fn take_over_profiles(
    connection: &mut PgConnection,
    wanted: &BTreeMap<IdentityName, Option<Profile>>,
    known: &HashMap<IdentityName, Known>,
) -> Result<(), StoreError> {
    #[derive(Serialize)]
    struct Change<'a> {
        brand_id: Uuid,
        id: Uuid,
        name: Option<&'a str>,
        name_key: Option<String>,
        handle: Option<&'a str>,
        handle_key: Option<String>,
        avatar_url: Option<&'a str>,
    }
    let changes: Vec<Change<'_>> = wanted
        .iter()
        .filter_map(|(name, profile)| Some((name, profile.as_ref()?)))
        .filter(|(_, profile)| **profile != Profile::default())
        .filter_map(|(name, profile)| {
            let one = known.get(name).filter(|one| !one.is_new)?;
            Some(Change {
                brand_id: name.brand.0,
                id: one.home.0,
                name: profile.name.as_deref(),
                name_key: profile.name.as_deref().map(search_key),
                handle: profile.handle.as_deref(),
                handle_key: profile.handle.as_deref().map(search_key),
                avatar_url: profile.avatar_url.as_deref(),
            })
        })
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    let renamed: Vec<(Uuid, Uuid, String, Option<String>)> = sqlx::query_as(
        "update contacts c
         set name = case when c.is_renamed then c.name else coalesce(t.name, c.name) end,
             name_key = case when c.is_renamed then c.name_key else coalesce(t.name_key, c.name_key) end,
             handle = coalesce(t.handle, c.handle), handle_key = coalesce(t.handle_key, c.handle_key),
             avatar_url = coalesce(t.avatar_url, c.avatar_url), version = version + 1, updated_at = now()
         from jsonb_to_recordset($1) as t (brand_id uuid, id uuid, name text, name_key text, handle text,
                                          handle_key text, avatar_url text)
         where c.brand_id = t.brand_id and c.id = t.id and c.erased_at is null
           and (c.name, coalesce(c.handle, ''), coalesce(c.avatar_url, ''))
               is distinct from (case when c.is_renamed then c.name else coalesce(t.name, c.name) end,
                                 coalesce(t.handle, c.handle, ''), coalesce(t.avatar_url, c.avatar_url, ''))
         returning c.brand_id, c.id, c.name, c.handle",
    )
    .bind(Json(&changes))
    .fetch_all(&mut *connection)
    .await?;
    let named: Vec<NamedContact<'_>> = renamed
        .iter()
        .map(|(brand, id, name, handle)| NamedContact {
            brand: BrandId(*brand),
            id: ContactId(*id),
            name,
            handle: handle.as_deref(),
        })
        .collect();
    search::index_contacts(connection, &named).await
}

/// The unresolved conversation of an account on a channel, for signs that are worth nothing later.
///
/// # Errors
/// When the database fails.
pub async fn find_unresolved(
    connection: &mut PgConnection,
    brand: BrandId,
    channel: ChannelId,
    platform: &str,
    external_id: &str,
) -> Result<Option<ConversationId>, StoreError> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "select c.id from identities i
         join conversations c on c.brand_id = i.brand_id and c.channel_id = $2 and c.identity_id = i.id
         where i.brand_id = $1 and i.platform = $3 and i.scope = '' and i.external_id = $4
           and c.surface = 'dm' and c.status <> 'resolved'",
    )
    .bind(brand.0)
    .bind(channel.0)
    .bind(platform)
    .bind(external_id)
    .fetch_optional(connection)
    .await?;
    Ok(found.map(ConversationId))
}

/// Reads customers by id, in no order; those that aren't this brand's are simply not there.
///
/// # Errors
/// When the database fails.
pub async fn load(
    tx: &mut crate::tx::BrandTx,
    ids: &[ContactId],
) -> Result<Vec<crate::conversations::StoredContact>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let brand = tx.brand();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, String, Option<String>, Option<String>)> = sqlx::query_as(
        "select id, name, handle, avatar_url from contacts where brand_id = $1 and id = any ($2) order by id",
    )
    .bind(brand.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(
            |(id, name, handle, avatar_url)| crate::conversations::StoredContact {
                id: ContactId(id),
                name,
                handle,
                avatar_url,
            },
        )
        .collect())
}
