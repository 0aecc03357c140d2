//! Replies of which nobody saw what became of them.

use std::time::Duration;

use jiff::Timestamp;
use roost_domain::ids::MessageId;
use roost_sender::{Outcome, step};
use roost_store::outbound::{self, Put, Settled, Terms, Work};
use roost_tests::wait::until;
use serde_json::{Value, json};

use crate::platform::{Asked, Reply};
use crate::support::{SOON, World, accept, accept_as, limits, new_id, refuse, sealer, sent_at};

const UNKNOWN: Outcome = Outcome::Attempted("unknown");

/// A look-up's answer: these messages of the account, and whether there are older ones.
pub(crate) fn shows(account: &str, messages: &[(i64, &str)], has_more: bool) -> Reply {
    let entry = |(id, text): &(i64, &str)| {
        json!({ "id": id.to_string(), "event_type": "MessageCreate", "text": text, "sender_id": account,
                "created_at": sent_at(*id).to_string() })
    };
    let data: Vec<Value> = messages.iter().map(entry).collect();
    let mut meta = json!({ "result_count": data.len() });
    if has_more {
        meta["next_token"] = "more".into();
    }
    Reply::json(
        200,
        if data.is_empty() {
            json!({ "meta": meta })
        } else {
            json!({ "data": data, "meta": meta })
        },
    )
}

pub(crate) fn lose_sends(
    mut look_up: impl FnMut() -> Reply + Send + 'static,
) -> impl FnMut(&Asked) -> Reply + Send {
    move |asked| {
        if asked.is_send() {
            Reply::Reset
        } else {
            look_up()
        }
    }
}

async fn is_unknown(world: &World, message: MessageId) {
    let stands = world.stands(message).await;
    assert_eq!(
        (stands.state.as_str(), stands.needs_decision),
        ("unknown", false)
    );
}

#[tokio::test]
async fn an_empty_success_is_no_success() {
    let answers = [
        Reply::Answer {
            status: 200,
            headers: Vec::new(),
            body: String::new(),
        },
        Reply::Answer {
            status: 201,
            headers: Vec::new(),
            body: "garbage".to_owned(),
        },
        Reply::json(500, json!({})),
        refuse(403, 131),
        Reply::Reset,
        Reply::Hang(Duration::from_secs(5)),
    ];
    for answer in answers {
        let told = answer.clone();
        let world = World::new(move |_| told.clone()).await;
        let conversation = world.customer().await;
        let message = world.reply(conversation, "hello").await;
        assert_eq!(world.work().await, [UNKNOWN], "{answer:?}");
        is_unknown(&world, message).await;
        assert!(
            (50.0..=60.5).contains(&world.stands(message).await.waits.unwrap()),
            "quiet first"
        );
        assert_eq!(
            world.conversation(conversation).await,
            ("open".to_owned(), false, "running".to_owned())
        );
        assert_eq!(
            world.events(conversation).await.last().unwrap(),
            "message.unconfirmed"
        );
        assert_eq!(world.platform.sends().len(), 1);
    }
}

#[tokio::test]
async fn the_echo_settles_a_reply_in_doubt() {
    let world = World::new(|_| Reply::Reset).await;
    let conversation = world.customer().await;
    let message = world
        .reply(conversation, "see https://example.com & more")
        .await;
    assert_eq!(world.work().await, [UNKNOWN]);
    let id = new_id();
    assert_eq!(world.echo(conversation, "another text", id).await, None);
    assert_eq!(
        world
            .echo(conversation, "see https://t.co/abc &amp; more", id)
            .await,
        Some(message)
    );
    let stands = world.stands(message).await;
    assert_eq!(
        (stands.state.as_str(), stands.settled_by.as_deref()),
        ("sent", Some("echo"))
    );
    assert_eq!(
        world.conversation(conversation).await,
        ("pending".to_owned(), false, "met".to_owned())
    );
    assert_eq!(
        world
            .echo(conversation, "see https://t.co/abc &amp; more", new_id())
            .await,
        None,
        "claimed"
    );
    assert!(world.work().await.is_empty());
}

#[tokio::test]
async fn an_echo_outside_the_window_or_of_a_reply_never_tried_explains_nothing() {
    let world = World::new(|_| Reply::Reset).await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello").await;
    assert_eq!(
        world.echo(conversation, "hello", new_id()).await,
        None,
        "queued only"
    );
    world.work().await;
    world.age(message, 301.0).await;
    assert_eq!(
        world.echo(conversation, "hello", new_id()).await,
        None,
        "later than 5 min"
    );
    world.age(message, -310.0).await;
    assert_eq!(
        world.echo(conversation, "hello", new_id()).await,
        None,
        "earlier than 5 s before"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_may_overtake_the_answer() {
    let id = new_id();
    let (asked, mut was_asked) = tokio::sync::mpsc::unbounded_channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let world = World::new(move |_| {
        asked.send(()).unwrap();
        // Blocks the platform's thread until the echo is in.
        gone.recv_timeout(Duration::from_millis(1_500)).ok();
        accept_as(id)
    })
    .await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello").await;
    let due = world.due().await[0];
    let desk = world.desk.clone();
    let sending = tokio::spawn(async move { step::work(&desk, due).await.unwrap() });
    was_asked.recv().await.unwrap();
    assert_eq!(world.echo(conversation, "hello", id).await, Some(message));
    go.send(()).unwrap();
    assert_eq!(sending.await.unwrap(), Outcome::Attempted("accepted"));
    let stands = world.stands(message).await;
    assert_eq!(
        (stands.settled_by.as_deref(), stands.platform_event_id),
        (Some("echo"), Some(id.to_string()))
    );
    assert_eq!(
        world
            .count("select count(*) from messages where kind <> 'inbound'")
            .await,
        1
    );
    assert_eq!(
        world
            .count("select count(*) from events where type = 'message.sent'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_sender_killed_in_the_middle_leaves_a_doubt_and_never_a_second_send() {
    let world = World::new(accept).await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello").await;
    let due = world.due().await[0];
    let terms = Terms {
        lease: limits().lease,
        quiet: limits().quiet,
    };
    let taken = outbound::take(&world.db.store, due, terms, &sealer())
        .await
        .unwrap();
    let Work::Send(claimed) = taken else {
        panic!("{taken:?}")
    };
    // Killed here: nobody knows whether the request went out.
    assert!(
        world.due().await.is_empty(),
        "another must not touch it while the lease lasts"
    );
    world.age(message, 31.0).await;
    assert_eq!(world.work().await, [Outcome::Put(Put::Unconfirmed)]);
    is_unknown(&world, message).await;
    assert!(world.platform.sends().is_empty());
    assert_eq!(
        world.events(conversation).await.last().unwrap(),
        "message.unconfirmed"
    );
    assert_eq!(
        world
            .count("select count(*) from send_attempts where outcome = 'unknown'")
            .await,
        1
    );

    // It was only slow: a late refusal is fenced off, a late acceptance is the truth.
    let refused = outbound::Ending::Failed {
        code: "forbidden".to_owned(),
        detail: "no".to_owned(),
    };
    let answer = |ending| outbound::Answer {
        ending,
        http_status: None,
        budget: None,
        pause: None,
    };
    assert!(
        !outbound::finish(&world.db.store, &claimed, answer(refused), terms)
            .await
            .unwrap()
    );
    is_unknown(&world, message).await;
    let id = new_id();
    let accepted = outbound::Ending::Accepted {
        platform_event_id: id.to_string(),
        event_no: id,
        sent_at: sent_at(id),
    };
    assert!(
        outbound::finish(&world.db.store, &claimed, answer(accepted), terms)
            .await
            .unwrap()
    );
    assert_eq!(world.stands(message).await.state, "sent");
}

#[tokio::test]
async fn a_look_up_finds_it() {
    let world = World::new(|_| Reply::Reset).await;
    let account = world.brand.account_id.clone();
    let conversation = world.customer().await;
    let (before, id) = (new_id(), new_id() + 1);
    world.platform.now(move |asked| {
        if asked.is_send() {
            accept_as(before)
        } else {
            refuse(500, 1)
        }
    });
    let earlier = world.reply(conversation, "hello").await;
    world.work().await;
    world.platform.now(lose_sends(move || {
        shows(&account, &[(id, "hello"), (before, "hello")], true)
    }));
    let message = world.reply(conversation, "hello").await;
    assert_eq!(world.work().await, [UNKNOWN]);
    world.age(message, 61.0).await;
    sqlx::query("update send_attempts set started_at = now() where message_id = $1")
        .bind(earlier.0)
        .execute(&mut world.db.owner().await)
        .await
        .unwrap();
    assert_eq!(world.work().await, [Outcome::LookedUp(Settled::Sent)]);
    let stands = world.stands(message).await;
    assert_eq!(stands.settled_by.as_deref(), Some("lookup"));
    assert_eq!(
        stands.platform_event_id,
        Some(id.to_string()),
        "the other is claimed already"
    );
}

#[tokio::test]
async fn a_look_up_that_shows_nothing_sends_again_once_and_only_once() {
    let world = World::new(|_| Reply::Reset).await;
    let account = world.brand.account_id.clone();
    world
        .platform
        .now(lose_sends(move || shows(&account, &[], false)));
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello").await;
    assert_eq!(world.work().await, [UNKNOWN]);
    world.age(message, 61.0).await;
    // The look-up proves its absence, and it is sent again at once; lost again.
    sqlx::query("update outbound_messages set queued_at = now()")
        .execute(&mut world.db.owner().await)
        .await
        .unwrap();
    assert_eq!(
        world.work().await,
        [Outcome::LookedUp(Settled::Queued), UNKNOWN]
    );
    assert_eq!(world.platform.sends().len(), 2);
    for _ in 0..3 {
        world.age(message, 61.0).await;
        assert_eq!(world.work().await, [Outcome::LookedUp(Settled::Open)]);
        is_unknown(&world, message).await;
    }
    assert_eq!(
        world.platform.sends().len(),
        2,
        "never a third time by itself"
    );
    world.age(message, 900.0).await;
    assert_eq!(world.work().await, [Outcome::Put(Put::Undecided)]);
    let stands = world.stands(message).await;
    assert_eq!(
        (stands.state.as_str(), stands.needs_decision),
        ("unknown", true)
    );
    assert_eq!(
        world.conversation(conversation).await,
        ("open".to_owned(), true, "running".to_owned())
    );
    assert!(world.work().await.is_empty());
}

#[tokio::test]
async fn an_echo_that_comes_after_the_look_up_stops_the_second_send() {
    let world = World::new(|_| Reply::Reset).await;
    let account = world.brand.account_id.clone();
    world
        .platform
        .now(lose_sends(move || shows(&account, &[], false)));
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello").await;
    world.work().await;
    world.age(message, 61.0).await;
    let due = world.due().await[0];
    assert_eq!(
        step::work(&world.desk, due).await.unwrap(),
        Outcome::LookedUp(Settled::Queued)
    );
    assert_eq!(world.stands(message).await.state, "queued");
    assert_eq!(
        world.echo(conversation, "hello", new_id()).await,
        Some(message)
    );
    assert!(world.work().await.is_empty());
    assert_eq!(world.platform.sends().len(), 1);
}

#[tokio::test]
async fn a_look_up_that_reaches_not_far_enough_or_fails_decides_nothing() {
    let world = World::new(|_| Reply::Reset).await;
    let account = world.brand.account_id.clone();
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello").await;
    world.work().await;
    let newest = new_id();
    world.platform.now(lose_sends(move || {
        shows(&account, &[(newest, "other")], true)
    }));
    world.age(message, 61.0).await;
    assert_eq!(world.work().await, [Outcome::LookedUp(Settled::Open)]);
    is_unknown(&world, message).await;
    let reset_at = Timestamp::now().as_second() + 300;
    world.platform.now(lose_sends(move || {
        refuse(429, 88)
            .with("x-rate-limit-limit", 15)
            .with("x-rate-limit-remaining", 0)
            .with("x-rate-limit-reset", reset_at)
    }));
    world.age(message, 61.0).await;
    assert_eq!(world.work().await, [Outcome::LookedUp(Settled::Open)]);
    let waits = world.stands(message).await.waits.unwrap();
    assert!(
        (290.0..=301.0).contains(&waits),
        "until the reset, not {waits}"
    );
}

#[tokio::test]
async fn a_reply_left_to_a_person_stops_only_its_equals() {
    let world = World::new(|_| Reply::Reset).await;
    let conversation = world.customer().await;
    let lost = world.reply(conversation, "hello").await;
    assert_eq!(world.work().await, [UNKNOWN]);
    let other = world.reply(conversation, "another").await;
    let equal = world.reply(conversation, "hello").await;
    assert!(
        world.work().await.is_empty(),
        "one of a conversation at a time"
    );
    world.age(lost, 901.0).await;
    world.platform.now(accept);
    let outcomes = world.work().await;
    assert_eq!(
        outcomes,
        [Outcome::Put(Put::Undecided), Outcome::Attempted("accepted")]
    );
    assert_eq!(world.stands(other).await.state, "sent");
    assert_eq!(world.stands(equal).await.state, "queued");
    assert_eq!(world.mark_sent(lost).await, outbound::ActOutcome::Done);
    until("the equal one", SOON, async || {
        (world.work().await == [Outcome::Attempted("accepted")]).then_some(())
    })
    .await;
    assert_eq!(world.stands(equal).await.state, "sent");
}
