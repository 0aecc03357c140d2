//! Who gets told: Account Activity subscriptions and X Activity subscriptions.

mod account_activity;
mod activity;

use actix_web::web::ServiceConfig;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, SubscriptionId, WebhookId};

/// One (event type, account) of the X Activity API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ActivitySubscription {
    pub(crate) id: SubscriptionId,
    pub(crate) event_type: String,
    pub(crate) filter: Filter,
    pub(crate) tag: Option<String>,
    /// Absent = only the stream would carry it, which isn't served here.
    pub(crate) webhook_id: Option<WebhookId>,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
}

/// What a subscription is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<AccountId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keyword: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) direction: Option<Direction>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    Inbound,
    Outbound,
}

pub(crate) fn routes(routes: &mut ServiceConfig) {
    account_activity::routes(routes);
    activity::routes(routes);
}
