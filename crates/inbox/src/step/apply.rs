//! Applying placed events to their conversations, oldest first.

use std::collections::HashMap;

use jiff::Timestamp;
use roost_domain::conversation::{Fact, FactKind, Order, clamp_for_clocks};
use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, ConversationId, MessageId};
use roost_platforms::x::fingerprint::fingerprint;
use roost_platforms::x::normalise::{Attachment, PlatformMessage};
use roost_store::contacts::{BlockedMessage, Known};
use roost_store::inbound::{self, ChannelInfo};
use roost_store::ledger::{
    Actor, Cause, IdentityKey, Ledger, NewAttachment, NewConversation, NewMessage,
};
use roost_store::{IngestTx, StoreError};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Desk, Done, Placed, echo};
use crate::place::{Candidate, Incoming, place};
use crate::read::Meaning;

/// Which conversations each customer has on each channel, as the batch goes on.
type Threads = HashMap<IdentityKey, Vec<ConversationId>>;

/// What is written once the conversations are.
pub(super) struct Applied {
    /// Messages of the account that no reply explains, with their fingerprints.
    pub(super) strays: Vec<(BrandId, MessageId, [u8; 32])>,
    /// Messages of blocked contacts.
    pub(super) blocked: Vec<(BlockedMessage, Placed)>,
}

/// Answers the messages of the account that no reply explains, with their fingerprints.
pub(super) async fn apply_all(
    tx: &mut IngestTx,
    ledger: &mut Ledger,
    desk: &Desk<'_>,
    mut placed: Vec<Placed>,
    done: &mut Done,
) -> Result<Applied, StoreError> {
    let mut blocked = Vec::new();
    // Within a batch the platform's order is restored, so that most late events need no refold.
    placed.sort_by_key(order_of);
    let mut threads = Threads::new();
    for conversation in ledger.all() {
        let key = IdentityKey {
            brand: conversation.brand,
            channel: conversation.channel,
            identity: conversation.identity,
        };
        threads.entry(key).or_default().push(conversation.id);
    }
    let echoes: Vec<_> = placed
        .iter()
        .filter(|one| is_ours(one))
        .map(|one| {
            (
                one.route.brand,
                one.route.channel,
                one.event.ingress.event_id.clone(),
            )
        })
        .collect();
    let known = inbound::known_messages(tx.conn(), &echoes).await?;
    let mut strays = Vec::new();
    for one in placed {
        let Some(customer) = desk.customers.get(&one.identity).copied() else {
            continue;
        };
        let Some(channel) = desk.channels.get(&one.route.channel).copied() else {
            continue;
        };
        let mut thread = Thread {
            ledger: &mut *ledger,
            threads: &mut threads,
            desk,
            customer,
            channel,
            one: &one,
        };
        if customer.is_blocked
            && !is_ours(&one)
            && let Some(message) = thread.blocked()
        {
            done.blocked += 1;
            blocked.push((message, one));
            continue;
        }
        match &one.event.meaning {
            Meaning::Read { up_to, at, .. } => done.reads += usize::from(thread.read(*up_to, *at)),
            Meaning::Message(message) if is_ours(&one) => {
                let settled = known.contains(&(one.route.channel, message.event_id.clone()))
                    || echo::settle(tx, &mut thread, message).await?;
                if settled {
                    done.duplicates += 1;
                } else {
                    let stored = incoming(message, &one, channel.connected_at);
                    strays.push((one.route.brand, stored.id, fingerprint(&message.text)));
                    thread.write(stored, true);
                    done.stored += 1;
                }
            }
            Meaning::Message(message) => {
                thread.write(incoming(message, &one, channel.connected_at), false);
                done.stored += 1;
            }
            Meaning::Unreadable { at, .. } => {
                thread.write(unreadable(*at, &one, channel.connected_at), is_ours(&one));
                done.stored += 1;
            }
            Meaning::Typing { .. } | Meaning::Revoked { .. } | Meaning::Raw(_) => {}
        }
    }
    Ok(Applied { strays, blocked })
}

pub(super) fn order_of(one: &Placed) -> (Timestamp, i64) {
    match &one.event.meaning {
        Meaning::Message(message) => (message.sent_at, message.event_no),
        Meaning::Unreadable { at, .. } => (*at, 0),
        Meaning::Read { at, up_to, .. } => (*at, *up_to),
        Meaning::Typing { .. } | Meaning::Revoked { .. } | Meaning::Raw(_) => (Timestamp::MIN, 0),
    }
}

fn is_ours(one: &Placed) -> bool {
    match &one.event.meaning {
        Meaning::Message(message) => message.sender_id == one.account,
        Meaning::Unreadable { sender_id, .. } => *sender_id == one.account,
        Meaning::Read { .. }
        | Meaning::Typing { .. }
        | Meaning::Revoked { .. }
        | Meaning::Raw(_) => false,
    }
}

/// One event on its way into its customer's thread.
pub(super) struct Thread<'a> {
    pub(super) ledger: &'a mut Ledger,
    threads: &'a mut Threads,
    desk: &'a Desk<'a>,
    customer: Known,
    channel: ChannelInfo,
    pub(super) one: &'a Placed,
}

impl Thread<'_> {
    fn key(&self) -> IdentityKey {
        IdentityKey {
            brand: self.one.route.brand,
            channel: self.one.route.channel,
            identity: self.customer.identity,
        }
    }

    pub(super) fn desk(&self) -> &Desk<'_> {
        self.desk
    }

    /// X's id of the app that the channel is connected through, unless it is the installation's.
    pub(super) fn own_app_id(&self) -> Option<String> {
        self.channel.own_app_id.map(|id| id.to_string())
    }

    pub(super) fn cause(&self, actor: Actor) -> Cause {
        Cause::new(actor, Some(self.one.event.ingress.request_id.clone()))
    }

    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let ids = self.threads.get(&self.key()).map_or(&[][..], Vec::as_slice);
        ids.iter()
            .filter_map(|id| self.ledger.get(*id))
            .map(|conversation| Candidate {
                id: conversation.id,
                status: conversation.state.status,
                opened_at: conversation.opened_at,
                resolved_at: conversation.state.resolved_at,
                is_closed_for_good: self.customer.unblocked_at.is_some_and(|at| {
                    let resolved_at = conversation.state.resolved_at;
                    resolved_at.is_some_and(|resolved_at| resolved_at <= at)
                }),
            })
            .collect()
    }

    fn read(&mut self, up_to: i64, at: Timestamp) -> bool {
        let found = place(&self.candidates(), Incoming::Outbound, at, 0);
        let cause = self.cause(Actor::Contact(self.customer.contact));
        if let Some(id) = found {
            self.ledger.customer_read(id, up_to, at, &cause);
        }
        found.is_some()
    }

    /// What a blocked customer wrote, if that is what the event is. It goes to the conversation that
    /// they had last and does nothing there.
    fn blocked(&self) -> Option<BlockedMessage> {
        let connected_at = self.channel.connected_at;
        let message = match &self.one.event.meaning {
            Meaning::Message(message) => incoming(message, self.one, connected_at),
            Meaning::Unreadable { at, .. } => unreadable(*at, self.one, connected_at),
            Meaning::Read { .. }
            | Meaning::Typing { .. }
            | Meaning::Revoked { .. }
            | Meaning::Raw(_) => return None,
        };
        Some(BlockedMessage {
            brand: self.one.route.brand,
            channel: self.one.route.channel,
            contact: self.customer.contact,
            conversation: place(&self.candidates(), Incoming::History, message.order_at, 0),
            message,
        })
    }

    /// Stores a message, in a conversation that it joins or begins.
    fn write(&mut self, message: NewMessage, is_ours: bool) {
        let at = message.order_at;
        let kind = match (message.is_history, is_ours) {
            (true, _) => Incoming::History,
            (false, true) => Incoming::Outbound,
            (false, false) => Incoming::Inbound,
        };
        let id = place(
            &self.candidates(),
            kind,
            at,
            self.desk.rules.reopen_window_hours,
        )
        .unwrap_or_else(|| self.open(&message));
        let (author, author_id) = if !is_ours {
            ("contact", Some(self.customer.contact.0))
        } else if self.is_human_elsewhere() {
            ("external", None)
        } else {
            ("bot", None)
        };
        let actor = if is_ours {
            Actor::External
        } else {
            Actor::Contact(self.customer.contact)
        };
        let cause = self.cause(actor);
        let message = NewMessage {
            kind: if is_ours { "reply" } else { "inbound" },
            author_type: author,
            author_id,
            ..message
        };
        if message.is_history {
            // History opens, times and notifies nothing.
            self.ledger.add_message(id, message);
            return;
        }
        let event = if is_ours {
            EventType::MessageSent
        } else {
            EventType::MessageReceived
        };
        self.ledger
            .emit(id, event, &cause, Some(json!({ "message_id": message.id })));
        let fact = self.fact(id, &message, author);
        self.ledger.add_message(id, message);
        self.ledger.record(id, fact, &cause);
    }

    fn fact(&self, id: ConversationId, message: &NewMessage, author: &str) -> Fact {
        let kind = if author == "contact" {
            FactKind::Inbound(message.id)
        } else {
            FactKind::Reply(roost_domain::conversation::Reply {
                message: message.id,
                human: author == "external",
                in_roost: false,
                then: None,
            })
        };
        Fact {
            order: Order {
                at: message.order_at,
                no: message.order_no,
                id: message.id.0,
            },
            clock_at: clamp_for_clocks(message.order_at, self.ledger.now),
            stored_seq: self
                .ledger
                .get(id)
                .map_or(0, |conversation| conversation.last_seq),
            kind,
        }
    }

    /// A message of ours without an app id was written by a person in the platform's own app; one of
    /// another app counts as a bot's.
    fn is_human_elsewhere(&self) -> bool {
        match &self.one.event.meaning {
            Meaning::Message(message) => message.source_app_id.is_none(),
            Meaning::Unreadable { .. } => true,
            Meaning::Read { .. }
            | Meaning::Typing { .. }
            | Meaning::Revoked { .. }
            | Meaning::Raw(_) => false,
        }
    }

    fn open(&mut self, message: &NewMessage) -> ConversationId {
        let via = message.initiated_via.as_ref();
        let origin = ["tweet_id", "welcome_message_id"]
            .into_iter()
            .find_map(|field| {
                let reference = via?.get(field)?.as_str()?;
                Some((
                    field.trim_end_matches("_id").to_owned(),
                    reference.to_owned(),
                ))
            });
        let ingress = &self.one.event.ingress;
        let id = self.ledger.open(NewConversation {
            brand: self.one.route.brand,
            channel: self.one.route.channel,
            identity: self.customer.identity,
            contact: self.customer.contact,
            bucket: ingress.bucket,
            team: self.channel.team,
            opened_at: message.order_at,
            origin,
        });
        self.threads.entry(self.key()).or_default().push(id);
        id
    }
}

fn incoming(message: &PlatformMessage, one: &Placed, connected_at: Timestamp) -> NewMessage {
    NewMessage {
        text: message.text.clone(),
        entities: Some(message.entities.clone()).filter(|value| !value.is_null()),
        quick_reply_answer: message.quick_reply_answer.clone(),
        initiated_via: message.initiated_via.as_ref().map(
            |via| json!({ "tweet_id": via.tweet_id, "welcome_message_id": via.welcome_message_id }),
        ),
        order_no: message.event_no,
        attachments: message.attachments.iter().map(attachment).collect(),
        ..blank(message.sent_at, one, connected_at)
    }
}

fn unreadable(at: Timestamp, one: &Placed, connected_at: Timestamp) -> NewMessage {
    NewMessage {
        is_unreadable: true,
        ..blank(at, one, connected_at)
    }
}

fn blank(at: Timestamp, one: &Placed, connected_at: Timestamp) -> NewMessage {
    NewMessage {
        id: MessageId(Uuid::now_v7()),
        kind: "inbound",
        author_type: "contact",
        author_id: None,
        text: String::new(),
        entities: None,
        quick_reply_answer: None,
        initiated_via: None,
        order_at: at,
        order_no: 0,
        is_history: at < connected_at,
        is_unreadable: false,
        sent_at: Some(at),
        platform_event_id: Some(one.event.ingress.event_id.clone()),
        client_ref: None,
        attachments: Vec::new(),
        outbound: None,
    }
}

fn attachment(file: &Attachment) -> NewAttachment {
    NewAttachment {
        kind: file.kind.as_str().to_owned(),
        content_type: file.content_type.clone(),
        source_url: file.source_url.clone(),
        width: file.width.and_then(|pixels| i32::try_from(pixels).ok()),
        height: file.height.and_then(|pixels| i32::try_from(pixels).ok()),
        data: Some(file.raw.clone()).filter(Value::is_object),
    }
}
