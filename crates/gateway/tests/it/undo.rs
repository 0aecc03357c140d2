//! Taking back, and what may not be done twice.

use jiff::{SignedDuration, Timestamp};
use roost_domain::ids::ConversationId;
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::{Answer, Brand, Gateway};

fn path(conversation: ConversationId, rest: &str) -> String {
    format!("/v1/conversations/{conversation}{rest}")
}

async fn set(gateway: &Gateway, brand: &Brand, id: ConversationId, status: &str) -> Answer {
    let mut patch = json!({ "status": status });
    if status == "snoozed" {
        patch["snooze_until"] = json!(Timestamp::now() + SignedDuration::from_hours(1));
        patch["confirm"] = json!(true);
    }
    gateway.patch(&brand.owner, &path(id, ""), patch).await
}

async fn clock_states(gateway: &Gateway, brand: &Brand, id: ConversationId) -> Vec<String> {
    let clocks = gateway.get(&brand.owner, &path(id, "/sla")).await;
    let rows = clocks.body["data"].as_array().unwrap().clone();
    rows.iter()
        .map(|clock| clock["state"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolve_or_snooze_by_mistake_is_undone_as_if_it_had_not_been() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let id = writes(&gateway, &brand, "77", "hello?").await;
    let before = gateway.get(&brand.owner, &path(id, "")).await.body;
    for status in ["resolved", "snoozed"] {
        let changed = set(&gateway, &brand, id, status).await;
        assert_eq!(changed.body["status"], status, "{}", changed.text);
        let undone = gateway
            .post(&brand.owner, &path(id, "/undo"), json!({}))
            .await;
        assert_eq!(undone.status, 200, "{}", undone.text);
        for field in [
            "status",
            "cycle",
            "waiting_since",
            "resolved_at",
            "snoozed_until",
            "sla",
        ] {
            assert_eq!(undone.body[field], before[field], "{status}: {field}");
        }
        assert_eq!(clock_states(&gateway, &brand, id).await, ["running"]);
    }
    let again = gateway
        .post(&brand.owner, &path(id, "/undo"), json!({}))
        .await;
    assert_eq!(
        (again.status.as_u16(), again.code()),
        (409, "nothing_to_undo")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_undone_after_a_minute_or_once_the_customer_has_written() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let id = writes(&gateway, &brand, "77", "hello?").await;
    set(&gateway, &brand, id, "snoozed").await;
    writes(&gateway, &brand, "77", "are you there?").await;
    let undone = gateway
        .post(&brand.owner, &path(id, "/undo"), json!({}))
        .await;
    assert_eq!(undone.code(), "nothing_to_undo", "it is open already");
    set(&gateway, &brand, id, "resolved").await;
    let mut db = gateway.db.owner().await;
    sqlx::query("update conversation_acts set created_at = created_at - interval '61 s'")
        .execute(&mut db)
        .await
        .unwrap();
    let undone = gateway
        .post(&brand.owner, &path(id, "/undo"), json!({}))
        .await;
    assert_eq!((undone.status.as_u16(), undone.code()), (409, "too_late"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thank_you_is_set_aside_and_its_clock_is_cancelled() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let id = writes(&gateway, &brand, "77", "thanks!").await;
    let done = gateway
        .post(&brand.owner, &path(id, "/no-reply-needed"), json!({}))
        .await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.body["status"], "resolved", "there was nothing before");
    assert_eq!(done.body["waiting_since"], Value::Null);
    assert_eq!(clock_states(&gateway, &brand, id).await, ["cancelled"]);
    let again = gateway
        .post(&brand.owner, &path(id, "/no-reply-needed"), json!({}))
        .await;
    assert_eq!((again.status.as_u16(), again.code()), (409, "nobody_waits"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_conversation_stays_closed_while_a_newer_one_is_open() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let old = writes(&gateway, &brand, "77", "first").await;
    set(&gateway, &brand, old, "resolved").await;
    let new = writes(&gateway, &brand, "77", "second").await;
    assert_ne!(old, new);
    for status in ["open", "pending", "snoozed"] {
        let refused = set(&gateway, &brand, old, status).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (409, "conversation_exists"),
            "{status}"
        );
        assert_eq!(refused.body["conversation_id"], json!(new));
    }
    let reply = json!({ "kind": "reply", "text": "one more thing", "then": "open" });
    let refused = gateway
        .post(&brand.owner, &path(old, "/messages"), reply)
        .await;
    assert_eq!(refused.code(), "conversation_exists");
    // A reply that changes no status is sent.
    let reply = json!({ "kind": "reply", "text": "one more thing" });
    let sent = gateway
        .post(&brand.owner, &path(old, "/messages"), reply)
        .await;
    assert_eq!(sent.status, 201, "{}", sent.text);
}
