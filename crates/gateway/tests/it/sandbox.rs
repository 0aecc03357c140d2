//! Sandbox channels: who may make one and write to it, and that what was taken is safe.

use reqwest::Method;
use roost_bus::envelope::Ingress;
use serde_json::{Value, json};

use crate::channels::{audited, key, sandbox};
use crate::harness::Gateway;

/// What was put aside for the broker.
async fn spooled(gateway: &Gateway) -> Vec<Ingress> {
    let rows: Vec<Vec<u8>> = sqlx::query_scalar("select body from spool order by created_at, id")
        .fetch_all(&mut gateway.db.owner().await)
        .await
        .unwrap();
    rows.iter()
        .map(|body| serde_json::from_slice(body).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_is_made_without_an_account_and_goes_as_others_do() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let body = json!({ "name": "Try-out", "team_id": brand.team });
    let made = gateway
        .post(&brand.owner, "/v1/channels/sandbox", body)
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(
        (
            &made.body["platform"],
            &made.body["name"],
            &made.body["status"]
        ),
        (&json!("sandbox"), &json!("Try-out"), &json!("active"))
    );
    assert_eq!(made.body["team_id"], brand.team.to_string());
    gateway.relay().await;
    let events = gateway
        .get(&brand.owner, "/v1/events?types=channel.*")
        .await;
    assert_eq!(events.body["data"][0]["type"], "channel.connected");
    let path = format!("/v1/channels/{}", made.body["id"].as_str().unwrap());
    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 204);
    let writing = json!({ "from": { "handle": "casey" }, "text": "hello?" });
    let late = gateway
        .post(&brand.owner, &format!("{path}/sandbox-messages"), writing)
        .await;
    assert_eq!(
        (late.status.as_u16(), late.code()),
        (422, "channel_disconnected")
    );
    assert_eq!(
        audited(&gateway, &brand).await,
        ["channel.connected", "channel.disconnected"]
    );
    let theirs = gateway.brand("Other").await.team;
    let answer = gateway
        .post(
            &brand.owner,
            "/v1/channels/sandbox",
            json!({ "team_id": theirs }),
        )
        .await;
    assert_eq!(
        (answer.code(), answer.pointers()),
        ("unknown_reference", vec!["/team_id"])
    );
    let agent = gateway.member(&brand, "agent").await;
    let answer = gateway
        .post(&agent, "/v1/channels/sandbox", json!({}))
        .await;
    assert_eq!(answer.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_customer_writes_is_safe_before_it_is_accepted_even_without_a_broker() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let channel = sandbox(&gateway, &brand).await;
    let path = format!("/v1/channels/{channel}/sandbox-messages");
    let test = key(&gateway, &brand, "test", &["messages:write"]).await;
    let body =
        json!({ "from": { "handle": "Casey_1", "name": "Casey" }, "text": "Where is it? 🙂" });
    let answer = gateway.post(&test, &path, body).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(answer.body["platform_user_id"], "casey_1");
    let events = spooled(&gateway).await;
    let [event] = events.as_slice() else {
        panic!("{} events", events.len());
    };
    assert_eq!(
        (event.platform.as_str(), event.kind.as_str()),
        ("sandbox", "dm")
    );
    assert_eq!(
        event.event_id,
        answer.body["platform_event_id"].as_str().unwrap()
    );
    assert_eq!(event.counterpart_id, "casey_1");
    let written: Value = serde_json::from_str(event.body.get()).unwrap();
    assert_eq!(written["text"], "Where is it? 🙂");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_repeated_with_its_key_is_one_event() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let channel = sandbox(&gateway, &brand).await;
    let path = format!("/v1/channels/{channel}/sandbox-messages");
    let send = async |text: &str, key: &str| {
        let body = json!({ "from": { "handle": "casey" }, "text": text });
        gateway
            .call(
                Some(&brand.owner),
                Method::POST,
                &path,
                Some(body),
                &[("idempotency-key", key)],
            )
            .await
    };
    let first = send("hello", "a").await;
    let again = send("hello", "a").await;
    assert_eq!((first.status.as_u16(), &first.body), (202, &again.body));
    assert_eq!(send("good bye", "a").await.code(), "idempotency_key_reused");
    let other = send("hello", "b").await;
    assert_ne!(
        first.body["platform_event_id"],
        other.body["platform_event_id"]
    );
    let mut ids: Vec<String> = spooled(&gateway)
        .await
        .into_iter()
        .map(|e| e.event_id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(
        ids.len(),
        2,
        "a repeat is the same event, which the inbox absorbs"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_sandboxes_of_the_brand_have_simulated_customers() {
    let gateway = Gateway::start().await;
    let (ours, theirs) = (gateway.brand("Ours").await, gateway.brand("Theirs").await);
    let foreign = sandbox(&gateway, &theirs).await;
    let good = json!({ "from": { "handle": "casey" }, "text": "hello" });
    let path = |channel: &str| format!("/v1/channels/{channel}/sandbox-messages");
    for channel in [
        foreign.to_string(),
        ours.channel.to_string(),
        "chan_nonsense".to_owned(),
    ] {
        let answer = gateway
            .post(&ours.owner, &path(&channel), good.clone())
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (404, "not_found"),
            "{channel}"
        );
    }
    let own = path(&sandbox(&gateway, &ours).await.to_string());
    let analyst = gateway.member(&ours, "analyst").await;
    assert_eq!(gateway.post(&analyst, &own, good).await.status, 403);
    for (body, pointers) in [
        (
            json!({ "from": { "handle": "a b" }, "text": " " }),
            vec!["/from/handle", "/text"],
        ),
        (
            json!({ "from": { "handle": "" , "name": "" }, "text": "x" }),
            vec!["/from/handle", "/from/name"],
        ),
        (
            json!({ "from": { "handle": "a", "age": 3 }, "text": "x" }),
            vec!["/from/age"],
        ),
        (json!({ "text": "x" }), vec![""]),
    ] {
        let answer = gateway.post(&ours.owner, &own, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        if pointers != [""] {
            assert_eq!(answer.pointers(), pointers, "{body}");
        }
    }
    let long = json!({ "from": { "handle": "a" }, "text": "x".repeat(10_001) });
    let answer = gateway.post(&ours.owner, &own, long).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (422, "text_too_long")
    );
    assert!(spooled(&gateway).await.is_empty());
}
