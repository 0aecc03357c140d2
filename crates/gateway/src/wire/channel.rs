//! Channels.

use roost_store::channels::StoredChannel;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;
use crate::input::maybe;

/// A connected account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelView {
    id: String,
    platform: String,
    /// The platform's id of the account.
    account_id: String,
    handle: String,
    name: String,
    team_id: Option<String>,
    /// `active`, `degraded`, `reauth_required` or `disconnected`.
    status: String,
    status_reason: Option<String>,
    connected_at: At,
}

impl From<StoredChannel> for ChannelView {
    fn from(channel: StoredChannel) -> Self {
        Self {
            id: channel.id.to_string(),
            platform: channel.platform,
            account_id: channel.account_id,
            handle: channel.handle,
            name: channel.name,
            team_id: channel.team.map(|team| team.to_string()),
            status: channel.status,
            status_reason: channel.status_reason,
            connected_at: channel.connected_at.into(),
        }
    }
}

/// How a channel fares.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelHealth {
    status: String,
    status_reason: Option<String>,
    connected_at: At,
    /// The newest event of each kind.
    last_events: LastEvents,
    last_send_at: Option<At>,
}

/// The newest event of each kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastEvents {
    dm: Option<At>,
}

impl From<StoredChannel> for ChannelHealth {
    fn from(channel: StoredChannel) -> Self {
        Self {
            status: channel.status,
            status_reason: channel.status_reason,
            connected_at: channel.connected_at.into(),
            last_events: LastEvents {
                dm: channel.last_inbound_at.map(At),
            },
            last_send_at: channel.last_send_at.map(At),
        }
    }
}

/// A change of a channel; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelPatch {
    pub(crate) name: Option<String>,
    /// Null: the brand's default team.
    #[serde(default, deserialize_with = "maybe")]
    #[schema(value_type = Option<String>)]
    pub(crate) team_id: Option<Option<String>>,
}

/// Nothing to say.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Where the account's owner has to agree.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectView {
    pub(crate) authorize_url: String,
}
