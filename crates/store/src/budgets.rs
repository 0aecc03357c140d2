//! How many messages an account, and a whole app, may still send.
//!
//! The budget of record: what the platform told last, less what was taken since. Where nothing is
//! known, or the window has ended, sending is the way to find out.

use jiff::Timestamp;
use roost_domain::ids::ChannelId;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::BrandTx;

/// What the platform told of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Messages left in it.
    pub remaining: u32,
    /// Messages in the whole of it, where that was told.
    pub allowed: Option<u32>,
    /// When it ends.
    pub reset_at: Timestamp,
}

/// The end of the exhausted window, if the account or its app has one; the later of the two.
///
/// # Errors
/// When the database fails.
pub async fn find_exhausted(
    tx: &mut BrandTx,
    channel: ChannelId,
    platform: &str,
    app: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let brand = tx.brand();
    let until: Option<Ts> = sqlx::query_scalar(
        "select max(w.reset_at) from (
             select b.remaining, b.reset_at from channel_send_budgets b where b.brand_id = $1 and b.channel_id = $2
             union all
             select a.remaining, a.reset_at from app_budget($3, $4) a
         ) w where w.remaining <= 0 and w.reset_at > now()",
    )
    .bind(brand.0)
    .bind(channel.0)
    .bind(platform)
    .bind(app)
    .fetch_one(tx.conn())
    .await?;
    Ok(until.map(Ts::get))
}

/// The running windows of an account and of its app, as far as they are known.
///
/// # Errors
/// When the database fails.
pub async fn known(
    tx: &mut BrandTx,
    channel: ChannelId,
    platform: &str,
    app: &str,
) -> Result<(Option<Budget>, Option<Budget>), StoreError> {
    let brand = tx.brand();
    let of_channel: Option<(i32, Option<i32>, Ts)> = sqlx::query_as(
        "select remaining, allowed, reset_at from channel_send_budgets
         where brand_id = $1 and channel_id = $2 and reset_at > now()",
    )
    .bind(brand.0)
    .bind(channel.0)
    .fetch_optional(tx.conn())
    .await?;
    let of_app: Option<(i32, Option<i32>, Ts)> = sqlx::query_as(
        "select remaining, null::int, reset_at from app_budget($1, $2) where reset_at > now()",
    )
    .bind(platform)
    .bind(app)
    .fetch_optional(tx.conn())
    .await?;
    let budget = |(remaining, allowed, reset_at): (i32, Option<i32>, Ts)| Budget {
        // Below zero while one that came too late hasn't put back what it took.
        remaining: u32::try_from(remaining).unwrap_or(0),
        allowed: allowed.and_then(|count| u32::try_from(count).ok()),
        reset_at: reset_at.get(),
    };
    Ok((of_channel.map(budget), of_app.map(budget)))
}

/// Takes one message out of a running window; false if another took the last.
///
/// # Errors
/// When the database fails.
pub async fn take(tx: &mut BrandTx, channel: ChannelId) -> Result<bool, StoreError> {
    let brand = tx.brand();
    let left: Option<i32> = sqlx::query_scalar(
        "update channel_send_budgets set remaining = remaining - 1
         where brand_id = $1 and channel_id = $2 and reset_at > now() returning remaining",
    )
    .bind(brand.0)
    .bind(channel.0)
    .fetch_optional(tx.conn())
    .await?;
    Ok(left.is_none_or(|left| left >= 0))
}

/// Puts back what [`take`] took for a message that was certainly not sent.
///
/// # Errors
/// When the database fails.
pub async fn put_back(tx: &mut BrandTx, channel: ChannelId) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "update channel_send_budgets set remaining = remaining + 1
         where brand_id = $1 and channel_id = $2 and reset_at > now()",
    )
    .bind(brand.0)
    .bind(channel.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Keeps what the platform told of an account's window.
///
/// Answers overtake each other: within one window the lower figure is the newer, and what messages
/// under way have taken stays taken. An older window than the known one is old news.
///
/// # Errors
/// When the database fails.
pub async fn note(tx: &mut BrandTx, channel: ChannelId, told: Budget) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "insert into channel_send_budgets as b (brand_id, channel_id, remaining, reset_at, allowed)
         values ($1, $2, $3, $4, $5)
         on conflict (brand_id, channel_id) do update
         set allowed = coalesce(excluded.allowed, b.allowed),
             remaining = case when excluded.reset_at > b.reset_at then excluded.remaining
                              else least(b.remaining, excluded.remaining) end,
             reset_at = excluded.reset_at
         where excluded.reset_at >= b.reset_at",
    )
    .bind(brand.0)
    .bind(channel.0)
    .bind(i32::try_from(told.remaining).unwrap_or(i32::MAX))
    .bind(Ts::from(told.reset_at))
    .bind(told.allowed.and_then(|count| i32::try_from(count).ok()))
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Lets an account send nothing until an instant. The refusal that says so is newer than a window that
/// had messages left; an exhausted one that ends later still holds.
///
/// # Errors
/// When the database fails.
pub async fn pause(
    tx: &mut BrandTx,
    channel: ChannelId,
    until: Timestamp,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "insert into channel_send_budgets as b (brand_id, channel_id, remaining, reset_at) values ($1, $2, 0, $3)
         on conflict (brand_id, channel_id) do update
         set remaining = 0,
             reset_at = case when b.remaining > 0 then excluded.reset_at
                             else greatest(b.reset_at, excluded.reset_at) end",
    )
    .bind(brand.0)
    .bind(channel.0)
    .bind(Ts::from(until))
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Lets a whole app send nothing until an instant.
///
/// Only a refusal says so: the rate-limit headers tell of the account's window, and one account's empty
/// window must not silence the others.
///
/// # Errors
/// When the database fails.
pub async fn pause_app(
    tx: &mut BrandTx,
    platform: &str,
    app: &str,
    until: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("select app_budget_note($1, $2, 0, $3)")
        .bind(platform)
        .bind(app)
        .bind(Ts::from(until))
        .execute(tx.conn())
        .await?;
    Ok(())
}
