//! Connected accounts.

mod clocks;
mod connect;
mod read;

use roost_domain::event::EventType;
use roost_domain::ids::{ChannelId, TeamId};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::Cause;
use crate::seal::{BrandSealer, Place, Sealer};
use crate::tx::BrandTx;
pub use clocks::{count_running_clocks, end_clocks};
pub use connect::{
    ConnectRequest, Connected, NewChannel, begin_connect, connect, finish_connect, lose_account,
};
pub use read::{ChannelFilter, StoredChannel, find, load, search};

/// An account's token, which signs what is sent for it. `Debug` shows nothing of it.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The access token.
    pub token: SecretString,
    /// The secret that belongs to it.
    pub secret: SecretString,
}

impl Credentials {
    /// Seals them for a channel's row.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn seal(&self, sealer: &BrandSealer, channel: ChannelId) -> Result<Vec<u8>, StoreError> {
        let value = json!({
            "token": self.token.expose_secret(), "secret": self.secret.expose_secret()
        });
        let value = Zeroizing::new(value.to_string());
        sealer.seal(&place(&[channel.0.as_bytes()]), value.as_bytes())
    }

    /// Opens what [`Credentials::seal`] sealed.
    ///
    /// # Errors
    /// When it was changed, moved, or sealed with another key.
    pub fn open(
        sealer: &BrandSealer,
        channel: ChannelId,
        sealed: &[u8],
    ) -> Result<Self, StoreError> {
        let opened = Zeroizing::new(sealer.open(&place(&[channel.0.as_bytes()]), sealed)?);
        let value: Value = serde_json::from_slice(&opened).map_err(|_| StoreError::Sealed)?;
        let part = |name: &str| {
            value[name]
                .as_str()
                .map(SecretString::from)
                .ok_or(StoreError::Sealed)
        };
        Ok(Self {
            token: part("token")?,
            secret: part("secret")?,
        })
    }
}

fn place<'a>(row: &'a [&'a [u8]]) -> Place<'a> {
    Place::new("channels", "credentials", row)
}

/// The credentials of a channel; none where it has none (any more).
///
/// # Errors
/// When the database fails or the stored value doesn't open.
pub async fn credentials(
    tx: &mut BrandTx,
    channel: ChannelId,
    sealer: &Sealer,
) -> Result<Option<Credentials>, StoreError> {
    let brand = tx.brand();
    let sealed: Option<Option<Vec<u8>>> =
        sqlx::query_scalar("select credentials from channels where brand_id = $1 and id = $2")
            .bind(brand.0)
            .bind(channel.0)
            .fetch_optional(tx.conn())
            .await?;
    match sealed.flatten() {
        Some(sealed) => {
            let sealer = sealer.brand(tx).await?;
            Credentials::open(&sealer, channel, &sealed).map(Some)
        }
        None => Ok(None),
    }
}

/// A wanted change; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct ChannelChange {
    /// What the brand calls it.
    pub name: Option<String>,
    /// Whose queue its conversations join; the inner none is the brand's default team.
    pub team: Option<Option<TeamId>>,
}

/// Locks a channel and answers its version, so that a change can be made on a known one.
///
/// # Errors
/// When the database fails.
pub async fn lock(tx: &mut BrandTx, id: ChannelId) -> Result<Option<i64>, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select version from channels where brand_id = $1 and id = $2 for update",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?)
}

/// Changes a channel; false if there is no such channel. A team that isn't the brand's is refused by
/// a foreign key.
///
/// # Errors
/// When the database fails or a constraint refuses.
pub async fn change(
    tx: &mut BrandTx,
    id: ChannelId,
    change: &ChannelChange,
) -> Result<bool, StoreError> {
    let brand = tx.brand();
    let done = sqlx::query(
        "update channels set name = coalesce($3, name), team_id = case when $4 then $5 else team_id end
         where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&change.name)
    .bind(change.team.is_some())
    .bind(change.team.flatten().map(|team| team.0))
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Those of these ids that are no channel of the brand.
///
/// # Errors
/// When the database fails.
pub async fn unknown(tx: &mut BrandTx, ids: &[ChannelId]) -> Result<Vec<ChannelId>, StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let missing: Vec<Uuid> = sqlx::query_scalar(
        "select w.id from unnest($2::uuid[]) w (id)
         where not exists (select from channels c where c.brand_id = $1 and c.id = w.id) order by 1",
    )
    .bind(brand.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    Ok(missing.into_iter().map(ChannelId).collect())
}

/// Disconnects a channel: its webhooks are no longer taken for the brand's and its token is
/// forgotten. False if there is no such channel; twice does no harm.
///
/// # Errors
/// When the database fails.
pub async fn disconnect(
    tx: &mut BrandTx,
    id: ChannelId,
    reason: &str,
    cause: &Cause,
) -> Result<bool, StoreError> {
    let brand = tx.brand();
    let before: Option<String> = sqlx::query_scalar(
        "select status from channels where brand_id = $1 and id = $2 for update",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    let Some(before) = before else {
        return Ok(false);
    };
    if before == "disconnected" {
        return Ok(true);
    }
    sqlx::query(
        "update channels set status = 'disconnected', status_reason = $3, credentials = null
         where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(reason)
    .execute(tx.conn())
    .await?;
    crate::routes::release(tx, id).await?;
    let mut changed = Map::new();
    changed.insert("status".to_owned(), json!([before, "disconnected"]));
    let data = json!({ "status": "disconnected", "status_reason": reason, "changed": changed });
    append_subject_event(tx, EventType::ChannelDisconnected, id.0, cause, data).await?;
    Ok(true)
}
