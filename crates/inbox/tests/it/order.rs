//! Late and shuffled events end where the sorted input ends.

use roost_tests::db::TestDb;

use crate::support::{Dm, conversations, log, take_dms, thread};

#[tokio::test]
async fn a_late_message_slots_in_and_moves_the_clock_to_its_own_start() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", 10, 2, "second")]).await;
    let late = Dm::new("900", 60, 1, "first");
    let done = take_dms(&db, &brand, std::slice::from_ref(&late)).await;
    assert_eq!(done.refolds, 1);
    assert_eq!(thread(&db, &brand).await, ["first", "second"]);
    let starts: Vec<(String, bool)> = sqlx::query_as(
        "select state, started_at = (select order_at from messages where text = 'first') from sla_clocks",
    )
    .fetch_all(&mut db.owner().await)
    .await
    .unwrap();
    assert_eq!(
        starts,
        [("running".to_owned(), true)],
        "one clock, from the first message"
    );
    assert!(
        log(&db, &brand)
            .await
            .contains(&"sla.retargeted".to_owned())
    );
    assert_eq!(
        conversations(&db, &brand).await[0].preview,
        "second",
        "the list shows the newest"
    );
}

#[tokio::test]
async fn two_messages_of_one_millisecond_go_by_their_ids_as_numbers() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let nine = Dm {
        number: 9,
        ..Dm::new("900", 5, 9, "nine")
    };
    let ten = Dm {
        number: 10,
        text: "ten".to_owned(),
        ..nine.clone()
    };
    take_dms(&db, &brand, &[ten]).await;
    take_dms(&db, &brand, &[nine]).await;
    assert_eq!(thread(&db, &brand).await, ["nine", "ten"]);
}

#[tokio::test]
async fn shuffled_arrival_ends_like_the_sorted_one() {
    let (sorted, shuffled) = (TestDb::new().await, TestDb::new().await);
    let (a, b) = (
        sorted.brand("Acme", 1).await,
        shuffled.brand("Acme", 1).await,
    );
    // Customer, agent in X's own app, customer, and so on.
    let base = Dm::new("900", 1000, 0, "");
    let dms: Vec<Dm> = (0..24_i64)
        .map(|number| {
            let dm = Dm {
                at: base.at + jiff::SignedDuration::from_secs(number * 10),
                number,
                text: format!("message {number}"),
                ..base.clone()
            };
            if number % 3 == 2 { dm.ours(None) } else { dm }
        })
        .collect();
    take_dms(&sorted, &a, &dms).await;
    let mut order: Vec<usize> = (0..24).collect();
    order.sort_by_key(|index| (index * 7 + 5) % 24);
    for chunk in order.chunks(5) {
        let part: Vec<Dm> = chunk.iter().map(|index| dms[*index].clone()).collect();
        take_dms(&shuffled, &b, &part).await;
    }
    assert_eq!(thread(&sorted, &a).await, thread(&shuffled, &b).await);
    let state = "select status, cycle, waiting_since, clock_kind, clock_ordinal, clock_started_at, next_responses
                 from conversations";
    type State = (
        String,
        i32,
        Option<roost_store::Ts>,
        Option<String>,
        Option<i32>,
        Option<roost_store::Ts>,
        i32,
    );
    let one: State = sqlx::query_as(state)
        .fetch_one(&mut sorted.owner().await)
        .await
        .unwrap();
    let other: State = sqlx::query_as(state)
        .fetch_one(&mut shuffled.owner().await)
        .await
        .unwrap();
    assert_eq!(one, other);
    let clocks = "select kind, ordinal, state, started_at, due_at, settled_at from sla_clocks
                  where state <> 'cancelled' order by started_at";
    type Clock = (
        String,
        i32,
        String,
        roost_store::Ts,
        roost_store::Ts,
        Option<roost_store::Ts>,
    );
    let one: Vec<Clock> = sqlx::query_as(clocks)
        .fetch_all(&mut sorted.owner().await)
        .await
        .unwrap();
    let other: Vec<Clock> = sqlx::query_as(clocks)
        .fetch_all(&mut shuffled.owner().await)
        .await
        .unwrap();
    assert_eq!(one, other);
    log(&shuffled, &b).await;
}

#[tokio::test]
async fn a_message_after_the_window_begins_a_new_conversation_and_within_it_reopens() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", 1000, 1, "hello")]).await;
    let resolve = |hours: i32| {
        let db = &db;
        async move {
            sqlx::query(
                "update conversations set status = 'resolved', resolved_at = now() - make_interval(hours => $1),
                        clock_kind = null, clock_ordinal = null, clock_started_at = null, waiting_since = null
                 where status <> 'resolved'",
            )
            .bind(hours)
            .execute(&mut db.owner().await)
            .await
            .unwrap();
            sqlx::query("update sla_clocks set state = 'cancelled'")
                .execute(&mut db.owner().await)
                .await
                .unwrap();
        }
    };
    resolve(1).await;
    take_dms(&db, &brand, &[Dm::new("900", 30, 2, "again")]).await;
    assert_eq!(conversations(&db, &brand).await.len(), 1);
    assert_eq!(conversations(&db, &brand).await[0].cycle, 2);
    resolve(73).await;
    take_dms(&db, &brand, &[Dm::new("900", 3, 3, "much later")]).await;
    assert_eq!(conversations(&db, &brand).await.len(), 2);
}
