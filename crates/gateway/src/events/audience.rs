//! Whom an event concerns, for the topics of streams.

use std::str::FromStr;

use roost_domain::ids::{ConversationId, MemberId, TeamId};
use roost_store::conversations::StoredConversation;
use roost_store::events::StoredEvent;
use serde_json::Value;

/// The members, teams and conversation that an event concerns. Who had a conversation until this
/// very event still hears of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Audience {
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) members: Vec<MemberId>,
    pub(crate) teams: Vec<TeamId>,
}

impl Audience {
    pub(crate) fn of(event: &StoredEvent, now: Option<&StoredConversation>) -> Self {
        let mut audience = Self {
            conversation: event.conversation,
            ..Self::default()
        };
        if let Some(now) = now {
            audience.members.extend(now.assignee);
            audience.teams.extend(now.team);
        }
        audience
            .members
            .extend(ids::<MemberId>(&event.data, "assignee_id"));
        audience.teams.extend(ids::<TeamId>(&event.data, "team_id"));
        match event.kind.split('.').next() {
            Some("member") => audience.members.extend(event.subject.map(MemberId)),
            Some("team") => audience.teams.extend(event.subject.map(TeamId)),
            Some(_) | None => {}
        }
        audience
    }
}

/// An id in the line's facts, and the ones before and after where it changed.
fn ids<T: FromStr>(data: &Value, field: &str) -> impl Iterator<Item = T> {
    let changed = data["changed"][field].as_array().into_iter().flatten();
    changed
        .chain([&data[field]])
        .filter_map(|id| id.as_str()?.parse().ok())
        .collect::<Vec<T>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use roost_domain::ids::EventId;
    use serde_json::json;
    use uuid::Uuid;

    #[test]
    fn who_loses_a_conversation_hears_of_it() {
        let (before, after) = (MemberId(Uuid::now_v7()), MemberId(Uuid::now_v7()));
        let event = StoredEvent {
            id: EventId(Uuid::now_v7()),
            kind: "conversation.assigned".to_owned(),
            conversation: Some(ConversationId(Uuid::now_v7())),
            seq: Some(3),
            subject: None,
            actor_type: "system".to_owned(),
            actor_id: None,
            request_id: None,
            client_ref: None,
            position: Some(9),
            occurred_at: Timestamp::UNIX_EPOCH,
            data: json!({ "assignee_id": after, "changed": { "assignee_id": [before, after] } }),
        };
        let audience = Audience::of(&event, None);
        assert!(audience.members.contains(&before) && audience.members.contains(&after));
    }
}
