//! By which platform, and as which app of it, a reply goes out.

use roost_domain::ids::XAppId;
use roost_sender::Outcome;
use roost_store::x_apps::{self, NewXApp};
use sqlx::AssertSqlSafe;

use crate::support::{World, accept, sealer};

async fn set_channel(world: &World, columns: &str) {
    sqlx::query(AssertSqlSafe(format!(
        "update channels set {columns} where id = $1"
    )))
    .bind(world.brand.channel.0)
    .execute(&mut world.db.owner().await)
    .await
    .unwrap();
}

async fn own_app(world: &World) -> XAppId {
    let app = world.db.store.brand(world.brand.id, |tx| {
        Box::pin(async move {
            let new = NewXApp {
                name: "Own".to_owned(),
                app_id: 31,
                consumer_key: "own-key".to_owned(),
                consumer_secret: "own-secret".to_owned().into(),
                bearer_token: None,
            };
            x_apps::create(tx, &new, &sealer()).await
        })
    });
    app.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_goes_out_as_the_app_that_its_account_trusts() {
    let world = World::new(accept).await;
    let conversation = world.customer().await;
    let app = own_app(&world).await;
    world.reply(conversation, "as the installation").await;
    world.work().await;
    set_channel(&world, &format!("app = '{app}', x_app_id = '{}'", app.0)).await;
    world.reply(conversation, "as ourselves").await;
    assert_eq!(world.work().await, [Outcome::Attempted("accepted")]);
    let asked = world.platform.asked();
    assert!(
        asked[0]
            .authorization
            .contains("oauth_consumer_key=\"key\"")
    );
    assert!(
        asked[1]
            .authorization
            .contains("oauth_consumer_key=\"own-key\"")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_waits_while_the_keys_of_its_app_cannot_be_had() {
    let world = World::new(accept).await;
    let conversation = world.customer().await;
    let gone = XAppId(uuid::Uuid::now_v7());
    set_channel(&world, &format!("app = '{gone}'")).await;
    let reply = world.reply(conversation, "hello").await;
    assert_eq!(world.work().await, [Outcome::Attempted("not_sent")]);
    let stands = world.stands(reply).await;
    assert_eq!(
        (stands.state.as_str(), stands.code.as_deref()),
        ("queued", Some("not_sent"))
    );
    assert!(world.platform.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_sandbox_leaves_and_its_replies_end_as_their_texts_ask() {
    let world = World::new(accept).await;
    set_channel(&world, "platform = 'sandbox', app = 'sandbox'").await;
    let conversation = world.customer().await;
    let sent = world.reply(conversation, "on its way").await;
    assert_eq!(world.work().await, [Outcome::Attempted("accepted")]);
    let stands = world.stands(sent).await;
    assert_eq!(
        (stands.state.as_str(), stands.settled_by.as_deref()),
        ("sent", Some("answer"))
    );
    let event_id = stands.platform_event_id.unwrap();
    assert!(event_id.parse::<i64>().is_ok(), "{event_id}");
    assert_eq!(world.conversation(conversation).await.0, "pending");

    let refused = world.reply(conversation, "/fail 349").await;
    assert_eq!(world.work().await, [Outcome::Attempted("failed")]);
    let stands = world.stands(refused).await;
    assert_eq!(
        (stands.state.as_str(), stands.code.as_deref()),
        ("failed", Some("contact_unreachable"))
    );

    let doubtful = world.reply(conversation, "/unknown").await;
    assert_eq!(world.work().await, [Outcome::Attempted("unknown")]);
    world.age(doubtful, 61.0).await;
    world.work().await;
    let stands = world.stands(doubtful).await;
    assert_eq!(
        (stands.state.as_str(), stands.needs_decision),
        ("unknown", false)
    );
    world.age(doubtful, 15.0 * 60.0).await;
    world.work().await;
    assert!(
        world.stands(doubtful).await.needs_decision,
        "a person has to decide"
    );
    assert!(world.platform.asked().is_empty(), "nothing went out");
}
