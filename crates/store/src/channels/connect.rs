//! Connecting an account: a request token under way, then the channel.

use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, ChannelId, MemberId, TeamId, XAppId};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use uuid::Uuid;

use super::Credentials;
use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::Cause;
use crate::routes::{self, Account, Route};
use crate::seal::{Place, Sealer};
use crate::tx::{BrandTx, SystemTx};

/// A request token under way. Lives for 10 minutes and is taken once.
#[derive(Debug, Clone)]
pub struct ConnectRequest {
    /// SHA-256 of the request token.
    pub token_hash: Vec<u8>,
    /// The app's name in the webhook path.
    pub app: String,
    /// For which brand.
    pub brand: BrandId,
    /// Who began.
    pub member: MemberId,
    /// SHA-256 of the cookie of the browser that began.
    pub browser_hash: Vec<u8>,
    /// What belongs to the request token.
    pub token_secret: SecretString,
}

/// Before anybody has proven to be of the brand, so the row is a system table's; its brand and member
/// are part of the place, lest a token be turned over to others.
fn place<'a>(row: &'a [&'a [u8]; 3]) -> Place<'a> {
    Place::new("connect_requests", "token_secret", row)
}

/// Keeps a request token for its callback.
///
/// # Errors
/// When the database fails.
pub async fn begin_connect(
    tx: &mut SystemTx,
    request: &ConnectRequest,
    sealer: &Sealer,
) -> Result<(), StoreError> {
    let (brand, member) = (request.brand.0.as_bytes(), request.member.0.as_bytes());
    let sealed = sealer.install().seal(
        &place(&[&request.token_hash, brand, member]),
        request.token_secret.expose_secret().as_bytes(),
    )?;
    sqlx::query("select connect_begin($1, 'x', $2, $3, $4, $5, $6)")
        .bind(&request.token_hash)
        .bind(&request.app)
        .bind(request.brand.0)
        .bind(request.member.0)
        .bind(&request.browser_hash)
        .bind(sealed)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Takes a request token, if this browser began it.
///
/// # Errors
/// When the database fails.
pub async fn finish_connect(
    tx: &mut SystemTx,
    token_hash: &[u8],
    browser_hash: &[u8],
    sealer: &Sealer,
) -> Result<Option<ConnectRequest>, StoreError> {
    let row: Option<(String, Uuid, Uuid, Vec<u8>)> =
        sqlx::query_as("select app, brand_id, member_id, token_secret from connect_finish($1, $2)")
            .bind(token_hash)
            .bind(browser_hash)
            .fetch_optional(tx.conn())
            .await?;
    let Some((app, brand, member, sealed)) = row else {
        return Ok(None);
    };
    let secret = sealer.install().open(
        &place(&[token_hash, brand.as_bytes(), member.as_bytes()]),
        &sealed,
    )?;
    let secret = String::from_utf8(secret).map_err(|_| StoreError::Sealed)?;
    Ok(Some(ConnectRequest {
        token_hash: token_hash.to_vec(),
        app,
        brand: BrandId(brand),
        member: MemberId(member),
        browser_hash: browser_hash.to_vec(),
        token_secret: secret.into(),
    }))
}

/// An account that has proven that it trusts us.
#[derive(Debug, Clone)]
pub struct NewChannel {
    /// Which account.
    pub account: Account,
    /// The handle without `@`.
    pub handle: String,
    /// What signs for it.
    pub credentials: Credentials,
    /// The brand's own app that it trusts; none for the installation's.
    pub x_app: Option<XAppId>,
    /// What the brand calls it; its handle where none. One that is connected anew keeps its name.
    pub name: Option<String>,
    /// Whose queue its conversations join; the brand's default team where none, and kept as the name is.
    pub team: Option<TeamId>,
}

/// What came of connecting.
#[derive(Debug, Clone, Copy)]
pub struct Connected {
    /// The channel, new or taken up again.
    pub channel: ChannelId,
    /// Who had the account before; theirs has to be told by [`lose_account`].
    pub before: Option<Route>,
}

/// Makes the account's channel active and its webhooks this brand's. An account that the brand had
/// before keeps its channel and so its conversations.
///
/// # Errors
/// When the database fails.
pub async fn connect(
    tx: &mut BrandTx,
    new: &NewChannel,
    sealer: &Sealer,
    cause: &Cause,
) -> Result<Connected, StoreError> {
    let brand = tx.brand();
    let (channel, team): (Uuid, Option<Uuid>) = sqlx::query_as(
        "insert into channels as c (brand_id, id, platform, app, account_id, handle, name, team_id, status, x_app_id)
         values ($1, $2, $3, $4, $5, $6, coalesce($7, '@' || $6),
                 coalesce($8, (select id from teams where brand_id = $1 and is_default)), 'active', $9)
         on conflict on constraint channels_account_key do update
             set handle = excluded.handle, status = 'active', status_reason = null, x_app_id = excluded.x_app_id,
                 connected_at = case when c.status = 'disconnected' then now() else c.connected_at end
         returning id, team_id",
    )
    .bind(brand.0)
    .bind(Uuid::now_v7())
    .bind(&new.account.platform)
    .bind(&new.account.app)
    .bind(&new.account.account_id)
    .bind(&new.handle)
    .bind(&new.name)
    .bind(new.team.map(|team| team.0))
    .bind(new.x_app.map(|app| app.0))
    .fetch_one(tx.conn())
    .await?;
    let channel = ChannelId(channel);
    let sealed = new.credentials.seal(&sealer.brand(tx).await?, channel)?;
    sqlx::query("update channels set credentials = $3 where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(channel.0)
        .bind(sealed)
        .execute(tx.conn())
        .await?;
    // Replies that wait for the account to be connected again wait no longer.
    sqlx::query(
        "update outbound_messages set not_before = null
         where brand_id = $1 and channel_id = $2 and state = 'queued'",
    )
    .bind(brand.0)
    .bind(channel.0)
    .execute(tx.conn())
    .await?;
    let before = routes::take(tx, &new.account, channel).await?;
    let data = json!({
        "platform": new.account.platform, "status": "active", "status_reason": null,
        "team_id": team.map(TeamId),
    });
    append_subject_event(tx, EventType::ChannelConnected, channel.0, cause, data).await?;
    Ok(Connected { channel, before })
}

/// Tells the transaction's brand that its channel's account was connected elsewhere; nothing is said
/// of where.
///
/// # Errors
/// When the database fails.
pub async fn lose_account(tx: &mut BrandTx, channel: ChannelId) -> Result<(), StoreError> {
    super::disconnect(tx, channel, "connected_elsewhere", &Cause::system()).await?;
    Ok(())
}
