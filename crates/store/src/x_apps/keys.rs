//! The keys of X apps, sealed at rest.

use jiff::Timestamp;
use roost_domain::ids::{BrandId, XAppId};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::error::StoreError;
use crate::seal::{BrandSealer, Place, Sealer};
use crate::ts::Ts;
use crate::tx::{BrandTx, Store};

/// An app's keys. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct XAppKeys {
    /// X's numeric id.
    pub app_id: i64,
    /// Not a secret.
    pub consumer_key: String,
    /// Signs requests, and proves webhooks.
    pub consumer_secret: SecretString,
    /// The app's own token, where one was given.
    pub bearer_token: Option<SecretString>,
}

/// What a webhook's path leads to.
#[derive(Debug, Clone)]
pub struct WebhookKeys {
    /// Not a secret.
    pub consumer_key: String,
    /// Proves webhooks and answers challenges.
    pub consumer_secret: SecretString,
    /// Proves webhooks too, until then.
    pub previous: Option<(SecretString, Timestamp)>,
}

/// Which of an app's secrets.
#[derive(Clone, Copy)]
pub(super) enum Part {
    ConsumerSecret,
    BearerToken,
}

impl Part {
    /// The previous secret was sealed as the consumer secret that it was.
    fn column(self) -> &'static str {
        match self {
            Self::ConsumerSecret => "consumer_secret",
            Self::BearerToken => "bearer_token",
        }
    }
}

pub(super) fn seal(
    sealer: &BrandSealer,
    id: XAppId,
    part: Part,
    secret: &SecretString,
) -> Result<Vec<u8>, StoreError> {
    let row = [id.0.as_bytes().as_slice()];
    let place = Place::new("x_apps", part.column(), &row);
    sealer.seal(&place, secret.expose_secret().as_bytes())
}

fn open(
    sealer: &BrandSealer,
    id: XAppId,
    part: Part,
    sealed: &[u8],
) -> Result<SecretString, StoreError> {
    let row = [id.0.as_bytes().as_slice()];
    let place = Place::new("x_apps", part.column(), &row);
    let opened = sealer.open(&place, sealed)?;
    String::from_utf8(opened)
        .map(SecretString::from)
        .map_err(|_| StoreError::Sealed)
}

#[derive(sqlx::FromRow)]
struct Row {
    app_id: i64,
    consumer_key: String,
    consumer_secret: Vec<u8>,
    previous_secret: Option<Vec<u8>>,
    previous_until: Option<Ts>,
    bearer_token: Option<Vec<u8>>,
}

async fn read(tx: &mut BrandTx, id: XAppId) -> Result<Option<Row>, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_as(
        "select app_id, consumer_key, consumer_secret, previous_secret, previous_until, bearer_token
         from x_apps where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?)
}

/// The keys of an app; none if the brand has no such app.
///
/// # Errors
/// When the database fails or a stored secret doesn't open.
pub async fn keys(
    tx: &mut BrandTx,
    id: XAppId,
    sealer: &Sealer,
) -> Result<Option<XAppKeys>, StoreError> {
    let Some(row) = read(tx, id).await? else {
        return Ok(None);
    };
    let sealer = sealer.brand(tx).await?;
    let bearer = row.bearer_token;
    let bearer = bearer.map(|sealed| open(&sealer, id, Part::BearerToken, &sealed));
    Ok(Some(XAppKeys {
        app_id: row.app_id,
        consumer_key: row.consumer_key,
        consumer_secret: open(&sealer, id, Part::ConsumerSecret, &row.consumer_secret)?,
        bearer_token: bearer.transpose()?,
    }))
}

/// Every brand's apps with their versions, which rise when keys change.
///
/// # Errors
/// When the database fails.
pub async fn survey(store: &Store) -> Result<Vec<(BrandId, XAppId, i64)>, StoreError> {
    let rows: Vec<(Uuid, Uuid, i64)> = store
        .system(|tx| {
            Box::pin(async move {
                Ok::<_, StoreError>(
                    sqlx::query_as("select brand_id, id, version from cross_x_apps()")
                        .fetch_all(tx.conn())
                        .await?,
                )
            })
        })
        .await?;
    Ok(rows
        .into_iter()
        .map(|(brand, id, version)| (BrandId(brand), XAppId(id), version))
        .collect())
}

/// What proves the webhooks of an app; none if the brand has no such app.
///
/// # Errors
/// When the database fails or a stored secret doesn't open.
pub async fn webhook_keys(
    tx: &mut BrandTx,
    id: XAppId,
    sealer: &Sealer,
) -> Result<Option<WebhookKeys>, StoreError> {
    let Some(row) = read(tx, id).await? else {
        return Ok(None);
    };
    let sealer = sealer.brand(tx).await?;
    let open = |sealed: &[u8]| open(&sealer, id, Part::ConsumerSecret, sealed);
    let previous = match (row.previous_secret, row.previous_until) {
        (Some(sealed), Some(until)) => Some((open(&sealed)?, until.get())),
        _ => None,
    };
    Ok(Some(WebhookKeys {
        consumer_key: row.consumer_key,
        consumer_secret: open(&row.consumer_secret)?,
        previous,
    }))
}
