//! A brand with a connected account, customers who wrote, and replies that wait.

use std::time::Duration;

use jiff::Timestamp;
use roost_domain::conversation::{self, Fact, FactKind, Order};
use roost_domain::event::EventType;
use roost_domain::ids::{ContactId, ConversationId, IdentityId, MessageId};
use roost_platforms::x::client::{SendApi, Timeouts, XClient};
use roost_platforms::x::fingerprint::fingerprint;
use roost_sender::{Desk, Limits, Outcome, SenderMetrics, step};
use roost_service::Metrics;
use roost_store::StoreError;
use roost_store::channels::Credentials;
use roost_store::ledger::{Actor, Cause, Ledger, NewConversation, NewMessage, NewOutbound};
use roost_store::messages;
use roost_store::outbound::{self, ActOutcome, Claimed, Due, Terms, Work};
use roost_store::seal::Sealer;
use roost_tests::db::{Brand, TestDb, key_ring, snowflake};
use secrecy::SecretString;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::platform::{Asked, Platform, Reply};

pub(crate) const SOON: Duration = Duration::from_secs(30);

/// An answer by which X takes a message, with a new id.
pub(crate) fn accept(_: &Asked) -> Reply {
    accept_as(new_id())
}

pub(crate) fn accept_as(id: i64) -> Reply {
    Reply::json(
        201,
        json!({ "data": { "dm_conversation_id": "1-2", "dm_event_id": id.to_string() } }),
    )
}

pub(crate) fn new_id() -> i64 {
    let random = Uuid::new_v4().as_fields().0;
    snowflake(Timestamp::now(), i64::from(random))
}

pub(crate) fn refuse(status: u16, code: i64) -> Reply {
    Reply::json(
        status,
        json!({ "errors": [{ "code": code, "message": "no" }] }),
    )
}

pub(crate) fn sealer() -> Sealer {
    Sealer::new(key_ring(&["only"]))
}

pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) brand: Brand,
    pub(crate) platform: Platform,
    pub(crate) desk: Desk,
}

/// A reply as it stands.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Stands {
    pub(crate) state: String,
    pub(crate) needs_decision: bool,
    pub(crate) code: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) settled_by: Option<String>,
    pub(crate) attempt_no: i32,
    pub(crate) platform_event_id: Option<String>,
    /// Seconds until it may be looked at.
    pub(crate) waits: Option<f64>,
}

impl World {
    pub(crate) async fn new(script: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let db = TestDb::new().await;
        let brand = db.brand("Acme", 1).await;
        let platform = Platform::new(script).await;
        connect(&db, &brand).await;
        let desk = desk(&db, &platform.url);
        Self {
            db,
            brand,
            platform,
            desk,
        }
    }

    /// A customer writes for the first time.
    pub(crate) async fn customer(&self) -> ConversationId {
        customer(&self.db, &self.brand).await
    }

    /// The customer of a conversation writes again.
    pub(crate) async fn hears(&self, conversation: ConversationId) {
        let brand = self.brand.id;
        self.db
            .store
            .brand(brand, move |tx| {
                Box::pin(async move {
                    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
                    ledger.lock(tx.conn(), brand, &[conversation]).await?;
                    hear(&mut ledger, conversation, ledger_now());
                    ledger.refold(tx.conn(), &Cause::system()).await?;
                    ledger.flush(tx.conn()).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
    }

    pub(crate) async fn reply(&self, conversation: ConversationId, text: &str) -> MessageId {
        reply(&self.db, &self.brand, conversation, text, "member").await
    }

    pub(crate) async fn bot_reply(&self, conversation: ConversationId, text: &str) -> MessageId {
        reply(&self.db, &self.brand, conversation, text, "bot").await
    }

    pub(crate) async fn due(&self) -> Vec<Due> {
        outbound::due(&self.db.store, 100).await.unwrap()
    }

    /// Works on everything that is due, until nothing is.
    pub(crate) async fn work(&self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        loop {
            let due = self.due().await;
            if due.is_empty() {
                return outcomes;
            }
            for due in due {
                outcomes.push(step::work(&self.desk, due).await.unwrap());
            }
        }
    }

    pub(crate) async fn stands(&self, message: MessageId) -> Stands {
        sqlx::query_as(
            "select o.state, o.needs_decision, o.code, o.detail, o.settled_by, o.attempt_no, m.platform_event_id,
                    extract(epoch from o.not_before - now())::float8 as waits
             from outbound_messages o join messages m on m.brand_id = o.brand_id and m.id = o.message_id
             where o.message_id = $1",
        )
        .bind(message.0)
        .fetch_one(&mut self.db.owner().await)
        .await
        .unwrap()
    }

    /// Lets time pass for a reply: everything about it happened this much earlier.
    pub(crate) async fn age(&self, message: MessageId, seconds: f64) {
        let mut owner = self.db.owner().await;
        for statement in [
            "update outbound_messages set attempt_started_at = attempt_started_at - make_interval(secs => $2),
                    queued_at = queued_at - make_interval(secs => $2),
                    lease_until = lease_until - make_interval(secs => $2),
                    not_before = not_before - make_interval(secs => $2) where message_id = $1",
            "update send_attempts set started_at = started_at - make_interval(secs => $2) where message_id = $1",
        ] {
            sqlx::query(statement).bind(message.0).bind(seconds).execute(&mut owner).await.unwrap();
        }
    }

    /// The types of a conversation's events, in order.
    pub(crate) async fn events(&self, conversation: ConversationId) -> Vec<String> {
        sqlx::query_scalar("select type from events where conversation_id = $1 order by seq")
            .bind(conversation.0)
            .fetch_all(&mut self.db.owner().await)
            .await
            .unwrap()
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(&mut self.db.owner().await)
            .await
            .unwrap()
    }

    /// Status, whether a send failed, and the state of its clock.
    pub(crate) async fn conversation(
        &self,
        conversation: ConversationId,
    ) -> (String, bool, String) {
        sqlx::query_as(
            "select c.status, c.has_failed_send, k.state from conversations c
             join sla_clocks k on k.brand_id = c.brand_id and k.conversation_id = c.id and k.kind = 'first_response'
             where c.id = $1",
        )
        .bind(conversation.0)
        .fetch_one(&mut self.db.owner().await)
        .await
        .unwrap()
    }

    pub(crate) fn member(&self) -> Cause {
        Cause::new(Actor::Member(self.brand.members[1]), Some("req".to_owned()))
    }

    pub(crate) async fn retry(&self, message: MessageId, confirm: bool) -> ActOutcome {
        let cause = self.member();
        let act = self.db.store.brand(self.brand.id, move |tx| {
            Box::pin(async move { outbound::retry(tx, message, confirm, &cause).await })
        });
        act.await.unwrap()
    }

    pub(crate) async fn cancel(&self, message: MessageId) -> ActOutcome {
        let cause = self.member();
        let act = self.db.store.brand(self.brand.id, move |tx| {
            Box::pin(async move { outbound::cancel(tx, message, &cause).await })
        });
        act.await.unwrap()
    }

    pub(crate) async fn mark_sent(&self, message: MessageId) -> ActOutcome {
        let cause = self.member();
        let act = self.db.store.brand(self.brand.id, move |tx| {
            Box::pin(async move { outbound::mark_sent(tx, message, &cause).await })
        });
        act.await.unwrap()
    }

    /// The inbox stores a message of the account that it takes for nobody's reply.
    pub(crate) async fn stray(
        &self,
        conversation: ConversationId,
        text: &str,
        id: i64,
        author: &'static str,
    ) -> MessageId {
        let (brand, text) = (self.brand.id, text.to_owned());
        self.db
            .store
            .ingest(&[brand], move |tx| {
                Box::pin(async move {
                    let cause = Cause::new(Actor::External, None);
                    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
                    ledger.lock(tx.conn(), brand, &[conversation]).await?;
                    let (message, at) = (MessageId(Uuid::now_v7()), sent_at(id));
                    let data = json!({ "message_id": message });
                    ledger.emit(conversation, EventType::MessageSent, &cause, Some(data));
                    let row = NewMessage {
                        order_no: id,
                        sent_at: Some(at),
                        platform_event_id: Some(id.to_string()),
                        ..message_row(message, "reply", author, &text, at)
                    };
                    let stored_seq = ledger.get(conversation).unwrap().last_seq;
                    ledger.add_message(conversation, row);
                    let order = Order {
                        at,
                        no: id,
                        id: message.0,
                    };
                    let fact = Fact {
                        order,
                        clock_at: at,
                        stored_seq,
                        kind: FactKind::Reply(conversation::Reply {
                            message,
                            human: author == "external",
                            in_roost: false,
                            then: None,
                        }),
                    };
                    ledger.record(conversation, fact, &cause);
                    ledger.refold(tx.conn(), &cause).await?;
                    ledger.flush(tx.conn()).await?;
                    let noted = (brand, message, fingerprint(&text));
                    outbound::note_strays(tx.conn(), &[noted]).await?;
                    Ok::<_, StoreError>(message)
                })
            })
            .await
            .unwrap()
    }

    /// A sender that dies right after the platform took the reply: nobody saw the answer.
    pub(crate) async fn crash_after_accept(&self, message: MessageId) -> Box<Claimed> {
        let due = self.due().await[0];
        assert_eq!(due.message, message);
        let taken = outbound::take(&self.db.store, due, terms(), &sealer())
            .await
            .unwrap();
        let Work::Send(claimed) = taken else {
            panic!("{taken:?}")
        };
        claimed
    }

    /// The texts of a conversation's thread but the customer's, each with its author.
    pub(crate) async fn thread(&self, conversation: ConversationId) -> Vec<(String, String)> {
        let messages = self.db.store.brand(self.brand.id, move |tx| {
            Box::pin(async move { messages::thread(tx, conversation, None, false, 100).await })
        });
        let ours = messages.await.unwrap().into_iter();
        ours.filter(|message| message.kind != "inbound")
            .map(|message| (message.author_type, message.text))
            .collect()
    }

    /// The platform tells of a message of the account, as the inbox hears it.
    pub(crate) async fn echo(
        &self,
        conversation: ConversationId,
        text: &str,
        id: i64,
    ) -> Option<MessageId> {
        let brand = self.brand.id;
        let echo = outbound::Echo {
            sent_at: sent_at(id),
            fingerprint: fingerprint(text),
        };
        self.db
            .store
            .ingest(&[brand], move |tx| {
                Box::pin(async move {
                    let cause = Cause::system();
                    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
                    ledger.lock(tx.conn(), brand, &[conversation]).await?;
                    let found = outbound::match_echo(tx.conn(), brand, conversation, &echo).await?;
                    if let Some(message) = found {
                        let accepted = roost_store::settle::Accepted {
                            platform_event_id: id.to_string(),
                            event_no: id,
                            sent_at: echo.sent_at,
                            settled_by: "echo",
                        };
                        roost_store::settle::sent(
                            &mut ledger,
                            tx.conn(),
                            brand,
                            message,
                            &accepted,
                            &cause,
                        )
                        .await?;
                        ledger.refold(tx.conn(), &cause).await?;
                    }
                    ledger.flush(tx.conn()).await?;
                    Ok::<_, StoreError>(found)
                })
            })
            .await
            .unwrap()
    }
}

pub(crate) fn sent_at(id: i64) -> Timestamp {
    roost_platforms::x::snowflake::time_of(id)
}

pub(crate) fn limits() -> Limits {
    Limits {
        total_timeout: Duration::from_secs(2),
        lease: Duration::from_secs(30),
        quiet: Duration::from_secs(60),
    }
}

pub(crate) fn terms() -> Terms {
    Terms {
        lease: limits().lease,
        quiet: limits().quiet,
    }
}

pub(crate) fn client(url: &str) -> XClient {
    let timeouts = Timeouts {
        connect: Duration::from_secs(1),
        total: limits().total_timeout,
    };
    XClient::new(
        url,
        "key",
        SecretString::from("secret".to_owned()),
        timeouts,
    )
    .unwrap()
}

pub(crate) fn desk(db: &TestDb, url: &str) -> Desk {
    Desk {
        store: db.store.clone(),
        x: client(url),
        api: SendApi::V2,
        sealer: sealer(),
        limits: limits(),
        give_up_after: step::GIVE_UP_AFTER,
        metrics: SenderMetrics::new(&Metrics::new()),
    }
}

pub(crate) async fn connect(db: &TestDb, brand: &Brand) {
    let credentials = Credentials {
        token: SecretString::from("t".to_owned()),
        secret: SecretString::from("s".to_owned()),
    };
    let (sealer, channel) = (sealer(), brand.channel);
    db.store
        .brand(brand.id, move |tx| {
            Box::pin(async move {
                let sealed = credentials.seal(&sealer.brand(tx).await?, channel)?;
                sqlx::query("update channels set credentials = $2 where id = $1")
                    .bind(channel.0)
                    .bind(sealed)
                    .execute(tx.conn())
                    .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
}

fn ledger_now() -> Timestamp {
    Timestamp::now()
}

async fn identity(owner: &mut PgConnection, brand: &Brand) -> (ContactId, IdentityId) {
    let (contact, identity) = (Uuid::now_v7(), Uuid::now_v7());
    let external_id = (identity.as_u128() % 1_000_000_000_000).to_string();
    sqlx::query(
        "with c as (insert into contacts (brand_id, id, name) values ($1, $2, 'Ann'))
         insert into identities (brand_id, id, contact_id, platform, external_id) values ($1, $3, $2, 'x', $4)",
    )
    .bind(brand.id.0)
    .bind(contact)
    .bind(identity)
    .bind(external_id)
    .execute(owner)
    .await
    .unwrap();
    (ContactId(contact), IdentityId(identity))
}

pub(crate) async fn customer(db: &TestDb, brand: &Brand) -> ConversationId {
    let (contact, identity) = identity(&mut db.owner().await, brand).await;
    let new = NewConversation {
        brand: brand.id,
        channel: brand.channel,
        identity,
        contact,
        bucket: 5,
        team: Some(brand.team),
        opened_at: ledger_now(),
        origin: None,
    };
    let id = brand.id;
    db.store
        .brand(id, move |tx| {
            Box::pin(async move {
                let mut ledger = Ledger::begin(tx.conn(), &[id]).await?;
                let at = new.opened_at;
                let conversation = ledger.open(new);
                hear(&mut ledger, conversation, at);
                ledger.flush(tx.conn()).await?;
                Ok::<_, StoreError>(conversation)
            })
        })
        .await
        .unwrap()
}

fn hear(ledger: &mut Ledger, conversation: ConversationId, at: Timestamp) {
    let message = MessageId(Uuid::now_v7());
    let no = snowflake(at, 1);
    ledger.emit(
        conversation,
        EventType::MessageReceived,
        &Cause::system(),
        None,
    );
    let stored_seq = ledger.get(conversation).unwrap().last_seq;
    ledger.add_message(
        conversation,
        NewMessage {
            order_no: no,
            sent_at: Some(at),
            ..message_row(message, "inbound", "contact", "help", at)
        },
    );
    let order = Order {
        at,
        no,
        id: message.0,
    };
    let fact = Fact {
        order,
        clock_at: at,
        stored_seq,
        kind: FactKind::Inbound(message),
    };
    ledger.record(conversation, fact, &Cause::system());
}

fn message_row(
    id: MessageId,
    kind: &'static str,
    author: &'static str,
    text: &str,
    at: Timestamp,
) -> NewMessage {
    NewMessage {
        id,
        kind,
        author_type: author,
        author_id: None,
        text: text.to_owned(),
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

pub(crate) async fn reply(
    db: &TestDb,
    brand: &Brand,
    conversation: ConversationId,
    text: &str,
    author: &'static str,
) -> MessageId {
    let (id, text) = (brand.id, text.to_owned());
    db.store
        .brand(id, move |tx| {
            Box::pin(async move {
                let recipient_id: String = sqlx::query_scalar(
                    "select i.external_id from conversations c
                     join identities i on i.brand_id = c.brand_id and i.id = c.identity_id where c.id = $1",
                )
                .bind(conversation.0)
                .fetch_one(tx.conn())
                .await?;
                let mut ledger = Ledger::begin(tx.conn(), &[id]).await?;
                ledger.lock(tx.conn(), id, &[conversation]).await?;
                let message = MessageId(Uuid::now_v7());
                let cause = Cause::new(Actor::System, Some("req-1".to_owned()));
                ledger.emit(conversation, EventType::MessageQueued, &cause, None);
                let out = NewOutbound {
                    recipient_id,
                    then_status: None,
                    then_until: None,
                    fingerprint: fingerprint(&text).to_vec(),
                };
                let now = ledger.now;
                let kind = if author == "member" { "reply" } else { "automatic" };
                ledger.add_message(
                    conversation,
                    NewMessage { outbound: Some(out), ..message_row(message, kind, author, &text, now) },
                );
                ledger.flush(tx.conn()).await?;
                Ok::<_, StoreError>(message)
            })
        })
        .await
        .unwrap()
}
