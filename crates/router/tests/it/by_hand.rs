//! What people decide.

use roost_domain::ids::{MemberId, TeamId};
use roost_store::StoreError;
use roost_store::assignments::{self, ByHand, Moved};
use roost_store::ledger::{ActKind, Actor, Cause, Ledger};
use uuid::Uuid;

use crate::support::World;

#[tokio::test]
async fn by_hand_beats_automatic_and_is_told_once() {
    let world = World::new(2, 5).await;
    let id = world.db.open(&world.brand).await;
    let owner = world.owner();
    // The router finds the conversation in the hands of whoever assigns it.
    let (by_hand, _) = tokio::join!(world.assign(id, Some(owner)), async {
        roost_router::step::route_team(&world.db.store, world.brand.id, world.brand.team).await
    });
    assert!(matches!(by_hand, ByHand::Assigned { .. }));
    world.route().await;
    assert_eq!(world.assignee(id).await, Some(owner));
    let newest = &world.decisions(id).await[0];
    assert_eq!(
        (newest.decided_by.as_str(), newest.member),
        ("member", Some(owner))
    );
    // A second time changes nothing.
    let before = world.db.events_of(id).await.len();
    world.assign(id, Some(owner)).await;
    assert_eq!(world.db.events_of(id).await.len(), before);
}

#[tokio::test]
async fn by_hand_may_exceed_the_capacity_and_is_marked_so() {
    let world = World::new(1, 1).await;
    let agent = world.agents()[0];
    let ids = world.open(2).await;
    assert_eq!(
        world.assign(ids[0], Some(agent)).await,
        ByHand::Assigned {
            over_capacity: false
        }
    );
    assert_eq!(
        world.assign(ids[1], Some(agent)).await,
        ByHand::Assigned {
            over_capacity: true
        }
    );
    assert!(world.decisions(ids[1]).await[0].over_capacity);
    assert_eq!(world.loads(&[agent]).await, [2]);
    // The router gives no more to somebody who is over capacity.
    let third = world.db.open(&world.brand).await;
    world.route().await;
    assert_eq!(world.assignee(third).await, None);
}

#[tokio::test]
async fn those_who_may_not_reply_are_refused() {
    let world = World::new(2, 5).await;
    let (gone, analyst) = (world.agents()[0], world.agents()[1]);
    world
        .owner_runs(&format!(
            "update members set active = false where id = '{}'",
            gone.0
        ))
        .await;
    world
        .owner_runs(&format!(
            "update members set role = 'analyst' where id = '{}'",
            analyst.0
        ))
        .await;
    let id = world.db.open(&world.brand).await;
    assert_eq!(world.assign(id, Some(gone)).await, ByHand::RefusedInactive);
    assert_eq!(world.assign(id, Some(analyst)).await, ByHand::RefusedRole);
    assert_eq!(
        world.assign(id, Some(MemberId(Uuid::now_v7()))).await,
        ByHand::NotFound
    );
    assert_eq!(world.assignee(id).await, None);
}

#[tokio::test]
async fn another_brands_conversation_and_member_are_not_found() {
    let world = World::new(1, 5).await;
    let other = world.db.brand("Other", 1).await;
    let theirs = world.db.open(&other).await;
    let ours = world.db.open(&world.brand).await;
    assert_eq!(
        world.assign(theirs, Some(world.agents()[0])).await,
        ByHand::NotFound
    );
    assert_eq!(
        world.assign(ours, Some(other.members[1])).await,
        ByHand::NotFound
    );
    assert_eq!(world.decisions(theirs).await, []);
}

#[tokio::test]
async fn unassigned_by_hand_waits_again() {
    let world = World::new(1, 5).await;
    let id = world.db.open(&world.brand).await;
    world.route().await;
    assert_eq!(world.assign(id, None).await, ByHand::Unassigned);
    assert_eq!(world.assignee(id).await, None);
    assert_eq!(world.decisions(id).await[0].outcome, "unassigned");
    assert_eq!(world.route().await.assigned.len(), 1);
}

#[tokio::test]
async fn a_reopened_conversation_given_to_its_agent_by_hand_leaves_the_queue() {
    let world = World::new(1, 5).await;
    let id = world.db.open(&world.brand).await;
    world.route().await;
    let agent = world.assignee(id).await.unwrap();
    world
        .db
        .act(&world.brand, id, ActKind::Resolve, agent)
        .await;
    world
        .db
        .write_at(&world.brand, id, jiff::Timestamp::now())
        .await;
    world.assign(id, Some(agent)).await;
    assert_eq!(world.loads(&[agent]).await, [1]);
    assert_eq!(world.route().await.kept, 0);
}

async fn claim(world: &World, id: roost_domain::ids::ConversationId, member: MemberId) -> bool {
    let brand = world.brand.id;
    world
        .db
        .store
        .brand(brand, move |tx| {
            Box::pin(async move {
                let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
                ledger.lock(tx.conn(), brand, &[id]).await?;
                let cause = Cause::new(Actor::Member(member), None);
                let claimed =
                    assignments::claim_by_reply(&mut ledger, tx.conn(), id, member, &cause).await?;
                ledger.flush(tx.conn()).await?;
                Ok::<_, StoreError>(claimed)
            })
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn a_reply_claims_what_nobody_has() {
    let world = World::new(2, 5).await;
    let (first, second) = (world.agents()[0], world.agents()[1]);
    let id = world.db.open(&world.brand).await;
    assert!(claim(&world, id, first).await);
    assert!(!claim(&world, id, second).await);
    assert_eq!(world.assignee(id).await, Some(first));
    assert_eq!(world.decisions(id).await[0].decided_by, "reply");
    assert!(world.route().await.assigned.is_empty());
}

#[tokio::test]
async fn moved_to_a_full_team_it_leaves_its_agent_and_gets_one_when_room_appears() {
    let world = World::new(2, 1).await;
    let (left, right) = (world.agents()[0], world.agents()[1]);
    let team = TeamId(Uuid::now_v7());
    world
        .owner_runs(&format!(
            "insert into teams (brand_id, id, name) values ('{0}', '{1}', 'Second')",
            world.brand.id.0, team.0
        ))
        .await;
    world
        .owner_runs(&format!(
            "update team_members set team_id = '{}' where member_id = '{}'",
            team.0, right.0
        ))
        .await;
    let id = world.db.open(&world.brand).await;
    world.route().await;
    assert_eq!(world.assignee(id).await, Some(left));
    let full = world.db.open(&world.brand).await;
    world.assign(full, Some(right)).await;
    let (brand, owner) = (world.brand.id, world.owner());
    let moved = world
        .db
        .store
        .brand(brand, move |tx| {
            Box::pin(async move {
                let cause = Cause::new(Actor::Member(owner), None);
                let unknown = TeamId(Uuid::now_v7());
                let lost = assignments::move_to_team(tx, id, unknown, owner, &cause).await?;
                assert_eq!(lost, Moved::NotFound);
                assignments::move_to_team(tx, id, team, owner, &cause).await
            })
        })
        .await
        .unwrap();
    assert_eq!(moved, Moved::Done);
    assert_eq!(world.assignee(id).await, None);
    let route = || roost_router::step::route_team(&world.db.store, brand, team);
    route().await.unwrap();
    assert_eq!(world.assignee(id).await, None);
    world
        .db
        .act(&world.brand, full, ActKind::Resolve, right)
        .await;
    route().await.unwrap();
    assert_eq!(world.assignee(id).await, Some(right));
}
