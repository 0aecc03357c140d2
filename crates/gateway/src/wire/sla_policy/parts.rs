//! The parts of a policy, in and out.

use std::collections::BTreeMap;

use roost_domain::conversation::Priority;
use roost_domain::ids::{CalendarId, ChannelId, LabelId, TeamId};
use roost_domain::sla::{Action, Audience, Conditions, Escalation, Pauses, Seconds, Target};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// For whom a policy holds: all of those that are named must hold. A list that is empty asks for nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ConditionsBody {
    /// Over one of these channels.
    #[schema(value_type = Vec<String>)]
    pub(crate) channel_ids: Vec<ChannelId>,
    /// In the queue of one of these teams.
    #[schema(value_type = Vec<String>)]
    pub(crate) team_ids: Vec<TeamId>,
    /// With one of these priorities.
    #[schema(value_type = Vec<String>, example = json!(["high", "urgent"]))]
    pub(crate) priorities: Vec<Priority>,
    /// With one of these labels.
    #[schema(value_type = Vec<String>)]
    pub(crate) label_ids: Vec<LabelId>,
    /// The contact's attribute of each key has one of the values; these are texts, as in filters.
    #[schema(example = json!({ "plan": ["gold", "platinum"] }))]
    pub(crate) contact_attributes: BTreeMap<String, Vec<String>>,
    /// Whether it is the contact's first conversation.
    pub(crate) new_contact: Option<bool>,
}

impl From<Conditions> for ConditionsBody {
    fn from(from: Conditions) -> Self {
        Self {
            channel_ids: from.channel_ids,
            team_ids: from.team_ids,
            priorities: from.priorities,
            label_ids: from.label_ids,
            contact_attributes: from.contact_attributes,
            new_contact: from.new_contact,
        }
    }
}

impl From<ConditionsBody> for Conditions {
    fn from(from: ConditionsBody) -> Self {
        Self {
            channel_ids: from.channel_ids,
            team_ids: from.team_ids,
            priorities: from.priorities,
            label_ids: from.label_ids,
            contact_attributes: from.contact_attributes,
            new_contact: from.new_contact,
        }
    }
}

/// How long each kind of clock may run; there is no clock of a kind that is left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TargetsBody {
    /// From a customer's first message to the first human reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_response: Option<TargetBody>,
    /// From an unanswered message to the next human reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_response: Option<TargetBody>,
    /// From a customer's first message to the resolve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resolution: Option<TargetBody>,
    /// From entering the queue to being assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assignment: Option<TargetBody>,
}

/// How long a clock may run.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetBody {
    /// Whose open hours count; none: all hours do.
    #[schema(value_type = Option<String>)]
    pub(crate) calendar_id: Option<CalendarId>,
    pub(crate) seconds: SecondsBody,
}

impl From<Target> for TargetBody {
    fn from(target: Target) -> Self {
        Self {
            calendar_id: target.calendar_id,
            seconds: SecondsBody::Each(SecondsByPriority {
                low: target.seconds.low,
                normal: target.seconds.normal,
                high: target.seconds.high,
                urgent: target.seconds.urgent,
            }),
        }
    }
}

/// Seconds for every priority alike, or for each; they come back for each.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum SecondsBody {
    /// For every priority.
    All(i64),
    /// For each.
    Each(SecondsByPriority),
}

/// Seconds by priority, 1 to 31,622,400; a conversation of one that is left out has no such clock.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SecondsByPriority {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) low: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) normal: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) high: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) urgent: Option<i64>,
}

// By hand: an untagged enum would say "did not match any variant" of every fault inside.
impl<'de> Deserialize<'de> for SecondsBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = SecondsBody;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number of seconds, or one for each priority")
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<SecondsBody, E> {
                Ok(SecondsBody::All(seconds))
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<SecondsBody, E> {
                // Beyond every limit, and refused as such.
                Ok(SecondsBody::All(i64::try_from(seconds).unwrap_or(i64::MAX)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecondsBody, A::Error> {
                let each = SecondsByPriority::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SecondsBody::Each(each))
            }
        }

        deserializer.deserialize_any(Read)
    }
}

impl From<SecondsBody> for Seconds {
    fn from(from: SecondsBody) -> Self {
        match from {
            SecondsBody::All(seconds) => Self::all(seconds),
            SecondsBody::Each(each) => Self {
                low: each.low,
                normal: each.normal,
                high: each.high,
                urgent: each.urgent,
            },
        }
    }
}

/// In which statuses the resolution clock rests.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PausesBody {
    /// While the customer owes the next step; true where it is left out.
    pub(crate) pending: bool,
    /// While it is put away; true where it is left out.
    pub(crate) snoozed: bool,
}

impl Default for PausesBody {
    fn default() -> Self {
        Pauses::default().into()
    }
}

impl From<Pauses> for PausesBody {
    fn from(from: Pauses) -> Self {
        Self {
            pending: from.pending,
            snoozed: from.snoozed,
        }
    }
}

impl From<PausesBody> for Pauses {
    fn from(from: PausesBody) -> Self {
        Self {
            pending: from.pending,
            snoozed: from.snoozed,
        }
    }
}

/// What kind of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActionType {
    /// Tells `who`: they are named in the event, and get a mail.
    Notify,
    /// Raises the priority to `to`; one that is as high already stays. Changes the queue, no target.
    RaisePriority,
    /// Moves the conversation to the queue of the team `team_id`.
    MoveToTeam,
}

/// Something that a warning, a breach or an escalation does.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionBody {
    #[serde(rename = "type")]
    pub(crate) kind: ActionType,
    /// Of `notify`: `assignee`, `lead` (the supervisors of its team) or `team`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) who: Option<Audience>,
    /// Of `raise_priority`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) to: Option<Priority>,
    /// Of `move_to_team`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) team_id: Option<TeamId>,
}

impl From<Action> for ActionBody {
    fn from(action: Action) -> Self {
        let bare = |kind| Self {
            kind,
            who: None,
            to: None,
            team_id: None,
        };
        match action {
            Action::Notify { who } => Self {
                who: Some(who),
                ..bare(ActionType::Notify)
            },
            Action::RaisePriority { to } => Self {
                to: Some(to),
                ..bare(ActionType::RaisePriority)
            },
            Action::MoveToTeam { team_id } => Self {
                team_id: Some(team_id),
                ..bare(ActionType::MoveToTeam)
            },
        }
    }
}

/// A step after a breach.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EscalationBody {
    /// Seconds past the due instant, counted as the clock counts: 1 to 31,622,400.
    pub(crate) after_seconds: i64,
    /// What it does.
    #[schema(min_items = 1, max_items = 10)]
    pub(crate) actions: Vec<ActionBody>,
}

impl From<Escalation> for EscalationBody {
    fn from(from: Escalation) -> Self {
        Self {
            after_seconds: from.after_seconds,
            actions: from.actions.into_iter().map(Into::into).collect(),
        }
    }
}
