//! An integrator tries everything out without an account at any platform.

use roost_tests::api::SOON;
use roost_tests::system::{Options, System};
use roost_tests::wait::until;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_customer_is_answered_and_nothing_leaves() {
    let system = System::start(Options::default()).await;
    let owner = system.sign_up("Acme Parcels").await;
    let stream = owner.open_stream(&["all"]).await;
    let channel = owner
        .call("POST", "/v1/channels/sandbox", Some(&json!({})))
        .await
        .ok();
    let id = channel["id"].as_str().unwrap();
    let path = format!("/v1/channels/{id}/sandbox-messages");
    let writing =
        json!({ "from": { "handle": "casey", "name": "Casey" }, "text": "where is my parcel" });
    let accepted = owner.call("POST", &path, Some(&writing)).await;
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let conversation = owner.conversation_with("casey").await;
    let conversation = conversation["id"].as_str().unwrap();
    // Routed and timed as any other.
    let assigned = until("the conversation to be assigned", SOON, || async {
        let found = owner
            .get(&format!("/v1/conversations/{conversation}"))
            .await;
        (found["assignee_id"] == owner.id.as_str()).then_some(found)
    })
    .await;
    assert_eq!(assigned["channel_id"], id);
    let clocks = owner
        .get(&format!("/v1/conversations/{conversation}/sla"))
        .await;
    assert_eq!(clocks["data"][0]["kind"], "first_response");
    let messages = owner.messages(conversation).await;
    assert_eq!(
        messages[0]["platform_event_id"],
        accepted.body["platform_event_id"]
    );

    let delivery = async |text: &str, status: &str| -> Value {
        let reply = owner.replies(conversation, text).await;
        owner.delivery_of(&reply, &[status], SOON).await
    };
    let sent = delivery("with the courier", "sent").await;
    assert!(sent["platform_event_id"].is_string());
    let failed = delivery("/fail 349", "failed").await;
    assert_eq!(failed["delivery"]["code"], "contact_unreachable");
    delivery("/unknown", "unknown").await;
    until("the stream to tell of it", SOON, || async {
        let told = stream.types_of(conversation);
        let wanted = [
            "message.received",
            "conversation.assigned",
            "message.sent",
            "message.failed",
            "message.unconfirmed",
        ];
        wanted
            .iter()
            .all(|kind| told.iter().any(|one| one == kind))
            .then_some(())
    })
    .await;
    let health = owner.get(&format!("/v1/channels/{id}/health")).await;
    assert!(health["last_events"]["dm"].is_string(), "{health}");
    assert!(health["last_send_at"].is_string(), "{health}");
}
