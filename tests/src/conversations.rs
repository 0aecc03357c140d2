//! Conversations to work with, made as the inbox and the sender make them: through the ledger.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use roost_domain::conversation::{Fact, FactKind, Order, Reply, clamp_for_clocks};
use roost_domain::event::EventType;
use roost_domain::ids::{ContactId, ConversationId, IdentityId, MemberId, MessageId};
use roost_store::StoreError;
use roost_store::ledger::{
    ActKind, Actor, Cause, Ledger, NewConversation, NewMessage, NewOutbound,
};
use roost_store::settle::{Accepted, sent};
use serde_json::json;
use sqlx::Connection as _;
use uuid::Uuid;

use crate::db::{Brand, TestDb, snowflake};

/// Keeps platform ids of one instant apart.
static NUMBER: AtomicI64 = AtomicI64::new(1);

/// A contact with an account on X.
#[derive(Debug, Clone, Copy)]
pub struct Customer {
    /// The person.
    pub contact: ContactId,
    /// The account.
    pub identity: IdentityId,
}

impl TestDb {
    /// Adds customers of a brand.
    ///
    /// # Panics
    /// When the database is away.
    pub async fn customers(&self, brand: &Brand, count: usize) -> Vec<Customer> {
        let customers: Vec<Customer> = (0..count)
            .map(|_| Customer {
                contact: ContactId(Uuid::now_v7()),
                identity: IdentityId(Uuid::now_v7()),
            })
            .collect();
        let contacts: Vec<Uuid> = customers.iter().map(|one| one.contact.0).collect();
        let identities: Vec<Uuid> = customers.iter().map(|one| one.identity.0).collect();
        let mut owner = self.owner().await;
        sqlx::query("insert into contacts (brand_id, id, name) select $1, id, 'Customer' from unnest($2::uuid[]) id")
            .bind(brand.id.0)
            .bind(&contacts)
            .execute(&mut owner)
            .await
            .unwrap();
        sqlx::query(
            "insert into identities (brand_id, id, contact_id, platform, external_id)
             select $1, i.id, i.contact_id, 'x', i.id::text from unnest($2::uuid[], $3::uuid[]) i (id, contact_id)",
        )
        .bind(brand.id.0)
        .bind(&identities)
        .bind(&contacts)
        .execute(&mut owner)
        .await
        .unwrap();
        owner.close().await.unwrap();
        customers
    }

    /// A new customer writes now.
    pub async fn open(&self, brand: &Brand) -> ConversationId {
        self.open_at(brand, Timestamp::now()).await
    }

    /// A new customer writes at an instant.
    pub async fn open_at(&self, brand: &Brand, at: Timestamp) -> ConversationId {
        self.open_many(brand, &[at]).await[0]
    }

    /// A new customer writes at each of these instants; all is stored in one transaction.
    ///
    /// # Panics
    /// When the database is away.
    pub async fn open_many(&self, brand: &Brand, instants: &[Timestamp]) -> Vec<ConversationId> {
        let customers = self.customers(brand, instants.len()).await;
        let (brand, instants) = (brand.clone(), instants.to_vec());
        self.store
            .ingest(&[brand.id], move |tx| {
                Box::pin(async move {
                    let mut ledger = Ledger::begin(tx.conn(), &[brand.id]).await?;
                    let ids = customers
                        .iter()
                        .zip(instants)
                        .map(|(customer, at)| {
                            let id = ledger.open(NewConversation {
                                brand: brand.id,
                                channel: brand.channel,
                                identity: customer.identity,
                                contact: customer.contact,
                                bucket: customer.identity.0.as_bytes()[15],
                                team: Some(brand.team),
                                opened_at: at,
                                origin: None,
                            });
                            hear(&mut ledger, id, at);
                            id
                        })
                        .collect();
                    ledger.flush(tx.conn()).await?;
                    Ok::<_, StoreError>(ids)
                })
            })
            .await
            .unwrap()
    }

    /// The customer of a conversation writes again, at an instant.
    ///
    /// # Panics
    /// When the database is away.
    pub async fn write_at(&self, brand: &Brand, id: ConversationId, at: Timestamp) {
        let brand = brand.id;
        self.store
            .ingest(&[brand], move |tx| {
                Box::pin(async move {
                    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
                    ledger.lock(tx.conn(), brand, &[id]).await?;
                    let cause = hear(&mut ledger, id, at);
                    ledger.refold(tx.conn(), &cause).await?;
                    ledger.flush(tx.conn()).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
    }

    /// A person answers each of these in the platform's own app; all is stored in one transaction.
    ///
    /// # Panics
    /// When the database is away.
    pub async fn answer_many(&self, brand: &Brand, ids: &[ConversationId], at: Timestamp) {
        let (brand, ids) = (brand.id, ids.to_vec());
        self.store
            .ingest(&[brand], move |tx| {
                Box::pin(async move {
                    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
                    ledger.lock(tx.conn(), brand, &ids).await?;
                    for id in ids {
                        answer(&mut ledger, id, at);
                    }
                    ledger.flush(tx.conn()).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
    }

    /// A member changes a conversation's status.
    ///
    /// # Panics
    /// When the database is away.
    pub async fn act(&self, brand: &Brand, id: ConversationId, act: ActKind, member: MemberId) {
        let brand = brand.id;
        self.store
            .brand(brand, move |tx| {
                Box::pin(async move {
                    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
                    ledger.lock(tx.conn(), brand, &[id]).await?;
                    let cause = Cause::new(Actor::Member(member), None);
                    ledger.act(id, act, Some(member), &cause);
                    ledger.refold(tx.conn(), &cause).await?;
                    ledger.flush(tx.conn()).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
    }

    /// A member writes a reply, which waits to be sent.
    ///
    /// # Panics
    /// When the database is away.
    pub async fn reply(&self, brand: &Brand, id: ConversationId, member: MemberId) -> MessageId {
        let brand = brand.id;
        self.store
            .brand(brand, move |tx| {
                Box::pin(async move {
                    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
                    ledger.lock(tx.conn(), brand, &[id]).await?;
                    let message = MessageId(Uuid::now_v7());
                    let data = json!({ "message_id": message });
                    let cause = Cause::new(Actor::Member(member), None);
                    ledger.emit(id, EventType::MessageQueued, &cause, Some(data));
                    let now = ledger.now;
                    ledger.add_message(
                        id,
                        NewMessage {
                            kind: "reply",
                            author_type: "member",
                            author_id: Some(member.0),
                            outbound: Some(NewOutbound {
                                recipient_id: "1".to_owned(),
                                then_status: None,
                                then_until: None,
                                fingerprint: vec![0],
                            }),
                            ..blank(message, now)
                        },
                    );
                    ledger.flush(tx.conn()).await?;
                    Ok::<_, StoreError>(message)
                })
            })
            .await
            .unwrap()
    }

    /// The news that the platform took a reply at an instant.
    ///
    /// # Panics
    /// When the database is away.
    pub async fn accept(
        &self,
        brand: &Brand,
        id: ConversationId,
        message: MessageId,
        at: Timestamp,
    ) {
        let brand = brand.id;
        let number = snowflake(at, NUMBER.fetch_add(1, Ordering::Relaxed));
        let accepted = Accepted {
            platform_event_id: number.to_string(),
            event_no: number,
            sent_at: at,
            settled_by: "answer",
        };
        self.store
            .brand(brand, move |tx| {
                Box::pin(async move {
                    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
                    ledger.lock(tx.conn(), brand, &[id]).await?;
                    let cause = Cause::system();
                    sent(&mut ledger, tx.conn(), brand, message, &accepted, &cause).await?;
                    ledger.refold(tx.conn(), &cause).await?;
                    ledger.flush(tx.conn()).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
    }

    /// The types of a conversation's events, in their order.
    ///
    /// # Panics
    /// When the database is away.
    pub async fn events_of(&self, id: ConversationId) -> Vec<String> {
        let mut owner = self.owner().await;
        let events =
            sqlx::query_scalar("select type from events where conversation_id = $1 order by seq")
                .bind(id.0)
                .fetch_all(&mut owner)
                .await
                .unwrap();
        owner.close().await.unwrap();
        events
    }
}

fn blank(id: MessageId, at: Timestamp) -> NewMessage {
    NewMessage {
        id,
        kind: "inbound",
        author_type: "contact",
        author_id: None,
        text: "words".to_owned(),
        entities: None,
        quick_reply_answer: None,
        initiated_via: None,
        order_at: at,
        order_no: 0,
        is_history: false,
        is_unreadable: false,
        sent_at: None,
        platform_event_id: None,
        client_ref: None,
        attachments: Vec::new(),
        outbound: None,
    }
}

/// A person answers in the platform's own app.
fn answer(ledger: &mut Ledger, id: ConversationId, at: Timestamp) {
    let cause = Cause::new(Actor::External, None);
    let message = NewMessage {
        kind: "reply",
        author_type: "external",
        ..blank(MessageId(Uuid::now_v7()), at)
    };
    let reply = Reply {
        message: message.id,
        human: true,
        in_roost: false,
        then: None,
    };
    let kind = (EventType::MessageSent, FactKind::Reply(reply));
    take(ledger, id, &cause, message, kind);
}

/// The customer writes.
fn hear(ledger: &mut Ledger, id: ConversationId, at: Timestamp) -> Cause {
    let contact = ledger.get(id).unwrap().contact;
    let cause = Cause::new(Actor::Contact(contact), None);
    let message = NewMessage {
        author_id: Some(contact.0),
        ..blank(MessageId(Uuid::now_v7()), at)
    };
    let kind = (EventType::MessageReceived, FactKind::Inbound(message.id));
    take(ledger, id, &cause, message, kind);
    cause
}

/// What the platform tells of, it tells with an id.
fn take(
    ledger: &mut Ledger,
    id: ConversationId,
    cause: &Cause,
    message: NewMessage,
    (event, kind): (EventType, FactKind),
) {
    let at = message.order_at;
    let number = snowflake(at, NUMBER.fetch_add(1, Ordering::Relaxed));
    let data = json!({ "message_id": message.id });
    ledger.emit(id, event, cause, Some(data));
    let fact = Fact {
        order: Order {
            at,
            no: number,
            id: message.id.0,
        },
        clock_at: clamp_for_clocks(at, ledger.now),
        stored_seq: ledger.get(id).unwrap().last_seq,
        kind,
    };
    let told = NewMessage {
        order_no: number,
        sent_at: Some(at),
        platform_event_id: Some(number.to_string()),
        ..message
    };
    ledger.add_message(id, told);
    ledger.record(id, fact, cause);
}
