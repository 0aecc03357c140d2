//! What a brand sets: itself, its teams, its skills.

use reqwest::Method;
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::{Answer, Brand, Gateway, Person};

async fn make(gateway: &Gateway, who: &Person, path: &str, body: Value) -> (String, Answer) {
    let answer = gateway.post(who, path, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    (answer.body["id"].as_str().unwrap().to_owned(), answer)
}

async fn actions(gateway: &Gateway, brand: &Brand) -> Vec<String> {
    let lines = gateway.audit(brand).await;
    lines.into_iter().map(|(action, _)| action).collect()
}

fn outcome(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brand_is_renamed_by_who_saw_its_last_version() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let seen = gateway.get(&brand.owner, "/v1/brand").await;
    assert_eq!(seen.headers["etag"], "\"1\"");
    let body = json!({ "name": "Harbour", "time_zone": "America/New_York" });
    let call = |who, body: Value, version| {
        let headers = [("if-match", version)];
        let gateway = &gateway;
        async move {
            gateway
                .call(Some(who), Method::PATCH, "/v1/brand", Some(body), &headers)
                .await
        }
    };
    let answer = call(&brand.owner, body.clone(), "\"1\"").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["name"]),
        (200, &json!("Harbour"))
    );
    assert_eq!(answer.headers["etag"], "\"2\"");
    assert_eq!(
        outcome(&call(&brand.owner, body.clone(), "\"1\"").await),
        (409, "version_conflict")
    );
    assert_eq!(
        outcome(&call(&brand.owner, body.clone(), "2").await),
        (400, "invalid_request")
    );
    for (body, pointer) in [
        (json!({ "name": "" }), "/name"),
        (json!({ "time_zone": "Mars/Olympus" }), "/time_zone"),
        (json!({ "time_zone": "x".repeat(101) }), "/time_zone"),
        (json!({ "brand_id": "x" }), "/brand_id"),
    ] {
        let answer = gateway.patch(&brand.owner, "/v1/brand", body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.pointers()),
            (400, vec![pointer])
        );
    }
    let supervisor = gateway.member(&brand, "supervisor").await;
    assert_eq!(
        outcome(&gateway.patch(&supervisor, "/v1/brand", body).await),
        (403, "forbidden")
    );
    assert_eq!(actions(&gateway, &brand).await, ["brand.changed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_is_changed_and_who_leaves_it_gives_back_its_conversations() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let conversation = writes(&gateway, &brand, "77", "hello").await;
    let assignment = format!("/v1/conversations/{conversation}/assignment");
    gateway
        .put(&agent, &assignment, json!({ "member_id": agent.member }))
        .await;
    let path = format!("/v1/teams/{}", brand.team);
    let version = gateway.get(&brand.owner, &path).await.headers["etag"].clone();
    let body = json!({
        "name": "Front desk", "routing": { "mode": "manual" }, "is_closed": true,
        "member_ids": [brand.owner.member],
    });
    let headers = [("if-match", version.to_str().unwrap())];
    let answer = gateway
        .call(
            Some(&brand.owner),
            Method::PATCH,
            &path,
            Some(body.clone()),
            &headers,
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["name"], "Front desk");
    assert_eq!(answer.body["routing"]["mode"], "manual");
    assert_eq!(answer.body["is_closed"], true);
    assert_eq!(answer.body["member_ids"], json!([brand.owner.member]));
    let after = gateway.get(&brand.owner, &assignment).await;
    assert_eq!(after.body["member_id"], Value::Null, "{}", after.text);
    let stale = gateway
        .call(
            Some(&brand.owner),
            Method::PATCH,
            &path,
            Some(body),
            &headers,
        )
        .await;
    assert_eq!(outcome(&stale), (409, "version_conflict"));
    gateway.relay().await;
    let feed = gateway
        .get(&brand.owner, "/v1/events?after=oldest&types=team.updated")
        .await;
    let last = feed.body["data"].as_array().unwrap().last().unwrap();
    assert_eq!(
        last["data"]["changed"]["name"],
        json!(["Support", "Front desk"]),
        "{}",
        feed.text
    );
    assert_eq!(actions(&gateway, &brand).await, ["team.changed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_a_team_is_named_with_its_place() {
    let gateway = Gateway::start().await;
    let (ours, theirs) = (gateway.brand("Ours").await, gateway.brand("Theirs").await);
    let robot = gateway.key(&ours, "agent", &["settings:read"]).await.bearer;
    let (_, billing) = make(
        &gateway,
        &ours.owner,
        "/v1/teams",
        json!({ "name": "Billing" }),
    )
    .await;
    assert_eq!(billing.headers["etag"], "\"1\"");
    make(
        &gateway,
        &theirs.owner,
        "/v1/teams",
        json!({ "name": "Billing" }),
    )
    .await;
    let path = format!("/v1/teams/{}", ours.team);
    for (body, status, code, pointer) in [
        (json!({ "name": " " }), 400, "invalid_request", "/name"),
        (
            json!({ "routing": { "mode": "offer" } }),
            400,
            "invalid_request",
            "/routing/mode",
        ),
        (
            json!({ "member_ids": ["mem_1"] }),
            400,
            "invalid_request",
            "/member_ids/0",
        ),
        (
            json!({ "is_closed": "yes" }),
            400,
            "invalid_request",
            "/is_closed",
        ),
        (json!({ "version": 3 }), 400, "invalid_request", "/version"),
        (json!({ "name": "Billing" }), 409, "name_taken", "/name"),
        (
            json!({ "member_ids": [theirs.owner.member] }),
            422,
            "unknown_reference",
            "/member_ids",
        ),
        (
            json!({ "member_ids": [robot.member] }),
            422,
            "member_cannot_take",
            "/member_ids",
        ),
    ] {
        let answer = gateway.patch(&ours.owner, &path, body.clone()).await;
        assert_eq!(outcome(&answer), (status, code), "{body}: {}", answer.text);
        assert_eq!(answer.pointers(), [pointer], "{body}");
        // The same for a new one.
        let mut body = body;
        body.as_object_mut()
            .unwrap()
            .entry("name")
            .or_insert(json!("Fresh"));
        let answer = gateway.post(&ours.owner, "/v1/teams", body.clone()).await;
        assert_eq!(
            (outcome(&answer), answer.pointers()),
            ((status, code), vec![pointer]),
            "{body}"
        );
    }
    let agent = gateway.member(&ours, "agent").await;
    assert_eq!(
        outcome(
            &gateway
                .patch(&agent, &path, json!({ "name": "Mine" }))
                .await
        ),
        (403, "forbidden")
    );
    assert_eq!(
        outcome(&gateway.delete(&agent, &path).await),
        (403, "forbidden")
    );
    let foreign = format!("/v1/teams/{}", theirs.team);
    for answer in [
        gateway.get(&ours.owner, &foreign).await,
        gateway
            .patch(&ours.owner, &foreign, json!({ "name": "x" }))
            .await,
        gateway
            .patch(&ours.owner, &foreign, json!({ "member_ids": [] }))
            .await,
        gateway.delete(&ours.owner, &foreign).await,
    ] {
        assert_eq!(outcome(&answer), (404, "not_found"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brand_has_one_default_team_whoever_asks_at_once() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let mut paths = vec![format!("/v1/teams/{}", brand.team)];
    for name in ["One", "Two", "Three"] {
        let (id, _) = make(&gateway, &brand.owner, "/v1/teams", json!({ "name": name })).await;
        paths.push(format!("/v1/teams/{id}"));
    }
    assert_eq!(
        outcome(&gateway.delete(&brand.owner, &paths[0]).await),
        (409, "default_team")
    );
    let gives_up = gateway
        .patch(&brand.owner, &paths[0], json!({ "is_default": false }))
        .await;
    assert_eq!(outcome(&gives_up), (409, "default_team"));
    // Once doesn't show that three can't meet on the way: one waits for a team that then no longer is
    // the default.
    for _ in 0..20 {
        let asks = paths
            .iter()
            .map(|path| gateway.patch(&brand.owner, path, json!({ "is_default": true })));
        for answer in futures_util::future::join_all(asks).await {
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
    }
    let teams = gateway.get(&brand.owner, "/v1/teams").await;
    let teams = teams.body["data"].as_array().unwrap();
    assert_eq!(
        teams
            .iter()
            .filter(|team| team["is_default"] == true)
            .count(),
        1
    );
    let answer = gateway
        .patch(&brand.owner, &paths[1], json!({ "is_default": true }))
        .await;
    assert_eq!(answer.body["is_default"], true);
    assert_eq!(gateway.delete(&brand.owner, &paths[0]).await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_with_unresolved_conversations_goes_only_into_another() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let (billing, _) = make(
        &gateway,
        &brand.owner,
        "/v1/teams",
        json!({ "name": "Billing", "member_ids": [agent.member] }),
    )
    .await;
    let (returns, _) = make(
        &gateway,
        &brand.owner,
        "/v1/teams",
        json!({ "name": "Returns" }),
    )
    .await;
    let mut ids = Vec::new();
    for customer in ["1", "2", "3"] {
        let id = writes(&gateway, &brand, customer, "hello").await;
        let path = format!("/v1/conversations/{id}/assignment");
        assert_eq!(
            gateway
                .put(&brand.owner, &path, json!({ "team_id": billing }))
                .await
                .status,
            200
        );
        ids.push(format!("/v1/conversations/{id}"));
    }
    gateway
        .put(
            &agent,
            &format!("{}/assignment", ids[0]),
            json!({ "member_id": agent.member }),
        )
        .await;
    gateway
        .patch(&brand.owner, &ids[2], json!({ "status": "resolved" }))
        .await;
    let channel = format!("/v1/channels/{}", brand.channel);
    gateway
        .patch(&brand.owner, &channel, json!({ "team_id": billing }))
        .await;
    let path = format!("/v1/teams/{billing}");
    let refused = gateway.delete(&brand.owner, &path).await;
    assert_eq!(outcome(&refused), (409, "in_use"));
    assert_eq!(refused.body["count"], 2);
    let theirs = gateway.brand("Theirs").await;
    for (heir, status, code) in [
        (billing.clone(), 400, "invalid_request"),
        ("team_x".to_owned(), 400, "invalid_request"),
        (theirs.team.to_string(), 422, "unknown_reference"),
    ] {
        let answer = gateway
            .delete(&brand.owner, &format!("{path}?move_to={heir}"))
            .await;
        assert_eq!(
            (outcome(&answer), answer.pointers()),
            ((status, code), vec!["/query/move_to"])
        );
    }
    let gone = gateway
        .delete(&brand.owner, &format!("{path}?move_to={returns}"))
        .await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    assert_eq!(gateway.get(&brand.owner, &path).await.status, 404);
    for id in &ids {
        let one = gateway.get(&brand.owner, id).await;
        assert_eq!(
            (&one.body["team_id"], &one.body["assignee_id"]),
            (&json!(returns), &Value::Null)
        );
    }
    assert_eq!(
        gateway.get(&brand.owner, &channel).await.body["team_id"],
        returns
    );
    let member = gateway
        .get(&brand.owner, &format!("/v1/members/{}", agent.member))
        .await;
    assert_eq!(member.body["team_ids"], json!([brand.team]));
    let lines = actions(&gateway, &brand).await;
    assert_eq!(
        lines,
        [
            "team.deleted",
            "channel.updated",
            "team.created",
            "team.created"
        ]
    );
    // Nothing unresolved: no heir is needed.
    for id in &ids {
        gateway
            .patch(&brand.owner, id, json!({ "status": "resolved" }))
            .await;
    }
    let path = format!("/v1/teams/{returns}");
    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 204);
    let one = gateway.get(&brand.owner, &ids[0]).await;
    assert_eq!(one.body["team_id"], brand.team.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skills_are_made_given_renamed_and_deleted_when_nobody_has_them() {
    let gateway = Gateway::start().await;
    let (brand, theirs) = (gateway.brand("Harbor").await, gateway.brand("Theirs").await);
    let agent = gateway.member(&brand, "agent").await;
    let (german, made) = make(
        &gateway,
        &brand.owner,
        "/v1/skills",
        json!({ "name": "German" }),
    )
    .await;
    assert_eq!(made.headers["etag"], "\"1\"");
    let (_, _) = make(
        &gateway,
        &brand.owner,
        "/v1/skills",
        json!({ "name": "Refunds" }),
    )
    .await;
    let (foreign, _) = make(
        &gateway,
        &theirs.owner,
        "/v1/skills",
        json!({ "name": "German" }),
    )
    .await;
    let again = gateway
        .post(&brand.owner, "/v1/skills", json!({ "name": "German" }))
        .await;
    assert_eq!(outcome(&again), (409, "name_taken"));
    let member = format!("/v1/members/{}", agent.member);
    let answer = gateway
        .patch(
            &brand.owner,
            &member,
            json!({ "skills": [german, "Refunds"] }),
        )
        .await;
    assert_eq!(
        answer.body["skills"],
        json!(["German", "Refunds"]),
        "{}",
        answer.text
    );
    for wish in [json!(["French"]), json!([foreign])] {
        let answer = gateway
            .patch(&brand.owner, &member, json!({ "skills": wish }))
            .await;
        assert_eq!(
            (outcome(&answer), answer.pointers()),
            ((422, "unknown_reference"), vec!["/skills"])
        );
    }
    let path = format!("/v1/skills/{german}");
    let refused = gateway.delete(&brand.owner, &path).await;
    assert_eq!(
        (outcome(&refused), &refused.body["count"]),
        ((409, "in_use"), &json!(1))
    );
    let answer = gateway
        .patch(&brand.owner, &path, json!({ "name": "Deutsch" }))
        .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["name"]),
        (200, &json!("Deutsch"))
    );
    let taken = gateway
        .patch(&brand.owner, &path, json!({ "name": "Refunds" }))
        .await;
    assert_eq!(outcome(&taken), (409, "name_taken"));
    assert_eq!(
        gateway.get(&brand.owner, &member).await.body["skills"],
        json!(["Deutsch", "Refunds"])
    );
    let stale = [("if-match", "\"1\"")];
    let answer = gateway
        .call(
            Some(&brand.owner),
            Method::PATCH,
            &path,
            Some(json!({ "name": "X" })),
            &stale,
        )
        .await;
    assert_eq!(outcome(&answer), (409, "version_conflict"));
    gateway
        .patch(&brand.owner, &member, json!({ "skills": [] }))
        .await;
    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 204);
    assert_eq!(gateway.get(&brand.owner, "/v1/skills").await.ids().len(), 1);
    for name in ["", &"x".repeat(101), "a\u{7}b"] {
        let answer = gateway
            .post(&brand.owner, "/v1/skills", json!({ "name": name }))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.pointers()),
            (400, vec!["/name"])
        );
    }
    let foreign = format!("/v1/skills/{foreign}");
    assert_eq!(gateway.get(&brand.owner, &foreign).await.status, 404);
    assert_eq!(gateway.delete(&brand.owner, &foreign).await.status, 404);
    assert_eq!(
        gateway
            .patch(&brand.owner, &foreign, json!({ "name": "x" }))
            .await
            .status,
        404
    );
    assert_eq!(
        outcome(
            &gateway
                .post(&agent, "/v1/skills", json!({ "name": "Y" }))
                .await
        ),
        (403, "forbidden")
    );
    let lines = actions(&gateway, &brand).await;
    let wanted = [
        "skill.deleted",
        "member.changed",
        "skill.changed",
        "member.changed",
        "skill.created",
        "skill.created",
    ];
    assert_eq!(lines, wanted);
}
