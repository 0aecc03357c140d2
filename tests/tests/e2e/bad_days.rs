//! What X does on bad days: the customer never gets a reply twice, and nobody is told what isn't so.

use std::time::Duration;

use roost_tests::api::SOON;
use roost_tests::platform::Customer;
use roost_tests::system::{BrandAt, Options, System};
use roost_tests::wait::until;
use serde_json::{Value, json};

/// The doubtful waits, as short as the rules allow (quiet > lease > total > 5 s).
fn hurried() -> Options {
    let settings = [
        ("ROOST_SEND_TOTAL_TIMEOUT_MS", "5100"),
        ("ROOST_SEND_LEASE_MS", "5200"),
        ("ROOST_SEND_QUIET_MS", "5300"),
    ];
    Options {
        settings: settings
            .map(|(name, value)| (name, value.to_owned()))
            .to_vec(),
        ..Options::default()
    }
}

/// A doubtful send: time-out, quiet, look-up, and one more send.
const DOUBT: Duration = Duration::from_secs(60);

struct Stage {
    system: System,
    brand: BrandAt,
    carol: Customer,
    conversation: String,
}

/// A brand, and a conversation that waits for its first reply.
async fn stage() -> Stage {
    let system = System::start(hurried()).await;
    let brand = system.brand("Acme", "acme_help").await;
    let carol = system.platform.customer("carol").await;
    carol.writes(&brand.account_id, "is anybody there").await;
    let conversation = brand.owner.conversation_with("carol").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    Stage {
        system,
        brand,
        carol,
        conversation,
    }
}

impl Stage {
    async fn reply(&self, text: &str) -> Value {
        self.brand.owner.replies(&self.conversation, text).await
    }

    async fn on_the_phone(&self) -> Vec<String> {
        self.carol.texts_from(&self.brand.account_id).await
    }

    async fn delivery(&self, message: &Value, statuses: &[&str]) -> Value {
        self.brand.owner.delivery_of(message, statuses, DOUBT).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_came_is_settled_by_the_echo_and_sent_once() {
    let stage = stage().await;
    let mut texts = Vec::new();
    // Accepted each time; the answer is an error, a reset, nothing, or half a document.
    for kind in [
        "send_500_after",
        "send_reset_after",
        "send_empty",
        "send_garbage",
    ] {
        stage
            .system
            .platform
            .fault(json!({ "kind": kind, "remaining": 1 }))
            .await;
        let text = format!("reply despite {kind}");
        let message = stage.reply(&text).await;
        let sent = stage.delivery(&message, &["sent"]).await;
        assert!(sent["platform_event_id"].is_string(), "{sent}");
        texts.push(text);
        assert_eq!(stage.on_the_phone().await, texts, "{kind}");
    }
    assert_eq!(stage.system.platform.sends().await.len(), 4);
    let messages = stage.brand.owner.messages(&stage.conversation).await;
    assert_eq!(
        messages.len(),
        5,
        "no echo became a second message: {messages:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_that_hangs_without_echo_is_settled_by_a_look_up() {
    let stage = stage().await;
    stage
        .system
        .platform
        .fault(json!({ "kind": "send_hang_after", "ms": 20_000, "remaining": 1 }))
        .await;
    stage
        .system
        .platform
        .fault(json!({ "kind": "echo_withhold", "remaining": 1 }))
        .await;
    let message = stage.reply("said once").await;
    stage.delivery(&message, &["unknown"]).await;
    // The next one waits its turn: order on the phone is order in the inbox.
    let second = stage.reply("and then this").await;
    stage.delivery(&message, &["sent"]).await;
    stage.delivery(&second, &["sent"]).await;
    assert_eq!(stage.on_the_phone().await, ["said once", "and then this"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_that_the_platform_did_not_take_goes_out_later_and_once() {
    let stage = stage().await;
    let mut texts = Vec::new();
    for kind in ["send_500_before", "send_reset_before", "send_429"] {
        stage
            .system
            .platform
            .fault(json!({ "kind": kind, "remaining": 1 }))
            .await;
        let text = format!("reply after {kind}");
        let message = stage.reply(&text).await;
        stage.delivery(&message, &["sent"]).await;
        texts.push(text);
        assert_eq!(stage.on_the_phone().await, texts, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_echo_and_look_up_a_person_decides_and_until_then_nothing_is_claimed() {
    let stage = stage().await;
    for kind in ["send_reset_after", "echo_withhold"] {
        stage
            .system
            .platform
            .fault(json!({ "kind": kind, "remaining": 1 }))
            .await;
    }
    stage
        .system
        .platform
        .fault(json!({ "kind": "lookup_500" }))
        .await;
    let message = stage.reply("did it arrive").await;
    stage.delivery(&message, &["unknown"]).await;
    // 15 minutes pass.
    let mut owner = stage.system.db.owner().await;
    sqlx::query("update outbound_messages set attempt_started_at = attempt_started_at - interval '16 min', not_before = null")
        .execute(&mut owner)
        .await
        .unwrap();
    let path = format!("/v1/messages/{}", message["id"].as_str().unwrap());
    let shown = until("the doubt to be shown", DOUBT, || async {
        let message = stage.brand.owner.get(&path).await;
        (message["delivery"]["needs_decision"] == true).then_some(message)
    })
    .await;
    assert_eq!(shown["delivery"]["status"], "unknown", "{shown}");
    assert_eq!(stage.on_the_phone().await, ["did it arrive"]);
    let conversation = stage
        .brand
        .owner
        .get(&format!("/v1/conversations/{}", stage.conversation))
        .await;
    assert_eq!(
        conversation["status"], "open",
        "what may not have arrived answers nobody"
    );
    // Sending it again asks for a word more; the person looks and marks it instead.
    let retry = stage
        .brand
        .owner
        .call("POST", &format!("{path}/retry"), Some(&json!({})))
        .await;
    assert_eq!(
        (retry.status, retry.code()),
        (422, "confirmation_needed"),
        "{}",
        retry.body
    );
    stage
        .brand
        .owner
        .call("POST", &format!("{path}/mark-sent"), Some(&json!({})))
        .await
        .ok();
    let conversation = stage
        .brand
        .owner
        .get(&format!("/v1/conversations/{}", stage.conversation))
        .await;
    assert_eq!(conversation["status"], "pending");
    assert_eq!(stage.on_the_phone().await, ["did it arrive"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_told_in_words_and_holds_nobody_else_up() {
    let stage = stage().await;
    let stream = stage.brand.owner.open_stream(&["all"]).await;
    stage.carol.becomes(json!({ "inbox": "closed" })).await;
    let message = stage.reply("to a closed door").await;
    let failed = stage.delivery(&message, &["failed"]).await;
    let detail = failed["delivery"]["detail"].as_str().unwrap_or_default();
    assert!(
        detail.split_whitespace().count() >= 4,
        "a sentence for people: {failed}"
    );
    assert!(
        failed["delivery"]["code"]
            .as_str()
            .is_some_and(|code| !code.is_empty()),
        "{failed}"
    );
    let frame = stream.wait_for("message.failed").await;
    assert_eq!(frame["data"]["id"], message["id"], "{frame}");
    let conversation = stage
        .brand
        .owner
        .get(&format!("/v1/conversations/{}", stage.conversation))
        .await;
    assert_eq!(conversation["status"], "open");
    assert_eq!(conversation["has_failed_send"], true);
    assert_eq!(
        conversation["sla"]["kind"], "first_response",
        "a failed reply meets nothing"
    );
    assert_eq!(
        stage.system.platform.sends().await.len(),
        1,
        "no blind retry"
    );

    // Another customer is served, and Carol too once her door is open.
    let dave = stage.system.platform.customer("dave").await;
    dave.writes(&stage.brand.account_id, "me too").await;
    let other = stage.brand.owner.conversation_with("dave").await;
    let reply = stage
        .brand
        .owner
        .replies(other["id"].as_str().unwrap(), "here you are")
        .await;
    stage.delivery(&reply, &["sent"]).await;
    stage.carol.becomes(json!({ "inbox": "open" })).await;
    let path = format!("/v1/messages/{}/retry", message["id"].as_str().unwrap());
    stage
        .brand
        .owner
        .call("POST", &path, Some(&json!({})))
        .await
        .ok();
    stage.delivery(&message, &["sent"]).await;
    assert_eq!(stage.on_the_phone().await, ["to a closed door"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_account_asks_to_be_connected_again_and_its_replies_wait() {
    let stage = stage().await;
    let stream = stage.brand.owner.open_stream(&["all"]).await;
    let account = &stage.brand.account_id;
    stage
        .system
        .platform
        .tell(
            "POST",
            &format!("/sim/accounts/{account}/revoke"),
            &json!({}),
        )
        .await;
    let message = stage.reply("when the door is open again").await;
    stream.wait_for("channel.reauth_required").await;
    let channels = stage.brand.owner.get("/v1/channels").await;
    assert_eq!(
        channels["data"][0]["status"], "reauth_required",
        "{channels}"
    );
    let path = format!("/v1/messages/{}", message["id"].as_str().unwrap());
    let waiting = stage.brand.owner.get(&path).await;
    assert_eq!(waiting["delivery"]["status"], "queued", "{waiting}");
    let calls = stage.system.platform.sends().await.len();
    assert!(calls <= 1, "no storm of tries: {calls}");
    // Connected again, it goes out; the channel is the same one.
    let again = stage
        .brand
        .owner
        .connect_x(&stage.system.platform, account)
        .await;
    assert_eq!(again["id"], stage.brand.channel["id"]);
    stage.delivery(&message, &["sent"]).await;
    assert_eq!(stage.on_the_phone().await, ["when the door is open again"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_out_of_order_are_one_message_each_in_the_right_order() {
    let stage = stage().await;
    stage
        .system
        .platform
        .fault(json!({ "kind": "deliver_duplicate" }))
        .await;
    stage
        .system
        .platform
        .fault(json!({ "kind": "deliver_reorder", "ms": 1500 }))
        .await;
    stage
        .system
        .platform
        .fault(json!({ "kind": "echo_first" }))
        .await;
    let mut wanted = vec!["is anybody there".to_owned()];
    for number in 0..30 {
        let text = format!("line {number}");
        stage.carol.writes(&stage.brand.account_id, &text).await;
        wanted.push(text);
    }
    until("all lines to be there", SOON, || async {
        (stage.brand.owner.messages(&stage.conversation).await.len() == 31).then_some(())
    })
    .await;
    // The echo of this reply comes before its answer, and more than once.
    let message = stage.reply("I read all of it").await;
    stage.delivery(&message, &["sent"]).await;
    wanted.push("I read all of it".to_owned());
    stage.system.platform.settled().await;
    let messages = stage.brand.owner.messages(&stage.conversation).await;
    let texts: Vec<&str> = messages
        .iter()
        .filter_map(|message| message["text"].as_str())
        .collect();
    assert_eq!(texts, wanted);
    assert_eq!(stage.on_the_phone().await, ["I read all of it"]);
    assert_eq!(messages[31]["author"]["type"], "member");
    assert_eq!(stage.brand.owner.conversations().await.len(), 1);
}
