//! Lists that are read page by page while much goes on.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use roost_domain::ids::{ConversationId, PolicyId};
use roost_tests::bulk::{Size, fill};
use sqlx::types::Uuid;

use crate::customer::writes;
use crate::harness::{Brand, Gateway};

/// Conversations that are there from the start.
const CONVERSATIONS: i32 = 10_000;
/// Between two writes: 50 a second.
const WRITE_EVERY: Duration = Duration::from_millis(20);

async fn many(gateway: &Gateway, brand: &Brand) -> BTreeSet<String> {
    let mut db = gateway.db.owner().await;
    let of = brand.owner.brand;
    let policy: Uuid = sqlx::query_scalar("select id from sla_policies where brand_id = $1")
        .bind(of.0)
        .fetch_one(&mut db)
        .await
        .unwrap();
    let in_bulk = roost_tests::db::Brand {
        id: of,
        team: brand.team,
        members: vec![brand.owner.member],
        channel: brand.channel,
        account_id: brand.account_id.clone(),
        policy: PolicyId(policy),
    };
    let size = Size {
        conversations: CONVERSATIONS,
        messages: 1,
    };
    fill(&mut db, &in_bulk, &[brand.channel], size).await;
    let ids: Vec<Uuid> = sqlx::query_scalar("select id from conversations where brand_id = $1")
        .bind(of.0)
        .fetch_all(&mut db)
        .await
        .unwrap();
    ids.into_iter()
        .map(|id| ConversationId(id).to_string())
        .collect()
}

/// Writes 50 times a second until told to stop: a new conversation, then a change that lifts an old one.
/// Returns the lifted ones.
async fn write_on(gateway: Arc<Gateway>, brand: Brand, stop: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut moved = BTreeSet::new();
    let mut db = gateway.db.owner().await;
    let mut ticks = tokio::time::interval(WRITE_EVERY);
    let mut number: i32 = 0;
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        number += 1;
        if number % 2 == 0 {
            writes(&gateway, &brand, &format!("9000{number}"), "new here").await;
            continue;
        }
        let id: Uuid = sqlx::query_scalar(
            "update conversations
             set last_message_at = now(), updated_at = now(), waiting_since = now(), version = version + 1
             where brand_id = $1 and id = md5('conversation' || $2)::uuid returning id",
        )
        .bind(brand.owner.brand.0)
        .bind((number * 7919 % CONVERSATIONS + 1).to_string())
        .fetch_one(&mut db)
        .await
        .unwrap();
        moved.insert(ConversationId(id).to_string());
    }
    moved
}

async fn read(gateway: &Gateway, brand: &Brand, sort: &str) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/conversations?sort={sort}&limit=200{cursor}");
        let page = gateway.get(&brand.owner, &path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        seen.extend(page.ids());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_conversations_page_by_page_while_fifty_writes_a_second_go_on() {
    let gateway = Arc::new(Gateway::start().await);
    let brand = gateway.brand("Harbor").await;
    let present = many(&gateway, &brand).await;
    assert_eq!(present.len(), usize::try_from(CONVERSATIONS).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write_on(
        Arc::clone(&gateway),
        brand.clone(),
        Arc::clone(&stop),
    ));
    let mut lists = HashMap::new();
    for sort in [
        "opened_at",
        "-opened_at",
        "-last_message_at",
        "waiting_since",
    ] {
        lists.insert(sort, read(&gateway, &brand, sort).await);
    }
    stop.store(true, Ordering::Relaxed);
    let moved = writer.await.unwrap();
    assert!(moved.len() > 20, "there were writes: {}", moved.len());
    for (sort, seen) in lists {
        let mut times: HashMap<&String, u32> = HashMap::new();
        for id in &seen {
            *times.entry(id).or_default() += 1;
        }
        // What is sorted by its opening never moves.
        let stays = |id: &&String| sort.ends_with("opened_at") || !moved.contains(*id);
        for id in present.iter().filter(stays) {
            assert_eq!(times.get(id), Some(&1), "{sort}: {id}");
        }
        if sort.ends_with("opened_at") {
            assert_eq!(times.len(), seen.len(), "{sort}: repeated");
        }
    }
}
