//! What is stored late, ahead of its time, or beside a newer conversation.

use jiff::{SignedDuration, Timestamp};
use roost_domain::ids::ConversationId;
use roost_store::ledger::ActKind;
use roost_tests::db::{Brand, TestDb};
use uuid::Uuid;

use crate::support::{Dm, conversations, log, take_dms};

fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(seconds)
}

async fn ids(db: &TestDb) -> Vec<ConversationId> {
    let ids: Vec<Uuid> = sqlx::query_scalar("select id from conversations order by opened_at, id")
        .fetch_all(&mut db.owner().await)
        .await
        .unwrap();
    ids.into_iter().map(ConversationId).collect()
}

async fn run(db: &TestDb, statement: &'static str) {
    sqlx::query(statement)
        .execute(&mut db.owner().await)
        .await
        .unwrap();
}

/// Kind, number and state.
async fn clocks(db: &TestDb) -> Vec<(String, i32, String)> {
    sqlx::query_as(
        "select kind, ordinal, state from sla_clocks order by cycle, kind, ordinal, state",
    )
    .fetch_all(&mut db.owner().await)
    .await
    .unwrap()
}

/// A conversation that ended too long ago to be reopened by its customer.
async fn resolve_for_good(db: &TestDb, brand: &Brand, id: ConversationId) {
    db.act(brand, id, ActKind::Resolve, brand.members[1]).await;
    sqlx::query(
        "with old as (update conversation_acts set created_at = created_at - interval '100 hours'
                      where conversation_id = $1)
         update conversations set resolved_at = resolved_at - interval '100 hours' where id = $1",
    )
    .bind(id.0)
    .execute(&mut db.owner().await)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_clock_that_late_news_put_to_rest_leaves_its_place_to_a_later_one() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let bot = Dm::new("900", 80, 1, "we are here for you").ours(Some("77"));
    take_dms(&db, &brand, &[bot]).await;
    take_dms(&db, &brand, &[Dm::new("900", 70, 2, "second")]).await;
    take_dms(&db, &brand, &[Dm::new("900", 90, 0, "first")]).await;
    let clock = |kind: &str, state: &str| (kind.to_owned(), 1, state.to_owned());
    assert_eq!(
        clocks(&db).await,
        [
            clock("first_response", "running"),
            clock("next_response", "cancelled")
        ]
    );
    let human = Dm::new("900", 60, 3, "hello, this is Sam").ours(None);
    take_dms(&db, &brand, &[human]).await;
    take_dms(&db, &brand, &[Dm::new("900", 50, 4, "third")]).await;
    assert_eq!(
        clocks(&db).await,
        [
            clock("first_response", "met"),
            clock("next_response", "cancelled"),
            clock("next_response", "running")
        ]
    );
    let starts: i64 = sqlx::query_scalar(
        "select count(*) from sla_clocks k join messages m on m.id = k.started_by
         where k.state = 'running' and m.text = 'third' and k.started_at = m.order_at
           and k.next_fire_at = k.warn_at and k.settled_at is null",
    )
    .fetch_one(&mut db.owner().await)
    .await
    .unwrap();
    assert_eq!(starts, 1, "it counts from the message that started it now");
    log(&db, &brand).await;
}

#[tokio::test]
async fn a_message_finds_the_unresolved_conversation_however_many_came_after_it() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    for number in 0..6 {
        let dm = Dm::new("900", 60 - number, number, "hello");
        take_dms(&db, &brand, &[dm]).await;
        let newest = *ids(&db).await.last().unwrap();
        resolve_for_good(&db, &brand, newest).await;
    }
    let oldest = ids(&db).await[0];
    db.act(&brand, oldest, ActKind::Open, brand.members[1])
        .await;
    take_dms(&db, &brand, &[Dm::new("900", 1, 9, "still there?")]).await;
    let look = conversations(&db, &brand).await;
    assert_eq!(
        (
            look.len(),
            look[0].status.as_str(),
            look[0].preview.as_str()
        ),
        (6, "open", "still there?")
    );
}

#[tokio::test]
async fn an_act_comes_after_a_message_whose_platform_time_is_ahead_of_ours() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    for (number, ahead) in [(1, 120), (2, 3_600)] {
        let dm = Dm::new("900", -ahead, number, "from tomorrow");
        take_dms(&db, &brand, &[dm]).await;
        let id = ids(&db).await[0];
        db.act(&brand, id, ActKind::Resolve, brand.members[1]).await;
        assert_eq!(conversations(&db, &brand).await[0].status, "resolved");
    }
    let resolved_now: bool =
        sqlx::query_scalar("select resolved_at <= clock_timestamp() from conversations")
            .fetch_one(&mut db.owner().await)
            .await
            .unwrap();
    assert!(resolved_now, "it was resolved when the member did it");
    // Folding it all again ends the same.
    take_dms(&db, &brand, &[Dm::new("900", 900, 0, "late")]).await;
    let cycles: i32 = conversations(&db, &brand).await[0].cycle;
    assert_eq!(
        cycles, 3,
        "the late message, which nobody has seen, reopens"
    );
}

#[tokio::test]
async fn a_snooze_wakes_once_though_a_message_is_ahead_of_our_time() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", -60, 1, "soon")]).await;
    let id = ids(&db).await[0];
    let over = ActKind::Snooze(ago(1));
    db.act(&brand, id, over, brand.members[1]).await;
    let wake = || {
        db.store.brand(brand.id, move |tx| {
            Box::pin(async move { roost_store::timers::wake(tx, &[id]).await })
        })
    };
    assert_eq!(wake().await.unwrap(), 1);
    assert_eq!(conversations(&db, &brand).await[0].status, "open");
    assert_eq!(wake().await.unwrap(), 0);
}

#[tokio::test]
async fn a_reply_accepted_far_ahead_of_our_time_counts_the_same_however_often_it_is_folded() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", 60, 2, "hello")]).await;
    let id = ids(&db).await[0];
    let reply = db.reply(&brand, id, brand.members[1]).await;
    db.accept(&brand, id, reply, ago(-7_200)).await;
    let settled = || async {
        let found: (String, roost_store::Ts) = sqlx::query_as(
            "select state, settled_at from sla_clocks where kind = 'first_response'",
        )
        .fetch_one(&mut db.owner().await)
        .await
        .unwrap();
        found
    };
    let before = settled().await;
    assert_eq!(before.0, "met");
    take_dms(&db, &brand, &[Dm::new("900", 90, 1, "a little earlier")]).await;
    assert_eq!(settled().await, before);
}

#[tokio::test]
async fn a_reply_never_reopens_a_conversation_beside_a_newer_one() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", 60, 1, "hello")]).await;
    let old = ids(&db).await[0];
    let reply = db.reply(&brand, old, brand.members[1]).await;
    run(&db, "update outbound_messages set then_status = 'open'").await;
    resolve_for_good(&db, &brand, old).await;
    take_dms(&db, &brand, &[Dm::new("900", 30, 2, "something else")]).await;
    db.accept(&brand, old, reply, ago(1)).await;
    let statuses = || async {
        let look = conversations(&db, &brand).await;
        look.into_iter().map(|one| one.status).collect::<Vec<_>>()
    };
    assert_eq!(statuses().await, ["resolved", "open"]);
    let state: String = sqlx::query_scalar("select state from outbound_messages")
        .fetch_one(&mut db.owner().await)
        .await
        .unwrap();
    assert_eq!(state, "sent", "the reply is settled all the same");
    // Nor does the same news told again, which folds the old conversation anew.
    run(&db, "update outbound_messages set settled_by = 'member'; ").await;
    run(
        &db,
        "update messages set platform_event_id = null where kind = 'reply'",
    )
    .await;
    db.accept(&brand, old, reply, ago(50)).await;
    assert_eq!(statuses().await, ["resolved", "open"]);
}

#[tokio::test]
async fn a_fold_that_would_reopen_a_conversation_beside_a_newer_one_leaves_it_resolved() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", 60, 1, "hello")]).await;
    let old = ids(&db).await[0];
    let reply = db.reply(&brand, old, brand.members[1]).await;
    run(&db, "update outbound_messages set then_status = 'resolved'").await;
    take_dms(&db, &brand, &[Dm::new("900", 40, 2, "and thanks")]).await;
    // Somebody says that it arrived, just now; then it is over, and something else begins.
    db.accept(&brand, old, reply, ago(20)).await;
    run(&db, "update outbound_messages set settled_by = 'member'").await;
    run(
        &db,
        "update messages set platform_event_id = null where kind = 'reply'",
    )
    .await;
    run(
        &db,
        "update messages set stored_seq = 99 where kind = 'reply'",
    )
    .await;
    resolve_for_good(&db, &brand, old).await;
    run(&db, "delete from conversation_acts").await;
    take_dms(&db, &brand, &[Dm::new("900", 10, 3, "something else")]).await;
    assert_eq!(conversations(&db, &brand).await.len(), 2);
    // The echo: it had arrived before the customer's thanks.
    db.accept(&brand, old, reply, ago(50)).await;
    let look = conversations(&db, &brand).await;
    assert_eq!(
        (look[0].status.as_str(), look[1].status.as_str()),
        ("resolved", "open")
    );
    log(&db, &brand).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_member_who_reopens_and_a_customer_who_writes_at_once_share_one_conversation() {
    use roost_domain::conversation::Status;
    use roost_store::conversation_acts::{ConversationChange, change};
    use roost_store::ledger::{Actor, Cause};

    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let customers: Vec<String> = (0..12).map(|who| format!("77{who}")).collect();
    for customer in &customers {
        take_dms(&db, &brand, &[Dm::new(customer, 60, 1, "hello")]).await;
    }
    for id in ids(&db).await {
        resolve_for_good(&db, &brand, id).await;
    }
    let member = brand.members[1];
    let mut acts = tokio::task::JoinSet::new();
    for id in ids(&db).await {
        let (store, brand) = (db.store.clone(), brand.id);
        acts.spawn(async move {
            let cause = Cause::new(Actor::Member(member), None);
            let wanted = ConversationChange {
                status: Some(Status::Open),
                ..ConversationChange::default()
            };
            store
                .brand(brand, move |tx| {
                    Box::pin(async move { change(tx, id, &wanted, member, &cause).await })
                })
                .await
        });
    }
    for customer in &customers {
        take_dms(&db, &brand, &[Dm::new(customer, 0, 2, "again")]).await;
    }
    for outcome in acts.join_all().await {
        outcome.unwrap();
    }
    let open: i64 = sqlx::query_scalar("select count(*) from conversations where status = 'open'")
        .fetch_one(&mut db.owner().await)
        .await
        .unwrap();
    assert_eq!(open, 12);
}
