//! Webhooks of apps that brands bring along.

use crate::support::{Running, dm, post_of, sealer};
use roost_bus::Lane;
use roost_domain::ids::XAppId;
use roost_platforms::x::{crc, signature};
use roost_store::x_apps::{self, NewXApp, XAppChange};
use roost_tests::db::{Brand, TestDb};
use roost_tests::wait::until;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

async fn add(db: &TestDb, brand: &Brand, secret: &'static str) -> XAppId {
    let made = db.store.brand(brand.id, move |tx| {
        Box::pin(async move {
            let new = NewXApp {
                name: "Own".to_owned(),
                app_id: 31,
                consumer_key: "own-key".to_owned(),
                consumer_secret: secret.into(),
                bearer_token: None,
            };
            x_apps::create(tx, &new, &sealer()).await
        })
    });
    made.await.unwrap()
}

/// The status of a POST of the app, signed with a secret.
async fn post(role: &Running, app: &str, secret: &str, number: u64) -> u16 {
    let body = post_of("7001", &[dm(number, "7001", "42", "hi")]);
    let signed = signature::sign(&secret.into(), body.as_bytes());
    role.post_to(app, &body, &signed).await.status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_works_from_the_moment_it_is_there_until_it_is_taken_away() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let role = Running::live(Some(db.store.clone())).await;
    // Nobody's, and not even a name of one.
    let guess = XAppId(uuid::Uuid::now_v7()).to_string();
    assert_eq!(post(&role, &guess, "first", 1).await, 404);
    assert_eq!(post(&role, "other", "first", 1).await, 404);
    let id = add(&db, &brand, "first").await;
    let app = id.to_string();
    until("the app to be served", SOON, || async {
        (post(&role, &app, "first", 1).await == 200).then_some(())
    })
    .await;
    let event = &role.received(Lane::Main, 1).await[0];
    assert_eq!(
        (event.app.as_str(), event.account_id.as_str()),
        (app.as_str(), "7001")
    );
    assert_eq!(
        post(&role, &app, crate::support::SECRET, 2).await,
        401,
        "the installation's secret"
    );
    let challenge = role.url(&format!("/webhooks/x/{app}?crc_token=token"));
    let answer = reqwest::get(challenge).await.unwrap().text().await.unwrap();
    let wanted = crc::respond(&"first".into(), "token").unwrap();
    assert!(answer.contains(&wanted), "{answer}");
    until("the challenge to be noted", SOON, || async {
        let mut owner = db.owner().await;
        let count = noted(&mut owner, &app).await;
        (count == 1).then_some(())
    })
    .await;

    let change = XAppChange {
        consumer_secret: Some("second".into()),
        ..XAppChange::default()
    };
    let changed = db.store.brand(brand.id, move |tx| {
        Box::pin(async move { x_apps::change(tx, id, &change, &sealer()).await })
    });
    assert!(changed.await.unwrap());
    until("the new secret to be known", SOON, || async {
        (post(&role, &app, "second", 3).await == 200).then_some(())
    })
    .await;
    assert_eq!(
        post(&role, &app, "first", 4).await,
        200,
        "the old one is honoured for a day"
    );

    let gone = db.store.brand(brand.id, move |tx| {
        Box::pin(async move { x_apps::delete(tx, id).await })
    });
    gone.await.unwrap();
    until("the app to be forgotten", SOON, || async {
        (post(&role, &app, "second", 5).await == 404).then_some(())
    })
    .await;
    role.finish().await;
}

async fn noted(owner: &mut sqlx::PgConnection, app: &str) -> i64 {
    sqlx::query_scalar("select count(*) from app_signs where platform = 'x' and app = $1")
        .bind(app)
        .fetch_one(owner)
        .await
        .unwrap()
}
