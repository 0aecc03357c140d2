//! Conversations.

use std::collections::BTreeMap;

use roost_domain::ids::ConversationId;
use roost_store::conversations::{ClockSummary, StoredContact, StoredConversation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;

use super::At;
use crate::input::maybe;

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationView {
    id: String,
    /// `open`, `pending`, `snoozed` or `resolved`.
    status: &'static str,
    /// `low`, `normal`, `high` or `urgent`.
    priority: &'static str,
    channel_id: String,
    contact: ContactView,
    assignee_id: Option<String>,
    team_id: Option<String>,
    /// Ids.
    labels: Vec<String>,
    /// Names, first things first.
    skills: Vec<String>,
    /// Key to value: a text, a number or a boolean, as its definition says.
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    external_id: Option<String>,
    /// The first words of the newest message.
    preview: String,
    /// The caller's; at most 100. Absent from events.
    #[serde(skip_serializing_if = "Option::is_none")]
    unread_count: Option<i64>,
    version: i64,
    cycle: i32,
    opened_at: At,
    waiting_since: Option<At>,
    /// Why it waits for an assignee.
    waiting_reason: Option<String>,
    last_message_at: Option<At>,
    resolved_at: Option<At>,
    snoozed_until: Option<At>,
    held_by: Option<String>,
    has_failed_send: bool,
    origin: Option<OriginView>,
    sla: Option<SlaView>,
    updated_at: At,
}

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContactView {
    id: String,
    name: String,
    handle: Option<String>,
    avatar_url: Option<String>,
}

/// What a conversation came from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OriginView {
    kind: String,
    r#ref: String,
}

/// The running clock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlaView {
    /// `running`, `at_risk` or `breached`.
    state: &'static str,
    next_due_at: At,
    /// `first_response` or `next_response`.
    kind: String,
}

impl From<StoredContact> for ContactView {
    fn from(contact: StoredContact) -> Self {
        Self {
            id: contact.id.to_string(),
            name: contact.name,
            handle: contact.handle,
            avatar_url: contact.avatar_url,
        }
    }
}

impl From<ClockSummary> for SlaView {
    fn from(clock: ClockSummary) -> Self {
        Self {
            state: match (clock.is_breached, clock.is_warned) {
                (true, _) => "breached",
                (false, true) => "at_risk",
                (false, false) => "running",
            },
            next_due_at: clock.due_at.into(),
            kind: clock.kind,
        }
    }
}

impl From<StoredConversation> for ConversationView {
    fn from(row: StoredConversation) -> Self {
        Self {
            id: row.id.to_string(),
            status: row.status.as_str(),
            priority: row.priority.as_str(),
            channel_id: row.channel.to_string(),
            contact: row.contact.into(),
            assignee_id: row.assignee.map(|id| id.to_string()),
            team_id: row.team.map(|id| id.to_string()),
            labels: row.labels.iter().map(ToString::to_string).collect(),
            skills: row.skills,
            attributes: row
                .attributes
                .into_iter()
                .map(|(key, (kind, value))| (key, typed(&kind, value)))
                .collect(),
            external_id: row.external_id,
            preview: row.preview,
            unread_count: row.unread_count,
            version: row.version,
            cycle: row.cycle,
            opened_at: row.opened_at.into(),
            waiting_since: row.waiting_since.map(At),
            waiting_reason: row.waiting_reason,
            last_message_at: row.last_message_at.map(At),
            resolved_at: row.resolved_at.map(At),
            snoozed_until: row.snoozed_until.map(At),
            held_by: None,
            has_failed_send: row.has_failed_send,
            origin: row.origin.map(|(kind, r#ref)| OriginView { kind, r#ref }),
            sla: row.clock.map(Into::into),
            updated_at: row.updated_at.into(),
        }
    }
}

/// An attribute's value as JSON of its type.
fn typed(kind: &str, value: String) -> Value {
    let parsed = match kind {
        "number" => value.parse::<Number>().ok().map(Value::Number),
        "boolean" => value.parse().ok().map(Value::Bool),
        _ => None,
    };
    parsed.unwrap_or(Value::String(value))
}

/// A page of conversations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationPage {
    pub(crate) data: Vec<ConversationView>,
    /// Gives the next page; none on the last.
    pub(crate) next_cursor: Option<String>,
    /// On the first page: where feed or stream go on, so that nothing between is missed.
    pub(crate) after: Option<String>,
}

/// A count of conversations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountView {
    /// At most 1,000.
    #[schema(maximum = 1000, example = 12)]
    pub(crate) count: i64,
    /// Whether there are more.
    pub(crate) more: bool,
}

/// Counts by the names of their groups.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountsView {
    pub(crate) data: BTreeMap<String, CountView>,
}

/// A change of a conversation; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConversationPatch {
    /// `open`, `pending`, `snoozed` (with `snooze_until`) or `resolved`.
    pub(crate) status: Option<String>,
    /// `low`, `normal`, `high` or `urgent`.
    pub(crate) priority: Option<String>,
    /// RFC 3339, in the future. Null ends a snooze.
    #[serde(default, deserialize_with = "maybe")]
    #[schema(value_type = Option<String>)]
    pub(crate) snooze_until: Option<Option<String>>,
    /// Ids: all of them, or some to add and some to remove.
    pub(crate) labels: Option<LabelsPatch>,
    /// Names of the skills that it wants, first things first.
    #[schema(max_items = 100)]
    pub(crate) skills: Option<Vec<String>>,
    /// Values by the key of their definition; null takes one away.
    #[schema(value_type = Option<Object>)]
    pub(crate) attributes: Option<BTreeMap<String, Value>>,
    /// The brand's own name for it. Null takes it away.
    #[serde(default, deserialize_with = "maybe")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub(crate) external_id: Option<Option<String>>,
    /// Although a response clock runs: a snooze doesn't stop it, so it has to be meant.
    #[serde(default)]
    pub(crate) confirm: bool,
}

/// A change of labels.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LabelsPatch {
    /// These and no others.
    All(Vec<String>),
    /// Some more, some less: two writers don't undo each other.
    Some(LabelEdit),
}

/// Labels to add and to remove.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelEdit {
    #[serde(default)]
    #[schema(max_items = 100)]
    pub(crate) add: Vec<String>,
    #[serde(default)]
    #[schema(max_items = 100)]
    pub(crate) remove: Vec<String>,
}

/// A change of many conversations.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkChange {
    /// 1 to 500, each once.
    #[schema(min_items = 1, max_items = 500)]
    pub(crate) items: Vec<BulkItem>,
    /// What to change in each.
    pub(crate) set: ConversationPatch,
}

/// A conversation as the list showed it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkItem {
    pub(crate) id: String,
    pub(crate) version: i64,
}

/// What became of each, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkView {
    pub(crate) data: Vec<BulkItemView>,
}

/// What became of one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkItemView {
    id: String,
    /// `done` or `skipped`.
    result: &'static str,
    /// Why it was skipped: `not_found`, `version_conflict` or `conversation_exists`.
    code: Option<&'static str>,
}

impl BulkItemView {
    pub(crate) fn new(id: ConversationId, skipped: Option<&'static str>) -> Self {
        Self {
            id: id.to_string(),
            result: if skipped.is_some() { "skipped" } else { "done" },
            code: skipped,
        }
    }
}

/// Up to which message the caller has read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkRead {
    pub(crate) message_id: String,
}
