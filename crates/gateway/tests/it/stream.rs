//! The live stream.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::customer::writes;
use crate::harness::{Gateway, Person};

pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

const LIMIT: Duration = Duration::from_secs(20);

impl Client {
    pub(crate) async fn open(gateway: &Gateway) -> Self {
        let url = format!("{}/v1/stream", gateway.url.replace("http", "ws"));
        Self(connect_async(url).await.unwrap().0)
    }

    pub(crate) async fn auth(
        gateway: &Gateway,
        who: &Person,
        after: Option<&str>,
        topics: &[&str],
    ) -> Self {
        let mut client = Self::open(gateway).await;
        client
            .say(json!({ "type": "auth", "token": who.token, "after": after, "topics": topics }))
            .await;
        assert_eq!(client.next().await["type"], "ready");
        client
    }

    pub(crate) async fn say(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next frame that says something.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match tokio::time::timeout(LIMIT, self.0.next())
                .await
                .expect("no frame")
                .unwrap()
                .unwrap()
            {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Frames until one of this type, that one included.
    pub(crate) async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await;
            let is_last = frame["type"] == kind;
            frames.push(frame);
            if is_last {
                return frames;
            }
        }
    }

    /// The code that ends it.
    pub(crate) async fn end(mut self) -> u16 {
        loop {
            match tokio::time::timeout(LIMIT, self.0.next())
                .await
                .expect("not closed")
            {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("ended without a code: {other:?}"),
            }
        }
    }

    /// Whether nothing comes for a moment.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let heard = async {
            loop {
                if let Some(Ok(Message::Text(text))) = self.0.next().await {
                    return text.to_string();
                }
            }
        };
        tokio::time::timeout(Duration::from_millis(700), heard)
            .await
            .is_err()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missed_events_come_first_then_live_ones_with_the_feeds_objects() {
    let gateway = Gateway::start_with_broker().await;
    let brand = gateway.brand("Harbor").await;
    let other = gateway.brand("Theirs").await;
    writes(&gateway, &brand, "77", "missed").await;
    gateway.relay().await;
    let feed = gateway
        .get(&brand.owner, "/v1/events?after=oldest&limit=200")
        .await;
    let first = feed.body["data"][0]["cursor"].as_str().unwrap();
    let mut client = Client::auth(&gateway, &brand.owner, Some(first), &["all"]).await;
    let expected = feed.body["data"].as_array().unwrap()[1..].to_vec();
    for event in &expected {
        assert_eq!(&client.next().await, event);
    }
    // The first stream makes its member present, which is an event too.
    gateway.relay().await;
    let presence = client.until("member.presence_changed").await;
    assert_eq!(
        presence.last().unwrap()["data"]["presence"]["status"],
        "online"
    );
    writes(&gateway, &other, "77", "canary-5f1e").await;
    writes(&gateway, &brand, "77", "live").await;
    gateway.relay().await;
    let live = client.until("message.received").await;
    assert_eq!(live.last().unwrap()["data"]["text"], "live");
    assert!(
        live.iter()
            .all(|event| event["brand_id"] == brand.owner.brand.to_string())
    );
    // A second connection resumes behind what the first has seen.
    let seen = live.last().unwrap()["cursor"].as_str().unwrap();
    let mut resumed = Client::auth(&gateway, &brand.owner, Some(seen), &["all"]).await;
    writes(&gateway, &brand, "77", "later").await;
    gateway.relay().await;
    let next = resumed.until("message.received").await;
    assert_eq!(next.last().unwrap()["data"]["text"], "later");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_hold_what_concerns_them_and_the_event_that_takes_it_away() {
    let gateway = Gateway::start_with_broker().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let mine = writes(&gateway, &brand, "1", "mine").await;
    let others = writes(&gateway, &brand, "2", "others").await;
    let path = format!("/v1/conversations/{mine}/assignment");
    gateway
        .put(&agent, &path, json!({ "member_id": agent.member }))
        .await;
    gateway.relay().await;
    let mut client = Client::auth(&gateway, &agent, None, &["mine"]).await;
    let team = format!("team:{}", brand.team);
    let mut of_team = Client::auth(&gateway, &brand.owner, None, &[&team]).await;
    let topic = format!("conversation:{others}");
    let mut of_one = Client::auth(&gateway, &brand.owner, None, &[&topic]).await;
    writes(&gateway, &brand, "1", "mine again").await;
    writes(&gateway, &brand, "2", "others again").await;
    gateway.relay().await;
    let frames = client.until("message.received").await;
    assert_eq!(frames.last().unwrap()["data"]["text"], "mine again");
    assert_eq!(of_one.next().await["data"]["text"], "others again");
    let texts: Vec<Value> = vec![
        of_team.until("message.received").await.pop().unwrap()["data"]["text"].clone(),
        of_team.until("message.received").await.pop().unwrap()["data"]["text"].clone(),
    ];
    assert_eq!(texts, ["mine again", "others again"]);
    gateway
        .put(
            &brand.owner,
            &path,
            json!({ "member_id": brand.owner.member }),
        )
        .await;
    writes(&gateway, &brand, "1", "no longer mine").await;
    gateway.relay().await;
    let lost = client.until("conversation.assigned").await;
    assert_eq!(
        lost.last().unwrap()["data"]["assignee_id"],
        brand.owner.member.to_string()
    );
    assert!(client.is_quiet().await);
    // Typing reaches who looks at it, and nobody needs the broker for it.
    gateway
        .put(
            &agent,
            &format!("/v1/conversations/{others}/typing"),
            json!({}),
        )
        .await;
    let typing = of_one.until("typing").await;
    assert_eq!(
        typing.last().unwrap()["actor"]["id"],
        agent.member.to_string()
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_takes_its_streams_with_it() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let signed_out = Client::auth(&gateway, &brand.owner, None, &["mine"]).await;
    let deactivated = Client::auth(&gateway, &agent, None, &["mine"]).await;
    let path = format!("/v1/members/{}", agent.member);
    assert_eq!(
        gateway
            .patch(&brand.owner, &path, json!({ "active": false }))
            .await
            .status,
        200
    );
    assert_eq!(
        gateway
            .delete(&brand.owner, "/v1/sessions/current")
            .await
            .status,
        204
    );
    let started = std::time::Instant::now();
    assert_eq!(signed_out.end().await, 4401);
    assert_eq!(deactivated.end().await, 4403);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_a_good_first_frame_is_closed() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    for frame in [
        json!({ "type": "auth", "token": "nonsense", "topics": [] }),
        json!({ "type": "active" }),
        json!({ "type": "auth" }),
        json!(5),
    ] {
        let mut client = Client::open(&gateway).await;
        client.say(frame.clone()).await;
        assert_eq!(client.end().await, 4401, "{frame}");
    }
    for wish in [json!({ "topics": ["everything"] }), json!({ "after": "x" })] {
        let mut frame = json!({ "type": "auth", "token": brand.owner.token });
        frame
            .as_object_mut()
            .unwrap()
            .extend(wish.as_object().unwrap().clone());
        let mut client = Client::open(&gateway).await;
        client.say(frame).await;
        assert_eq!(client.next().await["type"], "error");
        assert_eq!(client.end().await, 4400, "{wish}");
    }
    let url = format!("{}/v1/stream", gateway.url.replace("http", "ws"));
    let mut request = url.into_client_request().unwrap();
    request
        .headers_mut()
        .insert("origin", "https://evil.example".parse().unwrap());
    assert!(
        connect_async(request)
            .await
            .unwrap_err()
            .to_string()
            .contains("403")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_stream_is_presence_and_frames_are_answered() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let path = format!("/v1/members/{}", brand.owner.member);
    let status = async || gateway.get(&brand.owner, &path).await.body["presence"]["status"].clone();
    assert_eq!(status().await, "offline");
    let mut client = Client::auth(&gateway, &brand.owner, None, &["all"]).await;
    assert_eq!(status().await, "online");
    client.say(json!({ "type": "active" })).await;
    client.say(json!({ "type": "dance" })).await;
    assert_eq!(client.next().await["type"], "error");
    client
        .say(json!({ "type": "auth", "token": brand.owner.token, "topics": ["mine"] }))
        .await;
    assert_eq!(client.next().await["type"], "ready");
    gateway
        .put(
            &brand.owner,
            &format!("{path}/presence"),
            json!({ "status": "away" }),
        )
        .await;
    assert_eq!(status().await, "away");
    drop(client);
    let gone = async || {
        let mut db = gateway.db.owner().await;
        let left: i64 = sqlx::query_scalar("select count(*) from streams")
            .fetch_one(&mut db)
            .await
            .unwrap();
        (left == 0).then_some(())
    };
    roost_tests::wait::until("the stream's row to go", LIMIT, gone).await;
    // A dropped stream counts for the grace.
    assert_eq!(status().await, "away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_missed_too_much_is_told_to_read_anew() {
    let gateway = Gateway::start_with_broker().await;
    let brand = gateway.brand("Harbor").await;
    gateway.relay().await;
    let start = gateway
        .get(&brand.owner, "/v1/events?after=oldest&limit=1")
        .await;
    let first = start.body["data"][0]["cursor"].as_str().unwrap().to_owned();
    let mut db = gateway.db.owner().await;
    sqlx::query(
        "insert into events (brand_id, id, type, subject_id, actor_type, bucket, data)
         select $1, gen_random_uuid(), 'team.updated', $2, 'system', 7, '{}' from generate_series(1, 1100)",
    )
    .bind(brand.owner.brand.0)
    .bind(brand.team.0)
    .execute(&mut db)
    .await
    .unwrap();
    gateway.relay().await;
    let mut client = Client::auth(&gateway, &brand.owner, Some(&first), &["all"]).await;
    let frame = client.next().await;
    assert_eq!(frame["type"], "resync");
    writes(&gateway, &brand, "77", "live").await;
    gateway.relay().await;
    let live = client.until("message.received").await;
    assert_eq!(live.last().unwrap()["data"]["text"], "live");
    gateway.stop().await;
}
