//! Registration, challenges, subscriptions, replay.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::support::{Hook, Manners, Stage, config};

async fn app(stage: &Stage, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let method = method.parse().expect("a method");
    let mut request = stage
        .http
        .request(method, stage.url(path))
        .bearer_auth(stage.bearer().await);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

fn name(body: &Value) -> String {
    body["detail"]
        .as_str()
        .unwrap_or_default()
        .split(':')
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn a_webhook_is_registered_once_its_challenge_passed() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    let register = json!({ "url": hook.url });
    for (manners, why) in [
        (
            Manners {
                wrong_crc: true,
                ..Manners::default()
            },
            "response_token",
        ),
        (
            Manners {
                crc_status: Some(302),
                ..Manners::default()
            },
            "redirect",
        ),
        (
            Manners {
                crc_status: Some(503),
                ..Manners::default()
            },
            "503",
        ),
    ] {
        hook.behave(manners);
        let (status, body) = app(&stage, "POST", "/2/webhooks", Some(register.clone())).await;
        assert_eq!((status, name(&body).as_str()), (400, "CrcValidationFailed"));
        assert!(
            body["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(why)),
            "{body}"
        );
    }
    hook.behave(Manners::default());
    let (status, body) = app(&stage, "POST", "/2/webhooks", Some(register.clone())).await;
    assert_eq!(status, 200);
    assert_eq!(body["data"]["valid"], true);
    let id = body["data"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(hook.challenges.load(Ordering::Relaxed), 4);

    let (status, body) = app(&stage, "POST", "/2/webhooks", Some(register)).await;
    assert_eq!((status, name(&body).as_str()), (400, "DuplicateUrlFailed"));
    let (_, body) = app(
        &stage,
        "POST",
        "/2/webhooks",
        Some(json!({ "url": "http://example.com" })),
    )
    .await;
    assert_eq!(name(&body), "UrlValidationFailed");
    let (_, body) = app(&stage, "GET", "/2/webhooks", None).await;
    assert_eq!(body["meta"]["result_count"], 1);

    hook.behave(Manners {
        wrong_crc: true,
        ..Manners::default()
    });
    let (status, _) = app(&stage, "PUT", &format!("/2/webhooks/{id}"), None).await;
    assert_eq!(status, 400);
    let (_, body) = app(&stage, "GET", "/2/webhooks", None).await;
    assert_eq!(body["data"][0]["valid"], false);
    hook.behave(Manners::default());
    let (_, body) = app(&stage, "PUT", &format!("/2/webhooks/{id}"), None).await;
    assert_eq!(body, json!({ "data": { "valid": true } }));

    let (_, body) = app(&stage, "DELETE", &format!("/2/webhooks/{id}"), None).await;
    assert_eq!(body, json!({ "data": { "deleted": true } }));
    let (status, body) = app(&stage, "DELETE", &format!("/2/webhooks/{id}"), None).await;
    assert_eq!((status, name(&body).as_str()), (400, "WebhookIdInvalid"));
}

#[tokio::test]
async fn challenges_come_again_and_an_invalid_webhook_hears_nothing() {
    let mut config = config();
    config.crc_interval_seconds = 1;
    let stage = Stage::with(config).await;
    let hook = Hook::start();
    stage.subscribe(&hook).await;
    hook.behave(Manners {
        wrong_crc: true,
        ..Manners::default()
    });
    let before = hook.challenges.load(Ordering::Relaxed);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let overview = stage.get("/sim/overview").await;
        if overview["webhooks"][0]["valid"] == false {
            break;
        }
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(hook.challenges.load(Ordering::Relaxed) > before);
    stage.customer_writes("unheard").await;
    assert!(hook.settled(&stage).await.is_empty());
    assert_eq!(
        stage.get("/sim/deliveries").await["deliveries"][0]["state"],
        "webhook_invalid"
    );
}

#[tokio::test]
async fn account_activity_subscriptions() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    let id = stage.subscribe(&hook).await;
    let keys = stage.keys("acme").await;
    let base = format!("/2/account_activity/webhooks/{id}/subscriptions");

    let again = stage
        .signed("POST", &format!("{base}/all"), &keys, Some(json!({})))
        .await;
    assert_eq!(again.status(), 409);
    assert_eq!(
        again.json::<Value>().await.expect("JSON")["errors"][0]["code"],
        355
    );
    let mine = stage
        .signed("GET", &format!("{base}/all"), &keys, None)
        .await;
    assert_eq!(
        mine.json::<Value>().await.expect("JSON"),
        json!({ "data": { "subscribed": true } })
    );

    let (_, list) = app(&stage, "GET", &format!("{base}/all/list"), None).await;
    assert_eq!(list["data"]["webhook_url"], hook.url.as_str());
    let user = list["data"]["subscriptions"][0]["user_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let (_, count) = app(
        &stage,
        "GET",
        "/2/account_activity/subscriptions/count",
        None,
    )
    .await;
    assert_eq!(count["data"]["subscriptions_count_all"], "1");
    assert_eq!(count["data"]["subscriptions_count_direct_messages"], "0");
    let (status, gone) = app(&stage, "DELETE", &format!("{base}/{user}/all"), None).await;
    assert_eq!(
        (status, gone),
        (200, json!({ "data": { "subscribed": false } }))
    );
    let (_, body) = app(&stage, "DELETE", &format!("{base}/{user}/all"), None).await;
    assert_eq!(name(&body), "SubscriptionNotFound");
}

#[tokio::test]
async fn activity_subscriptions_need_the_accounts_own_token() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    let webhook = stage.register(&hook).await;
    let (acme, carol) = (stage.keys("acme").await, stage.keys("carol").await);
    let path = "/2/activity/subscriptions";
    let wish = json!({
        "event_type": "dm.received", "filter": { "user_id": crate::support::BRAND },
        "tag": "inbox", "webhook_id": webhook,
    });
    assert_eq!(
        stage
            .signed("POST", path, &carol, Some(wish.clone()))
            .await
            .status(),
        403
    );
    let (status, _) = app(&stage, "POST", path, Some(wish.clone())).await;
    assert_eq!(status, 403);
    let made = stage.signed("POST", path, &acme, Some(wish.clone())).await;
    let made: Value = made.json().await.expect("JSON");
    let id = made["data"]["subscription"]["subscription_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(
        stage.signed("POST", path, &acme, Some(wish)).await.status(),
        409
    );

    stage.customer_writes("hello").await;
    let arrivals = hook.wait_for(1).await;
    let body = arrivals[0].json();
    assert_eq!(body["data"]["event_type"], "dm.received");
    assert_eq!(body["data"]["tag"], "inbox");
    let payload = &body["data"]["payload"];
    assert_eq!(
        payload["direct_message_events"][0]["message_create"]["message_data"]["text"],
        "hello"
    );
    assert_eq!(
        payload["users"][crate::support::CUSTOMER]["data"]["username"],
        "carol"
    );
    assert!(
        body["data"]["event_uuid"]
            .as_str()
            .is_some_and(|id| id.parse::<i64>().is_ok())
    );

    let (_, list) = app(&stage, "GET", path, None).await;
    assert_eq!(list["meta"]["total_subscriptions"], 1);
    let updated = json!({ "tag": "other" });
    let (_, body) = app(&stage, "PUT", &format!("{path}/{id}"), Some(updated)).await;
    assert_eq!(body["data"]["subscription"]["tag"], "other");
    let (_, body) = app(&stage, "DELETE", &format!("{path}/{id}"), None).await;
    assert_eq!(body["data"]["deleted"], true);
}

#[tokio::test]
async fn a_replay_sends_again_and_tells_its_end() {
    let mut config = config();
    config.lenient_replay = true;
    let stage = Stage::with(config).await;
    let hook = Hook::start();
    let id = stage.subscribe(&hook).await;
    stage
        .fault(json!({ "kind": "deliver_drop", "remaining": 1 }))
        .await;
    stage.customer_writes("lost").await;
    assert!(hook.settled(&stage).await.is_empty());

    let wish = json!({ "webhook_id": id, "from_date": "202001010000", "to_date": "209901010000" });
    let (status, body) = app(&stage, "POST", "/2/webhooks/replay", Some(wish)).await;
    assert_eq!(status, 200, "{body}");
    let arrivals = hook.wait_for(2).await;
    assert_eq!(
        arrivals[0].json()["direct_message_events"][0]["message_create"]["message_data"]["text"],
        "lost"
    );
    let status = &arrivals[1].json()["replay_job_status"];
    assert_eq!(status["job_state"], "Complete");
    assert_eq!(status["job_id"], body["data"]["job_id"]);
    let bad = json!({ "webhook_id": id, "from_date": "2020", "to_date": "209901010000" });
    let (_, body) = app(&stage, "POST", "/2/webhooks/replay", Some(bad)).await;
    assert_eq!(name(&body), "QueryParamInvalid");
}

#[tokio::test]
async fn the_older_interface_registers_and_subscribes_too() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    let keys = stage.keys("acme").await;
    let url = crate::support::encode(&hook.url);
    let path = format!("/1.1/account_activity/webhooks.json?url={url}");
    let made = stage.signed("POST", &path, &keys, None).await;
    assert_eq!(made.status(), 200);
    let id = made.json::<Value>().await.expect("JSON")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("/1.1/account_activity/webhooks/{id}/subscriptions/all.json");
    assert_eq!(stage.signed("POST", &path, &keys, None).await.status(), 204);
    assert_eq!(stage.signed("GET", &path, &keys, None).await.status(), 204);
    let path = format!("/1.1/account_activity/webhooks/{id}.json");
    assert_eq!(stage.signed("PUT", &path, &keys, None).await.status(), 204);
    assert_eq!(
        stage.signed("DELETE", &path, &keys, None).await.status(),
        204
    );
}
