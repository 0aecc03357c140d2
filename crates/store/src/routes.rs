//! Whose webhooks are these?

use roost_domain::ids::{BrandId, ChannelId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::BrandTx;

/// An account of a platform app.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// Such as `x`.
    pub platform: String,
    /// The app's name in the webhook path.
    pub app: String,
    /// The platform's id of the account.
    pub account_id: String,
}

/// Who has an account connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The brand.
    pub brand: BrandId,
    /// Its channel.
    pub channel: ChannelId,
}

/// Finds the routes of several accounts; the answer has one entry for each that is connected.
///
/// # Errors
/// When the database fails.
pub async fn find(
    connection: &mut PgConnection,
    accounts: &[Account],
) -> Result<Vec<(Account, Route)>, StoreError> {
    let platforms: Vec<&str> = accounts
        .iter()
        .map(|account| account.platform.as_str())
        .collect();
    let apps: Vec<&str> = accounts
        .iter()
        .map(|account| account.app.as_str())
        .collect();
    let ids: Vec<&str> = accounts
        .iter()
        .map(|account| account.account_id.as_str())
        .collect();
    let rows: Vec<(String, String, String, Uuid, Uuid)> = sqlx::query_as(
        "select r.platform, r.app, r.account_id, r.brand_id, r.channel_id
         from unnest($1::text[], $2::text[], $3::text[]) as wanted (platform, app, account_id)
         join channel_routes r using (platform, app, account_id)",
    )
    .bind(platforms)
    .bind(apps)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(platform, app, account_id, brand, channel)| {
            let route = Route {
                brand: BrandId(brand),
                channel: ChannelId(channel),
            };
            (
                Account {
                    platform,
                    app,
                    account_id,
                },
                route,
            )
        })
        .collect())
}

/// Gives an account's webhooks to a channel of the transaction's brand; answers who had them before.
///
/// # Errors
/// When the database fails.
pub async fn take(
    tx: &mut BrandTx,
    account: &Account,
    channel: ChannelId,
) -> Result<Option<Route>, StoreError> {
    let brand = tx.brand();
    let before: Option<(Uuid, Uuid)> =
        sqlx::query_as("select brand_id, channel_id from route_take($1, $2, $3, $4, $5)")
            .bind(&account.platform)
            .bind(&account.app)
            .bind(&account.account_id)
            .bind(brand.0)
            .bind(channel.0)
            .fetch_optional(tx.conn())
            .await?;
    Ok(before.map(|(brand, channel)| Route {
        brand: BrandId(brand),
        channel: ChannelId(channel),
    }))
}

/// Ends a channel's claim on its account's webhooks.
///
/// # Errors
/// When the database fails.
pub async fn release(tx: &mut BrandTx, channel: ChannelId) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query("select route_release($1, $2)")
        .bind(brand.0)
        .bind(channel.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}
