//! Whom an event concerns, for the topics of streams, and who may see it.

use std::str::FromStr;

use roost_domain::ids::{ChannelId, ConversationId, MemberId, TeamId};
use roost_store::events::StoredEvent;
use roost_store::visibility::{Place, Visibility, Walls};
use serde_json::Value;

use super::data::Resources;

/// The members, teams and conversation that an event concerns. Who had a conversation until this
/// very event still hears of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Audience {
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) members: Vec<MemberId>,
    pub(crate) teams: Vec<TeamId>,
    pub(crate) sight: Sight,
}

/// By what it is decided who sees an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It is about the brand and how it is set up.
    #[default]
    Brand,
    /// It is about a channel.
    Channel(ChannelId),
    /// It is about a customer with conversations here.
    Contact(Vec<Place>),
    /// It is about a conversation, which is here now and was there before it.
    Conversation { now: Place, before: Place },
    /// It is about a conversation that isn't there.
    Nobody,
}

impl Audience {
    pub(super) fn of(event: &StoredEvent, resources: &Resources) -> Self {
        let mut audience = Self {
            conversation: event.conversation,
            sight: sight(event, resources),
            ..Self::default()
        };
        if let Sight::Conversation { now, .. } = audience.sight {
            audience.members.extend(now.assignee);
            audience.teams.extend(now.team);
        }
        audience
            .members
            .extend(ids::<MemberId>(&event.data, "assignee_id"));
        // Whom a note calls.
        let mentions = event.data["mentions"].as_array().into_iter().flatten();
        let mentioned = mentions.filter_map(|id| id.as_str()?.parse::<MemberId>().ok());
        audience.members.extend(mentioned);
        audience.teams.extend(ids::<TeamId>(&event.data, "team_id"));
        match event.kind.split('.').next() {
            Some("member") => audience.members.extend(event.subject.map(MemberId)),
            Some("team") => audience.teams.extend(event.subject.map(TeamId)),
            Some(_) | None => {}
        }
        audience
    }

    /// Whether it is about something in sight.
    pub(super) fn is_seen(&self, visibility: &Visibility, walls: &Walls) -> bool {
        match &self.sight {
            Sight::Brand => true,
            Sight::Channel(channel) => visibility.sees_channel(*channel, walls),
            // Who is bound to no team or channel sees customers without conversations as well.
            Sight::Contact(places) => {
                places.iter().any(|place| visibility.sees(place, walls))
                    || places.is_empty() && !visibility.is_partial()
            }
            Sight::Conversation { now, .. } => visibility.sees(now, walls),
            Sight::Nobody => false,
        }
    }

    /// Whether it is about a conversation that was in sight until then.
    pub(super) fn was_seen(&self, visibility: &Visibility, walls: &Walls) -> bool {
        matches!(&self.sight, Sight::Conversation { before, .. } if visibility.sees(before, walls))
    }

    /// Whether it took a conversation to another team or member.
    pub(super) fn has_moved(&self) -> bool {
        matches!(self.sight, Sight::Conversation { now, before } if now != before)
    }
}

fn sight(event: &StoredEvent, resources: &Resources) -> Sight {
    if event.conversation.is_some() {
        let Some(now) = resources.place(event) else {
            return Sight::Nobody;
        };
        let before = Place {
            team: before(event, "team_id").unwrap_or(now.team),
            assignee: before(event, "assignee_id").unwrap_or(now.assignee),
            ..now
        };
        return Sight::Conversation { now, before };
    }
    match event.kind.split('.').next() {
        Some("channel") => event
            .subject
            .map_or(Sight::Nobody, |id| Sight::Channel(ChannelId(id))),
        Some("contact") => Sight::Contact(resources.places(event)),
        Some(_) | None => Sight::Brand,
    }
}

/// What a field was before the event, if it changed.
fn before<T: FromStr>(event: &StoredEvent, field: &str) -> Option<Option<T>> {
    let pair = event.data["changed"][field].as_array()?;
    Some(pair.first()?.as_str().and_then(|id| id.parse().ok()))
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
        let audience = Audience::of(&event, &Resources::default());
        assert!(audience.members.contains(&before) && audience.members.contains(&after));
    }

    #[test]
    fn who_no_longer_sees_a_conversation_still_saw_it_leave() {
        let place = |team| Place {
            team: Some(team),
            assignee: None,
            channel: ChannelId(Uuid::now_v7()),
        };
        let (open, other) = (TeamId(Uuid::now_v7()), TeamId(Uuid::now_v7()));
        let audience = Audience {
            sight: Sight::Conversation {
                now: place(other),
                before: place(open),
            },
            ..Audience::default()
        };
        let bound = Visibility {
            teams: Some(vec![open]),
            ..Visibility::ALL
        };
        let walls = Walls::default();
        assert!(audience.has_moved() && audience.was_seen(&bound, &walls));
        assert!(!audience.is_seen(&bound, &walls) && audience.is_seen(&Visibility::ALL, &walls));
    }

    #[test]
    fn a_customer_without_conversations_is_the_brands_and_no_single_teams() {
        let audience = Audience {
            sight: Sight::Contact(Vec::new()),
            ..Audience::default()
        };
        let walls = Walls::default();
        assert!(audience.is_seen(&Visibility::ALL, &walls));
        let test = Visibility {
            sandbox_only: true,
            ..Visibility::ALL
        };
        assert!(!audience.is_seen(&test, &walls));
    }
}
