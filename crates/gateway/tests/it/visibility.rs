//! Who sees which conversations: the same answer on every route, in lists, feed and stream.

use std::collections::BTreeSet;

use reqwest::Method;
use roost_domain::ids::{ApiKeyId, ChannelId, ConversationId, MemberId, TeamId};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::customer::writes;
use crate::harness::{Brand, Gateway, Person};
use crate::stream::Client;

/// How far a key reaches.
#[derive(Debug, Clone, Default)]
struct Reach {
    is_test: bool,
    teams: Option<Vec<TeamId>>,
    channels: Option<Vec<ChannelId>>,
}

/// A key with every scope and the role of a supervisor.
async fn key(gateway: &Gateway, brand: &Brand, reach: Reach) -> Person {
    let (member, id) = (MemberId(Uuid::now_v7()), ApiKeyId(Uuid::now_v7()));
    let mode = if reach.is_test { "test" } else { "live" };
    let token = format!("rk_{mode}_{}", Uuid::now_v7().simple());
    let mut db = gateway.db.owner().await;
    sqlx::query(
        "insert into members (brand_id, id, kind, name, role) values ($1, $2, 'bot', 'Key', 'supervisor')",
    )
    .bind(brand.owner.brand.0)
    .bind(member.0)
    .execute(&mut db)
    .await
    .unwrap();
    let scopes: Vec<&str> = roost_domain::role::Permission::ALL
        .iter()
        .map(|scope| scope.as_str())
        .collect();
    sqlx::query(
        "insert into api_keys (brand_id, id, member_id, mode, scopes, team_ids, channel_ids, hint, hash, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, 'abcd', $8, $9)",
    )
    .bind(brand.owner.brand.0)
    .bind(id.0)
    .bind(member.0)
    .bind(mode)
    .bind(scopes)
    .bind(reach.teams.map(|ids| ids.iter().map(|id| id.0).collect::<Vec<_>>()))
    .bind(reach.channels.map(|ids| ids.iter().map(|id| id.0).collect::<Vec<_>>()))
    .bind(Sha256::digest(token.as_bytes()).to_vec())
    .bind(brand.owner.member.0)
    .execute(&mut db)
    .await
    .unwrap();
    Person {
        brand: brand.owner.brand,
        member,
        token,
        cookie: String::new(),
    }
}

async fn run(gateway: &Gateway, statement: &'static str, ids: &[Uuid]) {
    let mut db = gateway.db.owner().await;
    let mut query = sqlx::query(statement);
    for id in ids {
        query = query.bind(id);
    }
    query.execute(&mut db).await.unwrap();
}

async fn closed_team(gateway: &Gateway, brand: &Brand, members: &[&Person]) -> TeamId {
    let team = TeamId(Uuid::now_v7());
    let of = brand.owner.brand.0;
    run(
        gateway,
        "insert into teams (brand_id, id, name, is_closed) values ($1, $2, 'Legal', true)",
        &[of, team.0],
    )
    .await;
    for member in members {
        run(
            gateway,
            "insert into team_members (brand_id, team_id, member_id) values ($1, $2, $3)",
            &[of, team.0, member.member.0],
        )
        .await;
    }
    team
}

/// A channel whose customers are simulated.
async fn sandbox(gateway: &Gateway, brand: &Brand) -> Brand {
    let channel = ChannelId(Uuid::now_v7());
    run(
        gateway,
        "alter table channels drop constraint if exists channels_platform_check",
        &[],
    )
    .await;
    run(
        gateway,
        "insert into channels (brand_id, id, platform, app, account_id, handle, name, connected_at)
         values ($1, $2, 'sandbox', 'main', $2::text, 'sandbox', 'Sandbox', 'epoch')",
        &[brand.owner.brand.0, channel.0],
    )
    .await;
    Brand {
        channel,
        ..brand.clone()
    }
}

/// A brand with a conversation behind a wall, another in the open and a third in a sandbox, and those
/// who look at them.
struct Scene {
    brand: Brand,
    closed: ConversationId,
    open: ConversationId,
    sandbox: ConversationId,
    team: TeamId,
    /// Of the closed conversation, with a reply that could be retried.
    message: String,
    callers: Vec<(&'static str, Person, BTreeSet<ConversationId>)>,
}

async fn scene(gateway: &Gateway) -> Scene {
    let brand = gateway.brand("Harbor").await;
    let member = gateway.member(&brand, "agent").await;
    let stranger = gateway.member(&brand, "agent").await;
    let holder = gateway.member(&brand, "agent").await;
    let supervisor = gateway.member(&brand, "supervisor").await;
    let analyst = gateway.member(&brand, "analyst").await;
    let team = closed_team(gateway, &brand, &[&member]).await;
    let test = sandbox(gateway, &brand).await;
    let closed = writes(gateway, &brand, "71", "canary-behind-the-wall").await;
    let open = writes(gateway, &brand, "72", "in the open").await;
    let sandbox = writes(gateway, &test, "73", "in the sandbox").await;
    let reply = gateway
        .post(
            &brand.owner,
            &format!("/v1/conversations/{closed}/messages"),
            json!({ "kind": "reply", "text": "canary-answered" }),
        )
        .await;
    let message = reply.body["id"].as_str().unwrap().to_owned();
    run(
        gateway,
        "update conversations set team_id = $3, assignee_id = $4 where brand_id = $1 and id = $2",
        &[brand.owner.brand.0, closed.0, team.0, holder.member.0],
    )
    .await;
    let by = |teams: Option<TeamId>, channels: Option<ChannelId>| Reach {
        is_test: false,
        teams: teams.map(|id| vec![id]),
        channels: channels.map(|id| vec![id]),
    };
    let all = BTreeSet::from([closed, open, sandbox]);
    let but_closed = BTreeSet::from([open, sandbox]);
    let callers = vec![
        ("a member of the team", member, all.clone()),
        ("another agent", stranger, but_closed.clone()),
        ("the assignee", holder, all.clone()),
        ("a supervisor", supervisor, all.clone()),
        ("an analyst", analyst, but_closed.clone()),
        ("the owner", brand.owner.clone(), all.clone()),
        (
            "a key of the closed team",
            key(gateway, &brand, by(Some(team), None)).await,
            BTreeSet::from([closed]),
        ),
        (
            "a key of the other team",
            key(gateway, &brand, by(Some(brand.team), None)).await,
            but_closed,
        ),
        (
            "a key of the channel",
            key(gateway, &brand, by(None, Some(brand.channel))).await,
            BTreeSet::from([closed, open]),
        ),
        (
            "a key of the other channel",
            key(gateway, &brand, by(None, Some(test.channel))).await,
            BTreeSet::from([sandbox]),
        ),
        (
            "a key of one team and the other channel",
            key(gateway, &brand, by(Some(team), Some(test.channel))).await,
            BTreeSet::new(),
        ),
        (
            "a key of everything",
            key(gateway, &brand, Reach::default()).await,
            all,
        ),
        (
            "a test key",
            key(
                gateway,
                &brand,
                Reach {
                    is_test: true,
                    ..Reach::default()
                },
            )
            .await,
            BTreeSet::from([sandbox]),
        ),
    ];
    Scene {
        brand,
        closed,
        open,
        sandbox,
        team,
        message,
        callers,
    }
}

impl Scene {
    /// Every route of one conversation or message, with a body that is good.
    fn routes(&self) -> Vec<(Method, &'static str, Value)> {
        let (me, message) = (&self.brand.owner.member, &self.message);
        vec![
            (Method::GET, "/v1/conversations/{id}", Value::Null),
            (
                Method::PATCH,
                "/v1/conversations/{id}",
                json!({ "priority": "high" }),
            ),
            (Method::GET, "/v1/conversations/{id}/messages", Value::Null),
            (
                Method::POST,
                "/v1/conversations/{id}/messages",
                json!({ "kind": "note", "text": "x" }),
            ),
            (
                Method::GET,
                "/v1/conversations/{id}/assignment",
                Value::Null,
            ),
            (
                Method::PUT,
                "/v1/conversations/{id}/assignment",
                json!({ "member_id": me }),
            ),
            (
                Method::DELETE,
                "/v1/conversations/{id}/assignment",
                Value::Null,
            ),
            (
                Method::GET,
                "/v1/conversations/{id}/assignments",
                Value::Null,
            ),
            (Method::GET, "/v1/conversations/{id}/timeline", Value::Null),
            (Method::GET, "/v1/conversations/{id}/sla", Value::Null),
            (
                Method::PUT,
                "/v1/conversations/{id}/read",
                json!({ "message_id": message }),
            ),
            (Method::PUT, "/v1/conversations/{id}/typing", json!({})),
            (Method::PUT, "/v1/conversations/{id}/viewing", json!({})),
            (Method::POST, "/v1/conversations/{id}/undo", json!({})),
            (
                Method::POST,
                "/v1/conversations/{id}/no-reply-needed",
                json!({}),
            ),
            (Method::GET, "/v1/messages/{id}", Value::Null),
            (
                Method::POST,
                "/v1/messages/{id}/retry",
                json!({ "confirm": true }),
            ),
            (Method::POST, "/v1/messages/{id}/cancel", json!({})),
            (Method::POST, "/v1/messages/{id}/mark-sent", json!({})),
        ]
    }

    fn path(&self, pattern: &str) -> String {
        let id = if pattern.starts_with("/v1/messages") {
            self.message.clone()
        } else {
            self.closed.to_string()
        };
        pattern.replace("{id}", &id)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_out_of_sight_answers_as_a_missing_one_on_every_route() {
    let gateway = Gateway::start().await;
    let scene = scene(&gateway).await;
    let document = gateway.get(&scene.brand.owner, "/openapi.json").await;
    let covered: BTreeSet<(String, &str)> = scene
        .routes()
        .into_iter()
        .map(|(method, path, _)| (method.as_str().to_lowercase(), path))
        .collect();
    for (path, verbs) in document.body["paths"].as_object().unwrap() {
        if path.starts_with("/v1/conversations/{id}") || path.starts_with("/v1/messages/{id}") {
            for verb in verbs.as_object().unwrap().keys() {
                let is_covered = covered.contains(&(verb.clone(), path.as_str()));
                assert!(is_covered, "add {verb} {path} to this test");
            }
        }
    }
    for (name, caller, sees) in &scene.callers {
        for (method, pattern, body) in scene.routes() {
            let is_read = method == Method::GET;
            // Writing would change what the next one finds.
            if sees.contains(&scene.closed) && !is_read {
                continue;
            }
            let body = (!body.is_null()).then_some(body);
            let path = scene.path(pattern);
            let answer = gateway
                .call(Some(caller), method.clone(), &path, body, &[])
                .await;
            let place = format!("{name}: {method} {pattern}: {}", answer.text);
            if sees.contains(&scene.closed) {
                assert_eq!(answer.status, 200, "{place}");
            } else if answer.status == 403 {
                let reads_only = *name == "an analyst" && (!is_read || pattern.contains("typing"));
                assert!(reads_only, "{place}");
            } else {
                assert_eq!(
                    (answer.status.as_u16(), answer.code()),
                    (404, "not_found"),
                    "{place}"
                );
            }
            assert!(
                sees.contains(&scene.closed) || !answer.text.contains("canary"),
                "{place}"
            );
        }
    }
    // None of the refused writes did anything.
    let mut db = gateway.db.owner().await;
    let (priority, assignee): (String, Uuid) =
        sqlx::query_as("select priority, assignee_id from conversations where id = $1")
            .bind(scene.closed.0)
            .fetch_one(&mut db)
            .await
            .unwrap();
    assert_eq!(
        (priority.as_str(), assignee),
        ("normal", scene.callers[2].1.member.0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_the_feed_leave_out_what_is_out_of_sight() {
    let gateway = Gateway::start().await;
    let scene = scene(&gateway).await;
    gateway.relay().await;
    for (name, caller, sees) in &scene.callers {
        let expected: BTreeSet<String> = sees.iter().map(ToString::to_string).collect();
        let list = gateway.get(caller, "/v1/conversations").await;
        assert_eq!(
            list.ids().into_iter().collect::<BTreeSet<_>>(),
            expected,
            "{name}"
        );
        let path = format!("/v1/teams/{}/queue", scene.brand.team);
        let queue = gateway.get(caller, &path).await;
        let queue: BTreeSet<String> = queue.body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["conversation_id"].as_str().unwrap().to_owned())
            .collect();
        assert!(queue.is_subset(&expected), "{name}: {queue:?}");
        // One line at a time: pages without anything to see move the cursor on.
        let (mut seen, mut after) = (BTreeSet::new(), "oldest".to_owned());
        loop {
            let feed = gateway
                .get(caller, &format!("/v1/events?after={after}&limit=1"))
                .await;
            for event in feed.body["data"].as_array().unwrap() {
                seen.extend(event["conversation_id"].as_str().map(str::to_owned));
            }
            let next = feed.body["next_cursor"].as_str().unwrap().to_owned();
            if next == after {
                break;
            }
            after = next;
        }
        assert_eq!(seen, expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_carries_what_its_owner_sees_whatever_the_topic() {
    let gateway = Gateway::start_with_broker().await;
    let scene = scene(&gateway).await;
    gateway.relay().await;
    let topics = [
        "all".to_owned(),
        "mine".to_owned(),
        format!("team:{}", scene.team),
        format!("conversation:{}", scene.closed),
    ];
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut clients = Vec::new();
    for (name, caller, sees) in &scene.callers {
        clients.push((
            name,
            sees,
            Client::auth(&gateway, caller, None, &topics).await,
        ));
    }
    let mut db = gateway.db.owner().await;
    let streams: i64 = sqlx::query_scalar("select count(*) from streams")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(streams, 6, "keys make no presence");
    for id in [scene.closed, scene.open, scene.sandbox] {
        let path = format!("/v1/conversations/{id}");
        let answer = gateway
            .patch(&scene.brand.owner, &path, json!({ "priority": "urgent" }))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    // About the brand as such: everybody gets it, and then has got everything before it.
    let path = format!("/v1/members/{}/presence", scene.brand.owner.member);
    gateway.relay().await;
    gateway
        .put(&scene.brand.owner, &path, json!({ "status": "away" }))
        .await;
    gateway.relay().await;
    for (name, sees, client) in &mut clients {
        let mut heard = BTreeSet::new();
        loop {
            let frame = client.next().await;
            heard.extend(frame["conversation_id"].as_str().map(str::to_owned));
            if frame["data"]["presence"]["status"] == "away" {
                break;
            }
        }
        let expected: BTreeSet<String> = sees.iter().map(ToString::to_string).collect();
        assert_eq!(heard, expected, "{name}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_sight_hears_that_it_went_and_no_more() {
    let gateway = Gateway::start_with_broker().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let team = closed_team(&gateway, &brand, &[]).await;
    let conversation = writes(&gateway, &brand, "71", "hello").await;
    gateway.relay().await;
    let mut client = Client::auth(&gateway, &agent, None, &["all"]).await;
    let path = format!("/v1/conversations/{conversation}");
    let moved = gateway
        .put(
            &brand.owner,
            &format!("{path}/assignment"),
            json!({ "team_id": team }),
        )
        .await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    writes(&gateway, &brand, "71", "canary-later").await;
    gateway.relay().await;
    let frames = client.until("conversation.team_changed").await;
    let farewell = frames.last().unwrap();
    let team_id = team.to_string();
    assert_eq!(farewell["data"]["changed"]["team_id"][1], team_id.as_str());
    let fields: Vec<&String> = farewell["data"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["changed", "id"]);
    // About the brand as such, behind all the rest.
    let presence = format!("/v1/members/{}/presence", brand.owner.member);
    gateway
        .put(&brand.owner, &presence, json!({ "status": "away" }))
        .await;
    gateway.relay().await;
    let later = client.until("member.presence_changed").await;
    assert_eq!(later.len(), 1, "{later:?}");
    assert_eq!(gateway.get(&agent, &path).await.status, 404);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_right_closes_the_stream() {
    let gateway = Gateway::start_with_broker().await;
    let brand = gateway.brand("Harbor").await;
    let of = brand.owner.brand.0;
    let agent = gateway.member(&brand, "agent").await;
    let supervisor = gateway.member(&brand, "supervisor").await;
    let bound = key(&gateway, &brand, Reach::default()).await;
    let revoked = key(&gateway, &brand, Reach::default()).await;
    let scopeless = key(&gateway, &brand, Reach::default()).await;
    let team = closed_team(&gateway, &brand, &[&agent]).await;
    let shut_out = Client::auth(&gateway, &agent, None, &["all"]).await;
    let demoted = Client::auth(&gateway, &supervisor, None, &["all"]).await;
    let narrowed = Client::auth(&gateway, &bound, None, &["all"]).await;
    let ended = Client::auth(&gateway, &revoked, None, &["all"]).await;
    let mut stays = Client::auth(&gateway, &brand.owner, None, &["all"]).await;
    let changes: [(&'static str, &[Uuid]); 5] = [
        (
            "delete from team_members where brand_id = $1 and team_id = $2 and member_id = $3",
            &[of, team.0, agent.member.0],
        ),
        (
            "update members set role = 'agent' where brand_id = $1 and id = $2",
            &[of, supervisor.member.0],
        ),
        (
            "update api_keys set team_ids = array[$3] where brand_id = $1 and member_id = $2",
            &[of, bound.member.0, team.0],
        ),
        (
            "update api_keys set revoked_at = now() where brand_id = $1 and member_id = $2",
            &[of, revoked.member.0],
        ),
        (
            "update api_keys set scopes = '{conversations:read}' where brand_id = $1 and member_id = $2",
            &[of, scopeless.member.0],
        ),
    ];
    let start = std::time::Instant::now();
    for (statement, ids) in changes {
        run(&gateway, statement, ids).await;
    }
    assert_eq!(shut_out.end().await, 4403, "out of the closed team");
    assert_eq!(demoted.end().await, 4403, "no supervisor any more");
    assert_eq!(narrowed.end().await, 4403, "a key of one team now");
    assert_eq!(ended.end().await, 4401, "revoked");
    // 5 s by promise, times three in CI.
    assert!(start.elapsed().as_secs() < 15, "{:?}", start.elapsed());
    let mut refused = Client::open(&gateway).await;
    refused
        .say(json!({ "type": "auth", "token": scopeless.token, "topics": ["all"] }))
        .await;
    assert_eq!(refused.end().await, 4403, "without the scope");
    writes(&gateway, &brand, "71", "hello").await;
    gateway.relay().await;
    stays.until("message.received").await;
    gateway.stop().await;
}
