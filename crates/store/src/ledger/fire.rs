//! Warnings, breaches and what policies do about them.

use jiff::Timestamp;
use roost_domain::conversation::Priority;
use roost_domain::event::EventType;
use roost_domain::ids::{ConversationId, TeamId};
use roost_domain::sla::{Action, Audience, Firing};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::rows::FiringRow;
use super::rulebook::Rules;
use super::{Cause, Ledger, StoredClock};

/// Something that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// What.
    pub firing: Firing,
    /// When it fell due.
    pub due_at: Timestamp,
}

impl Ledger {
    /// Fires what is due on a conversation's clocks; answers what was told.
    pub fn fire_due(&mut self, id: ConversationId) -> Vec<Told> {
        let Some(conversation) = self.conversations.get(&id) else {
            return Vec::new();
        };
        let mut told = Vec::new();
        for mut clock in conversation.clocks.clone() {
            let Some(rules) = self.rulebook.rules(clock.policy, clock.calendar) else {
                continue;
            };
            let due = clock.due(&rules, self.now);
            if due.is_empty() {
                continue;
            }
            for (firing, due_at) in due {
                if self.fire(id, &mut clock, &rules, firing) {
                    told.push(Told { firing, due_at });
                }
            }
            self.put_clock(id, clock);
        }
        told
    }

    /// Tells a warning, a breach or a step after one once, and answers whether it did: the row in
    /// `sla_firings` is its key, and the conversation's lock lets nobody else write one meanwhile.
    pub(super) fn fire(
        &mut self,
        id: ConversationId,
        clock: &mut StoredClock,
        rules: &Rules,
        firing: Firing,
    ) -> bool {
        let Some(conversation) = self.conversations.get(&id) else {
            return false;
        };
        let key = firing.key();
        let is_news = !clock.told.contains(&key);
        if is_news {
            self.firings.push(FiringRow {
                brand_id: conversation.brand.0,
                clock_id: clock.id.0,
                what: key.clone(),
                verdict_no: clock.verdict_no,
                fired_at: self.now,
            });
            clock.told.push(key);
        }
        let fell_due = match firing {
            Firing::Warning(percent) => clock.warns_at(rules, percent),
            Firing::Breach => clock.due_at,
            Firing::Escalation(_) => None,
        };
        let (kind, what, actions): (_, _, &[Action]) = match firing {
            Firing::Warning(percent) => {
                clock.warned_at.get_or_insert(self.now);
                clock.warnings.retain(|left| *left != percent);
                (EventType::SlaWarning, "warned", &rules.policy.on_warning)
            }
            Firing::Breach => {
                clock.breached_at = clock.due_at;
                clock.fired_at = Some(self.now);
                // What is done about it waits for late news.
                (EventType::SlaBreached, "breached", &[])
            }
            Firing::Escalation(step) => {
                clock.escalations_done = step + 1;
                let nth = usize::try_from(step - 1).ok();
                let step = nth.and_then(|nth| rules.policy.escalations.get(nth));
                let actions: &[Action] = match (nth, step) {
                    (None, _) => &rules.policy.on_breach,
                    (Some(_), Some(step)) => &step.actions,
                    (Some(_), None) => &[],
                };
                (EventType::SlaEscalated, "escalated", actions)
            }
        };
        clock.compute(rules);
        if is_news {
            let at = fell_due.unwrap_or(self.now);
            let more = match firing {
                Firing::Warning(percent) => vec![("percent", json!(percent))],
                Firing::Breach => Vec::new(),
                Firing::Escalation(step) => vec![("step", json!(step))],
            };
            let more: Map<String, Value> = more
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect();
            clock.tell(what, at, None, more.clone());
            let mut data = clock.view();
            if let Some(data) = data.as_object_mut() {
                data.extend(more);
                data.insert("notify".to_owned(), json!(audiences(actions)));
            }
            self.emit(id, kind, &Cause::system(), Some(data));
            self.act_on(id, clock, actions);
        }
        is_news
    }

    fn act_on(&mut self, id: ConversationId, clock: &mut StoredClock, actions: &[Action]) {
        for action in actions {
            let Some(conversation) = self.conversations.get(&id) else {
                return;
            };
            match *action {
                // Whom, the event says: their streams and what is wired to the brand's events show it.
                Action::Notify { .. } => {}
                Action::RaisePriority { to } => {
                    let from = conversation.priority;
                    if from < to {
                        self.put_priority(id, to, &Cause::system());
                        clock.keep_undo("priority", json!(from.as_str()), json!(to.as_str()));
                    }
                }
                Action::MoveToTeam { team_id } => {
                    let from = conversation.team;
                    if from != Some(team_id) && self.teams.contains(&team_id) {
                        self.put_team(id, team_id, &Cause::system());
                        let from = from.map(|team| team.0);
                        clock.keep_undo("team", json!(from), json!(team_id.0));
                    }
                }
            }
        }
    }

    /// Takes back what the actions on a breach have changed, where nobody has touched it since.
    pub(super) fn take_back(&mut self, id: ConversationId, clock: &mut StoredClock) {
        let undo = std::mem::take(&mut clock.undo);
        let Some(conversation) = self.conversations.get(&id) else {
            return;
        };
        let (priority, team) = (conversation.priority, conversation.team);
        if let Some((before, after)) = pair(&undo, "priority")
            && let (Ok(before), Ok(after)) = (before.parse::<Priority>(), after.parse::<Priority>())
            && priority == after
        {
            self.put_priority(id, before, &Cause::system());
        }
        if let Some((before, after)) = pair(&undo, "team")
            && let (Ok(before), Ok(after)) = (before.parse::<Uuid>(), after.parse::<Uuid>())
            && team == Some(TeamId(after))
            && self.teams.contains(&TeamId(before))
        {
            self.put_team(id, TeamId(before), &Cause::system());
        }
    }

    /// A person has set this themselves: what a clock's actions had made of it is not taken back any more.
    pub(super) fn touched_by_person(&mut self, id: ConversationId, field: &str) {
        let Some(conversation) = self.conversations.get(&id) else {
            return;
        };
        for mut clock in conversation.clocks.clone() {
            if clock.undo.remove(field).is_some() {
                self.put_clock(id, clock);
            }
        }
    }
}

impl StoredClock {
    /// The first value that it had before all of the clock's actions counts.
    fn keep_undo(&mut self, field: &str, before: Value, after: Value) {
        let first = self.undo.get(field).and_then(|pair| pair.get(0)).cloned();
        let pair = json!([first.unwrap_or(before), after]);
        self.undo.insert(field.to_owned(), pair);
    }
}

fn audiences(actions: &[Action]) -> Vec<&'static str> {
    let told = actions.iter().filter_map(|action| match action {
        Action::Notify { who } => Some(match who {
            Audience::Assignee => "assignee",
            Audience::Lead => "lead",
            Audience::Team => "team",
        }),
        Action::RaisePriority { .. } | Action::MoveToTeam { .. } => None,
    });
    told.collect()
}

fn pair<'a>(undo: &'a Map<String, Value>, field: &str) -> Option<(&'a str, &'a str)> {
    let pair = undo.get(field)?;
    Some((pair.get(0)?.as_str()?, pair.get(1)?.as_str()?))
}
