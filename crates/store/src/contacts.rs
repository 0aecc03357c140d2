//! Customers and their accounts on the platforms.

use std::collections::{BTreeMap, HashMap};

use roost_domain::ids::{BrandId, ChannelId, ContactId, ConversationId, IdentityId};
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::StoreError;
use crate::search::{self, NamedContact};

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
    /// Whether this transaction saw the customer first.
    pub is_new: bool,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    brand_id: Uuid,
    id: Uuid,
    contact_id: Uuid,
    platform: &'a str,
    external_id: &'a str,
    name: Option<&'a str>,
    handle: Option<&'a str>,
    avatar_url: Option<&'a str>,
}

impl Row<'_> {
    fn named(&self) -> NamedContact<'_> {
        NamedContact {
            brand: BrandId(self.brand_id),
            id: ContactId(self.contact_id),
            name: self.name.unwrap_or(self.external_id),
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
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let mut known = lock(connection, wanted).await?;
    let missing: Vec<Row<'_>> = wanted
        .iter()
        .filter(|(name, _)| !known.contains_key(*name))
        .filter_map(|(name, profile)| {
            let profile = profile.as_ref()?;
            Some(Row {
                brand_id: name.brand.0,
                id: Uuid::now_v7(),
                contact_id: Uuid::now_v7(),
                platform: &name.platform,
                external_id: &name.external_id,
                name: profile.name.as_deref().or(profile.handle.as_deref()),
                handle: profile.handle.as_deref(),
                avatar_url: profile.avatar_url.as_deref(),
            })
        })
        .collect();
    if !missing.is_empty() {
        // The contact has to stand before the identity refers to it; one that lost the race goes again.
        sqlx::query(
            "insert into contacts (brand_id, id, name, handle, avatar_url)
             select brand_id, contact_id, coalesce(name, external_id), handle, avatar_url
             from jsonb_to_recordset($1) as t (brand_id uuid, contact_id uuid, external_id text, name text,
                                              handle text, avatar_url text)",
        )
        .bind(Json(&missing))
        .execute(&mut *connection)
        .await?;
        let named: Vec<NamedContact<'_>> = missing.iter().map(Row::named).collect();
        search::index_contacts(connection, &named).await?;
        let made: Vec<(Uuid,)> = sqlx::query_as(
            "insert into identities (brand_id, id, contact_id, platform, scope, external_id)
             select brand_id, id, contact_id, platform, '', external_id
             from jsonb_to_recordset($1) as t (brand_id uuid, id uuid, contact_id uuid, platform text,
                                              external_id text)
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
    let rows: Vec<(Uuid, Uuid, Uuid, String, String)> = sqlx::query_as(
        "select i.brand_id, i.id, i.contact_id, i.platform, i.external_id
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
        .map(|(brand, id, contact, platform, external_id)| {
            let name = IdentityName {
                brand: BrandId(brand),
                platform,
                external_id,
            };
            (
                name,
                Known {
                    identity: IdentityId(id),
                    contact: ContactId(contact),
                    is_new: false,
                },
            )
        })
        .collect())
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
        handle: Option<&'a str>,
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
                id: one.contact.0,
                name: profile.name.as_deref(),
                handle: profile.handle.as_deref(),
                avatar_url: profile.avatar_url.as_deref(),
            })
        })
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    let renamed: Vec<(Uuid, Uuid, String, Option<String>)> = sqlx::query_as(
        "update contacts c set name = coalesce(t.name, c.name), handle = coalesce(t.handle, c.handle),
                avatar_url = coalesce(t.avatar_url, c.avatar_url)
         from jsonb_to_recordset($1) as t (brand_id uuid, id uuid, name text, handle text, avatar_url text)
         where c.brand_id = t.brand_id and c.id = t.id
           and (c.name, coalesce(c.handle, ''), coalesce(c.avatar_url, ''))
               is distinct from (coalesce(t.name, c.name), coalesce(t.handle, c.handle, ''),
                                 coalesce(t.avatar_url, c.avatar_url, ''))
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
