//! Customers who were blocked or erased.

use roost_domain::ids::{ChannelId, ContactId};
use roost_store::StoreError;
use roost_store::contacts::{BlockOutcome, block, unblock};
use roost_store::erasure::{ErasureOutcome, erase};
use roost_store::ledger::{Actor, Cause};
use roost_tests::db::{Brand, TestDb};
use uuid::Uuid;

use crate::support::{Dm, Look, audit, conversations, raw_reasons, take_dms, thread};

async fn contact(db: &TestDb, brand: &Brand) -> ContactId {
    let id = sqlx::query_scalar(
        "select contact_id from identities where brand_id = $1 order by created_at desc, id desc limit 1",
    )
    .bind(brand.id.0)
    .fetch_one(&mut db.owner().await)
    .await
    .unwrap();
    ContactId(id)
}

async fn set_block(db: &TestDb, brand: &Brand, id: ContactId, is_blocked: bool) -> BlockOutcome {
    let member = brand.members[0];
    let done = db.store.brand(brand.id, move |tx| {
        Box::pin(async move {
            let cause = Cause::new(Actor::Member(member), None);
            if is_blocked {
                block(tx, id, member, &cause).await
            } else {
                unblock(tx, id, &cause).await
            }
        })
    });
    done.await.unwrap()
}

async fn erased(db: &TestDb, brand: &Brand, id: ContactId) -> ErasureOutcome {
    let member = brand.members[0];
    let done = db.store.brand(brand.id, move |tx| {
        Box::pin(async move {
            let cause = Cause::new(Actor::Member(member), None);
            erase(tx, &audit(), id, member, &cause).await
        })
    });
    let done: Result<_, StoreError> = done.await;
    done.unwrap()
}

/// The brand as it is over another account of its own.
async fn second_account(db: &TestDb, brand: &Brand) -> Brand {
    let (channel, account_id) = (Uuid::now_v7(), "424242424242".to_owned());
    let mut owner = db.owner().await;
    sqlx::query(
        "insert into channels (brand_id, id, platform, app, account_id, handle, name, connected_at)
         values ($1, $2, 'x', 'main', $3, 'second', 'Second', 'epoch')",
    )
    .bind(brand.id.0)
    .bind(channel)
    .bind(&account_id)
    .execute(&mut owner)
    .await
    .unwrap();
    sqlx::query(
        "insert into channel_routes (platform, app, account_id, brand_id, channel_id) values ('x', 'main', $1, $2, $3)",
    )
    .bind(&account_id)
    .bind(brand.id.0)
    .bind(channel)
    .execute(&mut owner)
    .await
    .unwrap();
    Brand {
        channel: ChannelId(channel),
        account_id,
        ..brand.clone()
    }
}

async fn number(db: &TestDb, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement)
        .fetch_one(&mut db.owner().await)
        .await
        .unwrap()
}

fn statuses(all: &[Look]) -> Vec<&str> {
    all.iter().map(|one| one.status.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_customer_is_heard_and_moves_nothing() {
    let db = TestDb::new().await;
    let brand = db.brand("Harbor", 1).await;
    take_dms(&db, &brand, &[Dm::new("77", 60, 1, "buy my coins")]).await;
    let id = contact(&db, &brand).await;
    let outcome = set_block(&db, &brand, id, true).await;
    assert_eq!(outcome, BlockOutcome::Done { resolved: 1 });
    assert_eq!(
        set_block(&db, &brand, id, true).await,
        BlockOutcome::Unchanged
    );
    let cancelled =
        "select count(*) from sla_clocks where state = 'cancelled' and cancelled_as = 'blocked'";
    assert_eq!(number(&db, cancelled).await, 1);
    let before = conversations(&db, &brand).await;
    assert_eq!(statuses(&before), ["resolved"]);

    let done = take_dms(
        &db,
        &brand,
        &[Dm::new("77", 10, 2, "hello?"), Dm::new("77", 9, 3, "hey")],
    )
    .await;
    assert_eq!((done.blocked, done.stored, done.events), (2, 0, 0));
    assert_eq!(conversations(&db, &brand).await, before, "nothing moved");
    assert_eq!(thread(&db, &brand).await, ["buy my coins", "hello?", "hey"]);
    let marked = "select count(*) from messages where is_blocked";
    assert_eq!(number(&db, marked).await, 2);
    assert_eq!(number(&db, "select blocked_count from contacts").await, 2);
    let running = "select count(*) from sla_clocks where state = 'running'";
    assert_eq!(number(&db, running).await, 0);
    set_block(&db, &brand, id, false).await;
    let done = take_dms(&db, &brand, &[Dm::new("77", 0, 4, "sorry")]).await;
    assert_eq!(done.stored, 1);
    let after = conversations(&db, &brand).await;
    assert_eq!(
        statuses(&after),
        ["resolved", "open"],
        "a new one, though the last is young"
    );
    assert_eq!(number(&db, running).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_customer_without_a_conversation_is_kept_raw() {
    let db = TestDb::new().await;
    let brand = db.brand("Harbor", 1).await;
    take_dms(&db, &brand, &[Dm::new("77", 60, 1, "one")]).await;
    let id = contact(&db, &brand).await;
    set_block(&db, &brand, id, true).await;
    // Another account of the brand, to which they never wrote.
    let second = second_account(&db, &brand).await;
    let done = take_dms(&db, &second, &[Dm::new("77", 10, 2, "two")]).await;
    assert_eq!(done.blocked, 1);
    assert_eq!(conversations(&db, &brand).await.len(), 1);
    assert_eq!(raw_reasons(&db).await, ["contact is blocked"]);
    let kept = "select count(*) from inbound_events where payload like '%two%'";
    assert_eq!(number(&db, kept).await, 0, "kept once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_back_fill_brings_nobody_back_and_a_new_message_begins_anew() {
    let db = TestDb::new().await;
    let brand = db.brand("Harbor", 1).await;
    let secret = Dm::new("77", 600, 1, "my number is fivefive");
    take_dms(&db, &brand, std::slice::from_ref(&secret)).await;
    let id = contact(&db, &brand).await;
    assert!(matches!(
        erased(&db, &brand, id).await,
        ErasureOutcome::Done(_)
    ));
    assert_eq!(erased(&db, &brand, id).await, ErasureOutcome::Before);
    assert_eq!(thread(&db, &brand).await, [""]);

    // The same event, one that was missed, and one of ours to them.
    let missed = Dm::new("77", 500, 2, "fivefive again");
    let ours = Dm::new("77", 400, 3, "we call fivefive").ours(None);
    let done = take_dms(&db, &brand, &[secret, missed.clone(), ours]).await;
    assert_eq!((done.duplicates, done.erased, done.stored), (1, 2, 0));
    let contacts = "select count(*) from contacts where brand_id is not null";
    assert_eq!(number(&db, contacts).await, 1);
    let left = "select count(*) from inbound_events where payload like '%fivefive%'";
    assert_eq!(number(&db, left).await, 0);
    // What was dropped is still told from a new one.
    assert_eq!(take_dms(&db, &brand, &[missed]).await.duplicates, 1);

    let mut later = Dm::new("77", 0, 4, "a new matter");
    later.at += jiff::SignedDuration::from_secs(5);
    let late = Dm::new("77", 300, 5, "fivefive once more");
    let done = take_dms(&db, &brand, &[later, late]).await;
    assert_eq!((done.erased, done.stored), (1, 1));
    assert_eq!(number(&db, contacts).await, 2);
    assert_eq!(
        statuses(&conversations(&db, &brand).await),
        ["resolved", "open"]
    );
    // Now that they are known again, the old stays gone.
    let done = take_dms(&db, &brand, &[Dm::new("77", 200, 6, "fivefive at last")]).await;
    assert_eq!((done.erased, done.stored), (1, 0));
    assert_eq!(number(&db, left).await, 0);
}
