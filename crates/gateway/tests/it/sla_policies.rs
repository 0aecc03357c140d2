//! SLA policies: what they say, what they name, and their versions.

use serde_json::{Value, json};

use crate::harness::{Answer, Brand, Gateway, Person};

pub(crate) const POLICIES: &str = "/v1/sla-policies";

pub(crate) fn urgent(name: &str) -> Value {
    json!({
        "name": name,
        "conditions": { "priorities": ["urgent"] },
        "targets": { "first_response": { "seconds": 900 } },
    })
}

pub(crate) async fn make(gateway: &Gateway, who: &Person, body: Value) -> String {
    let made = gateway.post(who, POLICIES, body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn names(gateway: &Gateway, brand: &Brand) -> Vec<String> {
    let list = gateway.get(&brand.owner, POLICIES).await;
    let rows = list.body["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The policy that the sign-up made.
pub(crate) async fn standard(gateway: &Gateway, brand: &Brand) -> String {
    let ids = gateway.get(&brand.owner, POLICIES).await.ids();
    format!("{POLICIES}/{}", ids.last().unwrap())
}

pub(crate) fn refusal(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_lives_from_its_making_to_its_end_in_versions() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let lead = gateway.member(&brand, "supervisor").await;
    assert_eq!(names(&gateway, &brand).await, ["Standard"]);

    let body = json!({
        "name": " Gold ",
        "conditions": { "priorities": ["high", "urgent"], "new_contact": false },
        "targets": {
            "first_response": { "seconds": { "high": 3600, "urgent": 900 } },
            "resolution": { "seconds": 86400 },
        },
        "pauses": { "snoozed": false },
        "on_reopen": "continue",
        "warnings": [50, 75],
        "on_warning": [{ "type": "notify", "who": "assignee" }],
        "on_breach": [{ "type": "raise_priority", "to": "urgent" }, { "type": "move_to_team", "team_id": brand.team }],
        "escalations": [{ "after_seconds": 600, "actions": [{ "type": "notify", "who": "lead" }] }],
    });
    let made = gateway.post(&lead, POLICIES, body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.headers["etag"], "\"1\"");
    let path = format!("{POLICIES}/{}", made.body["id"].as_str().unwrap());
    assert_eq!(made.body["name"], "Gold");
    assert_eq!(
        made.body["targets"],
        json!({
            "first_response": { "calendar_id": null, "seconds": { "high": 3600, "urgent": 900 } },
            "resolution": {
                "calendar_id": null,
                "seconds": { "low": 86400, "normal": 86400, "high": 86400, "urgent": 86400 },
            },
        })
    );
    assert_eq!(
        made.body["pauses"],
        json!({ "pending": true, "snoozed": false })
    );
    assert_eq!(
        made.body["on_breach"][1],
        json!({ "type": "move_to_team", "team_id": brand.team })
    );
    // Before the one that holds for all.
    assert_eq!(names(&gateway, &brand).await, ["Gold", "Standard"]);
    assert_eq!(gateway.get(&lead, &path).await.body, made.body);

    // A patch changes what it names, however deep, and null takes away.
    let patch = json!({
        "targets": { "first_response": { "seconds": { "urgent": 600 } }, "resolution": null },
        "conditions": { "new_contact": null },
    });
    let patched = gateway.patch(&lead, &path, patch).await;
    assert_eq!(patched.status, 200, "{}", patched.text);
    assert_eq!(patched.body["version"], 2);
    assert_eq!(
        patched.body["targets"],
        json!({ "first_response": { "calendar_id": null, "seconds": { "high": 3600, "urgent": 600 } } })
    );
    assert_eq!(patched.body["conditions"]["new_contact"], Value::Null);
    assert_eq!(
        patched.body["conditions"]["priorities"],
        json!(["high", "urgent"])
    );
    // What changes nothing makes no version.
    let same = gateway
        .patch(&lead, &path, json!({ "warnings": [50, 75] }))
        .await;
    assert_eq!(
        (same.status.as_u16(), &same.body["version"]),
        (200, &json!(2))
    );

    let versions = gateway
        .get(&lead, &format!("{path}/versions?limit=1"))
        .await;
    assert_eq!(versions.body["data"][0]["version"], 2);
    let cursor = versions.body["next_cursor"].as_str().unwrap();
    let older = gateway
        .get(&lead, &format!("{path}/versions?limit=1&cursor={cursor}"))
        .await;
    let older = &older.body["data"][0];
    assert_eq!(
        (&older["version"], &older["created_by"]),
        (&json!(1), &json!(lead.member))
    );
    assert_eq!(older["targets"], made.body["targets"]);

    assert_eq!(gateway.delete(&lead, &path).await.status, 204);
    assert_eq!(gateway.get(&lead, &path).await.status, 404);
    assert_eq!(gateway.delete(&lead, &path).await.status, 404);
    assert_eq!(names(&gateway, &brand).await, ["Standard"]);
    // Its versions stay: clocks are explained by them.
    let versions = gateway.get(&lead, &format!("{path}/versions")).await;
    assert_eq!(versions.body["data"].as_array().unwrap().len(), 2);

    let told = gateway.audit(&brand).await;
    let told: Vec<&str> = told.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(
        told,
        [
            "sla_policy.deleted",
            "sla_policy.changed",
            "sla_policy.created"
        ]
    );
    let lines = gateway
        .get(&brand.owner, "/v1/audit-log?action=sla_policy.changed")
        .await;
    let line = &lines.body["data"][0];
    assert_eq!(line["before"]["conditions"]["new_contact"], false);
    assert_eq!(line["after"]["conditions"]["new_contact"], Value::Null);
    assert!(line["after"].get("warnings").is_none(), "{line}");
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(
        (&line["target"]["id"], &line["actor"]["id"]),
        (&json!(id), &json!(lead.member))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_policies_are_refused_with_their_places() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let with = |field: &str, value: Value| {
        let mut body = urgent("Gold");
        body[field] = value;
        body
    };
    let target = |seconds: Value| with("targets", json!({ "resolution": { "seconds": seconds } }));
    let steps = |steps: Value| with("escalations", steps);
    let tell = json!([{ "type": "notify", "who": "team" }]);
    for (body, pointers) in [
        (json!({}), vec![""]),
        (with("name", json!(" ")), vec!["/name"]),
        (with("extra", json!(1)), vec!["/extra"]),
        (target(json!(0)), vec!["/targets/resolution/seconds"]),
        (target(json!(-5)), vec!["/targets/resolution/seconds"]),
        (
            target(json!(31_622_401)),
            vec!["/targets/resolution/seconds"],
        ),
        (target(json!(u64::MAX)), vec!["/targets/resolution/seconds"]),
        (target(json!(1.5)), vec!["/targets/resolution/seconds"]),
        (target(json!({})), vec!["/targets/resolution/seconds"]),
        (
            target(json!({ "low": 0, "high": 31_622_401 })),
            vec![
                "/targets/resolution/seconds/low",
                "/targets/resolution/seconds/high",
            ],
        ),
        (
            target(json!({ "highest": 5 })),
            vec!["/targets/resolution/seconds/highest"],
        ),
        (
            target(json!({ "high": "5" })),
            vec!["/targets/resolution/seconds/high"],
        ),
        (
            with("targets", json!({ "closing": { "seconds": 5 } })),
            vec!["/targets/closing"],
        ),
        (
            with(
                "targets",
                json!({ "resolution": { "seconds": 5, "calendar_id": "team_x" } }),
            ),
            vec!["/targets/resolution/calendar_id"],
        ),
        (
            with("conditions", json!({ "priorities": ["huge"] })),
            vec!["/conditions/priorities/0"],
        ),
        (
            with(
                "conditions",
                json!({ "team_ids": ["chan_01h455vb4pex5vsknk084sn02q"] }),
            ),
            vec!["/conditions/team_ids/0"],
        ),
        (
            with(
                "conditions",
                json!({ "contact_attributes": { "plan/x": [] } }),
            ),
            vec!["/conditions/contact_attributes/plan~1x"],
        ),
        (
            with("conditions", json!({ "moods": ["sad"] })),
            vec!["/conditions/moods"],
        ),
        (with("on_reopen", json!("forget")), vec!["/on_reopen"]),
        (
            with("pauses", json!({ "resolved": true })),
            vec!["/pauses/resolved"],
        ),
        (
            with("warnings", json!([0, 100])),
            vec!["/warnings/0", "/warnings/1"],
        ),
        (
            with("warnings", json!([50, 50, 40])),
            vec!["/warnings/1", "/warnings/2"],
        ),
        (with("warnings", json!([300])), vec!["/warnings/0"]),
        (
            with("warnings", json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])),
            vec!["/warnings"],
        ),
        (
            with("on_breach", json!([{ "type": "shout" }])),
            vec!["/on_breach/0/type"],
        ),
        (
            with("on_breach", json!([{ "type": "notify" }])),
            vec!["/on_breach/0/who"],
        ),
        (
            with(
                "on_warning",
                json!([{ "type": "raise_priority", "to": "high", "who": "lead" }]),
            ),
            vec!["/on_warning/0/who"],
        ),
        (
            with(
                "on_warning",
                json!([{ "type": "move_to_team", "who": "all" }]),
            ),
            vec!["/on_warning/0/who"],
        ),
        (
            steps(json!([{ "after_seconds": 0, "actions": tell }])),
            vec!["/escalations/0/after_seconds"],
        ),
        (
            steps(json!([{ "after_seconds": 31_622_401, "actions": [] }])),
            vec!["/escalations/0/after_seconds", "/escalations/0/actions"],
        ),
        (
            steps(json!([
                { "after_seconds": 60, "actions": tell }, { "after_seconds": 60, "actions": tell },
            ])),
            vec!["/escalations/1/after_seconds"],
        ),
        (
            steps(
                (1..=21)
                    .map(|after| json!({ "after_seconds": after, "actions": tell }))
                    .collect(),
            ),
            vec!["/escalations"],
        ),
        (
            steps(json!([{ "after_seconds": 60, "actions": [{ "type": "notify" }] }])),
            vec!["/escalations/0/actions/0/who"],
        ),
    ] {
        let answer = gateway.post(&brand.owner, POLICIES, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert_eq!(answer.pointers(), pointers, "{body}: {}", answer.text);
    }
    // A patch is judged as the policy that it makes.
    let path = standard(&gateway, &brand).await;
    for (patch, pointers) in [
        (json!({ "name": null }), vec![""]),
        (json!({ "extra": true }), vec!["/extra"]),
        (
            json!({ "targets": { "first_response": { "seconds": { "low": 0 } } } }),
            vec!["/targets/first_response/seconds/low"],
        ),
    ] {
        let answer = gateway.patch(&brand.owner, &path, patch.clone()).await;
        assert_eq!(answer.status, 400, "{patch}: {}", answer.text);
        assert_eq!(answer.pointers(), pointers, "{patch}: {}", answer.text);
    }
    assert_eq!(names(&gateway, &brand).await, ["Standard"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_names_only_what_is_the_brands() {
    let gateway = Gateway::start().await;
    let (brand, other) = (gateway.brand("Harbor").await, gateway.brand("Other").await);
    let foreign = json!({ "name": "vip", "color": "#2563eb" });
    let foreign = gateway.post(&other.owner, "/v1/labels", foreign).await;
    let label = foreign.body["id"].clone();
    let body = json!({
        "name": "Gold",
        "conditions": {
            "channel_ids": [brand.channel, other.channel], "team_ids": [other.team], "label_ids": [label],
            "contact_attributes": { "plan": ["gold"] },
        },
        "targets": { "assignment": { "calendar_id": "cal_01h455vb4pex5vsknk084sn02q", "seconds": 60 } },
        "on_warning": [{ "type": "move_to_team", "team_id": other.team }],
        "escalations": [
            { "after_seconds": 5, "actions": [{ "type": "move_to_team", "team_id": brand.team }] },
            { "after_seconds": 6, "actions": [{ "type": "move_to_team", "team_id": other.team }] },
        ],
    });
    let refused = gateway.post(&brand.owner, POLICIES, body).await;
    assert_eq!(refusal(&refused), (422, "unknown_reference"));
    assert_eq!(
        refused.pointers(),
        [
            "/conditions/channel_ids/1",
            "/conditions/label_ids/0",
            "/conditions/team_ids/0",
            "/on_warning/0/team_id",
            "/escalations/1/actions/0/team_id",
            "/targets/assignment/calendar_id",
            "/conditions/contact_attributes/plan",
        ]
    );

    for (key, kind) in [("plan", "choice"), ("seats", "number")] {
        let mut body = json!({ "subject": "contact", "key": key, "name": key, "type": kind });
        if kind == "choice" {
            body["choices"] = json!(["gold", "silver"]);
        }
        let made = gateway
            .post(&brand.owner, "/v1/attribute-definitions", body)
            .await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let of = |plans: Value, seats: Value| json!({ "name": "Gold", "conditions": { "contact_attributes": { "plan": plans, "seats": seats } } });
    let unfit = of(json!(["gold", "lead"]), json!(["many"]));
    let unfit = gateway.post(&brand.owner, POLICIES, unfit).await;
    assert_eq!(refusal(&unfit), (422, "attribute_invalid"));
    assert_eq!(
        unfit.pointers(),
        [
            "/conditions/contact_attributes/plan/1",
            "/conditions/contact_attributes/seats/0"
        ]
    );
    // Values are kept as contacts' values are, so that equal ones are equal.
    let fit = of(json!(["gold"]), json!(["12.0"]));
    let fit = gateway.post(&brand.owner, POLICIES, fit).await;
    assert_eq!(fit.status, 201, "{}", fit.text);
    assert_eq!(
        fit.body["conditions"]["contact_attributes"],
        json!({ "plan": ["gold"], "seats": ["12"] })
    );
    // And what a policy names stays.
    let definitions = gateway.get(&brand.owner, "/v1/attribute-definitions").await;
    for id in definitions.ids() {
        let path = format!("/v1/attribute-definitions/{id}");
        let refused = gateway.delete(&brand.owner, &path).await;
        assert_eq!(refusal(&refused), (409, "in_use"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_and_teams_stay_while_a_policy_names_them() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let owner = &brand.owner;
    let label = json!({ "name": "vip", "color": "#2563eb" });
    let label = gateway.post(owner, "/v1/labels", label).await.body["id"].clone();
    let mut teams = Vec::new();
    for name in ["Billing", "Leads"] {
        let team = gateway
            .post(owner, "/v1/teams", json!({ "name": name }))
            .await;
        teams.push(team.body["id"].clone());
    }
    let body = json!({
        "name": "VIP",
        "conditions": { "label_ids": [label], "team_ids": [teams[0]] },
        "on_breach": [{ "type": "move_to_team", "team_id": teams[1] }],
    });
    let policy = format!("{POLICIES}/{}", make(&gateway, owner, body).await);
    let mut paths = vec![format!("/v1/labels/{}", label.as_str().unwrap())];
    paths.extend(
        teams
            .iter()
            .map(|id| format!("/v1/teams/{}", id.as_str().unwrap())),
    );
    for path in &paths {
        let refused = gateway.delete(owner, path).await;
        assert_eq!(refusal(&refused), (409, "in_use"), "{path}");
        assert_eq!(refused.body["count"], 1, "{path}");
    }
    assert_eq!(gateway.delete(owner, &policy).await.status, 204);
    for path in &paths {
        assert_eq!(gateway.delete(owner, path).await.status, 204, "{path}");
    }
}
