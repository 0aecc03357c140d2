//! What people do about replies.

use roost_sender::Outcome;
use roost_store::outbound::ActOutcome;

use crate::platform::Reply;
use crate::support::{World, accept, new_id, refuse};

#[tokio::test]
async fn a_failed_reply_is_sent_again_on_demand() {
    let world = World::new(|_| refuse(403, 349)).await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello").await;
    assert_eq!(
        world.retry(message, false).await,
        ActOutcome::WrongState,
        "it waits already"
    );
    world.work().await;
    assert_eq!(world.retry(message, false).await, ActOutcome::Done);
    assert!(
        !world.conversation(conversation).await.1,
        "nobody has to look at it"
    );
    world.platform.now(accept);
    assert_eq!(world.work().await, [Outcome::Attempted("accepted")]);
    assert_eq!(world.retry(message, true).await, ActOutcome::WrongState);
    assert_eq!(world.count("select count(*) from send_attempts").await, 2);
}

#[tokio::test]
async fn an_unconfirmed_reply_is_sent_again_only_when_confirmed() {
    let world = World::new(|_| Reply::Reset).await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello").await;
    world.work().await;
    assert_eq!(
        world.retry(message, true).await,
        ActOutcome::WrongState,
        "it may still settle by itself"
    );
    assert_eq!(world.cancel(message).await, ActOutcome::WrongState);
    world.age(message, 901.0).await;
    world.work().await;
    assert_eq!(
        world.retry(message, false).await,
        ActOutcome::NeedsConfirmation
    );
    assert_eq!(world.retry(message, true).await, ActOutcome::Done);
    world.platform.now(accept);
    assert_eq!(world.work().await, [Outcome::Attempted("accepted")]);
    assert_eq!(world.platform.sends().len(), 2);
}

#[tokio::test]
async fn only_a_waiting_reply_can_be_called_off() {
    let world = World::new(accept).await;
    let conversation = world.customer().await;
    let message = world.reply(conversation, "hello").await;
    assert_eq!(world.cancel(message).await, ActOutcome::Done);
    assert!(world.work().await.is_empty());
    let stands = world.stands(message).await;
    assert_eq!(
        (stands.state.as_str(), stands.code.as_deref()),
        ("failed", Some("cancelled"))
    );
    assert!(!world.conversation(conversation).await.1);
    assert_eq!(world.cancel(message).await, ActOutcome::WrongState);
    assert_eq!(world.mark_sent(message).await, ActOutcome::WrongState);
    let nobody = roost_domain::ids::MessageId(uuid());
    assert_eq!(world.cancel(nobody).await, ActOutcome::Missing);
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::now_v7()
}

#[tokio::test]
async fn a_persons_word_counts_until_an_echo_says_when() {
    let world = World::new(|_| Reply::Reset).await;
    let conversation = world.customer().await;
    let (message, second) = (
        world.reply(conversation, "hello").await,
        world.reply(conversation, "two").await,
    );
    world.work().await;
    let id = new_id();
    assert_eq!(world.mark_sent(message).await, ActOutcome::Done);
    let stands = world.stands(message).await;
    assert_eq!(
        (stands.state.as_str(), stands.platform_event_id),
        ("sent", None)
    );
    assert_eq!(
        world.conversation(conversation).await,
        ("pending".to_owned(), false, "met".to_owned())
    );
    assert_eq!(world.echo(conversation, "hello", id).await, Some(message));
    assert_eq!(
        world.stands(message).await.platform_event_id,
        Some(id.to_string())
    );
    assert_eq!(
        world.conversation(conversation).await,
        ("pending".to_owned(), false, "met".to_owned())
    );
    assert_eq!(
        world
            .count("select count(*) from events where type = 'message.sent'")
            .await,
        1
    );
    assert_eq!(world.echo(conversation, "hello", new_id()).await, None);
    // A second one may be marked as well.
    assert_eq!(world.work().await, [Outcome::Attempted("unknown")]);
    assert_eq!(world.mark_sent(second).await, ActOutcome::Done);
}
