//! What a stream wants to hear.

use roost_domain::ids::{ConversationId, MemberId, TeamId};

use crate::events::Audience;

/// Topics that one stream may have at most.
const MAX_TOPICS: usize = 200;

/// The topics of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Topics {
    pub(super) all: bool,
    pub(super) mine: bool,
    pub(super) teams: Vec<TeamId>,
    pub(super) conversations: Vec<ConversationId>,
}

impl Topics {
    /// Reads a list of topics; the error names the first that is none.
    pub(super) fn parse(names: &[String]) -> Result<Self, String> {
        if names.len() > MAX_TOPICS {
            return Err(format!("at most {MAX_TOPICS} topics"));
        }
        let mut topics = Self::default();
        for name in names {
            let bad = || {
                format!(
                    "`{}` is no topic",
                    name.chars().take(80).collect::<String>()
                )
            };
            match name.split_once(':') {
                None if name == "all" => topics.all = true,
                None if name == "mine" => topics.mine = true,
                Some(("team", id)) => topics.teams.push(id.parse().map_err(|_| bad())?),
                Some(("conversation", id)) => {
                    topics.conversations.push(id.parse().map_err(|_| bad())?);
                }
                Some(_) | None => return Err(bad()),
            }
        }
        Ok(topics)
    }

    /// Whether an event with this audience is wanted by this member.
    pub(super) fn want(&self, member: MemberId, audience: &Audience) -> bool {
        self.all
            || (self.mine && audience.members.contains(&member))
            || audience.teams.iter().any(|team| self.teams.contains(team))
            || audience
                .conversation
                .is_some_and(|id| self.conversations.contains(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_topic_meets_what_concerns_it_and_nothing_else() {
        let (me, other) = (MemberId(Uuid::now_v7()), MemberId(Uuid::now_v7()));
        let (team, conversation) = (TeamId(Uuid::now_v7()), ConversationId(Uuid::now_v7()));
        let topics = |names: &[String]| Topics::parse(names).unwrap();
        let audience = Audience {
            conversation: Some(conversation),
            members: vec![me],
            teams: vec![team],
            ..Audience::default()
        };
        assert!(topics(&["all".to_owned()]).want(other, &Audience::default()));
        assert!(topics(&["mine".to_owned()]).want(me, &audience));
        assert!(!topics(&["mine".to_owned()]).want(other, &audience));
        assert!(topics(&[format!("team:{team}")]).want(other, &audience));
        assert!(topics(&[format!("conversation:{conversation}")]).want(other, &audience));
        assert!(!topics(&[]).want(me, &audience));
    }

    #[test]
    fn what_is_no_topic_is_named() {
        for bad in [
            "everything",
            "team:",
            "team:mem_01h455vb4pex5vsknk084sn02q",
            "conversation:x",
            ":",
        ] {
            assert!(
                Topics::parse(&[bad.to_owned()])
                    .unwrap_err()
                    .contains("is no topic"),
                "{bad}"
            );
        }
    }
}
