//! What webhooks get.

use serde_json::{Value, json};

use crate::support::{BRAND, CUSTOMER, Hook, Manners, Stage, sha256_token};

#[tokio::test]
async fn a_customers_dm_arrives_signed_over_its_exact_bytes() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    stage.subscribe(&hook).await;
    let dm = stage
        .customer_writes("Hi 🦉, see https://example.com/a now")
        .await;
    let arrival = hook.wait_for(1).await.remove(0);
    assert_eq!(arrival.signature, sha256_token(&arrival.body));
    let raw = String::from_utf8(arrival.body.clone()).expect("text");
    assert!(
        raw.is_ascii() && raw.contains(r"\/") && raw.contains(r"\ud83e\udd89"),
        "{raw}"
    );
    let again = serde_json::to_vec(&arrival.json()).expect("JSON");
    assert_ne!(
        sha256_token(&again),
        arrival.signature,
        "a re-serialised body must not verify"
    );

    let body = arrival.json();
    assert_eq!(body["for_user_id"], BRAND);
    assert_eq!(body["users"][CUSTOMER]["screen_name"], "carol");
    assert!(body["apps"].is_null());
    let event = &body["direct_message_events"][0];
    assert_eq!(event["id"], dm["id"]);
    let id: u64 = event["id"]
        .as_str()
        .expect("text")
        .parse()
        .expect("a number");
    let ms = (id >> 22) + 1_288_834_974_657;
    assert_eq!(event["created_timestamp"], ms.to_string());
    let data = &event["message_create"]["message_data"];
    let text = data["text"].as_str().expect("text");
    let url = &data["entities"]["urls"][0];
    assert_eq!(url["expanded_url"], "https://example.com/a");
    let at = |n: usize| {
        url["indices"][n]
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .expect("a number")
    };
    let linked: String = text.chars().skip(at(0)).take(at(1) - at(0)).collect();
    assert_eq!(url["url"], linked);
}

#[tokio::test]
async fn photos_answers_and_origins_are_told() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    stage.subscribe(&hook).await;
    let wish = json!({
        "from": "carol", "to": "@acme", "text": "Yes", "photo": true,
        "quick_reply_answer": { "metadata": "opt-1" },
        "initiated_via": { "tweet_id": "123", "welcome_message_id": "456" },
    });
    stage.post("/sim/dms", &wish).await;
    let event = hook.wait_for(1).await[0].json()["direct_message_events"][0].clone();
    assert_eq!(
        event["initiated_via"],
        json!({ "tweet_id": "123", "welcome_message_id": "456" })
    );
    let data = &event["message_create"]["message_data"];
    assert_eq!(
        data["quick_reply_response"],
        json!({ "type": "options", "metadata": "opt-1" })
    );
    let media = &data["attachment"]["media"];
    assert_eq!(media["type"], "photo");
    let text = data["text"].as_str().expect("text");
    assert!(text.starts_with("Yes https://t.co/"));

    // The photo is private: a participant's signature opens it, nothing else does.
    let url = media["media_url_https"].as_str().expect("a URL");
    let path = url
        .strip_prefix(stage.simulator.url())
        .expect("the simulator's own URL");
    assert_eq!(
        stage
            .http
            .get(url)
            .send()
            .await
            .expect("an answer")
            .status(),
        401
    );
    let keys = stage.keys("acme").await;
    let answer = stage.signed("GET", path, &keys, None).await;
    assert_eq!(answer.headers()["content-type"], "image/png");
    assert!(answer.bytes().await.expect("bytes").starts_with(b"\x89PNG"));
    stage
        .post("/sim/accounts", &json!({ "handle": "stranger" }))
        .await;
    let stranger = stage.keys("stranger").await;
    assert_eq!(
        stage.signed("GET", path, &stranger, None).await.status(),
        404
    );
}

#[tokio::test]
async fn echoes_tell_the_app_only_when_an_app_sent() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    stage.subscribe(&hook).await;
    let keys = stage.keys("acme").await;
    assert_eq!(stage.send(&keys, "from the app").await.status(), 201);
    let echo = hook.wait_for(1).await[0].json();
    assert_eq!(echo["for_user_id"], BRAND);
    let create = &echo["direct_message_events"][0]["message_create"];
    assert_eq!(
        (&create["sender_id"], &create["source_app_id"]),
        (&json!(BRAND), &json!("29820954"))
    );
    assert_eq!(echo["apps"]["29820954"]["name"], "Roost");

    stage
        .post(
            "/sim/dms",
            &json!({ "from": "acme", "to": "carol", "text": "from the phone" }),
        )
        .await;
    let echo = hook.wait_for(2).await[1].json();
    let create = &echo["direct_message_events"][0]["message_create"];
    assert!(create["source_app_id"].is_null() && echo["apps"].is_null());
}

#[tokio::test]
async fn a_chosen_envelope_replaces_the_subscriptions() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    stage.subscribe(&hook).await;
    let wish = json!({ "from": "carol", "to": "acme", "text": "x", "envelope": "xaa" });
    stage.post("/sim/dms", &wish).await;
    assert_eq!(
        hook.wait_for(1).await[0].json()["data"]["event_type"],
        "dm.received"
    );
    stage
        .post("/sim/chat", &json!({ "from": "carol", "to": "acme" }))
        .await;
    assert_eq!(
        hook.wait_for(2).await[1].json()["data"]["event_type"],
        "chat.received"
    );
}

#[tokio::test]
async fn typing_reading_and_revoking_are_told() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    stage.subscribe(&hook).await;
    let keys = stage.keys("acme").await;
    let both = json!({ "from": "carol", "to": "acme" });
    stage.post("/sim/typing", &both).await;
    let typing = hook.wait_for(1).await[0].json();
    assert_eq!(
        typing["direct_message_indicate_typing_events"][0]["sender_id"],
        CUSTOMER
    );
    let sent: Value = stage
        .send(&keys, "read me")
        .await
        .json()
        .await
        .expect("JSON");
    hook.wait_for(2).await;
    stage.post("/sim/read", &both).await;
    let read = &hook.wait_for(3).await[2].json()["direct_message_mark_read_events"][0].clone();
    assert_eq!(read["last_read_event_id"], sent["data"]["dm_event_id"]);
    stage.post("/sim/accounts/acme/revoke", &json!({})).await;
    let revoked = hook.wait_for(4).await[3].json();
    assert_eq!(revoked["user_event"]["revoke"]["source"]["user_id"], BRAND);
    assert!(revoked["for_user_id"].is_null());
    stage.customer_writes("nobody hears").await;
    assert_eq!(hook.settled(&stage).await.len(), 4);
}

#[tokio::test]
async fn anything_but_200_is_tried_again_three_times_at_most() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    stage.subscribe(&hook).await;
    hook.behave(Manners {
        statuses: vec![503, 202],
        ..Manners::default()
    });
    stage.customer_writes("thrice").await;
    let arrivals = hook.settled(&stage).await;
    assert_eq!(arrivals.len(), 3);
    assert!(arrivals.windows(2).all(|pair| pair[0].body == pair[1].body));
    assert!(arrivals[1].at < arrivals[2].at);
    let delivery = stage.get("/sim/deliveries").await["deliveries"][0].clone();
    assert_eq!(delivery["state"], "delivered");
    let statuses: Vec<_> = delivery["attempts"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|a| a["status"].clone())
        .collect();
    assert_eq!(statuses, [json!(503), json!(202), json!(200)]);

    hook.behave(Manners {
        statuses: vec![500; 9],
        ..Manners::default()
    });
    stage.customer_writes("in vain").await;
    assert_eq!(hook.settled(&stage).await.len(), 3 + 4);
    assert_eq!(
        stage.get("/sim/deliveries").await["deliveries"][0]["state"],
        "failed"
    );
}

#[tokio::test]
async fn any_body_can_be_injected() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    stage.register(&hook).await;
    let answer = stage
        .post("/sim/inject", &json!({ "body": "not JSON \u{1F989}" }))
        .await;
    assert_eq!(answer["status"], 200);
    stage
        .post(
            "/sim/inject",
            &json!({ "body_base64": "/w==", "signature": "sha256=wrong" }),
        )
        .await;
    let arrivals = hook.wait_for(2).await;
    assert_eq!(
        arrivals[0].signature,
        sha256_token("not JSON \u{1F989}".as_bytes())
    );
    assert_eq!(
        (arrivals[1].body.as_slice(), arrivals[1].signature.as_str()),
        (&[0xFF][..], "sha256=wrong")
    );
}
