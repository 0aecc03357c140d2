//! What becomes of single events.

use roost_tests::db::TestDb;
use serde_json::json;

use crate::support::{Dm, conversations, ingress, log, raw_reasons, take, take_dms, thread};

#[tokio::test]
async fn a_customers_message_opens_a_conversation_with_its_clock() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let done = take_dms(&db, &brand, &[Dm::new("900", 5, 1, "Where is my parcel?")]).await;
    assert_eq!((done.stored, done.duplicates, done.raw), (1, 0, 0));
    let open = conversations(&db, &brand).await;
    assert_eq!(open.len(), 1);
    assert_eq!(
        (
            open[0].status.as_str(),
            open[0].cycle,
            open[0].preview.as_str()
        ),
        ("open", 1, "Where is my parcel?")
    );
    assert_eq!(
        log(&db, &brand).await,
        ["message.received", "conversation.opened", "sla.started"]
    );
    let (due, queued): (bool, bool) = sqlx::query_as(
        "select (select k.due_at = m.order_at + interval '1 hour' and k.next_fire_at = k.warn_at
                 from sla_clocks k, messages m where k.started_by = m.id),
                (select queued_at is not null from conversations)",
    )
    .fetch_one(&mut db.owner().await)
    .await
    .unwrap();
    assert!(due, "the clock counts from the platform's time");
    assert!(queued, "it waits for an agent");
}

#[tokio::test]
async fn the_same_event_ten_times_in_two_processes_is_one_message() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let dm = Dm::new("900", 5, 1, "hello");
    let batch = vec![dm.clone(), dm.clone(), dm.clone(), dm.clone(), dm.clone()];
    let (one, other) = tokio::join!(take_dms(&db, &brand, &batch), take_dms(&db, &brand, &batch));
    assert_eq!(one.stored + other.stored, 1);
    assert_eq!(one.duplicates + other.duplicates, 9);
    assert_eq!(thread(&db, &brand).await, ["hello"]);
    let received = log(&db, &brand)
        .await
        .into_iter()
        .filter(|kind| kind == "message.received")
        .count();
    assert_eq!(received, 1);
}

#[tokio::test]
async fn many_new_customers_at_once_get_one_identity_each() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let wave = |number: i64| -> Vec<Dm> {
        (0..60)
            .map(|who| {
                Dm::new(
                    &format!("77{who}"),
                    100 - number,
                    number * 100 + who,
                    &format!("{number}"),
                )
            })
            .collect()
    };
    let (first, second, third) = (wave(1), wave(2), wave(3));
    let (a, b, c) = tokio::join!(
        take_dms(&db, &brand, &first),
        take_dms(&db, &brand, &second),
        take_dms(&db, &brand, &third)
    );
    assert_eq!(a.stored + b.stored + c.stored, 180);
    let (identities, contacts): (i64, i64) =
        sqlx::query_as("select (select count(*) from identities), (select count(*) from contacts)")
            .fetch_one(&mut db.owner().await)
            .await
            .unwrap();
    assert_eq!((identities, contacts), (60, 60), "no orphans");
    assert_eq!(conversations(&db, &brand).await.len(), 60);
}

#[tokio::test]
async fn messages_of_several_brands_go_in_one_batch_and_stay_apart() {
    let db = TestDb::new().await;
    let (ours, theirs) = (db.brand("Ours", 1).await, db.brand("Theirs", 1).await);
    let bodies = [
        Dm::new("900", 5, 1, "to ours").body(&ours),
        Dm::new("900", 5, 2, "to theirs").body(&theirs),
    ];
    assert_eq!(take(&db, &bodies).await.stored, 2);
    assert_eq!(thread(&db, &ours).await, ["to ours"]);
    assert_eq!(thread(&db, &theirs).await, ["to theirs"]);
}

#[tokio::test]
async fn what_belongs_to_no_conversation_is_kept_raw_with_its_reason() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let stranger = roost_tests::db::Brand {
        account_id: "31337".to_owned(),
        ..brand.clone()
    };
    let bodies = [
        Dm::new("900", 5, 1, "to nobody").body(&stranger),
        ingress(
            &brand,
            "follow",
            "f1",
            "900",
            &json!({ "type": "follow" }),
            &json!(null),
        ),
        ingress(
            &brand,
            "malformed",
            "m1",
            "",
            &json!({ "id": 1 }),
            &json!(null),
        ),
    ];
    let done = take(&db, &bodies).await;
    assert_eq!((done.raw, done.stored), (3, 0));
    assert_eq!(
        raw_reasons(&db).await,
        ["account is not connected", "not a message", "not a message"]
    );
    // Once, however often it comes.
    take(&db, &bodies).await;
    assert_eq!(raw_reasons(&db).await.len(), 3);
}

#[tokio::test]
async fn a_message_between_two_accounts_of_one_brand_opens_nothing() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let mut owner = db.owner().await;
    sqlx::query(
        "insert into channel_routes (platform, app, account_id, brand_id, channel_id)
         values ('x', 'main', '555', $1, $2)",
    )
    .bind(brand.id.0)
    .bind(brand.channel.0)
    .execute(&mut owner)
    .await
    .unwrap();
    let done = take_dms(&db, &brand, &[Dm::new("555", 5, 1, "psst")]).await;
    assert_eq!((done.raw, done.stored), (1, 0));
    assert!(conversations(&db, &brand).await.is_empty());
}

#[tokio::test]
async fn an_encrypted_message_opens_like_any_other_and_says_that_it_cannot_be_read() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let millis = (jiff::Timestamp::now().as_millisecond() - 1000).to_string();
    let event = json!({
        "event_type": "chat.received",
        "payload": {
            "id": "0f8fad5b-d9cb-469f-a165-70867728950e", "created_at_msec": millis, "sender_id": "900",
            "conversation_id": format!("900:{}", brand.account_id), "encoded_event": "AAAA",
        },
    });
    let body = ingress(
        &brand,
        "chat",
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        "900",
        &event,
        &json!(null),
    );
    assert_eq!(take(&db, &[body]).await.stored, 1);
    assert_eq!(conversations(&db, &brand).await[0].status, "open");
    let unreadable: bool = sqlx::query_scalar("select is_unreadable from messages")
        .fetch_one(&mut db.owner().await)
        .await
        .unwrap();
    assert!(unreadable);
}

#[tokio::test]
async fn the_customers_reading_mark_only_moves_forward() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let dm = Dm::new("900", 50, 1, "hello");
    take_dms(&db, &brand, std::slice::from_ref(&dm)).await;
    let read = |up_to: i64| {
        let event = json!({
            "created_timestamp": jiff::Timestamp::now().as_millisecond().to_string(), "sender_id": "900",
            "target": { "recipient_id": brand.account_id }, "last_read_event_id": up_to.to_string(),
        });
        ingress(
            &brand,
            "read",
            &format!("r{up_to}"),
            "900",
            &event,
            &json!(null),
        )
    };
    take(&db, &[read(70), read(50)]).await;
    take(&db, &[read(60)]).await;
    let marks = log(&db, &brand)
        .await
        .into_iter()
        .filter(|kind| kind == "message.read")
        .count();
    let mark: i64 = sqlx::query_scalar("select customer_read_no from conversations")
        .fetch_one(&mut db.owner().await)
        .await
        .unwrap();
    assert_eq!((mark, conversations(&db, &brand).await.len()), (70, 1));
    assert!(
        (1..=2).contains(&marks),
        "told when it moved, and not again: {marks}"
    );
}

#[tokio::test]
async fn typing_is_passed_on_and_leaves_nothing_behind() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", 50, 1, "hello")]).await;
    let event = json!({
        "created_timestamp": "1700000000000", "sender_id": "900", "target": { "recipient_id": brand.account_id },
    });
    let typing = |who: &str| {
        ingress(
            &brand,
            "typing",
            &format!("typing:{who}"),
            who,
            &event,
            &json!(null),
        )
    };
    let done = take(&db, &[typing("900"), typing("900")]).await;
    assert_eq!(done.typing.len(), 1);
    assert_eq!((done.events, done.raw), (0, 0));
}

#[tokio::test]
async fn a_revoked_access_stops_the_channel_once() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let event = json!({ "revoke": {
        "date_time": "2026-05-24T09:48:12+00:00", "target": { "app_id": "4242" },
        "source": { "user_id": brand.account_id },
    } });
    let body = |id: &str| {
        let mut body: serde_json::Value =
            serde_json::from_slice(&ingress(&brand, "revoke", id, "", &event, &json!(null)))
                .unwrap();
        body["account_id"] = json!("");
        body.to_string().into_bytes()
    };
    assert_eq!(take(&db, &[body("a")]).await.revoked, 1);
    assert_eq!(take(&db, &[body("b")]).await.revoked, 0);
    let status: String = sqlx::query_scalar("select status from channels")
        .fetch_one(&mut db.owner().await)
        .await
        .unwrap();
    assert_eq!(status, "reauth_required");
}

#[tokio::test]
async fn history_is_kept_and_opens_times_and_notifies_nothing() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    sqlx::query("update channels set connected_at = now()")
        .execute(&mut db.owner().await)
        .await
        .unwrap();
    let done = take_dms(&db, &brand, &[Dm::new("900", 500, 1, "old news")]).await;
    assert_eq!((done.stored, done.events), (1, 0));
    assert_eq!(conversations(&db, &brand).await[0].status, "resolved");
    assert_eq!(thread(&db, &brand).await, ["old news"]);
}

#[tokio::test]
async fn a_body_that_is_no_ingress_event_is_poison() {
    assert!(roost_inbox::step::Batch::read([b"{}".as_slice()]).is_err());
    assert!(roost_inbox::step::Batch::read([b"\xff\xfe".as_slice()]).is_err());
}

#[tokio::test]
async fn a_simulated_customer_of_a_sandbox_is_a_customer_like_any_other() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    for table in ["channels", "channel_routes"] {
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "update {table} set platform = 'sandbox', app = 'sandbox'"
        )))
        .execute(&mut db.owner().await)
        .await
        .unwrap();
    }
    let written = roost_platforms::sandbox::CustomerMessage {
        id: 77,
        at: jiff::Timestamp::now(),
        handle: "Casey".to_owned(),
        name: Some("Casey Jones".to_owned()),
        text: "Where is it?".to_owned(),
    };
    let body = serde_json::json!({
        "v": 1, "platform": "sandbox", "app": "sandbox", "account_id": brand.account_id,
        "counterpart_id": "casey", "bucket": 7, "kind": "dm", "event_id": "77", "request_id": "req-1",
        "received_at": "2026-01-31T12:00:00.000Z", "body": written,
    });
    let bodies = [body.to_string().into_bytes()];
    assert_eq!(take(&db, &bodies).await.stored, 1);
    let again = take(&db, &bodies).await;
    assert_eq!((again.stored, again.duplicates), (0, 1));
    assert_eq!(thread(&db, &brand).await, ["Where is it?"]);
    let customer: (String, String, String) = sqlx::query_as(
        "select c.name, c.handle, i.external_id from contacts c join identities i on i.contact_id = c.id
         where i.platform = 'sandbox'",
    )
    .fetch_one(&mut db.owner().await)
    .await
    .unwrap();
    assert_eq!(
        customer,
        (
            "Casey Jones".to_owned(),
            "Casey".to_owned(),
            "casey".to_owned()
        )
    );
}
