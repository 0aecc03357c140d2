//! What the inbox does with a customer's message, in short.

use std::collections::BTreeMap;

use jiff::Timestamp;
use roost_domain::bucket::bucket_of;
use roost_domain::conversation::{Fact, FactKind, Order, Status};
use roost_domain::event::EventType;
use roost_domain::ids::{ConversationId, MessageId};
use roost_store::StoreError;
use roost_store::contacts::{self, IdentityName, Profile};
use roost_store::ledger::{Actor, Cause, IdentityKey, Ledger, NewConversation, NewMessage};
use uuid::Uuid;

use crate::harness::{Brand, Gateway};

/// A customer, by their id on X, writes now.
pub(crate) async fn writes(
    gateway: &Gateway,
    brand: &Brand,
    customer: &str,
    text: &str,
) -> ConversationId {
    writes_at(gateway, brand, customer, text, Timestamp::now()).await
}

/// A customer writes at an instant.
pub(crate) async fn writes_at(
    gateway: &Gateway,
    brand: &Brand,
    customer: &str,
    text: &str,
    at: Timestamp,
) -> ConversationId {
    let (brand, customer, text) = (brand.clone(), customer.to_owned(), text.to_owned());
    let id = brand.owner.brand;
    gateway
        .db
        .store
        .brand(id, move |tx| {
            Box::pin(async move {
                let name = IdentityName {
                    brand: id,
                    platform: "x".to_owned(),
                    external_id: customer.clone(),
                };
                let profile = Profile {
                    name: Some(format!("Customer {customer}")),
                    handle: Some(format!("c{customer}")),
                    avatar_url: None,
                };
                let wanted = BTreeMap::from([(name.clone(), Some(profile))]);
                let known = contacts::resolve(tx.conn(), &wanted).await?[&name];
                let mut ledger = Ledger::begin(tx.conn(), &[id]).await?;
                let key = IdentityKey {
                    brand: id,
                    channel: brand.channel,
                    identity: known.identity,
                };
                ledger.lock_identities(tx.conn(), &[key]).await?;
                let open = ledger
                    .all()
                    .find(|one| one.state.status != Status::Resolved);
                let conversation = match open.map(|one| one.id) {
                    Some(conversation) => conversation,
                    None => ledger.open(NewConversation {
                        brand: id,
                        channel: brand.channel,
                        identity: known.identity,
                        contact: known.contact,
                        bucket: bucket_of("x", "main", &brand.account_id, &customer),
                        team: Some(brand.team),
                        opened_at: at,
                        origin: None,
                    }),
                };
                let message = MessageId(Uuid::now_v7());
                let number = at.as_microsecond();
                let cause = Cause::new(Actor::Contact(known.contact), Some("webhook-1".to_owned()));
                let data = serde_json::json!({ "message_id": message });
                ledger.emit(conversation, EventType::MessageReceived, &cause, Some(data));
                ledger.add_message(
                    conversation,
                    NewMessage {
                        id: message,
                        kind: "inbound",
                        author_type: "contact",
                        author_id: Some(known.contact.0),
                        text,
                        entities: None,
                        quick_reply_answer: None,
                        initiated_via: None,
                        order_at: at,
                        order_no: number,
                        is_history: false,
                        is_unreadable: false,
                        sent_at: Some(at),
                        platform_event_id: Some(message.0.to_string()),
                        client_ref: None,
                        attachments: Vec::new(),
                        outbound: None,
                    },
                );
                let stored_seq = ledger.get(conversation).unwrap().last_seq;
                let fact = Fact {
                    order: Order {
                        at,
                        no: number,
                        id: message.0,
                    },
                    clock_at: at,
                    stored_seq,
                    kind: FactKind::Inbound(message),
                };
                ledger.record(conversation, fact, &cause);
                ledger.refold(tx.conn(), &cause).await?;
                ledger.flush(tx.conn()).await?;
                Ok::<_, StoreError>(conversation)
            })
        })
        .await
        .unwrap()
}
