//! Who goes first, and that nobody goes twice.

use roost_sender::{Outcome, step};
use roost_store::outbound::{ActOutcome, Put};

use crate::platform::Reply;
use crate::support::{World, accept, connect, customer, refuse, reply};

#[tokio::test]
async fn replies_of_a_conversation_keep_their_order() {
    let world = World::new(accept).await;
    let conversation = world.customer().await;
    for number in 0..5 {
        world.reply(conversation, &format!("number {number}")).await;
    }
    world.work().await;
    let texts: Vec<String> = world
        .platform
        .sends()
        .into_iter()
        .map(|asked| asked.body)
        .collect();
    let wanted: Vec<String> = (0..5)
        .map(|number| format!("{{\"text\":\"number {number}\"}}"))
        .collect();
    assert_eq!(texts, wanted);
}

#[tokio::test]
async fn a_reply_in_doubt_holds_those_behind_it() {
    let world = World::new(|_| Reply::Reset).await;
    let (conversation, elsewhere) = (world.customer().await, world.customer().await);
    let first = world.reply(conversation, "one").await;
    let second = world.reply(conversation, "two").await;
    assert_eq!(world.work().await, [Outcome::Attempted("unknown")]);
    world.platform.now(accept);
    world.reply(elsewhere, "three").await;
    assert_eq!(
        world.work().await,
        [Outcome::Attempted("accepted")],
        "other conversations go on"
    );
    assert_eq!(world.stands(second).await.state, "queued");
    assert_eq!(
        world
            .echo(conversation, "one", crate::support::new_id())
            .await,
        Some(first)
    );
    assert_eq!(world.work().await, [Outcome::Attempted("accepted")]);
    assert_eq!(world.stands(second).await.state, "sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_senders_send_once() {
    let world = World::new(accept).await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, "one").await;
    world.reply(conversation, "two").await;
    let due = world.due().await;
    assert_eq!(due.len(), 1, "one of a conversation");
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let (desk, due) = (world.desk.clone(), due[0]);
            tokio::spawn(async move { step::work(&desk, due).await.unwrap() })
        })
        .collect();
    let mut outcomes = Vec::new();
    for sender in senders {
        outcomes.push(sender.await.unwrap());
    }
    outcomes.retain(|outcome| *outcome != Outcome::Put(Put::Busy));
    assert_eq!(outcomes, [Outcome::Attempted("accepted")]);
    assert_eq!(world.platform.sends().len(), 1);
    assert_eq!(world.stands(message).await.attempt_no, 1);
}

#[tokio::test]
async fn people_go_before_programs_and_the_nearest_deadline_first() {
    let world = World::new(accept).await;
    let (automatic, later, sooner) = (
        world.customer().await,
        world.customer().await,
        world.customer().await,
    );
    let messages = [
        world.bot_reply(automatic, "a").await,
        world.reply(later, "b").await,
        world.reply(sooner, "c").await,
    ];
    sqlx::query(
        "update sla_clocks set due_at = due_at - interval '30 minutes' where conversation_id = $1",
    )
    .bind(sooner.0)
    .execute(&mut world.db.owner().await)
    .await
    .unwrap();
    let order: Vec<_> = world
        .due()
        .await
        .into_iter()
        .map(|due| due.message)
        .collect();
    assert_eq!(order, [messages[2], messages[1], messages[0]]);
}

#[tokio::test]
async fn an_overtaken_reply_asks_its_author() {
    let world = World::new(|_| refuse(500, 1)).await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, "yes").await;
    world.hears(conversation).await;
    world.age(message, 61.0).await;
    world.platform.now(accept);
    assert_eq!(world.work().await, [Outcome::Put(Put::Held)]);
    let stands = world.stands(message).await;
    assert_eq!(
        (stands.state.as_str(), stands.needs_decision),
        ("queued", true)
    );
    assert_eq!(stands.code.as_deref(), Some("held_for_author"));
    assert!(world.platform.sends().is_empty());
    assert_eq!(
        world.events(conversation).await.last().unwrap(),
        "message.updated"
    );
    // Others go past it; its author says that it still holds.
    world.reply(conversation, "wait").await;
    assert_eq!(world.work().await, [Outcome::Attempted("accepted")]);
    assert_eq!(world.retry(message, false).await, ActOutcome::Done);
    assert_eq!(world.work().await, [Outcome::Attempted("accepted")]);
    assert_eq!(world.stands(message).await.state, "sent");
    assert_eq!(
        world.conversation(conversation).await.0,
        "pending",
        "its author saw everything"
    );
}

#[tokio::test]
async fn only_members_are_asked_and_only_after_a_while() {
    let world = World::new(accept).await;
    let conversations = [
        world.customer().await,
        world.customer().await,
        world.customer().await,
    ];
    let bot = world.bot_reply(conversations[0], "a").await;
    let fresh = world.reply(conversations[1], "b").await;
    let old = world.reply(conversations[2], "c").await;
    world.hears(conversations[0]).await;
    world.hears(conversations[1]).await;
    world.age(bot, 8_000.0).await;
    world.age(fresh, 30.0).await;
    world.age(old, 7_201.0).await;
    world.work().await;
    assert_eq!(world.stands(bot).await.state, "sent");
    assert_eq!(world.stands(fresh).await.state, "sent");
    assert_eq!(
        world.stands(old).await.code.as_deref(),
        Some("held_for_author")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_with_one_reply_does_not_wait_for_anothers_fifty() {
    let world = World::new(accept).await;
    let quiet = world.db.brand("Quiet", 1).await;
    connect(&world.db, &quiet).await;
    for number in 0..50 {
        let conversation = world.customer().await;
        world.reply(conversation, &format!("number {number}")).await;
    }
    let conversation = customer(&world.db, &quiet).await;
    let last = reply(&world.db, &quiet, conversation, "only one", "member").await;
    let due = roost_store::outbound::due(&world.db.store, 4)
        .await
        .unwrap();
    let place = due.iter().position(|due| due.message == last);
    assert_eq!((due.len(), place), (4, Some(1)), "brands take turns");
}
