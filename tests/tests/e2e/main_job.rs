//! The main job: a customer's message reaches an agent, and the agent's answer the customer.

use std::time::Duration;

use roost_domain::ids::BrandId;
use roost_tests::api::{Member, SOON};
use roost_tests::db::{first_response_in, put_policy};
use roost_tests::platform::Customer;
use roost_tests::stream::Stream;
use roost_tests::system::{BrandAt, Options, PASSWORD, System};
use roost_tests::wait::until;
use serde_json::{Value, json};
use uuid::Uuid;

const QUESTION: &str = "my parcel 4711 is late \u{1f622}";
const ANSWER: &str = "it is with the courier, Carol";
const FROM_THE_APP: &str = "typed on a phone by a colleague";
const FOLLOW_UP: &str = "and when will it be here";
const THANKS: &str = "thank you so much";
const LATER: &str = "another parcel is late";

/// A brand whose owner is online, and a customer.
async fn stage() -> (System, BrandAt, Stream, Customer) {
    let system = System::start(Options::default()).await;
    let brand = system.brand("Acme Parcels", "acme_parcels").await;
    let stream = brand.owner.open_stream(&["all"]).await;
    let customer = system.platform.customer("carol_writes").await;
    (system, brand, stream, customer)
}

/// Waits until a conversation reads like this.
async fn becomes(member: &Member, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    until(&format!("the conversation to be {what}"), SOON, || async {
        let found = member
            .call("GET", &format!("/v1/conversations/{id}"), None)
            .await
            .body;
        is(&found).then_some(found)
    })
    .await
}

fn id_of(value: &Value) -> String {
    value["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}

/// Every kind that must have come for the conversation, in this order.
fn came_in_order(stream: &Stream, conversation: &str, wanted: &[&str]) {
    let came = stream.types_of(conversation);
    let mut rest = came.iter();
    for kind in wanted {
        assert!(
            rest.any(|one| one == kind),
            "{kind} is missing or out of order in {came:?}"
        );
    }
}

/// Frames of the conversation count 1, 2, 3 … without a gap.
fn counts_without_gap(stream: &Stream, conversation: &str) {
    let frames = stream.frames();
    let seqs: Vec<i64> = frames
        .iter()
        .filter(|frame| frame["conversation_id"] == conversation)
        .filter_map(|frame| frame["seq"].as_i64())
        .collect();
    let wanted: Vec<i64> = (1..=i64::try_from(seqs.len()).unwrap()).collect();
    assert_eq!(seqs, wanted);
}

/// Nothing that people wrote, and nothing that opens a door, is in the logs.
fn logs_are_silent(system: &System, brand: &BrandAt, customer: &Customer) {
    let log = system.log();
    assert!(log.lines().count() > 10, "there is a log to look at");
    let token = brand.owner.token();
    let secrets = [
        QUESTION,
        "parcel 4711",
        ANSWER,
        FROM_THE_APP,
        FOLLOW_UP,
        THANKS,
        LATER,
        &token,
        PASSWORD,
        &brand.owner.email,
        &customer.handle,
        &brand.handle,
        "test-consumer-secret",
        "only-for-tests",
        "Customer carol",
        "__Host-connect=",
    ];
    for secret in secrets {
        let found = log.lines().find(|line| line.contains(secret));
        assert!(found.is_none(), "the log tells {secret:?}: {found:?}");
    }
    for line in log.lines() {
        let parsed: Result<Value, _> = serde_json::from_str(line);
        assert!(
            parsed.is_ok_and(|line| line.is_object()),
            "a log line is no JSON: {line}"
        );
    }
}

async fn whole_story(envelope: &str) {
    let (system, brand, stream, carol) = stage().await;
    let (owner, account) = (&brand.owner, brand.account_id.as_str());
    let in_this = |more: Value| {
        let mut more = more;
        more["envelope"] = json!(envelope);
        more
    };

    // A customer writes; it is assigned, timed and live.
    let event_id = carol
        .writes_with(account, QUESTION, in_this(json!({})))
        .await;
    for kind in [
        "message.received",
        "conversation.opened",
        "sla.started",
        "conversation.assigned",
    ] {
        stream.wait_for(kind).await;
    }
    let found = owner.conversation_with(&carol.handle).await;
    let conversation = id_of(&found);
    came_in_order(
        &stream,
        &conversation,
        &["conversation.opened", "conversation.assigned"],
    );
    let found = becomes(owner, &conversation, "assigned", |c| {
        c["assignee_id"] == owner.id
    })
    .await;
    assert_eq!(found["status"], "open");
    assert_eq!(found["cycle"], 1);
    assert_eq!(found["contact"]["name"], "Customer carol_writes");
    assert_eq!(found["sla"]["kind"], "first_response");
    assert!(found["preview"].as_str().unwrap().contains("parcel 4711"));
    let received = stream.wait_for("message.received").await;
    assert!(received["request_id"].is_string(), "{received}");
    let messages = owner.messages(&conversation).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["text"], QUESTION);
    assert_eq!(messages[0]["platform_event_id"], event_id.as_str());
    assert_eq!(messages[0]["author"]["type"], "contact");

    // The agent answers; the customer has it once, and we as well.
    let reply = owner.replies(&conversation, ANSWER).await;
    let sent = owner.delivery_of(&reply, &["sent"], SOON).await;
    stream.wait_for("message.sent").await;
    stream.wait_for("sla.met").await;
    assert_eq!(carol.texts_from(account).await, [ANSWER]);
    becomes(owner, &conversation, "pending", |c| {
        c["status"] == "pending"
    })
    .await;
    system.platform.settled().await;
    carol.reads(account).await;
    until("the read receipt", SOON, || async {
        stream
            .frames()
            .iter()
            .any(|frame| frame["type"] == "message.read")
            .then_some(())
    })
    .await;
    let messages = owner.messages(&conversation).await;
    assert_eq!(
        messages.len(),
        2,
        "the echo is no second message: {messages:?}"
    );
    assert_eq!(messages[1]["id"], sent["id"]);
    assert_eq!(messages[1]["author"]["type"], "member");
    let clocks = owner
        .get(&format!("/v1/conversations/{conversation}/sla"))
        .await;
    assert_eq!(clocks["data"][0]["state"], "met", "{clocks}");

    // A second question starts the next clock; a colleague answers in X's own app.
    carol
        .writes_with(account, FOLLOW_UP, in_this(json!({})))
        .await;
    let found = becomes(owner, &conversation, "open again", |c| {
        c["status"] == "open" && !c["sla"].is_null()
    })
    .await;
    assert_eq!(found["sla"]["kind"], "next_response");
    let own_app = in_this(json!({ "from": account, "to": carol.id, "text": FROM_THE_APP }));
    system.platform.tell("POST", "/sim/dms", &own_app).await;
    becomes(owner, &conversation, "pending", |c| {
        c["status"] == "pending"
    })
    .await;
    let messages = owner.messages(&conversation).await;
    assert_eq!(messages.len(), 4);
    assert_eq!(messages[3]["author"]["type"], "external", "{}", messages[3]);
    let received = stream
        .frames()
        .iter()
        .filter(|frame| frame["type"] == "message.received")
        .count();
    assert_eq!(received, 2, "what we write ourselves is not received");

    // Resolved, and opened again by the customer.
    carol.writes_with(account, THANKS, in_this(json!({}))).await;
    becomes(owner, &conversation, "open", |c| c["status"] == "open").await;
    let resolved = owner.sets_status(&conversation, "resolved").await;
    assert_eq!(resolved["status"], "resolved");
    assert!(resolved["sla"].is_null(), "{resolved}");
    carol.writes_with(account, LATER, in_this(json!({}))).await;
    stream.wait_for("conversation.reopened").await;
    let found = becomes(owner, &conversation, "reopened", |c| c["status"] == "open").await;
    assert_eq!(found["cycle"], 2);
    assert_eq!(found["sla"]["kind"], "first_response");
    assert_eq!(owner.conversations().await.len(), 1);
    let messages = owner.messages(&conversation).await;
    let texts: Vec<&str> = messages
        .iter()
        .filter_map(|message| message["text"].as_str())
        .collect();
    assert_eq!(
        texts,
        [QUESTION, ANSWER, FOLLOW_UP, FROM_THE_APP, THANKS, LATER]
    );

    counts_without_gap(&stream, &conversation);
    assert_eq!(system.count("select count(*) from raw_unclaimed").await, 0);
    assert_eq!(system.count("select count(*) from dead_messages").await, 0);
    logs_are_silent(&system, &brand, &carol);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_is_answered_by_the_account_activity_envelope() {
    Box::pin(whole_story("aaa")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_is_answered_by_the_x_activity_envelope() {
    Box::pin(whole_story("xaa")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_id_follows_a_message_from_the_webhook_to_the_stream() {
    let (system, brand, stream, carol) = stage().await;
    let now = jiff::Timestamp::now();
    let dm = roost_tests::webhook::Dm {
        id: roost_tests::db::snowflake(now, 1),
        at_ms: now.as_millisecond(),
        from: carol.id.clone(),
        to: brand.account_id.clone(),
        text: QUESTION.to_owned(),
    };
    let body = dm.body().to_string().into_bytes();
    let signature = system.webhook.signature(&body);
    let status = system
        .webhook
        .post_with(body, Some(&signature), Some("req-of-this-very-test"))
        .await;
    assert_eq!(status, Some(200));
    for kind in ["message.received", "conversation.opened", "sla.started"] {
        assert_eq!(
            stream.wait_for(kind).await["request_id"],
            "req-of-this-very-test",
            "{kind}"
        );
    }
    // And a reply has its own, from the API to the acceptance by the platform.
    let conversation = id_of(&brand.owner.conversations().await[0]);
    let reply = json!({ "kind": "reply", "text": ANSWER });
    let path = format!("/v1/conversations/{conversation}/messages");
    brand
        .owner
        .call_with(
            "POST",
            &path,
            Some(&reply),
            &[("x-request-id", "req-of-the-reply")],
        )
        .await
        .ok();
    assert_eq!(
        stream.wait_for("message.queued").await["request_id"],
        "req-of-the-reply"
    );
    stream.wait_for("message.sent").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_agents_share_the_work_and_a_third_by_hand() {
    let (system, brand, owners_stream, _) = stage().await;
    drop(owners_stream);
    let owner = &brand.owner;
    owner
        .call(
            "PUT",
            &format!("/v1/members/{}/presence", owner.id),
            Some(&json!({ "status": "offline" })),
        )
        .await
        .ok();
    let (ana, ben) = (
        system.add_agent(owner, "Ana", 2).await,
        system.add_agent(owner, "Ben", 2).await,
    );
    let (of_ana, of_ben) = (
        ana.open_stream(&["mine"]).await,
        ben.open_stream(&["mine"]).await,
    );
    for number in 0..5 {
        let customer = system.platform.customer(&format!("cust_{number}")).await;
        customer.writes(&brand.account_id, "hello").await;
    }
    let of = |member: &Member, list: &[Value]| {
        list.iter()
            .filter(|c| c["assignee_id"] == member.id)
            .count()
    };
    let all = until(
        "five conversations, four of them assigned",
        SOON,
        || async {
            let all = owner.conversations().await;
            (all.len() == 5 && of(&ana, &all) + of(&ben, &all) == 4).then_some(all)
        },
    )
    .await;
    assert_eq!(
        (of(&ana, &all), of(&ben, &all)),
        (2, 2),
        "equal agents differ by at most one"
    );
    of_ana.wait_for_nth("conversation.assigned", 2).await;
    of_ben.wait_for_nth("conversation.assigned", 2).await;

    // The fifth waits and says why; by hand it may go over capacity.
    let waiting = id_of(
        all.iter()
            .find(|found| found["assignee_id"].is_null())
            .unwrap(),
    );
    let found = becomes(owner, &waiting, "explained", |c| {
        c["waiting_reason"].is_string()
    })
    .await;
    assert_eq!(found["status"], "open");
    let path = format!("/v1/conversations/{waiting}/assignment");
    owner
        .call("PUT", &path, Some(&json!({ "member_id": ana.id })))
        .await
        .ok();
    of_ana.wait_for_nth("conversation.assigned", 3).await;
    let decisions = owner
        .get(&format!("/v1/conversations/{waiting}/assignments"))
        .await;
    assert!(
        decisions["data"]
            .as_array()
            .is_some_and(|all| !all.is_empty()),
        "{decisions}"
    );

    // Room for one more: the next in the queue comes at once.
    let extra = system.platform.customer("cust_extra").await;
    extra.writes(&brand.account_id, "hello").await;
    let sixth = owner.conversation_with("cust_extra").await;
    assert!(sixth["assignee_id"].is_null());
    let done = id_of(
        all.iter()
            .find(|found| found["assignee_id"] == ben.id)
            .unwrap(),
    );
    ben.sets_status(&done, "resolved").await;
    becomes(owner, &id_of(&sixth), "Ben's", |c| {
        c["assignee_id"] == ben.id
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_warn_and_breach_once_and_an_encrypted_message_opens_like_any_other() {
    let (system, brand, stream, carol) = stage().await;
    // The brand's own policy, made short.
    let mut connection = system.db.owner().await;
    let id: Uuid = sqlx::query_scalar("select brand_id from sla_policies")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    put_policy(&mut connection, BrandId(id), &first_response_in(2, 50)).await;
    let chat = json!({ "from": carol.id, "to": brand.account_id });
    system.platform.tell("POST", "/sim/chat", &chat).await;
    stream.wait_for("sla.started").await;
    stream.wait_for("sla.warning").await;
    stream.wait_for("sla.breached").await;
    let conversation = id_of(&brand.owner.conversations().await[0]);
    let messages = brand.owner.messages(&conversation).await;
    assert_eq!(messages[0]["unreadable"], true, "{messages:?}");
    let reply = brand.owner.replies(&conversation, ANSWER).await;
    brand.owner.delivery_of(&reply, &["sent"], SOON).await;
    until(
        "the clock to be met late",
        Duration::from_secs(10),
        || async {
            let clocks = brand
                .owner
                .get(&format!("/v1/conversations/{conversation}/sla"))
                .await;
            (clocks["data"][0]["state"] == "met_late").then_some(())
        },
    )
    .await;
    for (kind, count) in [("sla.warning", 1), ("sla.breached", 1)] {
        let came = stream
            .types_of(&conversation)
            .iter()
            .filter(|one| *one == kind)
            .count();
        assert_eq!(came, count, "{kind}");
    }
}
