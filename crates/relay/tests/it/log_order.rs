//! The log's order for those who read it by position.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use roost_domain::ids::BrandId;
use roost_store::{Store, StoreError};
use uuid::Uuid;

use crate::support::{SOON, World, hold, write, write_alone};

type Line = (i64, Uuid, Option<Uuid>, Option<i64>);

async fn read_after(store: &Store, brand: BrandId, after: i64) -> Vec<Line> {
    store
        .brand(brand, move |tx| {
            Box::pin(async move {
                Ok::<_, StoreError>(
                    sqlx::query_as(
                        "select position, id, conversation_id, seq from events
                         where brand_id = $1 and position > $2 order by position limit 50",
                    )
                    .bind(brand.0)
                    .bind(after)
                    .fetch_all(tx.conn())
                    .await?,
                )
            })
        })
        .await
        .unwrap()
}

fn some_millis(below: u64) -> Duration {
    Duration::from_millis(u64::from(Uuid::new_v4().as_bytes()[0]) % below)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_by_position_misses_no_late_commit() {
    const WRITERS: usize = 16;
    const EACH: usize = 30;
    let world = World::new().await;
    let brand = world.db.brand("Acme", 0).await;
    let mut conversations = Vec::new();
    for bucket in [3, 3, 20, 77, 130, 201] {
        conversations.push(world.conversation(&brand, bucket).await);
    }
    // Two relays share the slots, so that positions of one brand come from both.
    let (mut one, mut two) = (
        world.relay(Duration::from_secs(10)),
        world.relay(Duration::from_secs(10)),
    );
    one.keep().await.unwrap();
    two.keep().await.unwrap();
    let relays: Vec<_> = [one, two]
        .into_iter()
        .map(|mut relay| {
            tokio::spawn(async move {
                loop {
                    relay.keep().await.unwrap();
                    relay.step().await.unwrap();
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            })
        })
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, brand, conversations) =
                (world.store.clone(), brand.id, conversations.clone());
            tokio::spawn(async move {
                for number in 0..EACH {
                    let conversation = conversations[(writer + number) % conversations.len()];
                    if number % 10 == 0 {
                        write_alone(&store, brand, some_millis(30)).await;
                    } else {
                        write(&store, brand, conversation, some_millis(20)).await;
                    }
                }
            })
        })
        .collect();

    let (mut seen, mut last_seq, mut after) = (HashSet::new(), HashMap::new(), 0);
    let started = std::time::Instant::now();
    while seen.len() < WRITERS * EACH {
        assert!(
            started.elapsed() < SOON,
            "read {} of {}",
            seen.len(),
            WRITERS * EACH
        );
        for (position, id, conversation, seq) in read_after(&world.store, brand.id, after).await {
            assert_eq!(position, after + 1, "positions have no gaps");
            after = position;
            assert!(seen.insert(id), "an event is read once");
            if let (Some(conversation), Some(seq)) = (conversation, seq) {
                let before = last_seq.insert(conversation, seq).unwrap_or(0);
                assert_eq!(seq, before + 1, "positions rise with seq");
            }
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(read_after(&world.store, brand.id, after).await.is_empty());
    relays.iter().for_each(tokio::task::JoinHandle::abort);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_buckets_keep_no_other_waiting() {
    let world = World::new().await;
    let brand = world.db.brand("Acme", 0).await;
    let busy = world.conversation(&brand, 0).await;
    let quiet = world.conversation(&brand, 255).await;
    let mut relay = world.relay(Duration::from_secs(10));
    hold(&mut relay, 16).await;
    relay.step().await.unwrap();
    let mut owner = world.db.owner().await;
    sqlx::query(
        "insert into events (brand_id, id, conversation_id, seq, type, actor_type, bucket, data)
         select $1, gen_random_uuid(), $2, n, 'note.created', 'system', 0, '{}' from generate_series(1, 2500) n",
    )
    .bind(brand.id.0)
    .bind(busy.0)
    .execute(&mut owner)
    .await
    .unwrap();
    world.write(brand.id, quiet, Duration::ZERO).await;
    assert_eq!(relay.number().await.unwrap().len(), 1_000);
    let second = relay.number().await.unwrap();
    assert_eq!(
        second
            .iter()
            .map(|event| event.conversation)
            .collect::<Vec<_>>(),
        [Some(quiet)]
    );
    assert_eq!(relay.number().await.unwrap().len(), 1_000);
    assert_eq!(relay.number().await.unwrap().len(), 500);
    world.end().await;
}
