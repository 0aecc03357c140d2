//! The walk: every operation of the document, with every id that it takes, asked by those who must
//! not know. An operation or a parameter that the tables here don't know fails the test: whoever adds
//! one says here what it names.

use std::collections::BTreeMap;

use roost_domain::ids::InvitationId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::customer::writes;
use crate::document::{Document, Operation};
use crate::harness::{Answer, Brand, Gateway, Person};
use crate::stream::Client;

/// Stands in everything that the other brand wrote.
const CANARY: &str = "canary-7c1d";

/// What the `{id}` of an address names: the longest matching beginning counts.
const PATHS: &[(&str, &str)] = &[
    ("/v1/api-keys/", "key"),
    ("/v1/attribute-definitions/", "attr"),
    ("/v1/audit-log/", "aud"),
    ("/v1/calendars/", "cal"),
    ("/v1/canned-replies/", "can"),
    ("/v1/channels/", "chan"),
    ("/v1/contact-merges/", "mrg"),
    ("/v1/contacts/", "cont"),
    ("/v1/conversations/", "conv"),
    ("/v1/invitations/", "inv"),
    ("/v1/labels/", "lbl"),
    ("/v1/me/sessions/", "ses"),
    ("/v1/members/", "mem"),
    ("/v1/messages/", "msg"),
    ("/v1/saved-filters/", "flt"),
    ("/v1/skills/", "skl"),
    ("/v1/sla-excuses/", "exc"),
    ("/v1/sla-policies/", "pol"),
    ("/v1/teams/", "team"),
    ("/v1/x-apps/", "xapp"),
];

/// What the ids in queries and bodies name.
const FIELDS: &[(&str, &str)] = &[
    ("actor_id", "mem"),
    ("assignee_id", "mem"),
    ("channel_id", "chan"),
    ("channel_ids", "chan"),
    ("contact_id", "cont"),
    ("conversation_id", "conv"),
    ("member_id", "mem"),
    ("member_ids", "mem"),
    ("mention_ids", "mem"),
    ("merged_id", "cont"),
    ("message_id", "msg"),
    ("policy_id", "pol"),
    ("policy_ids", "pol"),
    ("survivor_id", "cont"),
    ("target_id", "lbl"),
    ("team_id", "team"),
    ("team_ids", "team"),
    ("x_app_id", "xapp"),
];

/// Ends in `_id` and is a name that the brand or the platform gives, or says which seat to sign in to.
const NO_IDS: &[&str] = &["app_id", "external_id", "brand_id", "platform_user_id"];

/// Bodies for operations whose smallest body changes nothing or isn't allowed.
fn body_of(operation: &Operation, ours: &Things) -> Option<Value> {
    Some(match operation.name().as_str() {
        "PUT /v1/conversations/{id}/assignment" => json!({ "member_id": ours.id("mem") }),
        "POST /v1/conversations/{id}/messages" => json!({ "kind": "note", "text": "x" }),
        "PUT /v1/conversations/{id}/read" => json!({ "message_id": ours.id("msg") }),
        "PATCH /v1/conversations/{id}" => json!({ "priority": "high" }),
        "PUT /v1/members/{id}/presence" => json!({ "status": "away" }),
        "POST /v1/api-keys" => json!({
            "name": "x", "mode": "live", "role": "agent", "scopes": ["settings:read"],
        }),
        "POST /v1/attribute-definitions" => json!({
            "subject": "contact", "key": "size", "name": "Size", "type": "text",
        }),
        "POST /v1/canned-replies" | "PATCH /v1/canned-replies/{id}" => json!({
            "title": "Thanks", "shortcut": "thanks", "text": "Thank you!",
        }),
        "POST /v1/canned-replies/{id}/render" => json!({ "conversation_id": ours.id("conv") }),
        "POST /v1/channels/{id}/sandbox-messages" => json!({
            "from": { "handle": "casey" }, "text": "x",
        }),
        "POST /v1/contact-merges" => json!({
            "survivor_id": ours.id("cont"), "merged_id": "cont_01h455vb4pex5vsknk084sn02r",
        }),
        "POST /v1/conversations" => json!({
            "channel_id": ours.id("chan"), "contact_id": ours.id("cont"), "text": "x",
        }),
        "POST /v1/invitations" => json!({ "email": "new@ours.example", "role": "agent" }),
        "PATCH /v1/members/{id}" => json!({ "capacity": 3 }),
        _ => return None,
    })
}

/// One thing of each kind, by the prefix of its id.
struct Things(BTreeMap<&'static str, String>);

impl Things {
    fn id(&self, prefix: &str) -> &str {
        self.0.get(prefix).map_or_else(
            || panic!("no thing of kind {prefix}: make one in `things`"),
            String::as_str,
        )
    }
}

async fn things(gateway: &Gateway, brand: &Brand, text: &str) -> Things {
    let owner = &brand.owner;
    let conversation = writes(gateway, brand, "77", text).await;
    let thread = format!("/v1/conversations/{conversation}");
    let reply = json!({ "kind": "reply", "text": text });
    let reply = gateway
        .post(owner, &format!("{thread}/messages"), reply)
        .await;
    let conversation = gateway.get(owner, &thread).await.body;
    let text_of = |value: &Value| value.as_str().unwrap().to_owned();
    let mut made = BTreeMap::new();
    for (prefix, path, body) in [
        (
            "attr",
            "/v1/attribute-definitions",
            json!({ "subject": "conversation", "key": "note", "name": text, "type": "text" }),
        ),
        (
            "can",
            "/v1/canned-replies",
            json!({ "title": text, "shortcut": "hi", "text": text }),
        ),
        (
            "flt",
            "/v1/saved-filters",
            json!({ "name": text, "filter": { "status": ["open"] } }),
        ),
        (
            "lbl",
            "/v1/labels",
            json!({ "name": text, "color": "#00aa00" }),
        ),
        ("skl", "/v1/skills", json!({ "name": text })),
        (
            "exc",
            "/v1/sla-excuses",
            json!({
                "starts_at": "2026-03-01T08:00:00Z", "ends_at": "2026-03-01T09:00:00Z", "reason": text,
            }),
        ),
        (
            "cal",
            "/v1/calendars",
            json!({
                "name": text, "time_zone": "Europe/Berlin",
                "week": { "monday": [{ "from": "09:00", "to": "17:00" }] },
            }),
        ),
        (
            "pol",
            "/v1/sla-policies",
            json!({ "name": text, "conditions": { "priorities": ["high"] } }),
        ),
        (
            "key",
            "/v1/api-keys",
            json!({ "name": text, "mode": "live", "role": "agent", "scopes": ["settings:read"] }),
        ),
        (
            "xapp",
            "/v1/x-apps",
            json!({
                "name": text, "app_id": "12345", "consumer_key": "consumer-key-1",
                "consumer_secret": "consumer-secret-1",
            }),
        ),
    ] {
        let answer = gateway.post(owner, path, body).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.text);
        made.insert(prefix, text_of(&answer.body["id"]));
    }
    writes(gateway, brand, "78", text).await;
    writes(gateway, brand, "79", text).await;
    let contacts = gateway.get(owner, "/v1/contacts?sort=name").await.ids();
    let pair = json!({ "survivor_id": contacts[1], "merged_id": contacts[2] });
    let merge = gateway.post(owner, "/v1/contact-merges", pair).await;
    assert_eq!(merge.status, 201, "{}", merge.text);
    let sessions = gateway.get(owner, "/v1/me/sessions").await;
    let lines = gateway.get(owner, "/v1/audit-log").await;
    made.extend([
        ("mrg", text_of(&merge.body["id"])),
        ("ses", text_of(&sessions.body["data"][0]["id"])),
        ("aud", text_of(&lines.body["data"][0]["id"])),
        ("inv", invitation(gateway, brand).await),
    ]);
    made.extend([
        ("chan", brand.channel.to_string()),
        ("cont", text_of(&conversation["contact"]["id"])),
        ("conv", text_of(&conversation["id"])),
        ("mem", owner.member.to_string()),
        ("msg", text_of(&reply.body["id"])),
        ("team", brand.team.to_string()),
    ]);
    Things(made)
}

/// One as the database has it: inviting wants a proven mail address.
async fn invitation(gateway: &Gateway, brand: &Brand) -> String {
    let id = InvitationId(Uuid::now_v7());
    sqlx::query(
        "insert into invitations (brand_id, id, email, role, team_ids, token_hash, invited_by, expires_at)
         values ($1, $2, $3, 'agent', '{}', sha256($2::text::bytea), $4, now() + interval '1 hour')",
    )
    .bind(brand.owner.brand.0)
    .bind(id.0)
    .bind(format!("{}@{CANARY}.example", id.0.simple()))
    .bind(brand.owner.member.0)
    .execute(&mut gateway.db.owner().await)
    .await
    .unwrap();
    id.to_string()
}

fn missing(prefix: &str) -> String {
    format!("{prefix}_01h455vb4pex5vsknk084sn02q")
}

fn path_kind(operation: &Operation) -> Option<&'static str> {
    if !operation.path.contains('{') {
        return None;
    }
    let known = PATHS
        .iter()
        .filter(|(start, _)| operation.path.starts_with(start))
        .max_by_key(|(start, _)| start.len());
    let Some((_, prefix)) = known else {
        panic!("{}: say in PATHS what its id names", operation.name());
    };
    assert_eq!(
        operation.path.matches('{').count(),
        1,
        "{}",
        operation.name()
    );
    Some(prefix)
}

fn field_kind(operation: &Operation, name: &str) -> Option<&'static str> {
    let is_id = name.ends_with("_id") || name.ends_with("_ids");
    if !is_id || NO_IDS.contains(&name) {
        return None;
    }
    let known = FIELDS.iter().find(|(field, _)| *field == name);
    let Some((_, prefix)) = known else {
        panic!("{}: say in FIELDS what {name} names", operation.name());
    };
    Some(prefix)
}

/// An answer without what differs in any case: the request's id, and the id that was asked for.
fn faceless(answer: &Answer, id: &str) -> (u16, String) {
    let mut body = answer.body.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (answer.status.as_u16(), body.to_string().replace(id, "ID"))
}

struct Walk<'a> {
    gateway: &'a Gateway,
    who: &'a Person,
    secrets: [String; 2],
    calls: usize,
}

impl Walk<'_> {
    async fn call(&mut self, operation: &Operation, path: &str, body: Option<&Value>) -> Answer {
        let answer = self
            .gateway
            .call(
                Some(self.who),
                operation.method.clone(),
                path,
                body.cloned(),
                &[],
            )
            .await;
        self.calls += 1;
        for secret in &self.secrets {
            assert!(
                !answer.text.contains(secret),
                "{} shows {secret} of another brand: {}",
                operation.name(),
                answer.text
            );
        }
        assert!(answer.status.as_u16() < 500, "{path}: {}", answer.text);
        answer
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_brands_ids_answer_as_missing_ones_wherever_an_id_is_taken() {
    let gateway = Gateway::start().await;
    let (ours, theirs) = (gateway.brand("Ours").await, gateway.brand("Theirs").await);
    // Who hasn't proven their address may not send mail to others, so the walk would see nothing.
    sqlx::query("update users set email_verified_at = now()")
        .execute(&mut gateway.db.owner().await)
        .await
        .unwrap();
    let their_things = things(&gateway, &theirs, CANARY).await;
    let our_things = things(&gateway, &ours, "hello").await;
    let document = Document::of(&gateway).await;
    let mut walk = Walk {
        gateway: &gateway,
        who: &ours.owner,
        secrets: [CANARY.to_owned(), theirs.owner.brand.to_string()],
        calls: 0,
    };
    let operations = document.operations();
    for operation in operations.iter().filter(|one| !one.is_public()) {
        let name = operation.name();
        let schema = document.body(operation);
        let body = schema.map(|schema| {
            body_of(operation, &our_things).unwrap_or_else(|| document.sample(schema))
        });
        let of = |id: &str| operation.path.replace("{id}", id);
        let mut own_path = operation.path.clone();
        if let Some(prefix) = path_kind(operation) {
            let foreign = their_things.id(prefix);
            let mut answers = Vec::new();
            for id in [
                foreign,
                &missing(prefix),
                &format!("{prefix}_not-an-id"),
                "nonsense",
            ] {
                let answer = walk.call(operation, &of(id), body.as_ref()).await;
                assert_eq!(answer.status, 404, "{name} with {id}: {}", answer.text);
                answers.push(faceless(&answer, id));
            }
            assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{name}");
            own_path = of(our_things.id(prefix));
        }
        for parameter in operation.query() {
            let Some(prefix) = field_kind(operation, parameter) else {
                continue;
            };
            let mut answers = Vec::new();
            for id in [their_things.id(prefix), &missing(prefix)] {
                let path = format!("{own_path}?{parameter}={id}");
                let answer = walk.call(operation, &path, body.as_ref()).await;
                answers.push(faceless(&answer, id));
            }
            assert_eq!(answers[0], answers[1], "{name} by {parameter}");
        }
        for (field, schema) in schema.map(|it| document.properties(it)).unwrap_or_default() {
            let Some(prefix) = field_kind(operation, field) else {
                continue;
            };
            let mut answers = Vec::new();
            for id in [their_things.id(prefix), &missing(prefix)] {
                let mut body = body.clone().unwrap_or_else(|| json!({}));
                let is_list = schema.to_string().contains("array");
                body[field] = if is_list { json!([id]) } else { json!(id) };
                let answer = walk.call(operation, &own_path, Some(&body)).await;
                assert!(
                    answer.status.is_client_error(),
                    "{name} takes a foreign {field}: {}",
                    answer.text
                );
                answers.push(faceless(&answer, id));
            }
            assert_eq!(answers[0], answers[1], "{name} by {field}");
        }
    }
    assert!(walk.calls > 100, "only {} calls", walk.calls);
    // Theirs is as it was.
    let thread = format!("/v1/conversations/{}", their_things.id("conv"));
    let still = gateway.get(&theirs.owner, &thread).await;
    assert_eq!(still.body["status"], "open");
    assert_eq!(still.body["priority"], "normal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_the_public_routes_answers_without_a_good_token() {
    let gateway = Gateway::start_with(&[("ROOST_ADDRESS_REQUESTS_PER_MINUTE", "100000")]).await;
    let brand = gateway.brand("Harbor").await;
    let revoked = gateway.api_key(&brand, "owner", None).await;
    gateway.revoke(&revoked).await;
    let document = Document::of(&gateway).await;
    let mut walked = 0;
    for operation in document.operations() {
        let path = operation.path.replace("{id}", &missing("conv"));
        let revoked = format!("Bearer {}", revoked.token);
        for token in [
            None,
            Some("Bearer nonsense"),
            Some("Basic abc"),
            Some(&revoked),
        ] {
            let headers: Vec<(&str, &str)> = token
                .map(|token| ("authorization", token))
                .into_iter()
                .collect();
            let answer = gateway
                .call(
                    None,
                    operation.method.clone(),
                    &path,
                    Some(json!({})),
                    &headers,
                )
                .await;
            let is_refused = answer.code() == "unauthenticated";
            // It asks for a cookie instead.
            let is_refresh = operation.path == "/v1/sessions/refresh";
            assert!(
                is_refused != operation.is_public() || is_refresh,
                "{}: {}",
                operation.name(),
                answer.text
            );
            assert!(answer.status.as_u16() < 500, "{}", answer.text);
            walked += usize::from(is_refused);
        }
    }
    assert!(walked > 100, "only {walked} calls were refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_and_the_feed_carry_nothing_of_another_brand() {
    let gateway = Gateway::start_with_broker().await;
    let (ours, theirs) = (gateway.brand("Ours").await, gateway.brand("Theirs").await);
    let of_theirs = ["all", "mine", &format!("team:{}", theirs.team)].map(str::to_owned);
    let topics: Vec<&str> = of_theirs.iter().map(String::as_str).collect();
    let mut stream = Client::auth(&gateway, &ours.owner, None, &topics).await;
    things(&gateway, &theirs, CANARY).await;
    gateway.relay().await;
    // Ours comes last: by then everything of theirs would have come.
    writes(&gateway, &ours, "81", "the last word").await;
    gateway.relay().await;
    let frames = stream.until("message.received").await;
    let feed = gateway
        .get(&ours.owner, "/v1/events?after=oldest&limit=200")
        .await;
    let heard = format!("{frames:?} {}", feed.text);
    assert!(heard.contains("the last word"), "{heard}");
    for secret in [CANARY.to_owned(), theirs.owner.brand.to_string()] {
        assert!(!heard.contains(&secret), "{secret} in {heard}");
    }
    gateway.stop().await;
}
