//! X apps that brands bring along.

mod keys;

use jiff::Timestamp;
use roost_domain::ids::XAppId;
use secrecy::SecretString;
use uuid::Uuid;

use crate::error::StoreError;
use crate::seal::Sealer;
use crate::ts::Ts;
use crate::tx::BrandTx;
use keys::{Part, seal};
pub use keys::{WebhookKeys, XAppKeys, keys, survey, webhook_keys};

/// How long webhooks signed with a replaced secret are still accepted.
const OVERLAP: &str = "24 hours";

/// An app as it is shown: without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredXApp {
    /// Ours.
    pub id: XAppId,
    /// What the brand calls it.
    pub name: String,
    /// X's numeric id.
    pub app_id: i64,
    /// Not a secret: it travels in every request.
    pub consumer_key: String,
    /// Whether a bearer token is kept.
    pub has_bearer_token: bool,
    /// Until when webhooks signed with the previous secret are accepted.
    pub previous_until: Option<Timestamp>,
    /// When X last agreed to all of it.
    pub verified_at: Option<Timestamp>,
    /// Rises with every change.
    pub version: i64,
    /// When it was added.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    app_id: i64,
    consumer_key: String,
    has_bearer_token: bool,
    previous_until: Option<Ts>,
    verified_at: Option<Ts>,
    version: i64,
    created_at: Ts,
}

impl From<Row> for StoredXApp {
    fn from(row: Row) -> Self {
        Self {
            id: XAppId(row.id),
            name: row.name,
            app_id: row.app_id,
            consumer_key: row.consumer_key,
            has_bearer_token: row.has_bearer_token,
            previous_until: row.previous_until.map(Ts::get),
            verified_at: row.verified_at.map(Ts::get),
            version: row.version,
            created_at: row.created_at.get(),
        }
    }
}

/// All apps of the brand by name, or one.
///
/// # Errors
/// When the database fails.
pub async fn list(tx: &mut BrandTx, wanted: Option<XAppId>) -> Result<Vec<StoredXApp>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, name, app_id, consumer_key, bearer_token is not null as has_bearer_token,
                case when previous_until > now() then previous_until end as previous_until,
                verified_at, version, created_at
         from x_apps where brand_id = $1 and ($2::uuid is null or id = $2) order by name, id",
    )
    .bind(brand.0)
    .bind(wanted.map(|id| id.0))
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Finds one app.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut BrandTx, id: XAppId) -> Result<Option<StoredXApp>, StoreError> {
    Ok(list(tx, Some(id)).await?.pop())
}

/// Locks an app and answers its version, so that a change can be made on a known one.
///
/// # Errors
/// When the database fails.
pub async fn lock(tx: &mut BrandTx, id: XAppId) -> Result<Option<i64>, StoreError> {
    let brand = tx.brand();
    Ok(
        sqlx::query_scalar("select version from x_apps where brand_id = $1 and id = $2 for update")
            .bind(brand.0)
            .bind(id.0)
            .fetch_optional(tx.conn())
            .await?,
    )
}

/// An app to add.
#[derive(Debug, Clone)]
pub struct NewXApp {
    /// What the brand calls it.
    pub name: String,
    /// X's numeric id.
    pub app_id: i64,
    /// Not a secret.
    pub consumer_key: String,
    /// The secret that belongs to it.
    pub consumer_secret: SecretString,
    /// The app's own token, where the brand has one.
    pub bearer_token: Option<SecretString>,
}

/// Adds an app. Names and numbers are unique within the brand: `x_apps_name_key`, `x_apps_app_id_key`.
///
/// # Errors
/// When the database fails or a constraint refuses.
pub async fn create(
    tx: &mut BrandTx,
    new: &NewXApp,
    sealer: &Sealer,
) -> Result<XAppId, StoreError> {
    let brand = tx.brand();
    let id = XAppId(Uuid::now_v7());
    let sealer = sealer.brand(tx).await?;
    let secret = seal(&sealer, id, Part::ConsumerSecret, &new.consumer_secret)?;
    let bearer = new.bearer_token.as_ref();
    let bearer = bearer.map(|token| seal(&sealer, id, Part::BearerToken, token));
    sqlx::query(
        "insert into x_apps (brand_id, id, name, app_id, consumer_key, consumer_secret, bearer_token)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&new.name)
    .bind(new.app_id)
    .bind(&new.consumer_key)
    .bind(secret)
    .bind(bearer.transpose()?)
    .execute(tx.conn())
    .await?;
    Ok(id)
}

/// A wanted change; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct XAppChange {
    /// What the brand calls it.
    pub name: Option<String>,
    /// X's numeric id.
    pub app_id: Option<i64>,
    /// Not a secret.
    pub consumer_key: Option<String>,
    /// The one before is honoured on webhooks for a day.
    pub consumer_secret: Option<SecretString>,
    /// The inner none forgets it.
    pub bearer_token: Option<Option<SecretString>>,
}

/// Changes an app, which then has to be verified anew; false if there is no such app.
///
/// # Errors
/// When the database fails or a constraint refuses.
pub async fn change(
    tx: &mut BrandTx,
    id: XAppId,
    change: &XAppChange,
    sealer: &Sealer,
) -> Result<bool, StoreError> {
    let brand = tx.brand();
    let sealer = sealer.brand(tx).await?;
    let secret = change.consumer_secret.as_ref();
    let secret = secret.map(|secret| seal(&sealer, id, Part::ConsumerSecret, secret));
    let bearer = change.bearer_token.as_ref().and_then(Option::as_ref);
    let bearer = bearer.map(|token| seal(&sealer, id, Part::BearerToken, token));
    let done = sqlx::query(
        "update x_apps
         set name = coalesce($3, name), app_id = coalesce($4, app_id), consumer_key = coalesce($5, consumer_key),
             previous_secret = case when $6::bytea is null then previous_secret else consumer_secret end,
             previous_until = case when $6 is null then previous_until else now() + $9::interval end,
             consumer_secret = coalesce($6, consumer_secret),
             bearer_token = case when $7 then $8 else bearer_token end,
             verified_at = case when $4 is null and $5 is null and $6 is null and not $7 then verified_at end,
             version = version + 1
         where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&change.name)
    .bind(change.app_id)
    .bind(&change.consumer_key)
    .bind(secret.transpose()?)
    .bind(change.bearer_token.is_some())
    .bind(bearer.transpose()?)
    .bind(OVERLAP)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that X agreed to all of an app as it stood at a version; a change since then unmakes it.
///
/// # Errors
/// When the database fails.
pub async fn verified(tx: &mut BrandTx, id: XAppId, version: i64) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "update x_apps set verified_at = now() where brand_id = $1 and id = $2 and version = $3",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(version)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What came of taking an app away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Done,
    /// So many channels are connected through it.
    InUse(i64),
    /// There is no such app.
    Missing,
}

/// Takes an app away, unless channels are connected through it.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut BrandTx, id: XAppId) -> Result<Removed, StoreError> {
    let brand = tx.brand();
    // A channel that connects meanwhile waits for this lock and then finds no app to refer to.
    if lock(tx, id).await?.is_none() {
        return Ok(Removed::Missing);
    }
    let channels: i64 = sqlx::query_scalar(
        "select count(*) from channels where brand_id = $1 and x_app_id = $2 and status <> 'disconnected'",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_one(tx.conn())
    .await?;
    if channels > 0 {
        return Ok(Removed::InUse(channels));
    }
    sqlx::query("update channels set x_app_id = null where brand_id = $1 and x_app_id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    sqlx::query("delete from x_apps where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    Ok(Removed::Done)
}
