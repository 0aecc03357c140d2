//! A team that assigns by hand: nobody new gets anything.

use jiff::Timestamp;
use roost_domain::routing::{self, Candidate, Decision, Waiting};

const REASON: &str = "the team assigns by hand";

/// Lets conversations that came back stay with whoever had them and still may have them; all others
/// wait for a person.
pub(super) fn decide(
    queue: &[Waiting],
    candidates: &[Candidate],
    now: Timestamp,
) -> Vec<(Decision, String)> {
    let mut candidates = candidates.to_vec();
    queue
        .iter()
        .flat_map(|waiting| {
            let holder: Vec<Candidate> = candidates
                .iter()
                .filter(|candidate| Some(candidate.member) == waiting.holder)
                .copied()
                .collect();
            let decisions = routing::decide(std::slice::from_ref(waiting), &holder, now);
            for decision in &decisions {
                let winner = candidates
                    .iter_mut()
                    .find(|candidate| Some(candidate.member) == decision.member);
                if let Some(winner) = winner {
                    winner.load += 1;
                }
            }
            decisions
        })
        .map(|decision| {
            let reason = if decision.kept {
                decision.reason()
            } else {
                REASON.to_owned()
            };
            (decision, reason)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_domain::conversation::Priority;
    use roost_domain::ids::{ConversationId, MemberId};
    use roost_domain::role::Role;
    use roost_domain::routing::Presence;
    use uuid::Uuid;

    fn waiting(id: u128, holder: Option<u128>) -> Waiting {
        Waiting {
            conversation: ConversationId(Uuid::from_u128(id)),
            priority: Priority::Normal,
            due_at: None,
            queued_at: Timestamp::UNIX_EPOCH,
            holder: holder.map(|id| MemberId(Uuid::from_u128(id))),
        }
    }

    #[test]
    fn only_what_comes_back_to_an_agent_with_room_leaves_the_queue() {
        let agent = Candidate {
            member: MemberId(Uuid::from_u128(1)),
            role: Role::Agent,
            active: true,
            presence: Presence::Online,
            capacity: 1,
            load: 0,
            last_assigned_at: None,
        };
        let queue = [waiting(1, None), waiting(2, Some(1)), waiting(3, Some(1))];
        let decisions = decide(&queue, &[agent], Timestamp::UNIX_EPOCH);
        let members: Vec<_> = decisions.iter().map(|(one, _)| one.member).collect();
        assert_eq!(members, [None, Some(agent.member), None]);
        assert_eq!(decisions[0].1, REASON);
    }
}
