//! Our own messages as the platform tells of them.

use roost_store::StoreError;
use roost_tests::db::{Brand, TestDb};

use crate::support::{Dm, OUR_APP, conversations, log, take_dms, thread};

async fn authors(db: &TestDb, brand: &Brand) -> Vec<(String, String)> {
    sqlx::query_as("select text, author_type from messages where brand_id = $1 order by order_at, order_no, id")
        .bind(brand.id.0)
        .fetch_all(&mut db.owner().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_reply_from_the_platforms_own_app_is_a_humans_and_meets_the_clock() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", 60, 1, "hello")]).await;
    take_dms(
        &db,
        &brand,
        &[Dm::new("900", 30, 2, "hi, from my phone").ours(None)],
    )
    .await;
    let look = conversations(&db, &brand).await;
    assert_eq!((look.len(), look[0].status.as_str()), (1, "pending"));
    assert_eq!(authors(&db, &brand).await[1].1, "external");
    // It may turn out to be a reply of ours: it is kept comparable.
    let noted: Vec<Option<Vec<u8>>> =
        sqlx::query_scalar("select fingerprint from messages order by order_at")
            .fetch_all(&mut db.owner().await)
            .await
            .unwrap();
    let of_ours = roost_platforms::x::fingerprint::fingerprint("hi, from my phone").to_vec();
    assert_eq!(noted, [None, Some(of_ours)]);
    assert_eq!(
        log(&db, &brand).await,
        [
            "message.received",
            "conversation.opened",
            "sla.started",
            "message.sent",
            "sla.met",
            "conversation.status_changed"
        ]
    );
    // The customer's answer goes on in the same conversation.
    take_dms(&db, &brand, &[Dm::new("900", 10, 3, "thanks")]).await;
    assert_eq!(conversations(&db, &brand).await[0].status, "open");
    let kinds: Vec<String> = sqlx::query_scalar("select kind from sla_clocks order by started_at")
        .fetch_all(&mut db.owner().await)
        .await
        .unwrap();
    assert_eq!(kinds, ["first_response", "next_response"]);
}

#[tokio::test]
async fn a_message_of_another_app_is_a_bots_and_answers_nothing() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", 60, 1, "hello")]).await;
    take_dms(
        &db,
        &brand,
        &[Dm::new("900", 30, 2, "we got your message").ours(Some("77"))],
    )
    .await;
    assert_eq!(conversations(&db, &brand).await[0].status, "open");
    assert_eq!(authors(&db, &brand).await[1].1, "bot");
}

/// A reply that is on its way: queued, then handed to the platform.
async fn reply_under_way(db: &TestDb, brand: &Brand, text: &str) {
    let (brand, text) = (brand.clone(), text.to_owned());
    let fingerprint = roost_platforms::x::fingerprint::fingerprint(&text).to_vec();
    db.store
        .brand(brand.id, move |tx| {
            Box::pin(async move {
                use roost_store::ledger::{Actor, Cause, Ledger, NewMessage, NewOutbound};
                let mut ledger = Ledger::begin(tx.conn(), &[brand.id]).await?;
                let id: uuid::Uuid = sqlx::query_scalar("select id from conversations").fetch_one(tx.conn()).await?;
                let id = roost_domain::ids::ConversationId(id);
                ledger.lock(tx.conn(), brand.id, &[id]).await?;
                let message = roost_domain::ids::MessageId(uuid::Uuid::now_v7());
                let cause = Cause::new(Actor::Member(brand.members[1]), None);
                let data = serde_json::json!({ "message_id": message });
                ledger.emit(id, roost_domain::event::EventType::MessageQueued, &cause, Some(data));
                let now = ledger.now;
                ledger.add_message(
                    id,
                    NewMessage {
                        id: message,
                        kind: "reply",
                        author_type: "member",
                        author_id: Some(brand.members[1].0),
                        text,
                        entities: None,
                        quick_reply_answer: None,
                        initiated_via: None,
                        order_at: now,
                        order_no: 0,
                        is_history: false,
                        is_unreadable: false,
                        sent_at: None,
                        platform_event_id: None,
                        client_ref: None,
                        attachments: Vec::new(),
                        outbound: Some(NewOutbound {
                            recipient_id: "900".to_owned(),
                            then_status: None,
                            then_until: None,
                            fingerprint,
                        }),
                    },
                );
                ledger.flush(tx.conn()).await?;
                sqlx::query(
                    "update outbound_messages set state = 'sending', attempt_no = 1, attempt_started_at = now(),
                            lease_until = now() + interval '30 seconds'",
                )
                .execute(tx.conn())
                .await?;
                sqlx::query(
                    "insert into send_attempts (brand_id, message_id, attempt_no)
                     select brand_id, message_id, attempt_no from outbound_messages",
                )
                .execute(tx.conn())
                .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_echo_that_overtakes_the_answer_settles_the_reply_and_makes_no_second_message() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", 60, 1, "hello")]).await;
    reply_under_way(&db, &brand, "on its way").await;
    let echo = Dm::new("900", 0, 2, "on its way").ours(Some(OUR_APP));
    let done = take_dms(&db, &brand, std::slice::from_ref(&echo)).await;
    assert_eq!((done.stored, done.duplicates), (0, 1));
    assert_eq!(
        authors(&db, &brand).await,
        [
            ("hello".to_owned(), "contact".to_owned()),
            ("on its way".to_owned(), "member".to_owned())
        ]
    );
    assert_eq!(conversations(&db, &brand).await[0].status, "pending");
    let (state, event_id): (String, String) = sqlx::query_as(
        "select o.state, m.platform_event_id from outbound_messages o join messages m on m.id = o.message_id",
    )
    .fetch_one(&mut db.owner().await)
    .await
    .unwrap();
    assert_eq!((state.as_str(), event_id), ("sent", echo.event_id()));
    // The same echo in the other envelope.
    take_dms(&db, &brand, &[echo]).await;
    assert_eq!(thread(&db, &brand).await.len(), 2);
}

#[tokio::test]
async fn a_customer_message_that_the_author_could_not_see_keeps_the_conversation_open() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", 60, 1, "hello")]).await;
    reply_under_way(&db, &brand, "answer to hello").await;
    take_dms(&db, &brand, &[Dm::new("900", 2, 2, "wait, there is more")]).await;
    take_dms(
        &db,
        &brand,
        &[Dm::new("900", 0, 3, "answer to hello").ours(Some(OUR_APP))],
    )
    .await;
    let look = conversations(&db, &brand).await;
    assert_eq!(look[0].status, "open");
    let running: Vec<String> =
        sqlx::query_scalar("select kind from sla_clocks where state = 'running'")
            .fetch_all(&mut db.owner().await)
            .await
            .unwrap();
    assert_eq!(running, ["next_response"]);
}

#[tokio::test]
async fn an_echo_of_the_brands_own_app_settles_its_reply_and_one_of_the_installations_does_not() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    sqlx::query(
        "with a as (
             insert into x_apps (brand_id, id, name, app_id, consumer_key, consumer_secret)
             values ($1, $1, 'Own', 31, 'k', 's') returning id
         )
         update channels set x_app_id = (select id from a) where brand_id = $1",
    )
    .bind(brand.id.0)
    .execute(&mut db.owner().await)
    .await
    .unwrap();
    take_dms(&db, &brand, &[Dm::new("900", 60, 1, "hello")]).await;
    reply_under_way(&db, &brand, "on its way").await;
    let foreign = Dm::new("900", 0, 2, "on its way").ours(Some(OUR_APP));
    assert_eq!(take_dms(&db, &brand, &[foreign]).await.stored, 1);
    let own = Dm::new("900", 0, 3, "on its way").ours(Some("31"));
    let done = take_dms(&db, &brand, &[own]).await;
    assert_eq!((done.stored, done.duplicates), (0, 1));
}
