//! Signs of life of channels and apps, to the minute: enough to see that something has gone silent.

use jiff::Timestamp;
use roost_domain::ids::{BrandId, ChannelId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::{BrandTx, Store};

/// An event of a kind came for a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sign {
    /// The brand.
    pub brand: BrandId,
    /// Its channel.
    pub channel: ChannelId,
    /// `dm`, `read`, `typing` or `chat`.
    pub kind: &'static str,
}

/// Notes that events came, now. Call it seldom: once a minute for each sign is enough.
///
/// # Errors
/// When the database fails.
pub async fn note(store: &Store, signs: &[Sign]) -> Result<(), StoreError> {
    let mut signs = signs.to_vec();
    // In the order of the key, so that two processes can't deadlock.
    signs.sort_unstable();
    let mut brands: Vec<BrandId> = signs.iter().map(|sign| sign.brand).collect();
    brands.dedup();
    store
        .ingest(&brands, move |tx| {
            Box::pin(async move {
                let brands: Vec<Uuid> = signs.iter().map(|sign| sign.brand.0).collect();
                let channels: Vec<Uuid> = signs.iter().map(|sign| sign.channel.0).collect();
                let kinds: Vec<&str> = signs.iter().map(|sign| sign.kind).collect();
                sqlx::query(
                    "insert into channel_signs as s (brand_id, channel_id, kind, last_at)
                     select brand_id, channel_id, kind, now()
                     from unnest($1::uuid[], $2::uuid[], $3::text[]) as t (brand_id, channel_id, kind)
                     on conflict (brand_id, channel_id, kind) do update set last_at = excluded.last_at",
                )
                .bind(brands)
                .bind(channels)
                .bind(kinds)
                .execute(tx.conn())
                .await?;
                Ok(())
            })
        })
        .await
}

/// When events of each kind last came for a channel.
///
/// # Errors
/// When the database fails.
pub async fn of_channel(
    tx: &mut BrandTx,
    channel: ChannelId,
) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<(String, Ts)> = sqlx::query_as(
        "select kind, last_at from channel_signs where brand_id = $1 and channel_id = $2 order by kind",
    )
    .bind(brand.0)
    .bind(channel.0)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|(kind, at)| (kind, at.get()))
        .collect())
}

/// Notes that an app's webhook was challenged with success, now.
///
/// # Errors
/// When the database fails.
pub async fn note_crc(store: &Store, platform: &'static str, app: &str) -> Result<(), StoreError> {
    let app = app.to_owned();
    store
        .ingest(&[], move |tx| {
            Box::pin(async move {
                sqlx::query(
                    "insert into app_signs (platform, app, last_crc_at) values ($1, $2, now())
                     on conflict (platform, app) do update set last_crc_at = excluded.last_crc_at",
                )
                .bind(platform)
                .bind(app)
                .execute(tx.conn())
                .await?;
                Ok(())
            })
        })
        .await
}

/// When an app's webhook was last challenged with success.
///
/// # Errors
/// When the database fails.
pub async fn last_crc(
    tx: &mut BrandTx,
    platform: &str,
    app: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<Ts> = sqlx::query_scalar("select app_last_crc($1, $2)")
        .bind(platform)
        .bind(app)
        .fetch_one(tx.conn())
        .await?;
    Ok(at.map(Ts::get))
}

/// Attempts to send that went wrong in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// `failed`, `not_sent`, `reauth_required` or `unknown`.
    pub outcome: String,
    /// The HTTP status, when there was an answer.
    pub http_status: Option<i32>,
    /// What was said of the newest.
    pub detail: Option<String>,
    /// How many there were.
    pub count: i64,
    /// When the newest was.
    pub last_at: Timestamp,
}

/// What went wrong on a channel within 24 hours, the newest first, at most ten ways.
///
/// # Errors
/// When the database fails.
pub async fn trouble(tx: &mut BrandTx, channel: ChannelId) -> Result<Vec<Trouble>, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        outcome: String,
        http_status: Option<i32>,
        detail: Option<String>,
        count: i64,
        last_at: Ts,
    }
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select a.outcome, a.http_status, (array_agg(a.error order by a.started_at desc))[1] as detail,
                count(*) as count, max(a.started_at) as last_at
         from send_attempts a
         join outbound_messages o on o.brand_id = a.brand_id and o.message_id = a.message_id
         where a.brand_id = $1 and o.channel_id = $2 and a.started_at > now() - interval '24 hours'
           and a.outcome in ('failed', 'not_sent', 'reauth_required', 'unknown')
         group by a.outcome, a.http_status order by max(a.started_at) desc, a.outcome limit 10",
    )
    .bind(brand.0)
    .bind(channel.0)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Trouble {
            outcome: row.outcome,
            http_status: row.http_status,
            detail: row.detail,
            count: row.count,
            last_at: row.last_at.get(),
        })
        .collect())
}
