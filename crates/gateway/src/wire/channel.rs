//! Channels.

use roost_store::budgets::Budget;
use roost_store::channels::StoredChannel;
use roost_store::signs::Trouble;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;
use crate::input::maybe;

/// A connected account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelView {
    id: String,
    /// `x` or `sandbox`.
    platform: String,
    /// The brand's own X app that it is connected through; null for the installation's.
    x_app_id: Option<String>,
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
            x_app_id: channel.x_app.map(|app| app.to_string()),
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
    /// Since when it has its status.
    status_since: At,
    connected_at: At,
    /// The newest event of each kind, to the minute.
    last_events: LastEvents,
    /// When the platform last challenged the app's webhook, to the minute; older than 26 h means trouble.
    /// Null for a sandbox, which has none.
    last_crc_at: Option<At>,
    /// When the platform last took a reply.
    last_send_at: Option<At>,
    /// What went wrong with replies within 24 h, the newest first.
    errors: Vec<TroubleView>,
}

/// The newest event of each kind.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct LastEvents {
    /// A message, in or out.
    dm: Option<At>,
    /// An encrypted message.
    chat: Option<At>,
    read: Option<At>,
    typing: Option<At>,
}

/// Replies that came to grief in the same way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TroubleView {
    /// `failed`, `not_sent`, `reauth_required` or `unknown`.
    outcome: String,
    http_status: Option<i32>,
    /// What was said of the newest.
    detail: Option<String>,
    count: i64,
    last_at: At,
}

/// What is known of a channel's life.
#[derive(Debug)]
pub(crate) struct Signs {
    pub(crate) events: Vec<(String, jiff::Timestamp)>,
    pub(crate) last_crc: Option<jiff::Timestamp>,
    pub(crate) trouble: Vec<Trouble>,
}

impl ChannelHealth {
    pub(crate) fn new(channel: StoredChannel, signs: Signs) -> Self {
        let mut last_events = LastEvents::default();
        for (kind, at) in signs.events {
            let place = match kind.as_str() {
                "dm" => &mut last_events.dm,
                "chat" => &mut last_events.chat,
                "read" => &mut last_events.read,
                "typing" => &mut last_events.typing,
                _ => continue,
            };
            *place = Some(At(at));
        }
        let trouble = signs.trouble.into_iter().map(|trouble| TroubleView {
            outcome: trouble.outcome,
            http_status: trouble.http_status,
            detail: trouble.detail,
            count: trouble.count,
            last_at: trouble.last_at.into(),
        });
        Self {
            status: channel.status,
            status_reason: channel.status_reason,
            status_since: channel.status_since.into(),
            connected_at: channel.connected_at.into(),
            last_events,
            last_crc_at: signs.last_crc.map(At),
            last_send_at: channel.last_send_at.map(At),
            errors: trouble.collect(),
        }
    }
}

/// What may still be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelBudget {
    /// Of the account.
    channel: BudgetView,
    /// Of the app, which all its accounts share; known only after the platform refused for its sake.
    app: BudgetView,
    /// When the next reply goes out; null for at once.
    sends_at: Option<At>,
}

/// A window of the platform. What is null is not known: sending is the way to find out.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct BudgetView {
    /// Messages left in the window.
    remaining: Option<u32>,
    /// Messages in the whole of it.
    limit: Option<u32>,
    /// How long a window is, in seconds.
    window_seconds: Option<u32>,
    resets_at: Option<At>,
}

impl ChannelBudget {
    pub(crate) fn new(
        channel: Option<Budget>,
        app: Option<Budget>,
        window_seconds: Option<u32>,
    ) -> Self {
        let exhausted = [channel, app].into_iter().flatten();
        let sends_at = exhausted
            .filter(|budget| budget.remaining == 0)
            .map(|budget| budget.reset_at)
            .max();
        Self {
            channel: BudgetView {
                window_seconds,
                ..view(channel)
            },
            app: view(app),
            sends_at: sends_at.map(At),
        }
    }
}

fn view(budget: Option<Budget>) -> BudgetView {
    budget.map_or_else(BudgetView::default, |budget| BudgetView {
        remaining: Some(budget.remaining),
        limit: budget.allowed,
        window_seconds: None,
        resets_at: Some(At(budget.reset_at)),
    })
}

/// A change of a channel; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelPatch {
    #[schema(min_length = 1, max_length = 200, example = "Support on X")]
    pub(crate) name: Option<String>,
    /// Null: the brand's default team.
    #[serde(default, deserialize_with = "maybe")]
    #[schema(value_type = Option<String>, example = "team_01h455vb4pex5vsknk084sn02q")]
    pub(crate) team_id: Option<Option<String>>,
}

/// A sandbox to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSandbox {
    /// `Sandbox` where left out.
    #[schema(min_length = 1, max_length = 200, example = "Try-out")]
    pub(crate) name: Option<String>,
    /// The brand's default team where left out.
    #[schema(example = "team_01h455vb4pex5vsknk084sn02q")]
    pub(crate) team_id: Option<String>,
}

/// A message of a simulated customer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SandboxMessage {
    pub(crate) from: SandboxCustomer,
    #[schema(min_length = 1, max_length = 10000, example = "Where is my parcel?")]
    pub(crate) text: String,
}

/// A simulated customer: one handle, one customer, on every sandbox of the brand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SandboxCustomer {
    /// Without `@`; case doesn't matter.
    #[schema(pattern = "^[A-Za-z0-9_]{1,50}$", example = "casey")]
    pub(crate) handle: String,
    #[schema(min_length = 1, max_length = 200, example = "Casey Jones")]
    pub(crate) name: Option<String>,
}

/// A simulated message that is on its way into the inbox.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SandboxAccepted {
    /// The message will carry it.
    pub(crate) platform_event_id: String,
    pub(crate) channel_id: String,
    /// The customer's account id.
    pub(crate) platform_user_id: String,
}

/// How to connect.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectX {
    /// The brand's own X app; the installation's where left out.
    #[schema(example = "xapp_01h455vb4pex5vsknk084sn02q")]
    pub(crate) x_app_id: Option<String>,
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
