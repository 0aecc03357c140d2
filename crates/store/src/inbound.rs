//! What the inbox needs before it can fold: which events are new, and what their channels are like.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, ChannelId, TeamId};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::events;
use crate::ledger::Cause;
use crate::ts::Ts;

/// A platform event that has a channel.
#[derive(Debug, Clone)]
pub struct InboundEvent {
    /// The brand.
    pub brand_id: Uuid,
    /// The channel.
    pub channel_id: Uuid,
    /// Ours, and the same for both envelopes of X.
    pub kind: String,
    /// The platform's id.
    pub platform_event_id: String,
    /// The event as JSON.
    pub payload: String,
    /// The webhook request that brought it.
    pub request_id: String,
}

/// What identifies a platform event within an installation.
pub type EventKey = (ChannelId, String, String);

/// Stores events and answers which of them are new. The unique key is the replay defence: X signs no
/// time-stamp, so the same POST is valid for ever.
///
/// # Errors
/// When the database fails.
pub async fn insert_new(
    connection: &mut PgConnection,
    events: &[InboundEvent],
) -> Result<HashSet<EventKey>, StoreError> {
    if events.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
        "insert into inbound_events (brand_id, channel_id, kind, platform_event_id, payload, request_id)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
              as t (brand_id, channel_id, kind, platform_event_id, payload, request_id)
         order by brand_id, channel_id, kind, platform_event_id
         on conflict (brand_id, channel_id, kind, platform_event_id) do nothing
         returning channel_id, kind, platform_event_id",
    )
    .bind(events.iter().map(|event| event.brand_id).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.channel_id).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.platform_event_id.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.payload.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.request_id.as_str()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(channel, kind, id)| (ChannelId(channel), kind, id))
        .collect())
}

/// What a message of a channel starts from.
#[derive(Debug, Clone, Copy)]
pub struct ChannelInfo {
    /// Whose queue its new conversations join.
    pub team: Option<TeamId>,
    /// Messages older than this are history.
    pub connected_at: Timestamp,
    /// X's id of the brand's own app that it is connected through; none for the installation's.
    pub own_app_id: Option<i64>,
}

/// Reads channels; new conversations go to the channel's team, else to the brand's default team.
///
/// # Errors
/// When the database fails.
pub async fn channels(
    connection: &mut PgConnection,
    wanted: &[(BrandId, ChannelId)],
) -> Result<HashMap<ChannelId, ChannelInfo>, StoreError> {
    let (brands, ids): (Vec<Uuid>, Vec<Uuid>) =
        wanted.iter().map(|(brand, id)| (brand.0, id.0)).unzip();
    let rows: Vec<(Uuid, Option<Uuid>, Ts, Option<i64>)> = sqlx::query_as(
        "select c.id, coalesce(c.team_id, t.id), c.connected_at, a.app_id
         from unnest($1::uuid[], $2::uuid[]) as wanted (brand_id, id)
         join channels c using (brand_id, id)
         left join teams t on t.brand_id = c.brand_id and t.is_default
         left join x_apps a on a.brand_id = c.brand_id and a.id = c.x_app_id",
    )
    .bind(brands)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, team, at, own_app_id)| {
            (
                ChannelId(id),
                ChannelInfo {
                    team: team.map(TeamId),
                    connected_at: at.get(),
                    own_app_id,
                },
            )
        })
        .collect())
}

/// Which of these platform ids have a message already: an echo of a reply that the send call's
/// answer has settled.
///
/// # Errors
/// When the database fails.
pub async fn known_messages(
    connection: &mut PgConnection,
    wanted: &[(BrandId, ChannelId, String)],
) -> Result<HashSet<(ChannelId, String)>, StoreError> {
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    let brands: Vec<Uuid> = wanted.iter().map(|(brand, _, _)| brand.0).collect();
    let channels: Vec<Uuid> = wanted.iter().map(|(_, channel, _)| channel.0).collect();
    let ids: Vec<&str> = wanted.iter().map(|(_, _, id)| id.as_str()).collect();
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "select m.channel_id, m.platform_event_id
         from unnest($1::uuid[], $2::uuid[], $3::text[]) as wanted (brand_id, channel_id, platform_event_id)
         join messages m using (brand_id, channel_id, platform_event_id)",
    )
    .bind(brands)
    .bind(channels)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(channel, id)| (ChannelId(channel), id))
        .collect())
}

/// The platform told us that an account took its trust back: its token is dead. True if that is news.
///
/// # Errors
/// When the database fails.
pub async fn access_revoked(
    connection: &mut PgConnection,
    brand: BrandId,
    channel: ChannelId,
    cause: &Cause,
) -> Result<bool, StoreError> {
    let changed = sqlx::query(
        "update channels set status = 'reauth_required', status_reason = 'revoked'
         where brand_id = $1 and id = $2 and status in ('active', 'degraded')",
    )
    .bind(brand.0)
    .bind(channel.0)
    .execute(&mut *connection)
    .await?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    let data = json!({ "id": channel, "status": "reauth_required", "status_reason": "revoked" });
    events::append(
        connection,
        brand,
        EventType::ChannelReauthRequired,
        channel.0,
        cause,
        data,
    )
    .await?;
    Ok(true)
}
