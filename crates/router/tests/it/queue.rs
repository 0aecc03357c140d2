//! A team's queue, step by step.

use jiff::Timestamp;
use roost_store::ledger::ActKind;

use crate::support::World;

#[tokio::test]
async fn a_burst_is_split_evenly_between_equal_agents() {
    let world = World::new(2, 10).await;
    world.open(10).await;
    let routed = world.route().await;
    assert_eq!(routed.assigned.len(), 10);
    assert_eq!(world.loads(world.agents()).await, [5, 5]);
}

#[tokio::test]
async fn room_goes_to_whoever_waits_longest() {
    let world = World::new(1, 3).await;
    let agent = world.agents()[0];
    let ids = world.open(4).await;
    world.route().await;
    assert_eq!(world.assignee(ids[3]).await, None);
    world
        .db
        .act(&world.brand, ids[0], ActKind::Resolve, agent)
        .await;
    let fifth = world.db.open(&world.brand).await;
    world.route().await;
    assert_eq!(world.assignee(ids[3]).await, Some(agent));
    assert_eq!(world.assignee(fifth).await, None);
}

#[tokio::test]
async fn a_conversation_in_other_hands_keeps_its_place() {
    let world = World::new(1, 1).await;
    let ids = world.open(2).await;
    // Somebody has the first in hand, and there is room for one only.
    let mut other = world.db.owner().await;
    sqlx::query("begin").execute(&mut other).await.unwrap();
    sqlx::query("select from conversations where id = $1 for update")
        .bind(ids[0].0)
        .execute(&mut other)
        .await
        .unwrap();
    let routed = world.route().await;
    assert_eq!((routed.assigned.len(), routed.skipped), (0, 1));
    assert_eq!(world.assignee(ids[1]).await, None);
    sqlx::query("rollback").execute(&mut other).await.unwrap();
    world.route().await;
    assert_eq!(world.assignee(ids[0]).await, Some(world.agents()[0]));
}

#[tokio::test]
async fn why_a_conversation_waits_is_told_once() {
    let world = World::new(1, 1).await;
    let ids = world.open(2).await;
    for _ in 0..3 {
        world.route().await;
    }
    let decisions = world.decisions(ids[1]).await;
    assert_eq!(decisions.len(), 1);
    assert_eq!(decisions[0].outcome, "waiting");
    assert_eq!(decisions[0].reason, "1 agent is at capacity");
    let excluded: Vec<_> = decisions[0]
        .candidates
        .iter()
        .map(|one| (one.member_id, one.excluded_by.as_deref(), one.load))
        .collect();
    assert!(excluded.contains(&(world.agents()[0], Some("capacity"), 1)));
    assert!(excluded.contains(&(world.owner(), Some("offline"), 0)));
    let told = world.db.events_of(ids[1]).await;
    let waiting = told.iter().filter(|kind| *kind == "conversation.waiting");
    assert_eq!(waiting.count(), 1);
    world
        .owner_runs("update presence set status = 'offline'")
        .await;
    world.route().await;
    let decisions = world.decisions(ids[1]).await;
    assert_eq!(decisions.len(), 2);
    assert_eq!(decisions[0].reason, "no one in the team is online");
}

#[tokio::test]
async fn those_far_behind_are_told_as_well() {
    let world = World::new(1, 1).await;
    world.open(600).await;
    let routed = world.route().await;
    assert!(!routed.more);
    assert_eq!((routed.assigned.len(), routed.told), (1, 599));
    assert_eq!(world.route().await.told, 0);
}

#[tokio::test]
async fn a_long_queue_is_routed_in_steps() {
    let world = World::new(1, 600).await;
    world.open(600).await;
    let routed = world.route().await;
    assert!(routed.more);
    assert_eq!(routed.assigned.len(), 500);
    assert_eq!(world.route().await.assigned.len(), 100);
}

#[tokio::test]
async fn the_deactivated_and_those_who_may_not_reply_are_never_chosen() {
    let world = World::new(3, 10).await;
    let agents = world.agents().to_vec();
    world
        .owner_runs(&format!(
            "update members set active = false where id = '{}'",
            agents[0].0
        ))
        .await;
    world
        .owner_runs(&format!(
            "update members set role = 'analyst' where id = '{}'",
            agents[1].0
        ))
        .await;
    let ids = world.open(6).await;
    world.route().await;
    assert_eq!(world.loads(&agents).await, [0, 0, 6]);
    let decision = &world.decisions(ids[0]).await[0];
    let rule = |member| {
        let one = decision
            .candidates
            .iter()
            .find(|one| one.member_id == member);
        one.and_then(|one| one.excluded_by.clone())
    };
    assert_eq!(rule(agents[0]).as_deref(), Some("inactive"));
    assert_eq!(rule(agents[1]).as_deref(), Some("role"));
    assert_eq!(decision.candidates[0].member_id, agents[2]);
    assert_eq!(decision.candidates[0].rank, Some(1));
}

#[tokio::test]
async fn a_reopened_conversation_stays_with_an_agent_who_has_room() {
    let world = World::new(2, 2).await;
    let id = world.db.open(&world.brand).await;
    world.route().await;
    let holder = world.assignee(id).await.unwrap();
    world
        .db
        .act(&world.brand, id, ActKind::Resolve, holder)
        .await;
    world.db.write_at(&world.brand, id, Timestamp::now()).await;
    assert_eq!(
        world.loads(&[holder]).await,
        [0],
        "one that waits to be routed is no load"
    );
    assert_eq!(world.route().await.kept, 1);
    assert_eq!(world.assignee(id).await, Some(holder));
    assert_eq!(world.loads(&[holder]).await, [1]);
    assert_eq!(
        world.decisions(id).await[0].reason,
        "came back to the agent who had it"
    );
}

#[tokio::test]
async fn a_reopened_conversation_whose_agent_has_gone_home_is_routed_afresh() {
    let world = World::new(2, 2).await;
    let id = world.db.open(&world.brand).await;
    world.route().await;
    let holder = world.assignee(id).await.unwrap();
    world
        .db
        .act(&world.brand, id, ActKind::Resolve, holder)
        .await;
    world
        .owner_runs(&format!(
            "update presence set status = 'offline' where member_id = '{}'",
            holder.0
        ))
        .await;
    world.db.write_at(&world.brand, id, Timestamp::now()).await;
    world.route().await;
    let other = world.agents().iter().find(|agent| **agent != holder);
    assert_eq!(world.assignee(id).await.as_ref(), other);
    // Nobody is there any more: it must not look as if somebody had it.
    world
        .db
        .act(&world.brand, id, ActKind::Resolve, holder)
        .await;
    world
        .owner_runs("update presence set status = 'offline'")
        .await;
    world.db.write_at(&world.brand, id, Timestamp::now()).await;
    world.route().await;
    assert_eq!(world.assignee(id).await, None);
    assert_eq!(world.decisions(id).await[0].outcome, "waiting");
}

#[tokio::test]
async fn a_team_that_assigns_by_hand_keeps_what_comes_back_and_gives_nothing() {
    let world = World::new(1, 5).await;
    let agent = world.agents()[0];
    let back = world.db.open(&world.brand).await;
    world.route().await;
    world.owner_runs("update teams set mode = 'manual'").await;
    world
        .db
        .act(&world.brand, back, ActKind::Resolve, agent)
        .await;
    world
        .db
        .write_at(&world.brand, back, Timestamp::now())
        .await;
    let new = world.db.open(&world.brand).await;
    let routed = world.route().await;
    assert_eq!((routed.assigned.len(), routed.kept, routed.told), (0, 1, 1));
    assert_eq!(world.assignee(back).await, Some(agent));
    assert_eq!(world.assignee(new).await, None);
    assert_eq!(
        world.decisions(new).await[0].reason,
        "the team assigns by hand"
    );
}

#[tokio::test]
async fn what_left_the_queue_is_not_assigned() {
    let world = World::new(1, 5).await;
    let ids = world.open(2).await;
    world
        .db
        .act(&world.brand, ids[0], ActKind::Resolve, world.owner())
        .await;
    world
        .db
        .act(&world.brand, ids[1], ActKind::Pend, world.owner())
        .await;
    assert!(world.route().await.assigned.is_empty());
}
