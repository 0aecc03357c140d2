//! What a policy says: for whom it holds, how long each clock may run, what happens then.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ClockKind;
use crate::conversation::{Priority, Status};
use crate::ids::{CalendarId, ChannelId, LabelId, TeamId};

/// One version of a policy, as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySpec {
    /// For whom it holds.
    pub conditions: Conditions,
    /// From a cycle's first message to the first human reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_response: Option<Target>,
    /// From an unanswered message to the next human reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_response: Option<Target>,
    /// From a cycle's start to its resolve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Target>,
    /// From entering the queue to being assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignment: Option<Target>,
    /// While the customer owes the next step, the resolution clock rests unless this says no.
    pub pauses: Pauses,
    /// What a reopening does to the resolution clock.
    pub on_reopen: OnReopen,
    /// Shares of the target, in percent, at which a clock warns: rising, each 1 to 99.
    pub warnings: Vec<u8>,
    /// What a warning does beside its event.
    pub on_warning: Vec<Action>,
    /// What a breach does beside its event.
    pub on_breach: Vec<Action>,
    /// What happens some time after a breach, in rising order.
    pub escalations: Vec<Escalation>,
}

/// All of those that are named must hold; one that names nothing always does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conditions {
    /// Over one of these channels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channel_ids: Vec<ChannelId>,
    /// In the queue of one of these teams.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub team_ids: Vec<TeamId>,
    /// With one of these priorities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub priorities: Vec<Priority>,
    /// With one of these labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub label_ids: Vec<LabelId>,
    /// The contact's attribute of each key has one of the values, as they are stored.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub contact_attributes: BTreeMap<String, Vec<String>>,
    /// Whether it is the contact's first conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_contact: Option<bool>,
}

/// How long a clock may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Whose open hours count; none: calendar time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar_id: Option<CalendarId>,
    /// Seconds for each priority; one that is left out has no such clock.
    pub seconds: Seconds,
}

/// Seconds by priority.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seconds {
    /// Of what can wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<i64>,
    /// Of most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normal: Option<i64>,
    /// Of what goes before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<i64>,
    /// Of what goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgent: Option<i64>,
}

/// In which statuses the resolution clock rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pauses {
    /// While the customer owes the next step.
    pub pending: bool,
    /// While it is put away.
    pub snoozed: bool,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            pending: true,
            snoozed: true,
        }
    }
}

/// What a reopening does to the resolution clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnReopen {
    /// A new one starts from nothing.
    #[default]
    Restart,
    /// It goes on with the time it had used; the time spent resolved doesn't count.
    Continue,
}

/// What a firing does beside its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Tells people: the event names them.
    Notify {
        /// Whom.
        who: Audience,
    },
    /// Raises the priority; one that is as high already stays. Changes the queue, no running target.
    RaisePriority {
        /// To this.
        to: Priority,
    },
    /// Moves the conversation to another team's queue.
    MoveToTeam {
        /// Whose.
        team_id: TeamId,
    },
}

/// Whom a firing tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Who has the conversation.
    Assignee,
    /// The supervisors of its team, or all of the brand's where it has none.
    Lead,
    /// The active members of its team.
    Team,
}

/// Something that happens some time after a breach, while the clock still runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// Seconds past the due instant, counted as the clock counts.
    pub after_seconds: i64,
    /// What it does.
    pub actions: Vec<Action>,
}

/// What conditions are judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circumstances {
    /// Over which channel.
    pub channel: ChannelId,
    /// In whose queue.
    pub team: Option<TeamId>,
    /// How urgent, as people have it.
    pub priority: Priority,
    /// Its labels.
    pub labels: Vec<LabelId>,
    /// The contact's attributes by key.
    pub contact_attributes: BTreeMap<String, String>,
    /// Whether the contact has no earlier conversation.
    pub new_contact: bool,
}

impl Conditions {
    /// Whether they hold of all conversations.
    #[must_use]
    pub fn match_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether they hold.
    #[must_use]
    pub fn hold(&self, of: &Circumstances) -> bool {
        let any = |wanted: bool, found: bool| !wanted || found;
        any(
            !self.channel_ids.is_empty(),
            self.channel_ids.contains(&of.channel),
        ) && any(
            !self.team_ids.is_empty(),
            of.team.is_some_and(|team| self.team_ids.contains(&team)),
        ) && any(
            !self.priorities.is_empty(),
            self.priorities.contains(&of.priority),
        ) && any(
            !self.label_ids.is_empty(),
            self.label_ids.iter().any(|label| of.labels.contains(label)),
        ) && self.contact_attributes.iter().all(|(key, values)| {
            of.contact_attributes
                .get(key)
                .is_some_and(|value| values.contains(value))
        }) && self
            .new_contact
            .is_none_or(|wanted| wanted == of.new_contact)
    }
}

impl Seconds {
    /// The same for every priority.
    #[must_use]
    pub fn all(seconds: i64) -> Self {
        Self {
            low: Some(seconds),
            normal: Some(seconds),
            high: Some(seconds),
            urgent: Some(seconds),
        }
    }

    /// Those of a priority.
    #[must_use]
    pub fn of(&self, priority: Priority) -> Option<i64> {
        match priority {
            Priority::Low => self.low,
            Priority::Normal => self.normal,
            Priority::High => self.high,
            Priority::Urgent => self.urgent,
        }
    }
}

impl PolicySpec {
    /// What it says of clocks of a kind, if there are any.
    #[must_use]
    pub fn target(&self, kind: ClockKind) -> Option<&Target> {
        match kind {
            ClockKind::FirstResponse => self.first_response.as_ref(),
            ClockKind::NextResponse => self.next_response.as_ref(),
            ClockKind::Resolution => self.resolution.as_ref(),
            ClockKind::Assignment => self.assignment.as_ref(),
        }
    }

    /// Whether the resolution clock rests in a status.
    #[must_use]
    pub fn rests_in(&self, status: Status) -> bool {
        match status {
            Status::Open => false,
            Status::Pending => self.pauses.pending,
            Status::Snoozed => self.pauses.snoozed,
            Status::Resolved => true,
        }
    }
}
