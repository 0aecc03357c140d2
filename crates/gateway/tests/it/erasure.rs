//! Blocking and erasing contacts, over the API.

use roost_domain::ids::{ContactId, ConversationId};
use serde_json::{Value, json};

use crate::contacts::{CONTACTS, at, contact};
use crate::customer::writes;
use crate::harness::{Brand, Gateway};

async fn audited(gateway: &Gateway, brand: &Brand) -> Vec<(String, String)> {
    sqlx::query_as(
        "select action, coalesce(before, '') || coalesce(after, '') from audit_log
         where brand_id = $1 and action like 'contact.%' order by seq",
    )
    .bind(brand.owner.brand.0)
    .fetch_all(&mut gateway.db.owner().await)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_resolves_what_is_open_and_says_why_the_clock_ended() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let supervisor = gateway.member(&brand, "supervisor").await;
    let conversation = writes(&gateway, &brand, "77", "buy my coins").await;
    let id = contact(&gateway, &brand, "77").await;
    let blocked = gateway.put(&supervisor, &at(id, "/block"), json!({})).await;
    assert_eq!(blocked.status, 200, "{}", blocked.text);
    assert!(blocked.body["blocked_at"].is_string());
    let path = format!("/v1/conversations/{conversation}");
    let now = gateway.get(&supervisor, &path).await;
    assert_eq!(
        (&now.body["status"], &now.body["sla"]),
        (&json!("resolved"), &Value::Null)
    );
    let clocks = gateway.get(&supervisor, &format!("{path}/sla")).await;
    assert_eq!(clocks.body["data"][0]["state"], "cancelled");
    assert_eq!(clocks.body["data"][0]["cancelled_as"], "blocked");
    // Twice is once.
    assert_eq!(
        gateway
            .put(&supervisor, &at(id, "/block"), json!({}))
            .await
            .status,
        200
    );
    let free = gateway.delete(&supervisor, &at(id, "/block")).await;
    assert_eq!(
        (free.status.as_u16(), &free.body["blocked_at"]),
        (200, &Value::Null)
    );
    let actions: Vec<String> = audited(&gateway, &brand)
        .await
        .into_iter()
        .map(|(action, _)| action)
        .collect();
    assert_eq!(actions, ["contact.blocked", "contact.unblocked"]);
    gateway.relay().await;
    let feed = gateway
        .get(&brand.owner, "/v1/events?after=oldest&types=contact.*")
        .await;
    assert_eq!(feed.body["data"][0]["type"], "contact.blocked");
    assert_eq!(
        feed.body["data"][0]["data"]["resolved"],
        json!([conversation])
    );
    assert_eq!(feed.body["data"][1]["type"], "contact.unblocked");
}

/// Everything in the database, as text.
async fn dump(gateway: &Gateway) -> String {
    let mut owner = gateway.db.owner().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition order by 1",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    let mut all = String::new();
    for table in tables {
        let statement = format!("select coalesce(string_agg(t::text, chr(10)), '') from {table} t");
        let rows: String = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
            .fetch_one(&mut owner)
            .await
            .unwrap();
        all.push_str(&format!("== {table}\n{rows}\n"));
    }
    all
}

const CUSTOMER: &str = "7155501234567890123";
const CANARY: &str = "canary-8d31";

/// Puts the canary wherever a contact leaves traces.
async fn leave_traces(gateway: &Gateway, brand: &Brand) -> (ContactId, ConversationId) {
    let definition = json!({ "subject": "contact", "key": "note", "name": "Note", "type": "text" });
    gateway
        .post(&brand.owner, "/v1/attribute-definitions", definition)
        .await;
    let conversation = writes(gateway, brand, CUSTOMER, CANARY).await;
    let id = contact(gateway, brand, CUSTOMER).await;
    let patch = json!({ "name": CANARY, "external_id": CANARY, "attributes": { "note": CANARY } });
    assert_eq!(
        gateway.patch(&brand.owner, &at(id, ""), patch).await.status,
        200
    );
    for (kind, text) in [
        ("reply", format!("Hello {CANARY}")),
        ("note", format!("Called {CANARY}")),
    ] {
        let body = json!({ "kind": kind, "text": text, "client_ref": format!("{CANARY} {kind}") });
        let path = format!("/v1/conversations/{conversation}/messages");
        let key = [("idempotency-key", kind)];
        let made = gateway
            .call(
                Some(&brand.owner),
                reqwest::Method::POST,
                &path,
                Some(body),
                &key,
            )
            .await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let event = json!({ "text": CANARY, "sender_id": CUSTOMER, "recipient_id": brand.account_id })
        .to_string();
    let mut owner = gateway.db.owner().await;
    for statement in [
        "insert into inbound_events (brand_id, channel_id, kind, platform_event_id, payload)
         select brand_id, channel_id, 'dm', platform_event_id, $1 from messages where platform_event_id is not null",
        "insert into raw_unclaimed (id, platform, app, account_id, kind, event_id, reason, payload)
         values (gen_random_uuid(), 'x', 'main', '', 'dm', '1', 'unknown kind', $1)",
        "insert into spool (id, partition, lane, body, request_id)
         values (gen_random_uuid(), 1, 'live', convert_to($1, 'UTF8'), 'r')",
        "insert into dead_messages (id, queue, fingerprint, reason, payload)
         values (gen_random_uuid(), 'ingress.p01', '', 'poison', convert_to($1, 'UTF8'))",
        "insert into attachments (brand_id, id, message_id, ordinal, type, source_url, data)
         select brand_id, gen_random_uuid(), id, 0, 'photo', 'https://x.example/' || $1, to_jsonb($1::text)
         from messages where kind = 'inbound'",
        "update conversations set external_id = 'canary-8d31', origin_kind = 'tweet', origin_ref = $1",
    ] {
        sqlx::query(statement).bind(&event).execute(&mut owner).await.unwrap();
    }
    (id, conversation)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_an_erased_contact_is_left_in_any_table_and_the_figures_stay() {
    let gateway = Gateway::start().await;
    let (brand, other) = (gateway.brand("Harbor").await, gateway.brand("Other").await);
    let (id, conversation) = leave_traces(&gateway, &brand).await;
    let hex = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let personal = [
        CANARY.to_owned(),
        CUSTOMER.to_owned(),
        hex(CANARY),
        hex(CUSTOMER),
    ];
    let before = dump(&gateway).await;
    assert!(
        personal[..3].iter().all(|text| before.contains(text)),
        "the traces are there"
    );
    // Another brand knows the same person.
    writes(&gateway, &other, "71", "theirs").await;

    let supervisor = gateway.member(&brand, "supervisor").await;
    assert_eq!(
        gateway
            .put(&supervisor, &at(id, "/erasure"), json!({}))
            .await
            .status,
        403
    );
    let erased = gateway
        .put(&brand.owner, &at(id, "/erasure"), json!({}))
        .await;
    assert_eq!(erased.status, 200, "{}", erased.text);
    assert!(erased.body["erased_at"].is_string());

    let after = dump(&gateway).await;
    for text in &personal {
        let line = after.lines().find(|line| line.contains(text.as_str()));
        let table = after[..after.find(text.as_str()).unwrap_or(0)]
            .rfind("== ")
            .map(|at| &after[at..]);
        let table = table.and_then(|rest| rest.lines().next());
        assert_eq!(line, None, "{text} is left in {table:?}");
    }
    // Rows stay, blank; nothing runs and nothing is sent.
    let path = format!("/v1/conversations/{conversation}");
    let now = gateway.get(&brand.owner, &path).await;
    assert_eq!(
        (&now.body["status"], &now.body["preview"]),
        (&json!("resolved"), &json!(""))
    );
    let messages = gateway.get(&brand.owner, &format!("{path}/messages")).await;
    let messages = messages.body["data"].as_array().unwrap();
    assert_eq!(messages.len(), 3);
    assert!(messages.iter().all(|message| message["text"] == ""));
    let states: Vec<(String, Option<String>)> =
        sqlx::query_as("select state, code from outbound_messages")
            .fetch_all(&mut gateway.db.owner().await)
            .await
            .unwrap();
    assert_eq!(states, [("failed".to_owned(), Some("erased".to_owned()))]);
    let clocks = gateway.get(&brand.owner, &format!("{path}/sla")).await;
    assert_eq!(clocks.body["data"][0]["cancelled_as"], "erased");

    // Gone from lists, shown as what it is, and not to be changed.
    assert!(gateway.get(&brand.owner, CONTACTS).await.ids().is_empty());
    let shown = gateway.get(&brand.owner, &at(id, "")).await;
    assert_eq!(
        (&shown.body["name"], &shown.body["handle"]),
        (&json!("Erased contact"), &Value::Null)
    );
    let patch = gateway
        .patch(&brand.owner, &at(id, ""), json!({ "name": "X" }))
        .await;
    assert_eq!((patch.status.as_u16(), patch.code()), (410, "erased"));
    assert_eq!(
        gateway
            .put(&brand.owner, &at(id, "/block"), json!({}))
            .await
            .code(),
        "erased"
    );
    assert_eq!(
        gateway
            .put(&brand.owner, &at(id, "/erasure"), json!({}))
            .await
            .status,
        200
    );
    let lines = audited(&gateway, &brand).await;
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].0 == "contact.erased" && lines[0].1.contains("digest:"),
        "{lines:?}"
    );
    // The other brand's contact is untouched.
    assert_eq!(gateway.get(&other.owner, CONTACTS).await.ids().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erasing_one_person_erases_all_that_was_merged_into_them() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    writes(&gateway, &brand, "74133317413", "hello from one").await;
    writes(&gateway, &brand, "74233327423", "hello from two").await;
    let one = contact(&gateway, &brand, "74133317413").await;
    let other = contact(&gateway, &brand, "74233327423").await;
    let body = json!({ "survivor_id": one, "merged_id": other });
    let merge = gateway.post(&brand.owner, "/v1/contact-merges", body).await;
    let early = gateway
        .put(&brand.owner, &at(other, "/erasure"), json!({}))
        .await;
    assert_eq!(
        (early.status.as_u16(), early.code()),
        (409, "already_merged")
    );
    assert_eq!(
        gateway
            .put(&brand.owner, &at(one, "/erasure"), json!({}))
            .await
            .status,
        200
    );
    for id in [one, other] {
        let shown = gateway.get(&brand.owner, &at(id, "")).await;
        assert_eq!(shown.body["name"], "Erased contact");
    }
    let all = dump(&gateway).await;
    for text in [
        "hello from",
        "Customer 74133317413",
        "Customer 74233327423",
        "c74133317413",
        "c74233327423",
    ] {
        assert!(!all.contains(text), "{text}");
    }
    let path = format!("/v1/contact-merges/{}", merge.body["id"].as_str().unwrap());
    let undo = gateway.delete(&brand.owner, &path).await;
    assert_eq!((undo.status.as_u16(), undo.code()), (410, "erased"));
}
