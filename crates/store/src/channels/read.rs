//! Channels as they are shown.

use jiff::Timestamp;
use roost_domain::ids::{ChannelId, TeamId, XAppId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::BrandTx;
use crate::visibility::Visibility;

/// A channel as it is shown: without its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChannel {
    /// Ours.
    pub id: ChannelId,
    /// Such as `x`.
    pub platform: String,
    /// The app's name in the webhook path.
    pub app: String,
    /// The platform's id of the account.
    pub account_id: String,
    /// The handle without `@`.
    pub handle: String,
    /// What the brand calls it.
    pub name: String,
    /// Whose queue its conversations join.
    pub team: Option<TeamId>,
    /// `active`, `degraded`, `reauth_required` or `disconnected`.
    pub status: String,
    /// Why it isn't active.
    pub status_reason: Option<String>,
    /// Since when it has its status.
    pub status_since: Timestamp,
    /// The brand's own app that it is connected through; none for the installation's.
    pub x_app: Option<XAppId>,
    /// Rises with every change of name, team, handle or status.
    pub version: i64,
    /// When it was last connected.
    pub connected_at: Timestamp,
    /// The newest reply that the platform took.
    pub last_send_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    platform: String,
    app: String,
    account_id: String,
    handle: String,
    name: String,
    team_id: Option<Uuid>,
    status: String,
    status_reason: Option<String>,
    status_since: Ts,
    x_app_id: Option<Uuid>,
    version: i64,
    connected_at: Ts,
    last_send_at: Option<Ts>,
}

impl From<Row> for StoredChannel {
    fn from(row: Row) -> Self {
        Self {
            id: ChannelId(row.id),
            platform: row.platform,
            app: row.app,
            account_id: row.account_id,
            handle: row.handle,
            name: row.name,
            team: row.team_id.map(TeamId),
            status: row.status,
            status_reason: row.status_reason,
            status_since: row.status_since.get(),
            x_app: row.x_app_id.map(XAppId),
            version: row.version,
            connected_at: row.connected_at.get(),
            last_send_at: row.last_send_at.map(Ts::get),
        }
    }
}

/// Which channels are wanted; what is none or empty doesn't matter.
#[derive(Debug, Clone, Default)]
pub struct ChannelFilter {
    /// Such as `x`.
    pub platforms: Vec<String>,
    /// Such as `active`.
    pub statuses: Vec<String>,
    /// Those after this one.
    pub after: Option<ChannelId>,
}

/// Channels that the caller sees, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn search(
    tx: &mut BrandTx,
    filter: &ChannelFilter,
    visible: &Visibility,
    limit: i64,
) -> Result<Vec<StoredChannel>, StoreError> {
    read(tx, None, filter, visible, limit).await
}

/// The wanted channels, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn load(
    tx: &mut BrandTx,
    wanted: &[ChannelId],
) -> Result<Vec<StoredChannel>, StoreError> {
    let limit = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
    let filter = ChannelFilter::default();
    read(tx, Some(wanted), &filter, &Visibility::ALL, limit).await
}

/// Finds one channel, if the caller sees it.
///
/// # Errors
/// When the database fails.
pub async fn find(
    tx: &mut BrandTx,
    id: ChannelId,
    visible: &Visibility,
) -> Result<Option<StoredChannel>, StoreError> {
    let filter = ChannelFilter::default();
    Ok(read(tx, Some(&[id]), &filter, visible, 1).await?.pop())
}

async fn read(
    tx: &mut BrandTx,
    wanted: Option<&[ChannelId]>,
    filter: &ChannelFilter,
    visible: &Visibility,
    limit: i64,
) -> Result<Vec<StoredChannel>, StoreError> {
    let brand = tx.brand();
    let ids = |ids: &[ChannelId]| ids.iter().map(|id| id.0).collect::<Vec<Uuid>>();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, platform, app, account_id, handle, name, team_id, status, status_reason, status_since,
                x_app_id, version, connected_at, last_send_at
         from channels
         where brand_id = $1 and ($2::uuid[] is null or id = any ($2)) and ($3::uuid[] is null or id = any ($3))
           and (not $4 or platform = 'sandbox') and (cardinality($5::text[]) = 0 or platform = any ($5))
           and (cardinality($6::text[]) = 0 or status = any ($6)) and ($7::uuid is null or id > $7)
         order by id limit $8",
    )
    .bind(brand.0)
    .bind(wanted.map(ids))
    .bind(visible.channels.as_deref().map(ids))
    .bind(visible.sandbox_only)
    .bind(&filter.platforms)
    .bind(&filter.statuses)
    .bind(filter.after.map(|id| id.0))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}
