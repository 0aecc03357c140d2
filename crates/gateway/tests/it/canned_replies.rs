//! Canned replies: found, seen by whom they are for, and filled.

use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::{Brand, Gateway};

const REPLIES: &str = "/v1/canned-replies";

async fn make(gateway: &Gateway, brand: &Brand, title: &str, shortcut: &str, text: &str) -> String {
    let body = json!({ "title": title, "shortcut": shortcut, "text": text });
    let made = gateway.post(&brand.owner, REPLIES, body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    format!("{REPLIES}/{}", made.body["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_is_filled_for_a_conversation_and_says_what_was_missing() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let conversation = writes(&gateway, &brand, "77", "hello").await;
    let text = "Hi {{contact.name|there}} (@{{contact.handle}}), {{agent.name}} of {{ brand.name }} here: {{conversation.id}}";
    let path = make(&gateway, &brand, "Greeting", "hello", text).await;
    let render = format!("{path}/render");
    let body = json!({ "conversation_id": conversation });
    let filled = gateway.post(&brand.owner, &render, body.clone()).await;
    assert_eq!(filled.status, 200, "{}", filled.text);
    let expected = format!("Hi Customer 77 (@c77), Harbor owner of Harbor here: {conversation}");
    assert_eq!(filled.body, json!({ "text": expected, "missing": [] }));

    // A customer may call themselves anything; it stays text.
    sqlx::query("update contacts set name = $2, handle = null where brand_id = $1")
        .bind(brand.owner.brand.0)
        .bind("{{agent.name}}")
        .execute(&mut gateway.db.owner().await)
        .await
        .unwrap();
    let filled = gateway.post(&brand.owner, &render, body).await;
    let expected =
        format!("Hi {{{{agent.name}}}} (@), Harbor owner of Harbor here: {conversation}");
    assert_eq!(
        filled.body,
        json!({ "text": expected, "missing": ["contact.handle"] })
    );

    let other = gateway.brand("Other").await;
    let theirs = writes(&gateway, &other, "77", "hello").await;
    let foreign = gateway
        .post(&brand.owner, &render, json!({ "conversation_id": theirs }))
        .await;
    assert_eq!(
        (foreign.status.as_u16(), foreign.code()),
        (422, "unknown_reference")
    );
    let foreign = gateway
        .post(&other.owner, &render, json!({ "conversation_id": theirs }))
        .await;
    assert_eq!(foreign.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_variable_is_refused_when_it_is_written_not_when_it_is_sent() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let base = json!({ "title": "T", "shortcut": "t", "text": "x" });
    let with = |name: &str, value: Value| {
        let mut body = base.clone();
        body[name] = value;
        body
    };
    for (body, pointers, detail) in [
        (
            with("text", json!("Hi {{contact.mail}}")),
            vec!["/text"],
            "unknown variable `contact.mail` at character 4",
        ),
        (
            with("text", json!("Hi {{contact.name")),
            vec!["/text"],
            "`{{` at character 4 is not closed by `}}`",
        ),
        (
            with("text", json!("  ")),
            vec!["/text"],
            "must have 1 to 10000 characters",
        ),
        (
            with("text", json!("x".repeat(10_001))),
            vec!["/text"],
            "must have 1 to 10000 characters",
        ),
        (
            with("shortcut", json!("two words")),
            vec!["/shortcut"],
            "must not contain spaces",
        ),
        (
            with("title", json!("")),
            vec!["/title"],
            "must have 1 to 200 characters",
        ),
        (
            with("team_ids", json!([])),
            vec!["/team_ids"],
            "must name 1 to 100 teams; null stands for everybody",
        ),
    ] {
        let answer = gateway.post(&brand.owner, REPLIES, body.clone()).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(answer.pointers(), pointers, "{body}");
        assert_eq!(answer.body["errors"][0]["detail"], detail);
    }
    let path = make(&gateway, &brand, "T", "t", "x").await;
    let answer = gateway
        .patch(&brand.owner, &path, json!({ "text": "{{x}}" }))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.pointers()),
        (400, vec!["/text"])
    );
    let taken = gateway
        .post(&brand.owner, REPLIES, with("shortcut", json!("T")))
        .await;
    assert_eq!(
        (taken.status.as_u16(), taken.code(), taken.pointers()),
        (409, "name_taken", vec!["/shortcut"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_finds_a_reply_by_a_part_of_its_name_in_any_spelling() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    make(&gateway, &brand, "Rückerstattung", "refund", "x").await;
    make(&gateway, &brand, "Livraison retardée", "delay", "x").await;
    make(&gateway, &brand, "100 % off", "off", "x").await;
    for (q, titles) in [
        ("ruck", vec!["Rückerstattung"]),
        ("RETARDÉE", vec!["Livraison retardée"]),
        ("fun", vec!["Rückerstattung"]),
        ("%25", vec!["100 % off"]),
        ("_", vec![]),
        ("r", vec!["Livraison retardée", "Rückerstattung"]),
    ] {
        let found = gateway.get(&brand.owner, &format!("{REPLIES}?q={q}")).await;
        let found: Vec<&str> = found.body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["title"].as_str().unwrap())
            .collect();
        assert_eq!(found, titles, "{q}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_teams_reply_is_for_its_members_and_for_leads() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let supervisor = gateway.member(&brand, "supervisor").await;
    let team = json!({ "name": "Returns" });
    let team = gateway.post(&brand.owner, "/v1/teams", team).await.body["id"].clone();
    let body = json!({ "title": "R", "shortcut": "r", "text": "x", "team_ids": [team] });
    let made = gateway.post(&supervisor, REPLIES, body).await;
    assert_eq!(
        (made.status.as_u16(), &made.body["team_ids"]),
        (201, &json!([team]))
    );
    let path = format!("{REPLIES}/{}", made.body["id"].as_str().unwrap());
    assert_eq!(gateway.get(&agent, &path).await.status, 404);
    assert!(gateway.get(&agent, REPLIES).await.ids().is_empty());
    assert_eq!(gateway.get(&supervisor, &path).await.status, 200);
    let patch = json!({ "team_ids": [team, brand.team] });
    assert_eq!(gateway.patch(&supervisor, &path, patch).await.status, 200);
    assert_eq!(gateway.get(&agent, &path).await.status, 200);
    let patch = json!({ "team_ids": null });
    let everybodys = gateway.patch(&supervisor, &path, patch).await;
    assert_eq!(everybodys.body["team_ids"], Value::Null);
    let other = gateway.brand("Other").await;
    let patch = json!({ "team_ids": [other.team] });
    let foreign = gateway.patch(&supervisor, &path, patch).await;
    assert_eq!(
        (foreign.status.as_u16(), foreign.code()),
        (422, "unknown_reference")
    );
    assert_eq!(gateway.delete(&supervisor, &path).await.status, 204);
    assert_eq!(gateway.get(&supervisor, &path).await.status, 404);
}
