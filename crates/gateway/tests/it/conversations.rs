//! Lists under change, filters, versions, clocks and timelines.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::customer::{writes, writes_at};
use crate::harness::Gateway;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paging_by_opened_at_misses_and_repeats_nothing_while_others_write() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let start = Timestamp::now() - SignedDuration::from_hours(1);
    let mut before = BTreeSet::new();
    for number in 0..25_i64 {
        // Pairs share an instant: ties go by id.
        let at = start + SignedDuration::from_secs(number / 2);
        let id = writes_at(&gateway, &brand, &format!("5{number}"), "hello", at).await;
        before.insert(id.to_string());
    }
    for sort in ["opened_at", "-opened_at"] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        let mut newcomer = 0;
        loop {
            let path = format!("/v1/conversations?sort={sort}&limit=4{cursor}");
            let answer = gateway.get(&brand.owner, &path).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert_eq!(answer.body["after"].is_string(), cursor.is_empty());
            seen.extend(answer.ids());
            let Some(next) = answer.body["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
            newcomer += 1;
            writes(
                &gateway,
                &brand,
                &format!("8{newcomer}{}", sort.len()),
                "new",
            )
            .await;
            writes(&gateway, &brand, &format!("5{newcomer}"), "again").await;
        }
        let distinct: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(distinct.len(), seen.len(), "{sort}: repeated");
        assert!(before.is_subset(&distinct), "{sort}: missed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_serves_only_the_list_that_made_it() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    for number in 0..3 {
        writes(&gateway, &brand, &format!("5{number}"), "hello").await;
    }
    let first = gateway
        .get(&brand.owner, "/v1/conversations?status=open&limit=1")
        .await;
    let cursor = first.body["next_cursor"].as_str().unwrap();
    for query in ["status=pending", "", "status=open&sort=opened_at"] {
        let path = format!("/v1/conversations?{query}&cursor={cursor}");
        let answer = gateway.get(&brand.owner, &path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, "cursor_mismatch"),
            "{query}"
        );
    }
    let path = format!("/v1/conversations?status=open&limit=2&cursor={cursor}");
    assert_eq!(gateway.get(&brand.owner, &path).await.ids().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_filter_and_every_sort_works() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let (first, second) = (
        writes(&gateway, &brand, "1", "one").await,
        writes(&gateway, &brand, "2", "two").await,
    );
    let path = format!("/v1/conversations/{first}");
    let taken = json!({ "member_id": brand.owner.member });
    gateway
        .put(&brand.owner, &format!("{path}/assignment"), taken)
        .await;
    let patch = json!({ "priority": "urgent", "status": "pending" });
    let one = gateway.patch(&brand.owner, &path, patch).await;
    let opened = one.body["opened_at"].as_str().unwrap();
    let contact = one.body["contact"]["id"].as_str().unwrap();
    assert_eq!(one.body["contact"]["name"], "Customer 1");
    let owner = brand.owner.member;
    let (team, channel) = (brand.team, brand.channel);
    for (query, holds_first, holds_second) in [
        ("status=pending".to_owned(), true, false),
        ("status=pending&status=open".to_owned(), true, true),
        ("status=open&priority=urgent".to_owned(), false, false),
        ("priority=urgent".to_owned(), true, false),
        (format!("assignee_id={owner}"), true, false),
        ("assignee_id=none".to_owned(), false, true),
        (format!("assignee_id=none&assignee_id={owner}"), true, true),
        (format!("team_id={team}"), true, true),
        ("team_id=none".to_owned(), false, false),
        (format!("channel_id={channel}"), true, true),
        (format!("contact_id={contact}"), true, false),
        ("has_failed_send=true".to_owned(), false, false),
        ("has_failed_send=false".to_owned(), true, true),
        (format!("opened_after={opened}"), true, true),
        (format!("opened_before={opened}"), false, false),
        (format!("updated_after={opened}"), true, true),
        (format!("updated_before={opened}"), false, false),
    ] {
        let answer = gateway
            .get(&brand.owner, &format!("/v1/conversations?{query}"))
            .await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        let ids = answer.ids();
        let holds = |id: &str| ids.iter().any(|found| found == id);
        assert_eq!(
            (holds(&first.to_string()), holds(&second.to_string())),
            (holds_first, holds_second),
            "{query}"
        );
    }
    for field in [
        "last_message_at",
        "waiting_since",
        "opened_at",
        "updated_at",
        "next_due_at",
    ] {
        let mut orders = Vec::new();
        for sort in [field.to_owned(), format!("-{field}")] {
            let path = format!("/v1/conversations?sort={sort}&limit=1");
            let page = gateway.get(&brand.owner, &path).await;
            let next = page.body["next_cursor"].as_str().unwrap();
            let rest = gateway
                .get(&brand.owner, &format!("{path}&cursor={next}"))
                .await;
            assert_eq!(rest.status, 200, "{sort}: {}", rest.text);
            orders.push([page.ids(), rest.ids()].concat());
        }
        orders[1].reverse();
        assert_eq!(orders[0].len(), 2, "{field}");
        assert_eq!(orders[0], orders[1], "{field}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_view_changes_nothing_and_learns_what_changed() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let id = writes(&gateway, &brand, "77", "hello").await;
    let path = format!("/v1/conversations/{id}");
    let seen = gateway.get(&brand.owner, &path).await;
    let etag = seen.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", seen.body["version"]));
    gateway
        .patch(&brand.owner, &path, json!({ "priority": "high" }))
        .await;
    let resolve = async |etag: &str| {
        let body = Some(json!({ "status": "resolved" }));
        let headers = [("if-match", etag)];
        gateway
            .call(Some(&brand.owner), Method::PATCH, &path, body, &headers)
            .await
    };
    let stale = resolve(&etag).await;
    assert_eq!(
        (stale.status.as_u16(), stale.code()),
        (409, "version_conflict")
    );
    assert_eq!(stale.pointers(), ["/priority"]);
    let now = gateway.get(&brand.owner, &path).await;
    assert_eq!(now.body["status"], "open");
    assert_eq!(stale.body["current_version"], now.body["version"]);
    assert_eq!(resolve("nonsense").await.status, 400);
    let done = resolve(now.headers["etag"].to_str().unwrap()).await;
    assert_eq!(done.body["status"], "resolved", "{}", done.text);
    assert!(done.body["resolved_at"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snoozing_waking_and_reopening_by_hand() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let id = writes(&gateway, &brand, "77", "hello").await;
    let path = format!("/v1/conversations/{id}");
    let until = Timestamp::now() + SignedDuration::from_hours(2);
    let mut body = json!({ "status": "snoozed", "snooze_until": until.to_string() });
    // The customer waits, and a snooze stops no clock of theirs.
    let unmeant = gateway.patch(&brand.owner, &path, body.clone()).await;
    assert_eq!(
        (unmeant.status.as_u16(), unmeant.code()),
        (422, "confirmation_needed")
    );
    body["confirm"] = json!(true);
    let snoozed = gateway.patch(&brand.owner, &path, body.clone()).await;
    assert_eq!(snoozed.body["status"], "snoozed", "{}", snoozed.text);
    assert_eq!(snoozed.body["snoozed_until"], format!("{until:.3}"));
    let same = gateway.patch(&brand.owner, &path, body).await;
    assert_eq!(
        same.body["version"], snoozed.body["version"],
        "nothing changed"
    );
    let woken = gateway
        .patch(&brand.owner, &path, json!({ "snooze_until": null }))
        .await;
    assert_eq!(
        (&woken.body["status"], &woken.body["snoozed_until"]),
        (&json!("open"), &Value::Null)
    );
    gateway
        .patch(&brand.owner, &path, json!({ "status": "resolved" }))
        .await;
    let reopened = gateway
        .patch(&brand.owner, &path, json!({ "status": "open" }))
        .await;
    assert_eq!(
        (&reopened.body["cycle"], &reopened.body["status"]),
        (&json!(2), &json!("open"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_not_reopened_beside_a_newer_one() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let old = writes(&gateway, &brand, "77", "hello").await;
    let path = format!("/v1/conversations/{old}");
    let resolved = json!({ "status": "resolved" });
    gateway.patch(&brand.owner, &path, resolved.clone()).await;
    let newer = writes(&gateway, &brand, "77", "something else").await;
    assert_ne!(old, newer);
    let until = Timestamp::now() + SignedDuration::from_hours(2);
    for wanted in [
        json!({ "status": "open" }),
        json!({ "status": "pending", "priority": "high" }),
        json!({ "snooze_until": until.to_string() }),
    ] {
        let refused = gateway.patch(&brand.owner, &path, wanted).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (409, "conversation_exists")
        );
        assert_eq!(refused.body["conversation_id"], newer.to_string());
    }
    let urgent = json!({ "priority": "urgent" });
    let allowed = gateway.patch(&brand.owner, &path, urgent).await;
    assert_eq!(allowed.body["priority"], "urgent", "{}", allowed.text);
    let messages = format!("{path}/messages");
    let reply = |then: Value| json!({ "kind": "reply", "text": "by the way", "then": then });
    let refused = gateway
        .post(&brand.owner, &messages, reply(json!("open")))
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "conversation_exists")
    );
    let sent = gateway
        .post(&brand.owner, &messages, reply(json!("resolved")))
        .await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    // Once the newer one is over, the older may come back.
    let newer = format!("/v1/conversations/{newer}");
    gateway.patch(&brand.owner, &newer, resolved).await;
    let open = json!({ "status": "open" });
    let reopened = gateway.patch(&brand.owner, &path, open).await;
    assert_eq!(reopened.body["status"], "open", "{}", reopened.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_and_timeline_tell_the_story() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let at = Timestamp::now() - SignedDuration::from_mins(10);
    let id = writes_at(&gateway, &brand, "77", "hello", at).await;
    let clocks = gateway
        .get(&brand.owner, &format!("/v1/conversations/{id}/sla"))
        .await;
    let clock = &clocks.body["data"][0];
    assert_eq!(
        (&clock["kind"], &clock["state"]),
        (&json!("first_response"), &json!("running"))
    );
    let remaining = clock["remaining_seconds"].as_i64().unwrap();
    assert!((2980..=3000).contains(&remaining), "{remaining}");
    assert_eq!(clock["started_at"], format!("{at:.3}"));
    let one = gateway
        .get(&brand.owner, &format!("/v1/conversations/{id}"))
        .await;
    assert_eq!(one.body["sla"]["kind"], "first_response");
    assert_eq!(one.body["sla"]["next_due_at"], clock["due_at"]);
    let path = format!("/v1/conversations/{id}/timeline");
    let timeline = gateway.get(&brand.owner, &path).await;
    let kinds: Vec<&str> = timeline.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds[0], "message.received");
    assert!(
        kinds.contains(&"conversation.opened") && kinds.contains(&"sla.started"),
        "{kinds:?}"
    );
    assert_eq!(timeline.body["data"][0]["data"]["text"], "hello");
    assert_eq!(timeline.body["data"][0]["request_id"], "webhook-1");
    let newest = gateway
        .get(&brand.owner, &format!("{path}?order=desc&limit=1"))
        .await;
    assert_eq!(newest.body["data"][0]["seq"], kinds.len());
    let next = newest.body["next_cursor"].as_str().unwrap();
    let older = gateway
        .get(&brand.owner, &format!("{path}?order=desc&cursor={next}"))
        .await;
    assert_eq!(older.ids().len(), kinds.len() - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_counts_are_each_members_own_and_never_go_back() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let id = writes(&gateway, &brand, "77", "one").await;
    writes(&gateway, &brand, "77", "two").await;
    let path = format!("/v1/conversations/{id}");
    let messages = gateway.get(&agent, &format!("{path}/messages")).await.ids();
    let unread = async |who| gateway.get(who, &path).await.body["unread_count"].clone();
    assert_eq!(unread(&agent).await, 2);
    for (message, left) in [(&messages[0], 1), (&messages[1], 0), (&messages[0], 0)] {
        let body = json!({ "message_id": message });
        assert_eq!(
            gateway
                .put(&agent, &format!("{path}/read"), body)
                .await
                .status,
            204
        );
        assert_eq!(unread(&agent).await, left);
    }
    assert_eq!(unread(&brand.owner).await, 2);
    let foreign = json!({ "message_id": "msg_01h455vb4pex5vsknk084sn02q" });
    let answer = gateway.put(&agent, &format!("{path}/read"), foreign).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (422, "unknown_reference")
    );
}
