//! Routers and people at the same time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use roost_router::step::{Outcome, route_team};
use roost_store::assignments::ByHand;
use roost_store::ledger::ActKind;

use crate::support::World;

/// Two routers, each on several tasks, and a person who gives conversations out by hand: no
/// automatic decision takes an agent over capacity, and nobody waits while there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn capacity_holds_with_routers_racing() {
    let world = Arc::new(World::new(10, 3).await);
    let ids = world.open(200).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let world = world.clone();
        tasks.spawn(async move {
            for _ in 0..10 {
                let routed = route_team(&world.db.store, world.brand.id, world.brand.team).await;
                if matches!(routed.unwrap(), Outcome::Busy) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
    }
    let (person, by_hand) = (world.clone(), [ids[3], ids[50], ids[120], ids[199], ids[7]]);
    tasks.spawn(async move {
        for (id, agent) in by_hand.into_iter().zip(person.agents()) {
            let outcome = person.assign(id, Some(*agent)).await;
            assert!(matches!(outcome, ByHand::Assigned { .. }));
        }
    });
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    // What the racers skipped last.
    world.route().await;
    let over = world
        .count("select count(*) from assignment_decisions where decided_by = 'router' and over_capacity")
        .await;
    assert_eq!(over, 0);
    for (id, agent) in by_hand.into_iter().zip(world.agents()) {
        assert_eq!(world.assignee(id).await, Some(*agent), "by hand wins");
    }
    let loads = world.loads(world.agents()).await;
    let marked = world
        .count("select count(*) from assignment_decisions where decided_by = 'member' and over_capacity")
        .await;
    let beyond: i64 = loads.iter().map(|load| (load - 3).max(0)).sum();
    assert!(
        beyond <= marked,
        "only by hand goes over capacity: {loads:?}, marked {marked}"
    );
    assert!(
        loads.iter().all(|load| *load >= 3),
        "nobody waits while there is room: {loads:?}"
    );
    // Every decision of the router stood on loads below the capacity.
    let blind = world
        .count(
            "select count(*) from assignment_decisions d, jsonb_array_elements(d.candidates) c
             where d.decided_by = 'router' and d.outcome = 'assigned' and c ->> 'rank' = '1'
               and (c ->> 'load')::int >= (c ->> 'capacity')::int",
        )
        .await;
    assert_eq!(blind, 0);
    let double = world
        .count(
            "select count(*) from (select from events where type = 'conversation.assigned'
                                   and actor_type = 'system' group by conversation_id having count(*) > 1) d",
        )
        .await;
    assert_eq!(double, 0, "one automatic assignment each");
}

/// Two teams with the same agents have different locks; the members' rows keep them apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_agent_of_two_teams_is_not_filled_twice() {
    let world = Arc::new(World::new(3, 4).await);
    let brand = world.brand.id;
    world
        .owner_runs(&format!(
            "with made as (
                 insert into teams (brand_id, id, name) values ('{0}', gen_random_uuid(), 'Second') returning id
             ), joined as (
                 insert into team_members (brand_id, team_id, member_id)
                 select '{0}', made.id, m.id from made, members m where m.brand_id = '{0}'
             )
             select from made",
            brand.0
        ))
        .await;
    world.open(40).await;
    world
        .owner_runs("update conversations set team_id = (select id from teams where name = 'Second') where id in
                     (select id from conversations order by id limit 20)")
        .await;
    let teams: Vec<uuid::Uuid> = {
        let mut owner = world.db.owner().await;
        sqlx::query_scalar("select id from teams")
            .fetch_all(&mut owner)
            .await
            .unwrap()
    };
    assert_eq!(teams.len(), 2);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..5 {
        for team in &teams {
            let (world, team) = (world.clone(), roost_domain::ids::TeamId(*team));
            tasks.spawn(async move { route_team(&world.db.store, brand, team).await.unwrap() });
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(world.loads(world.agents()).await, [4, 4, 4]);
}

/// Customers write, agents resolve and people assign while teams are routed: nobody waits for
/// another in a circle, and in the end everybody has an agent.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn customers_agents_and_routers_never_deadlock() {
    let world = Arc::new(World::new(4, 100).await);
    let ids = world.open(24).await;
    let mut tasks = tokio::task::JoinSet::new();
    for part in ids.chunks(8) {
        let (world, part) = (world.clone(), part.to_vec());
        tasks.spawn(async move {
            for (number, id) in part.into_iter().enumerate() {
                world.db.write_at(&world.brand, id, Timestamp::now()).await;
                if number % 2 == 0 {
                    world.db.open(&world.brand).await;
                } else {
                    let agent = world.agents()[number % 4];
                    world.assign(id, Some(agent)).await;
                    world
                        .db
                        .act(&world.brand, id, ActKind::Resolve, agent)
                        .await;
                    world.db.write_at(&world.brand, id, Timestamp::now()).await;
                }
            }
        });
    }
    for _ in 0..3 {
        let world = world.clone();
        tasks.spawn(async move {
            for _ in 0..15 {
                let outcome = route_team(&world.db.store, world.brand.id, world.brand.team).await;
                if outcome.unwrap() == Outcome::Busy {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    world.route().await;
    let waiting = world
        .count("select count(*) from conversations where status <> 'open' or assignee_id is null or queued_at is not null")
        .await;
    assert_eq!(waiting, 0);
}
