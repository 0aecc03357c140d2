//! Echoes that came first and were taken for messages of their own.

use roost_domain::ids::{ConversationId, MessageId};
use roost_sender::Outcome;
use roost_store::outbound::{self, Answer, Ending, Put, Settled, Sighting, Work};

use crate::doubt::{lose_sends, shows};
use crate::support::{World, accept, new_id, refuse, sealer, sent_at, terms};

const TEXT: &str = "hello";

fn once(author: &str) -> Vec<(String, String)> {
    vec![(author.to_owned(), TEXT.to_owned())]
}

/// The reply is sent by this id, shown once, and nothing of the stray is left but that it is gone.
async fn is_the_reply(
    world: &World,
    conversation: ConversationId,
    message: MessageId,
    id: i64,
    sends: usize,
) {
    let stands = world.stands(message).await;
    assert_eq!(
        (stands.state.as_str(), stands.platform_event_id),
        ("sent", Some(id.to_string()))
    );
    assert_eq!(world.thread(conversation).await, once("member"));
    assert_eq!(
        world.conversation(conversation).await,
        ("pending".to_owned(), false, "met".to_owned())
    );
    let settled_by: uuid::Uuid = sqlx::query_scalar("select settled_by from sla_clocks")
        .fetch_one(&mut world.db.owner().await)
        .await
        .unwrap();
    assert_eq!(settled_by, message.0, "the reply answered the customer");
    let told = world.events(conversation).await;
    let deleted = told.iter().filter(|kind| *kind == "message.deleted");
    assert_eq!(deleted.count(), 1, "{told:?}");
    assert!(world.work().await.is_empty());
    assert_eq!(world.platform.sends().len(), sends);
}

#[tokio::test]
async fn a_reply_whose_echo_was_not_recognised_is_settled_by_it_and_never_sent_again() {
    // The look-up would show nothing; it isn't even asked.
    let world = World::new(|_| refuse(500, 1)).await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, TEXT).await;
    world.crash_after_accept(message).await;
    let id = new_id();
    world.stray(conversation, TEXT, id, "external").await;
    assert_eq!(world.thread(conversation).await.len(), 2);
    world.age(message, 31.0).await;
    assert_eq!(world.work().await, [Outcome::Put(Put::Unconfirmed)]);
    world.age(message, 30.0).await;
    assert_eq!(world.work().await, [Outcome::Put(Put::Settled)]);
    assert_eq!(
        world.stands(message).await.settled_by.as_deref(),
        Some("echo")
    );
    is_the_reply(&world, conversation, message, id, 0).await;
}

#[tokio::test]
async fn a_look_up_that_shows_a_stray_or_misses_it_takes_it_for_the_reply() {
    for is_shown in [true, false] {
        let world = World::new(|_| refuse(500, 1)).await;
        let conversation = world.customer().await;
        let message = world.reply(conversation, TEXT).await;
        world.crash_after_accept(message).await;
        world.age(message, 31.0).await;
        world.work().await;
        world.age(message, 61.0).await;
        let due = world.due().await[0];
        let taken = outbound::take(&world.db.store, due, terms(), &sealer())
            .await
            .unwrap();
        let Work::LookUp(doubt) = taken else {
            panic!("{taken:?}")
        };
        // The echo comes while the platform is asked.
        let id = new_id();
        world.stray(conversation, TEXT, id, "external").await;
        let sighting = Sighting {
            platform_event_id: id.to_string(),
            event_no: id,
            sent_at: sent_at(id),
            fingerprint: roost_platforms::x::fingerprint::fingerprint(TEXT),
        };
        let shown = if is_shown { vec![sighting] } else { Vec::new() };
        let settled = outbound::settle_doubt(&world.db.store, &doubt, shown, None).await;
        assert_eq!(settled.unwrap(), Settled::Sent, "shown: {is_shown}");
        is_the_reply(&world, conversation, message, id, 0).await;
    }
}

#[tokio::test]
async fn a_stray_that_another_app_seems_to_have_written_leaves_it_to_a_person() {
    let world = World::new(accept).await;
    let account = world.brand.account_id.clone();
    let conversation = world.customer().await;
    let message = world.reply(conversation, TEXT).await;
    world.crash_after_accept(message).await;
    let id = new_id();
    world.stray(conversation, TEXT, id, "bot").await;
    world
        .platform
        .now(lose_sends(move || shows(&account, &[(id, TEXT)], false)));
    world.age(message, 31.0).await;
    assert_eq!(world.work().await, [Outcome::Put(Put::Unconfirmed)]);
    world.age(message, 30.0).await;
    assert_eq!(world.work().await, [Outcome::LookedUp(Settled::Open)]);
    let account = world.brand.account_id.clone();
    world
        .platform
        .now(lose_sends(move || shows(&account, &[], false)));
    world.age(message, 61.0).await;
    assert_eq!(world.work().await, [Outcome::LookedUp(Settled::Open)]);
    world.age(message, 900.0).await;
    assert_eq!(world.work().await, [Outcome::Put(Put::Undecided)]);
    assert!(world.platform.sends().is_empty());
    // Who says that it arrived has seen it in the thread.
    sqlx::query("update send_attempts set started_at = now()")
        .execute(&mut world.db.owner().await)
        .await
        .unwrap();
    assert_eq!(world.mark_sent(message).await, outbound::ActOutcome::Done);
    assert_eq!(
        world.stands(message).await.settled_by.as_deref(),
        Some("member")
    );
    is_the_reply(&world, conversation, message, id, 0).await;
}

#[tokio::test]
async fn a_late_answer_takes_the_place_of_its_stray() {
    let world = World::new(accept).await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, TEXT).await;
    let claimed = world.crash_after_accept(message).await;
    let id = new_id();
    world.stray(conversation, TEXT, id, "external").await;
    let ending = Ending::Accepted {
        platform_event_id: id.to_string(),
        event_no: id,
        sent_at: sent_at(id),
    };
    let answer = Answer {
        ending,
        http_status: Some(201),
        budget: None,
        pause: None,
    };
    assert!(
        outbound::finish(&world.db.store, &claimed, answer, terms())
            .await
            .unwrap()
    );
    is_the_reply(&world, conversation, message, id, 0).await;
}

#[tokio::test]
async fn a_stray_that_comes_after_the_look_up_stops_the_second_send() {
    let world = World::new(|_| crate::platform::Reply::Reset).await;
    let account = world.brand.account_id.clone();
    world
        .platform
        .now(lose_sends(move || shows(&account, &[], false)));
    let conversation = world.customer().await;
    let message = world.reply(conversation, TEXT).await;
    assert_eq!(world.work().await, [Outcome::Attempted("unknown")]);
    let id = new_id();
    world.age(message, 61.0).await;
    let due = world.due().await[0];
    let looked_up = roost_sender::step::work(&world.desk, due).await.unwrap();
    assert_eq!(looked_up, Outcome::LookedUp(Settled::Queued));
    world.stray(conversation, TEXT, id, "external").await;
    assert_eq!(
        world.work().await,
        [Outcome::Put(Put::Unconfirmed), Outcome::Put(Put::Settled)]
    );
    is_the_reply(&world, conversation, message, id, 1).await;
}

#[tokio::test]
async fn a_message_of_another_text_or_time_is_no_stray_of_the_reply() {
    let world = World::new(accept).await;
    let account = world.brand.account_id.clone();
    let conversation = world.customer().await;
    let message = world.reply(conversation, TEXT).await;
    world.crash_after_accept(message).await;
    world
        .stray(conversation, "something else", new_id(), "external")
        .await;
    let late = world.stray(conversation, TEXT, new_id(), "external").await;
    sqlx::query("update messages set sent_at = sent_at + interval '6 minutes' where id = $1")
        .bind(late.0)
        .execute(&mut world.db.owner().await)
        .await
        .unwrap();
    world.platform.now(move |asked| {
        if asked.is_send() {
            accept(asked)
        } else {
            shows(&account, &[], false)
        }
    });
    world.age(message, 31.0).await;
    world.work().await;
    world.age(message, 30.0).await;
    assert_eq!(
        world.work().await,
        [
            Outcome::LookedUp(Settled::Queued),
            Outcome::Attempted("accepted")
        ]
    );
    assert_eq!(world.thread(conversation).await.len(), 3);
}

#[tokio::test]
async fn a_message_that_another_reply_has_claimed_is_no_evidence() {
    let world = World::new(accept).await;
    let conversation = world.customer().await;
    world.reply(conversation, TEXT).await;
    assert_eq!(world.work().await, [Outcome::Attempted("accepted")]);
    let claimed: i64 = world
        .count("select max(platform_event_id::bigint) from messages where kind = 'reply'")
        .await;
    let account = world.brand.account_id.clone();
    world.platform.now(lose_sends(move || {
        shows(&account, &[(claimed, TEXT)], true)
    }));
    let message = world.reply(conversation, TEXT).await;
    assert_eq!(world.work().await, [Outcome::Attempted("unknown")]);
    world.age(message, 61.0).await;
    sqlx::query("update send_attempts set started_at = now() where message_id = $1")
        .bind(message.0)
        .execute(&mut world.db.owner().await)
        .await
        .unwrap();
    let looked_up = world.work().await;
    assert_eq!(looked_up, [Outcome::LookedUp(Settled::Open)]);
    assert_eq!(world.thread(conversation).await.len(), 2);
}
