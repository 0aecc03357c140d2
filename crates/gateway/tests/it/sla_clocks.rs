//! Clocks as a brand sees them: which policy holds, by whose hours, and what another would do.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::customer::{writes, writes_at};
use crate::harness::{Gateway, Person};
use crate::sla_policies::{POLICIES, make, standard};

/// The only clock of a conversation.
async fn clock(gateway: &Gateway, who: &Person, id: impl std::fmt::Display) -> Value {
    let path = format!("/v1/conversations/{id}/sla");
    let clocks = gateway.get(who, &path).await;
    let clocks = clocks.body["data"].as_array().unwrap().clone();
    assert_eq!(clocks.len(), 1, "{clocks:?}");
    clocks[0].clone()
}

/// What a preview says of first-response clocks.
async fn effects(gateway: &Gateway, who: &Person, path: &str, policy: Value) -> Value {
    let preview = gateway.post(who, path, policy).await;
    assert_eq!(preview.status, 200, "{}", preview.text);
    preview.body["kinds"]["first_response"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_says_what_a_policy_would_do_and_does_nothing() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let lead = gateway.member(&brand, "supervisor").await;
    let ten_minutes_ago = Timestamp::now() - 10.minutes();
    let id = writes_at(&gateway, &brand, "11", "hello", ten_minutes_ago).await;
    writes(&gateway, &brand, "12", "hello").await;
    let before = clock(&gateway, &lead, id).await;
    let policy = standard(&gateway, &brand).await;
    let path = format!(
        "{POLICIES}/preview?policy_id={}",
        &policy[POLICIES.len() + 1..]
    );
    let wants = |seconds: i64| json!({ "name": "Standard", "targets": { "first_response": { "seconds": seconds } } });
    for (body, wanted) in [
        (
            wants(300),
            json!({ "clocks": 2, "sooner": 2, "later": 0, "already_late": 1, "ended": 0, "unchanged": 0 }),
        ),
        (
            wants(7_200),
            json!({ "clocks": 2, "sooner": 0, "later": 2, "already_late": 0, "ended": 0, "unchanged": 0 }),
        ),
        (
            wants(3_600),
            json!({ "clocks": 2, "sooner": 0, "later": 0, "already_late": 0, "ended": 0, "unchanged": 2 }),
        ),
        (
            json!({ "name": "Standard" }),
            json!({ "clocks": 2, "sooner": 0, "later": 0, "already_late": 0, "ended": 2, "unchanged": 0 }),
        ),
    ] {
        assert_eq!(effects(&gateway, &lead, &path, body).await, wanted);
    }
    // A new one is tried before the last.
    let path = format!("{POLICIES}/preview");
    let mut normal = wants(60);
    normal["conditions"] = json!({ "priorities": ["normal"] });
    let found = effects(&gateway, &lead, &path, normal).await;
    assert_eq!(found["sooner"], 2);
    assert_eq!(
        gateway.post(&lead, &path, wants(60)).await.code(),
        "policy_never_reached"
    );
    let after = clock(&gateway, &lead, id).await;
    assert_eq!(after["due_at"], before["due_at"]);
    let agent = gateway.member(&brand, "agent").await;
    assert_eq!(gateway.post(&agent, &path, wants(60)).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_or_an_attribute_of_the_contact_brings_another_policy_and_its_going_the_first_again()
 {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let owner = &brand.owner;
    let label = json!({ "name": "outage", "color": "#aa0000" });
    let label = gateway.post(owner, "/v1/labels", label).await.body["id"].clone();
    let tier = json!({ "subject": "contact", "key": "tier", "name": "Tier", "type": "choice", "choices": ["gold", "basic"] });
    assert_eq!(
        gateway
            .post(owner, "/v1/attribute-definitions", tier)
            .await
            .status,
        201
    );
    for (name, conditions, seconds) in [
        ("Outage", json!({ "label_ids": [label] }), 120),
        (
            "Gold",
            json!({ "contact_attributes": { "tier": ["gold"] } }),
            600,
        ),
    ] {
        let body = json!({
            "name": name, "conditions": conditions, "targets": { "first_response": { "seconds": seconds } },
        });
        make(&gateway, owner, body).await;
    }
    let id = writes(&gateway, &brand, "11", "hello").await;
    let path = format!("/v1/conversations/{id}");
    let contact = gateway.get(owner, &path).await.body["contact"]["id"].clone();
    let contact = format!("/v1/contacts/{}", contact.as_str().unwrap());
    let target = || async {
        clock(&gateway, owner, id).await["target_seconds"]
            .as_i64()
            .unwrap()
    };
    assert_eq!(target().await, 3_600);
    for (path, change, seconds) in [
        (&contact, json!({ "attributes": { "tier": "gold" } }), 600),
        (&path, json!({ "labels": { "add": [label] } }), 120),
        (&contact, json!({ "attributes": { "tier": null } }), 120),
        (&path, json!({ "labels": { "remove": [label] } }), 3_600),
    ] {
        let changed = gateway.patch(owner, path, change.clone()).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        assert_eq!(target().await, seconds, "{change}");
    }
    let told = clock(&gateway, owner, id).await;
    let story: Vec<&str> = told["story"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["what"].as_str().unwrap())
        .collect();
    assert_eq!(story, ["started", "retargeted", "retargeted", "retargeted"]);
    assert_eq!(told["marks"], json!(["lengthened"]));
    // Somebody else of the same tier starts with it.
    writes(&gateway, &brand, "12", "hello").await;
}

/// A calendar that is open for an hour on one day of the week, and when that is next.
fn open_on(date: Date) -> Value {
    let day = match date.weekday() {
        Weekday::Monday => "monday",
        Weekday::Tuesday => "tuesday",
        Weekday::Wednesday => "wednesday",
        Weekday::Thursday => "thursday",
        Weekday::Friday => "friday",
        Weekday::Saturday => "saturday",
        Weekday::Sunday => "sunday",
    };
    json!({
        "name": "Once a week", "time_zone": "UTC",
        "week": { day: [{ "from": "09:00", "to": "10:00" }] },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_calendar_a_clock_waits_for_the_opening_and_is_due_inside_of_it() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let owner = &brand.owner;
    let day = TimeZone::UTC.to_datetime(Timestamp::now()).date() + 3.days();
    let calendar = gateway.post(owner, "/v1/calendars", open_on(day)).await;
    assert_eq!(calendar.status, 201, "{}", calendar.text);
    let target = json!({ "calendar_id": calendar.body["id"], "seconds": 900 });
    let policy = standard(&gateway, &brand).await;
    let change = json!({ "targets": { "first_response": target } });
    assert_eq!(gateway.patch(owner, &policy, change).await.status, 200);
    let id = writes(&gateway, &brand, "11", "hello").await;
    let told = clock(&gateway, owner, id).await;
    assert_eq!(told["due_at"], format!("{day}T09:15:00.000Z"));
    assert_eq!(told["remaining_seconds"], 900);
    assert_eq!(told["calendar_id"], calendar.body["id"]);
    assert_eq!(told["calendar_version"], 1);
    assert_eq!(told["parts"]["queue"], 0, "nothing has counted yet");
    // Other hours leave it its version; reapplied, it takes them.
    let path = format!("/v1/calendars/{}", calendar.body["id"].as_str().unwrap());
    let mut week = open_on(day + 1.day())["week"].clone();
    for other in [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ] {
        if week.get(other).is_none() {
            week[other] = json!([]);
        }
    }
    let changed = gateway.patch(owner, &path, json!({ "week": week })).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(clock(&gateway, owner, id).await["due_at"], told["due_at"]);
    let wanted = effects_of_reapplying(&gateway, owner, &policy).await;
    assert_eq!(wanted["later"], 1);
}

/// What saving a policy as it is, and reapplying it, would do.
async fn effects_of_reapplying(gateway: &Gateway, who: &Person, policy: &str) -> Value {
    let mut present = gateway.get(who, policy).await.body;
    let body = present.as_object_mut().unwrap();
    for field in ["id", "version", "created_at", "updated_at"] {
        body.remove(field);
    }
    let path = format!(
        "{POLICIES}/preview?policy_id={}",
        &policy[POLICIES.len() + 1..]
    );
    effects(gateway, who, &path, present).await
}
