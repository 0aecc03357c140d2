//! What the platform answers, and what comes of it.

use jiff::{SignedDuration, Timestamp};
use roost_sender::Outcome;
use roost_store::outbound::Put;
use serde_json::json;

use crate::platform::Reply;
use crate::support::{World, accept, accept_as, connect, customer, desk, new_id, refuse};

#[tokio::test]
async fn an_accepted_reply_is_sent_and_answers_the_customer() {
    let ids = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let given = ids.clone();
    let reset = Timestamp::now().as_second() + 900;
    let world = World::new(move |_| {
        let id = new_id();
        given.lock().unwrap().push(id);
        accept_as(id)
            .with("x-rate-limit-limit", 15)
            .with("x-rate-limit-remaining", 14)
            .with("x-rate-limit-reset", reset)
    })
    .await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello \u{1f44b}").await;
    assert_eq!(world.work().await, [Outcome::Attempted("accepted")]);

    let stands = world.stands(message).await;
    assert_eq!(
        (stands.state.as_str(), stands.settled_by.as_deref()),
        ("sent", Some("answer"))
    );
    assert_eq!(
        stands.platform_event_id,
        Some(ids.lock().unwrap()[0].to_string())
    );
    assert_eq!(
        world.conversation(conversation).await,
        ("pending".to_owned(), false, "met".to_owned())
    );
    let events = world.events(conversation).await;
    assert!(
        events.ends_with(&[
            "message.sent".into(),
            "sla.met".into(),
            "conversation.status_changed".into()
        ]),
        "{events:?}"
    );
    let sends = world.platform.sends();
    assert_eq!(sends.len(), 1);
    let body: serde_json::Value = serde_json::from_str(&sends[0].body).unwrap();
    assert_eq!(body, json!({ "text": "hello \u{1f44b}" }));
    assert_eq!(
        world
            .count("select remaining::bigint from channel_send_budgets")
            .await,
        14
    );
    assert_eq!(world.count("select count(*) from send_attempts where outcome = 'accepted' and http_status = 201").await, 1);
    assert_eq!(
        world
            .count("select count(*) from channels where last_send_at is not null")
            .await,
        1
    );
    assert_eq!(
        world
            .count(
                "select count(*) from events where type = 'message.sent' and request_id = 'req-1'"
            )
            .await,
        1
    );
}

#[tokio::test]
async fn a_recipient_who_takes_no_messages_fails_it_and_the_clock_runs_on() {
    for (status, code) in [(403, 349), (403, 150), (400, 151)] {
        let world = World::new(move |_| refuse(status, code)).await;
        let conversation = world.customer().await;
        let message = world.reply(conversation, "hello").await;
        assert_eq!(world.work().await, [Outcome::Attempted("failed")]);
        let stands = world.stands(message).await;
        assert_eq!(stands.state, "failed");
        let wanted = if code == 151 {
            "send_failed"
        } else {
            "contact_unreachable"
        };
        assert_eq!(stands.code.as_deref(), Some(wanted));
        assert!(stands.detail.unwrap().contains(&code.to_string()));
        assert_eq!(
            world.conversation(conversation).await,
            ("open".to_owned(), true, "running".to_owned())
        );
        assert_eq!(
            world.events(conversation).await.last().unwrap(),
            "message.failed"
        );
        assert!(world.work().await.is_empty(), "no retry");
        assert_eq!(world.platform.sends().len(), 1);
    }
}

#[tokio::test]
async fn one_bad_recipient_does_not_stop_the_line() {
    let world = World::new(accept).await;
    let mut conversations = Vec::new();
    for _ in 0..20 {
        let conversation = world.customer().await;
        world.reply(conversation, "hello").await;
        conversations.push(conversation);
    }
    let mut first = true;
    world.platform.now(move |asked| {
        if std::mem::take(&mut first) {
            refuse(403, 349)
        } else {
            accept(asked)
        }
    });
    world.work().await;
    assert_eq!(
        world
            .count("select count(*) from outbound_messages where state = 'sent'")
            .await,
        19
    );
    assert_eq!(
        world
            .count("select count(*) from outbound_messages where state = 'failed'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_full_window_is_waited_for_by_the_whole_account() {
    let reset_at = Timestamp::now() + SignedDuration::from_secs(600);
    let world = World::new(move |_| {
        refuse(429, 88)
            .with("x-rate-limit-limit", 15)
            .with("x-rate-limit-remaining", 0)
            .with("x-rate-limit-reset", reset_at.as_second())
    })
    .await;
    let (one, other) = (world.customer().await, world.customer().await);
    let refused = world.reply(one, "one").await;
    let waiting = world.reply(other, "two").await;
    assert_eq!(
        world.work().await,
        [Outcome::Attempted("not_sent"), Outcome::Put(Put::Budget)]
    );
    assert_eq!(world.platform.sends().len(), 1, "the second isn't tried");
    for message in [refused, waiting] {
        let stands = world.stands(message).await;
        assert_eq!(stands.state, "queued");
        let waits = stands.waits.unwrap();
        assert!(
            (590.0..=604.0).contains(&waits),
            "until the reset, not {waits}"
        );
    }
    // The window ends.
    let mut owner = world.db.owner().await;
    for statement in [
        "update channel_send_budgets set reset_at = now()",
        "update outbound_messages set not_before = now()",
    ] {
        sqlx::query(statement).execute(&mut owner).await.unwrap();
    }
    world.platform.now(accept);
    assert_eq!(world.work().await, [Outcome::Attempted("accepted"); 2]);
}

#[tokio::test]
async fn what_is_under_way_is_taken_off_the_budget() {
    let reset = Timestamp::now().as_second() + 900;
    let world = World::new(move |_| {
        accept_as(new_id())
            .with("x-rate-limit-limit", 15)
            .with("x-rate-limit-remaining", 1)
            .with("x-rate-limit-reset", reset)
    })
    .await;
    for _ in 0..4 {
        let conversation = world.customer().await;
        world.reply(conversation, "hello").await;
    }
    // The first answer says that one is left; the second takes it; the others wait.
    let outcomes = world.work().await;
    let sent = outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Attempted("accepted"))
        .count();
    assert_eq!((sent, world.platform.sends().len()), (2, 2), "{outcomes:?}");
    assert_eq!(world.count("select count(*) from outbound_messages where state = 'queued' and not_before > now()").await, 2);
}

#[tokio::test]
async fn a_plan_that_is_used_up_stops_every_account_of_the_app() {
    let world = World::new(|_| {
        Reply::json(429, json!({ "title": "UsageCapExceeded", "type": "https://api.x.com/2/problems/usage-capped" }))
    })
    .await;
    let conversation = world.customer().await;
    world.reply(conversation, "hello").await;
    assert_eq!(world.work().await, [Outcome::Attempted("not_sent")]);
    let other = world.db.brand("Other", 1).await;
    connect(&world.db, &other).await;
    let elsewhere = customer(&world.db, &other).await;
    let world = World {
        brand: other,
        ..world
    };
    world.reply(elsewhere, "hello").await;
    assert_eq!(world.work().await, [Outcome::Put(Put::Budget)]);
    assert_eq!(world.platform.sends().len(), 1);
}

#[tokio::test]
async fn a_dead_token_asks_for_a_new_one_once_and_replies_wait() {
    let world = World::new(|_| refuse(401, 89)).await;
    let (one, other) = (world.customer().await, world.customer().await);
    let message = world.reply(one, "one").await;
    world.reply(other, "two").await;
    assert_eq!(
        world.work().await,
        [
            Outcome::Attempted("reauth_required"),
            Outcome::Put(Put::Channel)
        ]
    );
    let stands = world.stands(message).await;
    assert_eq!(
        (stands.state.as_str(), stands.code.as_deref()),
        ("queued", Some("reauth_required"))
    );
    assert!(stands.waits.unwrap() > 55.0);
    assert_eq!(world.platform.sends().len(), 1, "no storm");
    assert_eq!(
        world
            .count("select count(*) from channels where status = 'reauth_required'")
            .await,
        1
    );
    assert_eq!(
        world.count("select count(*) from events where type = 'channel.reauth_required' and subject_id is not null").await,
        1
    );
    // Connected again.
    let mut owner = world.db.owner().await;
    for statement in [
        "update channels set status = 'active'",
        "update outbound_messages set not_before = now()",
    ] {
        sqlx::query(statement).execute(&mut owner).await.unwrap();
    }
    world.platform.now(accept);
    assert_eq!(world.work().await, [Outcome::Attempted("accepted"); 2]);
}

#[tokio::test]
async fn a_reply_of_a_disconnected_account_fails() {
    let world = World::new(accept).await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello").await;
    sqlx::query("update channels set status = 'disconnected'")
        .execute(&mut world.db.owner().await)
        .await
        .unwrap();
    assert_eq!(world.work().await, [Outcome::Put(Put::Failed)]);
    assert_eq!(
        world.stands(message).await.code.as_deref(),
        Some("channel_disconnected")
    );
    assert!(world.platform.sends().is_empty());
}

#[tokio::test]
async fn a_platform_that_is_not_there_is_tried_again() {
    let mut world = World::new(accept).await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello").await;
    let there = std::mem::replace(&mut world.desk, desk(&world.db, "http://127.0.0.1:9"));
    assert_eq!(world.work().await, [Outcome::Attempted("not_sent")]);
    let stands = world.stands(message).await;
    assert_eq!(
        (stands.state.as_str(), stands.code.as_deref()),
        ("queued", Some("not_sent"))
    );
    world.desk = there;
    world.age(message, 3.0).await;
    assert_eq!(world.work().await, [Outcome::Attempted("accepted")]);
    assert_eq!(world.stands(message).await.attempt_no, 2);
}

#[tokio::test]
async fn a_sender_that_slept_before_the_first_byte_gives_up() {
    let mut world = World::new(accept).await;
    world.desk.give_up_after = std::time::Duration::ZERO;
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello").await;
    let due = world.due().await;
    assert_eq!(
        roost_sender::step::work(&world.desk, due[0]).await.unwrap(),
        Outcome::Attempted("not_sent")
    );
    assert_eq!(world.stands(message).await.state, "queued");
    assert!(world.platform.sends().is_empty());
}

#[tokio::test]
async fn the_older_call_sends_as_well() {
    let mut world = World::new(|_| {
        let id = new_id();
        let at = crate::support::sent_at(id).as_millisecond();
        Reply::json(
            200,
            json!({ "event": { "id": id.to_string(), "created_timestamp": at.to_string() } }),
        )
    })
    .await;
    world.desk.api = roost_platforms::x::client::SendApi::V1_1;
    let conversation = world.customer().await;
    world.reply(conversation, "hello").await;
    assert_eq!(world.work().await, [Outcome::Attempted("accepted")]);
    assert!(
        world.platform.sends()[0]
            .line
            .contains("/1.1/direct_messages/events/new.json")
    );
    assert_eq!(
        world.conversation(conversation).await,
        ("pending".to_owned(), false, "met".to_owned())
    );
}
