//! X apps that brands bring along.

use roost_store::x_apps::StoredXApp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;
use crate::input::maybe;

/// A brand's own X app. Its secrets are never shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct XAppView {
    id: String,
    name: String,
    /// X's numeric id of the app.
    app_id: String,
    consumer_key: String,
    /// Whether a bearer token is kept; without one it is asked for with key and secret.
    has_bearer_token: bool,
    /// The address to register with X; `/verify` does it.
    webhook_url: String,
    /// Until when webhooks signed with the previous secret are accepted.
    previous_secret_until: Option<At>,
    /// When X last agreed to everything.
    verified_at: Option<At>,
    created_at: At,
}

impl XAppView {
    pub(crate) fn new(app: StoredXApp, webhook_url: String) -> Self {
        Self {
            id: app.id.to_string(),
            name: app.name,
            app_id: app.app_id.to_string(),
            consumer_key: app.consumer_key,
            has_bearer_token: app.has_bearer_token,
            webhook_url,
            previous_secret_until: app.previous_until.map(At),
            verified_at: app.verified_at.map(At),
            created_at: app.created_at.into(),
        }
    }
}

/// An X app to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateXApp {
    #[schema(min_length = 1, max_length = 100, example = "Harbor support")]
    pub(crate) name: String,
    /// X's numeric id of the app.
    #[schema(pattern = "^[1-9][0-9]{0,17}$", example = "27000001")]
    pub(crate) app_id: String,
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[!-~]+$",
        example = "xvz1evFS4wEEPTGEFPHBog"
    )]
    pub(crate) consumer_key: String,
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[!-~]+$",
        write_only,
        example = "L8qq9PZyRg6ieKGEKhZolGC0vJWLw8iEJ88DRdyOg"
    )]
    pub(crate) consumer_secret: String,
    /// Without one it is asked for with key and secret.
    #[schema(
        min_length = 1,
        max_length = 1000,
        pattern = "^[!-~]+$",
        write_only,
        example = "AAAAAAAAAAAAAAAAAAAAAMLheAAAAAAA0"
    )]
    pub(crate) bearer_token: Option<String>,
}

/// A change of an X app; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct XAppPatch {
    #[schema(min_length = 1, max_length = 100, example = "Harbor support")]
    pub(crate) name: Option<String>,
    /// X's numeric id of the app.
    #[schema(pattern = "^[1-9][0-9]{0,17}$", example = "27000001")]
    pub(crate) app_id: Option<String>,
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[!-~]+$",
        example = "xvz1evFS4wEEPTGEFPHBog"
    )]
    pub(crate) consumer_key: Option<String>,
    /// Webhooks signed with the one before are accepted for 24 h.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[!-~]+$",
        write_only,
        example = "L8qq9PZyRg6ieKGEKhZolGC0vJWLw8iEJ88DRdyOg"
    )]
    pub(crate) consumer_secret: Option<String>,
    /// Null forgets it.
    #[serde(default, deserialize_with = "maybe")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1000, pattern = "^[!-~]+$", write_only, example = "AAAAAAAAAAAAAAAAAAAAAMLheAAAAAAA0")]
    pub(crate) bearer_token: Option<Option<String>>,
}

/// What X says of an app.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct XAppVerdict {
    /// Whether accounts can be connected through it.
    pub(crate) ok: bool,
    /// The address at which its webhook is registered.
    pub(crate) webhook_url: String,
    /// Field by field; what can't be known because of another's fault is left out.
    pub(crate) checks: Vec<XAppCheck>,
}

/// What X says of one field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct XAppCheck {
    /// A JSON pointer into the app.
    pub(crate) pointer: &'static str,
    pub(crate) ok: bool,
    /// What is wrong, and what to do about it.
    pub(crate) detail: Option<String>,
}
