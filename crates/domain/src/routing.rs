//! Who takes which conversation: a decision is a function of a snapshot.
//!
//! The snapshot holds one team's queue and its members as they are under the router's locks. The
//! answer says for each waiting conversation who gets it or why it waits, with every candidate, so
//! that a person can ask "why me?".

use jiff::Timestamp;

use crate::conversation::Priority;
use crate::ids::{ConversationId, MemberId};
use crate::role::{Permission, Role, UnknownName};

/// Whether a member takes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// A stream is open and the member has not set another status.
    Online,
    /// Here, but takes nothing new.
    Away,
    /// Not here.
    Offline,
}

impl Presence {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Offline => "offline",
        }
    }
}

impl std::str::FromStr for Presence {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [Self::Online, Self::Away, Self::Offline]
            .into_iter()
            .find(|presence| presence.as_str() == text)
            .ok_or_else(|| UnknownName(text.to_owned()))
    }
}

/// A member of the team, as the router sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub member: MemberId,
    /// The role in the brand.
    pub role: Role,
    /// Whether the member was deactivated.
    pub active: bool,
    /// Whether they take work now.
    pub presence: Presence,
    /// How many conversations they may hold.
    pub capacity: i32,
    /// The weights of what they hold.
    pub load: i32,
    /// When they were last given a conversation; none counts as longest idle.
    pub last_assigned_at: Option<Timestamp>,
}

/// A conversation that waits for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Which one.
    pub conversation: ConversationId,
    /// How urgent.
    pub priority: Priority,
    /// The earliest due instant of its running clocks, past ones included.
    pub due_at: Option<Timestamp>,
    /// Since when it waits; never restarts.
    pub queued_at: Timestamp,
    /// Who had it before it came back; keeps it if eligible.
    pub holder: Option<MemberId>,
}

/// The rule that kept a member from getting the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// The role may not reply.
    Role,
    /// The member is deactivated.
    Inactive,
    /// The member is away.
    Away,
    /// The member is offline.
    Offline,
    /// One more would exceed the capacity.
    Capacity,
}

impl Exclusion {
    /// The rule's name on the wire and in the kept decision.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Inactive => "inactive",
            Self::Away => "away",
            Self::Offline => "offline",
            Self::Capacity => "capacity",
        }
    }
}

/// A candidate as judged for one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Who.
    pub member: MemberId,
    /// The rule that excluded them, if any.
    pub excluded_by: Option<Exclusion>,
    /// Load before the decision.
    pub load: i32,
    /// Capacity at the decision.
    pub capacity: i32,
    /// Place among the eligible, from 1.
    pub rank: Option<usize>,
}

/// What was decided for one conversation, and on what grounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Who gets it; none means that it waits.
    pub member: Option<MemberId>,
    /// Whether that is who had it before.
    pub kept: bool,
    /// Every member of the team, eligible ones first by rank.
    pub candidates: Vec<Judged>,
}

impl Decision {
    /// Why, in words that an agent understands.
    #[must_use]
    pub fn reason(&self) -> String {
        if self.kept {
            return "came back to the agent who had it".to_owned();
        }
        if self.member.is_some() {
            return "least loaded of the eligible".to_owned();
        }
        if self.candidates.is_empty() {
            return "the team has no members".to_owned();
        }
        let count = |rule| {
            self.candidates
                .iter()
                .filter(|judged| judged.excluded_by == Some(rule))
                .count()
        };
        let full = count(Exclusion::Capacity);
        let absent = count(Exclusion::Offline) + count(Exclusion::Away);
        match (full, absent) {
            (0, 0) => "nobody in the team may reply".to_owned(),
            (0, _) => "no one in the team is online".to_owned(),
            (1, _) => "1 agent is at capacity".to_owned(),
            (full, _) => format!("{full} agents are at capacity"),
        }
    }
}

/// Puts a queue in order: priority, then the earliest due instant (none last), then the longest
/// wait, then the id.
pub fn sort_queue(queue: &mut [Waiting]) {
    queue.sort_by_key(|waiting| {
        (
            std::cmp::Reverse(waiting.priority),
            waiting.due_at.is_none(),
            waiting.due_at,
            waiting.queued_at,
            waiting.conversation,
        )
    });
}

fn excluded_by(candidate: &Candidate) -> Option<Exclusion> {
    if !candidate.role.allows(Permission::MessagesWrite) {
        Some(Exclusion::Role)
    } else if !candidate.active {
        Some(Exclusion::Inactive)
    } else if candidate.presence == Presence::Offline {
        Some(Exclusion::Offline)
    } else if candidate.presence == Presence::Away {
        Some(Exclusion::Away)
    } else if candidate.load >= candidate.capacity {
        Some(Exclusion::Capacity)
    } else {
        None
    }
}

/// Least loaded first: load relative to capacity, then longest idle, then id.
fn compare(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    // load_a / capacity_a < load_b / capacity_b, without fractions.
    let left = i64::from(a.load) * i64::from(b.capacity);
    let right = i64::from(b.load) * i64::from(a.capacity);
    left.cmp(&right)
        .then(a.last_assigned_at.cmp(&b.last_assigned_at))
        .then(a.member.cmp(&b.member))
}

/// Decides a team's whole queue, front to back. Members' loads and idle times move on as
/// conversations are given, exactly as if each were decided alone.
#[must_use]
pub fn decide(queue: &[Waiting], members: &[Candidate], now: Timestamp) -> Vec<Decision> {
    let mut members = members.to_vec();
    queue
        .iter()
        .map(|waiting| {
            members.sort_by(compare);
            let mut rank = 0;
            let mut judged: Vec<Judged> = members
                .iter()
                .map(|candidate| {
                    let excluded_by = excluded_by(candidate);
                    rank += usize::from(excluded_by.is_none());
                    Judged {
                        member: candidate.member,
                        excluded_by,
                        load: candidate.load,
                        capacity: candidate.capacity,
                        rank: excluded_by.is_none().then_some(rank),
                    }
                })
                .collect();
            judged.sort_by_key(|judged| (judged.rank.is_none(), judged.rank));
            let eligible = |judged: &&Judged| judged.rank.is_some();
            let kept = judged
                .iter()
                .filter(eligible)
                .find(|judged| Some(judged.member) == waiting.holder);
            let winner = kept
                .or_else(|| judged.first().filter(eligible))
                .map(|best| best.member);
            if let Some(candidate) = members
                .iter_mut()
                .find(|candidate| Some(candidate.member) == winner)
            {
                candidate.load += 1;
                candidate.last_assigned_at = Some(now);
            }
            let kept = kept.is_some();
            Decision {
                conversation: waiting.conversation,
                member: winner,
                kept,
                candidates: judged,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn agent(id: u128, capacity: i32, load: i32) -> Candidate {
        Candidate {
            member: MemberId(Uuid::from_u128(id)),
            role: Role::Agent,
            active: true,
            presence: Presence::Online,
            capacity,
            load,
            last_assigned_at: None,
        }
    }

    fn waiting(id: u128, queued: i64) -> Waiting {
        Waiting {
            conversation: ConversationId(Uuid::from_u128(id)),
            priority: Priority::Normal,
            due_at: None,
            queued_at: at(queued),
            holder: None,
        }
    }

    fn queue(length: u128) -> Vec<Waiting> {
        (0..length)
            .map(|id| waiting(id, i64::try_from(id).unwrap()))
            .collect()
    }

    #[test]
    fn a_burst_is_split_evenly_between_equal_agents() {
        let decisions = decide(&queue(10), &[agent(1, 10, 0), agent(2, 10, 0)], at(0));
        let first = decisions
            .iter()
            .filter(|d| d.member == Some(MemberId(Uuid::from_u128(1))))
            .count();
        assert_eq!(first, 5);
    }

    #[test]
    fn load_counts_relative_to_capacity() {
        // 2 of 10 is less than 1 of 3.
        let decisions = decide(&queue(1), &[agent(1, 3, 1), agent(2, 10, 2)], at(0));
        assert_eq!(decisions[0].member, Some(MemberId(Uuid::from_u128(2))));
    }

    #[test]
    fn a_reopened_conversation_stays_with_its_agent_while_that_one_has_room() {
        let back = Waiting {
            holder: Some(MemberId(Uuid::from_u128(2))),
            ..waiting(1, 0)
        };
        let decisions = decide(&[back], &[agent(1, 5, 0), agent(2, 5, 4)], at(0));
        assert_eq!(
            (decisions[0].member, decisions[0].kept),
            (back.holder, true)
        );
        let decisions = decide(&[back], &[agent(1, 5, 0), agent(2, 5, 5)], at(0));
        assert_eq!(
            (decisions[0].member, decisions[0].kept),
            (Some(MemberId(Uuid::from_u128(1))), false)
        );
    }

    #[test]
    fn those_who_wait_are_told_why() {
        let offline = Candidate {
            presence: Presence::Offline,
            ..agent(1, 5, 0)
        };
        let decisions = decide(&queue(1), &[offline], at(0));
        assert_eq!(decisions[0].reason(), "no one in the team is online");
        let decisions = decide(&queue(1), &[offline, agent(2, 1, 1)], at(0));
        assert_eq!(decisions[0].reason(), "1 agent is at capacity");
        assert_eq!(decisions[0].candidates.len(), 2);
    }

    #[test]
    fn a_role_that_may_not_reply_is_never_chosen() {
        let analyst = Candidate {
            role: Role::Analyst,
            ..agent(1, 5, 0)
        };
        let decisions = decide(&queue(1), &[analyst], at(0));
        assert_eq!(
            decisions[0].candidates[0].excluded_by,
            Some(Exclusion::Role)
        );
        assert_eq!(decisions[0].member, None);
    }

    #[test]
    fn the_queue_goes_by_priority_then_deadline_then_wait() {
        let urgent = Waiting {
            priority: Priority::Urgent,
            ..waiting(1, 50)
        };
        let due_late = Waiting {
            due_at: Some(at(90)),
            ..waiting(2, 10)
        };
        let due_soon = Waiting {
            due_at: Some(at(60)),
            ..waiting(3, 40)
        };
        let old = waiting(4, 1);
        let mut queue = [old, due_late, due_soon, urgent];
        sort_queue(&mut queue);
        assert_eq!(queue, [urgent, due_soon, due_late, old]);
    }

    proptest! {
        #[test]
        fn nobody_is_taken_over_capacity_and_nobody_waits_while_there_is_room(
            agents in prop::collection::vec((0_i32..6, 0_i32..6), 0..8), waiting in 0_u128..30
        ) {
            let members: Vec<Candidate> = agents
                .iter()
                .enumerate()
                .map(|(id, (capacity, load))| agent(u128::try_from(id).unwrap(), *capacity, *load))
                .collect();
            let room: i32 = agents.iter().map(|(capacity, load)| (capacity - load).max(0)).sum();
            let decisions = decide(&queue(waiting), &members, at(0));
            for candidate in &members {
                let given = decisions.iter().filter(|d| d.member == Some(candidate.member)).count();
                let given = i32::try_from(given).unwrap();
                prop_assert!(given == 0 || candidate.load + given <= candidate.capacity);
            }
            let placed = decisions.iter().filter(|d| d.member.is_some()).count();
            prop_assert_eq!(placed, usize::try_from(room).unwrap().min(decisions.len()));
        }
    }
}
