//! How a conversation changes: lock, fold, write, all in one transaction.
//!
//! Every role that changes a conversation goes through a [`Ledger`]: the inbox with a batch of
//! messages, the sender with an accepted reply, a member's act, a due clock. It locks the
//! conversations in the order of their ids, hands facts to `roost_domain::conversation`, keeps each
//! conversation's `seq` without gaps, and writes all of it by a handful of set-based statements.

mod about;
mod check;
mod clock_rows;
mod clocks;
mod event;
mod fire;
mod load;
mod matching;
mod preview;
mod refold;
mod rematch;
mod rows;
mod rulebook;
mod run;
mod write;

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use roost_domain::conversation::{Effect, Fact, Priority, State, Status};
use roost_domain::event::EventType;
use roost_domain::ids::{
    BrandId, ChannelId, ContactId, ConversationId, IdentityId, MemberId, MessageId, TeamId,
};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
pub use about::About;
pub use check::{Difference, check_clocks};
pub use clocks::StoredClock;
pub use event::{Actor, Cause};
pub use fire::Told;
pub use load::IdentityKey;
use load::Locked;
pub(crate) use load::shown_clocks;
pub(crate) use load::{parse, then};
pub use preview::{Effects, Preview, Proposal, preview};
pub(crate) use rematch::rematch_contact;
pub use rows::{ActKind, NewAttachment, NewMessage, NewOutbound};
use rows::{ActRow, AttachmentRow, EventRow, FiringRow, MessageRow, OutboundRow};
use rulebook::Rulebook;
pub use rulebook::{CalendarKey, PolicyKey, Rules, Terms};

/// A conversation that this transaction holds.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// The brand.
    pub brand: BrandId,
    /// Ours.
    pub id: ConversationId,
    /// The account it runs over.
    pub channel: ChannelId,
    /// The customer's account.
    pub identity: IdentityId,
    /// The customer.
    pub contact: ContactId,
    /// Where it lives; see `roost_domain::bucket`.
    pub bucket: u8,
    /// How urgent.
    pub priority: Priority,
    /// Whose queue.
    pub team: Option<TeamId>,
    /// Who has it.
    pub assignee: Option<MemberId>,
    /// Since when.
    pub assigned_at: Option<Timestamp>,
    /// Since when it waits for an assignee.
    pub queued_at: Option<Timestamp>,
    /// Why it waits.
    pub waiting_reason: Option<String>,
    /// Rises with every change that a stale view must not overwrite.
    pub version: i64,
    /// The `seq` of its newest event.
    pub last_seq: i64,
    /// The folded part.
    pub state: State,
    /// When it began (platform time of the message that began it).
    pub opened_at: Timestamp,
    /// The first words of its newest message.
    pub preview: String,
    /// The place of its newest message, notes left out.
    pub last_message_at: Option<Timestamp>,
    /// Whether a reply failed and nobody has dealt with it.
    pub has_failed_send: bool,
    /// The platform's id of the newest message that the customer has read.
    pub customer_read_no: i64,
    /// What it came from: a post or a welcome message.
    pub origin: Option<(String, String)>,
    /// How often it has waited for an assignee.
    pub waits: i32,
    /// What policies may ask of it, where they do.
    pub about: About,
    /// Its clocks that run or rest, at most one of a kind.
    pub clocks: Vec<StoredClock>,
    touched: bool,
    new_facts: Vec<Fact>,
    must_refold: bool,
    /// A fact of it is gone, so that what it gave before says nothing of what it gives now.
    is_unfolded: bool,
}

/// What begins a conversation.
#[derive(Debug, Clone)]
pub struct NewConversation {
    /// The brand.
    pub brand: BrandId,
    /// The account it runs over.
    pub channel: ChannelId,
    /// The customer's account.
    pub identity: IdentityId,
    /// The customer.
    pub contact: ContactId,
    /// See `roost_domain::bucket`.
    pub bucket: u8,
    /// Whose queue it joins.
    pub team: Option<TeamId>,
    /// The platform time of the message that begins it.
    pub opened_at: Timestamp,
    /// What it came from.
    pub origin: Option<(String, String)>,
}

/// The changes of one transaction.
#[derive(Debug)]
pub struct Ledger {
    /// The database's time, later than whatever was written before under the locks that are held.
    pub now: Timestamp,
    rulebook: Rulebook,
    /// Of contacts who may get another conversation, where a policy asks for it.
    contacts: about::Contacts,
    /// Teams that an action of a clock may move a conversation to.
    teams: HashSet<TeamId>,
    conversations: BTreeMap<ConversationId, Conversation>,
    events: Vec<EventRow>,
    messages: Vec<MessageRow>,
    attachments: Vec<AttachmentRow>,
    outbound: Vec<OutboundRow>,
    acts: Vec<ActRow>,
    firings: Vec<FiringRow>,
    clocks: Vec<(BrandId, ConversationId, StoredClock)>,
}

impl Ledger {
    /// Opens a ledger in a transaction on these brands.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(
        connection: &mut PgConnection,
        brands: &[BrandId],
    ) -> Result<Self, StoreError> {
        let (now, rulebook) = Rulebook::begin(connection, brands).await?;
        Ok(Self {
            now,
            rulebook,
            contacts: about::Contacts::new(),
            teams: HashSet::new(),
            conversations: BTreeMap::new(),
            events: Vec::new(),
            messages: Vec::new(),
            attachments: Vec::new(),
            outbound: Vec::new(),
            acts: Vec::new(),
            firings: Vec::new(),
            clocks: Vec::new(),
        })
    }

    /// Locks conversations of one brand. Those that don't exist are simply not there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock(
        &mut self,
        connection: &mut PgConnection,
        brand: BrandId,
        ids: &[ConversationId],
    ) -> Result<(), StoreError> {
        let locked = load::lock_ids(connection, brand, ids).await?;
        self.hold(connection, locked).await
    }

    /// Locks what a message of these identities can belong to: their unresolved conversation and
    /// their newest resolved ones. The identities' rows must be locked already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_identities(
        &mut self,
        connection: &mut PgConnection,
        keys: &[IdentityKey],
    ) -> Result<(), StoreError> {
        let locked = load::lock_identities(connection, keys).await?;
        self.hold(connection, locked).await?;
        let identities: Vec<(BrandId, Uuid)> =
            keys.iter().map(|key| (key.brand, key.identity.0)).collect();
        self.learn_about_contacts(connection, &identities).await
    }

    async fn hold(
        &mut self,
        connection: &mut PgConnection,
        locked: Locked,
    ) -> Result<(), StoreError> {
        self.now = locked.at.map_or(self.now, |at| at.max(self.now));
        let clocks = locked.conversations.iter().flat_map(|conversation| {
            let brand = conversation.brand;
            let clocks = conversation.clocks.iter();
            clocks.map(move |clock| (brand, clock.policy, clock.calendar))
        });
        let clocks: Vec<_> = clocks.collect();
        self.rulebook.learn(connection, clocks).await?;
        let undone: Vec<BrandId> = locked
            .conversations
            .iter()
            .filter(|held| {
                held.clocks
                    .iter()
                    .any(|clock| clock.undo.contains_key("team"))
            })
            .map(|held| held.brand)
            .collect();
        self.learn_teams(connection, &undone).await?;
        let ids: Vec<ConversationId> = locked.conversations.iter().map(|held| held.id).collect();
        for conversation in locked.conversations {
            self.conversations.insert(conversation.id, conversation);
        }
        self.learn_about(connection, &ids).await
    }

    /// Learns which teams there are, for actions that move conversations.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn learn_teams(
        &mut self,
        connection: &mut PgConnection,
        brands: &[BrandId],
    ) -> Result<(), StoreError> {
        if !brands.is_empty() {
            self.teams.extend(load::teams(connection, brands).await?);
        }
        Ok(())
    }

    /// A conversation that this ledger holds.
    #[must_use]
    pub fn get(&self, id: ConversationId) -> Option<&Conversation> {
        self.conversations.get(&id)
    }

    /// Every conversation that this ledger holds.
    pub fn all(&self) -> impl Iterator<Item = &Conversation> {
        self.conversations.values()
    }

    /// Begins a conversation. Its first fact, recorded next, opens it; without one it stands
    /// resolved, as history does.
    pub fn open(&mut self, new: NewConversation) -> ConversationId {
        let id = ConversationId(Uuid::now_v7());
        let mut state = State::blank();
        state.cycle_started_at = new.opened_at;
        state.resolved_at = Some(new.opened_at);
        let about = self.about_new(new.contact);
        self.conversations.insert(
            id,
            Conversation {
                brand: new.brand,
                id,
                channel: new.channel,
                identity: new.identity,
                contact: new.contact,
                bucket: new.bucket,
                priority: Priority::Normal,
                team: new.team,
                assignee: None,
                assigned_at: None,
                queued_at: None,
                waiting_reason: None,
                version: 0,
                last_seq: 0,
                state,
                opened_at: new.opened_at,
                preview: String::new(),
                last_message_at: None,
                has_failed_send: false,
                customer_read_no: 0,
                origin: new.origin,
                waits: 0,
                about,
                clocks: Vec::new(),
                touched: true,
                new_facts: Vec::new(),
                must_refold: false,
                is_unfolded: false,
            },
        );
        id
    }

    /// Adds a line to a conversation's log and gives it the next `seq`. The data are the
    /// conversation's non-personal fields unless given.
    pub fn emit(
        &mut self,
        id: ConversationId,
        kind: EventType,
        cause: &Cause,
        data: Option<Value>,
    ) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        emit(&mut self.events, conversation, self.now, kind, cause, data);
    }

    /// Records a fact. One that is newer than all before is applied at once; a late one has the
    /// conversation folded anew by [`Ledger::refold`].
    pub fn record(&mut self, id: ConversationId, fact: Fact, cause: &Cause) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        conversation.touched = true;
        conversation.new_facts.push(fact);
        // A resolution clock that goes on has ended, and ended clocks aren't held.
        let may_go_on = conversation.state.status == Status::Resolved
            && conversation.state.cycle > 0
            && self.rulebook.continues(conversation.brand);
        if conversation.must_refold || may_go_on || !conversation.state.is_next(&fact) {
            conversation.must_refold = true;
            return;
        }
        let before = conversation.state;
        let effects = conversation.state.apply(&fact);
        self.tell(id, &before, &effects, cause);
    }

    /// Has a conversation folded anew by [`Ledger::refold`], because a fact of it is gone.
    pub fn unfold(&mut self, id: ConversationId) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.touched = true;
            conversation.must_refold = true;
            conversation.is_unfolded = true;
        }
    }

    /// Records a change that is kept in other tables: the version rises, and the event tells it.
    pub(crate) fn set_fields(
        &mut self,
        id: ConversationId,
        kind: EventType,
        changed: Value,
        cause: &Cause,
    ) {
        self.change(id, |_| Some((kind, changed)), cause);
    }

    /// Changes who has a conversation. The decision itself is kept by its maker.
    pub fn assign(&mut self, id: ConversationId, to: Option<MemberId>, cause: &Cause) {
        let now = self.now;
        self.change(
            id,
            |conversation| {
                if to.is_some() {
                    conversation.queued_at = None;
                    conversation.waiting_reason = None;
                }
                if conversation.assignee == to {
                    conversation.settle_queue(now);
                    return None;
                }
                let changed = json!({ "assignee_id": [conversation.assignee, to] });
                conversation.assignee = to;
                conversation.assigned_at = to.map(|_| now);
                // Who lost its agent while it waited goes on waiting: waiting times never restart.
                conversation.settle_queue(now);
                let kind = if to.is_some() {
                    EventType::ConversationAssigned
                } else {
                    EventType::ConversationUnassigned
                };
                Some((kind, changed))
            },
            cause,
        );
        self.follow_queue(id, cause);
    }

    /// Lets a reopened conversation stay with the assignee it had.
    pub fn keep_assignee(&mut self, id: ConversationId) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.queued_at = None;
            conversation.waiting_reason = None;
            conversation.touched = true;
        }
        self.follow_queue(id, &Cause::system());
    }

    /// Says why a conversation waits; told once for each reason.
    pub fn wait(&mut self, id: ConversationId, reason: &str, cause: &Cause) {
        let reason = reason.to_owned();
        self.change(
            id,
            |conversation| {
                if conversation.waiting_reason.as_ref() == Some(&reason) {
                    return None;
                }
                let changed = json!({ "waiting_reason": [conversation.waiting_reason, reason] });
                conversation.waiting_reason = Some(reason);
                // Waiting is no change that a stale view could overwrite.
                conversation.version -= 1;
                Some((EventType::ConversationWaiting, changed))
            },
            cause,
        );
    }

    /// Changes the priority, as a person wants it.
    pub fn set_priority(&mut self, id: ConversationId, to: Priority, cause: &Cause) {
        self.put_priority(id, to, cause);
        self.touched_by_person(id, "priority");
        self.rematch(id, Some(to), cause);
    }

    fn put_priority(&mut self, id: ConversationId, to: Priority, cause: &Cause) {
        self.change(
            id,
            |conversation| {
                let from = std::mem::replace(&mut conversation.priority, to);
                (from != to).then(|| {
                    (
                        EventType::ConversationPriorityChanged,
                        json!({ "priority": [from.as_str(), to.as_str()] }),
                    )
                })
            },
            cause,
        );
    }

    /// Moves a conversation to another team; its assignee loses it and it queues there.
    pub fn set_team(&mut self, id: ConversationId, to: TeamId, cause: &Cause) {
        self.put_team(id, to, cause);
        self.touched_by_person(id, "team");
        self.rematch(id, None, cause);
    }

    fn put_team(&mut self, id: ConversationId, to: TeamId, cause: &Cause) {
        let moved = self
            .conversations
            .get(&id)
            .is_some_and(|conversation| conversation.team != Some(to));
        if !moved {
            return;
        }
        self.assign(id, None, cause);
        self.change(
            id,
            |conversation| {
                let changed = json!({ "team_id": [conversation.team, to] });
                conversation.team = Some(to);
                Some((EventType::ConversationTeamChanged, changed))
            },
            cause,
        );
    }

    /// Marks whether a reply failed and waits for somebody to deal with it.
    pub fn set_failed_send(&mut self, id: ConversationId, failed: bool) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.touched |= conversation.has_failed_send != failed;
            conversation.has_failed_send = failed;
        }
    }

    /// Moves the customer's reading mark forward; one that came before changes nothing.
    pub fn customer_read(&mut self, id: ConversationId, up_to: i64, at: Timestamp, cause: &Cause) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        if up_to > conversation.customer_read_no {
            conversation.customer_read_no = up_to;
            let data = json!({ "last_read_event_id": up_to.to_string(), "read_at": at });
            emit(
                &mut self.events,
                conversation,
                self.now,
                EventType::MessageRead,
                cause,
                Some(data),
            );
        }
    }

    fn change(
        &mut self,
        id: ConversationId,
        change: impl FnOnce(&mut Conversation) -> Option<(EventType, Value)>,
        cause: &Cause,
    ) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        conversation.touched = true;
        if let Some((kind, changed)) = change(conversation) {
            conversation.version += 1;
            let data = conversation.snapshot(Some(changed));
            emit(
                &mut self.events,
                conversation,
                self.now,
                kind,
                cause,
                Some(data),
            );
        }
    }

    /// Writes what a fact did to the log, the queue and the clocks.
    fn tell(&mut self, id: ConversationId, before: &State, effects: &[Effect], cause: &Cause) {
        let now = self.now;
        for effect in effects {
            let Some(conversation) = self.conversations.get_mut(&id) else {
                return;
            };
            let kind = match effect {
                Effect::Opened => EventType::ConversationOpened,
                Effect::Reopened => EventType::ConversationReopened,
                Effect::Status(_) => EventType::ConversationStatusChanged,
                Effect::Clock(op) => {
                    self.run_clock(id, *op, cause);
                    continue;
                }
            };
            conversation.version += 1;
            if *effect == Effect::Reopened && conversation.assignee.is_some() {
                // The router decides whether it stays with who had it.
                conversation.queued_at = Some(now);
            }
            conversation.settle_queue(now);
            let changed =
                json!({ "status": [before.status.as_str(), conversation.state.status.as_str()] });
            let data =
                conversation.snapshot((kind != EventType::ConversationOpened).then_some(changed));
            emit(&mut self.events, conversation, now, kind, cause, Some(data));
        }
        self.follow_queue(id, cause);
    }
}

impl Conversation {
    /// An open conversation without an assignee waits; one that isn't open doesn't.
    fn settle_queue(&mut self, now: Timestamp) {
        if self.state.status != Status::Open {
            self.queued_at = None;
            self.waiting_reason = None;
        } else if self.assignee.is_none() {
            self.queued_at.get_or_insert(now);
        }
    }

    /// The fields that an event keeps: none of them personal.
    fn snapshot(&self, changed: Option<Value>) -> Value {
        let mut data = json!({
            "id": self.id,
            "status": self.state.status.as_str(),
            "priority": self.priority.as_str(),
            "channel_id": self.channel,
            "contact_id": self.contact,
            "assignee_id": self.assignee,
            "team_id": self.team,
            "version": self.version,
            "cycle": self.state.cycle,
            "opened_at": self.opened_at,
            "waiting_since": self.state.waiting_since,
            "waiting_reason": self.waiting_reason,
            "resolved_at": self.state.resolved_at.filter(|_| self.state.status == Status::Resolved),
            "snoozed_until": self.state.snoozed_until,
        });
        if let (Some(changed), Some(data)) = (changed, data.as_object_mut()) {
            data.insert("changed".to_owned(), changed);
        }
        data
    }
}

fn emit(
    events: &mut Vec<EventRow>,
    conversation: &mut Conversation,
    now: Timestamp,
    kind: EventType,
    cause: &Cause,
    data: Option<Value>,
) {
    conversation.touched = true;
    conversation.last_seq += 1;
    let data = data.unwrap_or_else(|| conversation.snapshot(None));
    events.push(EventRow::of_conversation(
        conversation,
        now,
        kind,
        cause,
        data,
    ));
}

/// A message's place and what it does to lists.
impl Ledger {
    /// Adds a message, its attachments and, for a reply, its way out; answers its id.
    ///
    /// The caller records the fact that goes with it, if there is one, and emits the event first, so
    /// that `stored_seq` is that event's.
    pub fn add_message(&mut self, id: ConversationId, message: NewMessage) -> MessageId {
        let message_id = message.id;
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.touched = true;
            if message.kind != "note" {
                let newest = conversation
                    .last_message_at
                    .is_none_or(|last| message.order_at >= last);
                if newest {
                    conversation.last_message_at = Some(message.order_at);
                    conversation.preview = roost_domain::preview::preview(&message.text);
                }
            }
            if message.kind == "inbound" {
                conversation.version += 1;
            }
            message.into_rows(
                conversation,
                self.now,
                &mut self.messages,
                &mut self.attachments,
                &mut self.outbound,
            );
        }
        message_id
    }

    /// Keeps an act for later folds and records it as a fact now.
    pub fn act(
        &mut self,
        id: ConversationId,
        kind: ActKind,
        member: Option<MemberId>,
        cause: &Cause,
    ) {
        let Some(conversation) = self.conversations.get(&id) else {
            return;
        };
        let row = ActRow::new(conversation, self.now, kind, member);
        let fact = row.fact(kind);
        self.acts.push(row);
        self.record(id, fact, cause);
    }
}
