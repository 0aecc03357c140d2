//! Canned replies.

use roost_domain::template::Rendered;
use roost_store::canned_replies::StoredCannedReply;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;
use crate::input::maybe;

/// A canned reply.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CannedReplyView {
    id: String,
    title: String,
    shortcut: String,
    text: String,
    /// Whose members see it; null: everybody.
    team_ids: Option<Vec<String>>,
    version: i64,
    created_at: At,
    updated_at: At,
}

impl From<StoredCannedReply> for CannedReplyView {
    fn from(reply: StoredCannedReply) -> Self {
        Self {
            id: reply.id.to_string(),
            title: reply.title,
            shortcut: reply.shortcut,
            text: reply.text,
            team_ids: reply
                .teams
                .map(|ids| ids.iter().map(ToString::to_string).collect()),
            version: reply.version,
            created_at: reply.created_at.into(),
            updated_at: reply.updated_at.into(),
        }
    }
}

/// A canned reply to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateCannedReply {
    #[schema(min_length = 1, max_length = 200, example = "Greeting")]
    pub(crate) title: String,
    /// What a member types for it; without spaces, unique in the brand, whatever the case.
    #[schema(
        min_length = 1,
        max_length = 50,
        pattern = r"^[^\s]+$",
        example = "hello"
    )]
    pub(crate) shortcut: String,
    /// May hold `{{contact.name}}`, `{{contact.handle}}`, `{{agent.name}}`, `{{brand.name}}` and
    /// `{{conversation.id}}`, each with a default after a `|`.
    #[schema(
        min_length = 1,
        max_length = 10_000,
        example = "Hello {{contact.name|there}}, I am {{agent.name}}."
    )]
    pub(crate) text: String,
    /// Whose members see it; null or left out: everybody.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 100)]
    pub(crate) team_ids: Option<Vec<String>>,
}

/// A change of a canned reply; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CannedReplyPatch {
    #[schema(min_length = 1, max_length = 200)]
    pub(crate) title: Option<String>,
    #[schema(min_length = 1, max_length = 50, pattern = r"^[^\s]+$")]
    pub(crate) shortcut: Option<String>,
    #[schema(min_length = 1, max_length = 10_000)]
    pub(crate) text: Option<String>,
    /// Null gives it to everybody.
    #[serde(default, deserialize_with = "maybe")]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    pub(crate) team_ids: Option<Option<Vec<String>>>,
}

/// For which conversation a reply is filled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenderCannedReply {
    #[schema(example = "conv_01h455vb4pex5vsknk084sn02q")]
    pub(crate) conversation_id: String,
}

/// A filled reply, ready to be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RenderedReplyView {
    text: String,
    /// The variables that had no value.
    missing: Vec<&'static str>,
}

impl From<Rendered> for RenderedReplyView {
    fn from(rendered: Rendered) -> Self {
        Self {
            text: rendered.text,
            missing: rendered.missing.iter().map(|of| of.as_str()).collect(),
        }
    }
}
