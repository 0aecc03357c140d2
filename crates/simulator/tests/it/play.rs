//! The player, the demo's customers, and what survives a restart.

use std::time::{Duration, Instant};

use roost_simulator::Play;
use serde_json::{Value, json};

use crate::support::{Hook, Stage, config};

#[tokio::test]
async fn the_player_writes_as_many_as_it_says() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    stage.subscribe(&hook).await;
    let script = Play {
        url: stage.simulator.url().to_owned(),
        brand: "acme".to_owned(),
        customers: 7,
        messages: 9,
        rate: 0.0,
        seed: 3,
    };
    roost_simulator::play(script)
        .await
        .expect("the script plays");
    let arrivals = hook.wait_for(63).await;
    let mut ids: Vec<_> = arrivals
        .iter()
        .map(|arrival| arrival.json()["direct_message_events"][0]["id"].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 63);
}

#[tokio::test]
async fn demo_customers_write_and_react() {
    let mut config = config();
    config.demo = true;
    config.demo_pace = 0.002;
    let stage = Stage::with(config).await;
    let hook = Hook::start();
    stage.subscribe(&hook).await;
    let texts = async |who: &str| {
        let dms = stage.get(&format!("/sim/dms?a=acme&b={who}")).await;
        let from_them = |dm: &&Value| dm["source_app_id"].is_null();
        dms["dms"]
            .as_array()
            .map_or(0, |dms| dms.iter().filter(from_them).count())
    };
    let wait = async |who: &str, count: usize| {
        let deadline = Instant::now() + Duration::from_secs(10);
        while texts(who).await < count {
            assert!(Instant::now() < deadline, "{who} says nothing");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    wait("maya_rides", 1).await;
    let maya = stage.get("/sim/dms?a=acme&b=maya_rides").await["dms"][0]["from"].clone();
    let keys = stage.keys("acme").await;
    let path = format!(
        "/2/dm_conversations/with/{}/messages",
        maya.as_str().expect("an id")
    );
    let before = texts("maya_rides").await;
    stage
        .signed(
            "POST",
            &path,
            &keys,
            Some(json!({ "text": "Let me look." })),
        )
        .await;
    wait("maya_rides", before + 1).await;
}

#[tokio::test]
async fn a_restart_keeps_conversations_tokens_and_webhooks() {
    let folder = std::env::temp_dir().join(format!("roost-simulator-{}", std::process::id()));
    let mut config = config();
    config.state_file = Some(folder.join("state.json"));
    let stage = Stage::with(config.clone()).await;
    let hook = Hook::start();
    let webhook = stage.subscribe(&hook).await;
    let keys = stage.keys("acme").await;
    let dm = stage
        .customer_writes("remember me https://example.com 🦉")
        .await;
    stage.simulator.stop().await;

    let stage = Stage::with(config).await;
    assert_eq!(stage.dm_count().await, 1);
    let path = format!("/2/dm_events/{}", dm["id"].as_str().expect("an id"));
    assert_eq!(stage.signed("GET", &path, &keys, None).await.status(), 200);
    let path = format!("/2/account_activity/webhooks/{webhook}/subscriptions/all");
    assert_eq!(stage.signed("GET", &path, &keys, None).await.status(), 200);
    let before = hook.arrivals().len();
    let later = stage.customer_writes("again").await;
    assert!(later["id"].as_str() > dm["id"].as_str());
    hook.wait_for(before + 1).await;
    stage.simulator.stop().await;
    std::fs::remove_dir_all(folder).expect("the folder goes");
}
