//! X apps that brands bring along, with a stand-in that answers as X does.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use reqwest::Method;
use roost_domain::ids::XAppId;
use roost_store::channels::{self, Credentials, NewChannel};
use roost_store::ledger::Cause;
use roost_store::routes::Account;
use roost_store::x_apps;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::channels::audited;
use crate::harness::{Brand, Gateway};

/// X as far as one app goes: its secret, its number, and whether it reaches our webhook.
#[derive(Debug, Default)]
struct X {
    secret: &'static str,
    token: &'static str,
    reaches_us: bool,
    webhook: Option<String>,
    signed_by: Vec<String>,
}

type Shared = Arc<Mutex<X>>;

async fn answer(request: HttpRequest, x: web::Data<Mutex<X>>, body: String) -> HttpResponse {
    let mut x = x.lock().unwrap();
    let header = request.headers().get("authorization").unwrap();
    let authorization = header.to_str().unwrap().to_owned();
    let refuse = |code: i64| {
        HttpResponse::Forbidden()
            .json(json!({ "errors": [{ "code": code, "message": "no such key" }] }))
    };
    let has_token = authorization == format!("Bearer {}", x.token);
    let webhook = |url: &str| json!({ "id": "9", "url": url, "valid": true });
    match format!("{} {}", request.method(), request.path()).as_str() {
        "POST /oauth2/token" => {
            let wanted = format!("own-key:{}", x.secret);
            let wanted = base64::engine::general_purpose::STANDARD.encode(wanted);
            if authorization == format!("Basic {wanted}") {
                HttpResponse::Ok().json(json!({ "token_type": "bearer", "access_token": x.token }))
            } else {
                refuse(99)
            }
        }
        "GET /2/webhooks" if !has_token => refuse(89),
        "GET /2/webhooks" => {
            let known: Vec<Value> = x.webhook.iter().map(|url| webhook(url)).collect();
            HttpResponse::Ok().json(json!({ "data": known }))
        }
        "POST /2/webhooks" if !x.reaches_us => HttpResponse::BadRequest().json(json!({
            "title": "Invalid Request", "detail": "CrcValidationFailed", "status": 400,
            "type": "https://api.x.com/2/problems/invalid-request",
        })),
        "POST /2/webhooks" => {
            let body: Value = serde_json::from_str(&body).unwrap();
            let url = body["url"].as_str().unwrap().to_owned();
            x.webhook = Some(url.clone());
            HttpResponse::Ok().json(json!({ "data": webhook(&url) }))
        }
        "GET /2/account_activity/webhooks/9/subscriptions/all/list" => HttpResponse::Ok()
            .json(json!({ "data": { "application_id": "31", "subscriptions": [] } })),
        "POST /oauth/request_token" => {
            x.signed_by.push(authorization);
            HttpResponse::Ok()
                .body("oauth_token=r&oauth_token_secret=s&oauth_callback_confirmed=true")
        }
        other => panic!("unexpected call of X: {other}"),
    }
}

fn stand_in() -> (String, Shared) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shared = Shared::new(Mutex::new(X {
        secret: "own-secret",
        token: "own-token",
        ..X::default()
    }));
    let data = web::Data::from(shared.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .default_service(web::to(answer))
    });
    let server = server.workers(1).disable_signals();
    tokio::spawn(server.listen(listener).unwrap().run());
    (url, shared)
}

fn app(name: &str) -> Value {
    json!({
        "name": name, "app_id": "31", "consumer_key": "own-key", "consumer_secret": "own-secret",
        "bearer_token": "own-token",
    })
}

async fn add(gateway: &Gateway, brand: &Brand, body: Value) -> Value {
    let made = gateway.post(&brand.owner, "/v1/x-apps", body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body
}

fn id_of(app: &Value) -> XAppId {
    app["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_go_in_and_never_come_out() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let made = add(&gateway, &brand, app("Support")).await;
    let id = id_of(&made);
    assert_eq!(
        made["webhook_url"],
        format!("http://localhost:8081/webhooks/x/{id}")
    );
    assert_eq!(
        (&made["app_id"], &made["has_bearer_token"]),
        (&json!("31"), &json!(true))
    );
    let path = format!("/v1/x-apps/{id}");
    let agent = gateway.member(&brand, "agent").await;
    for answer in [
        gateway.get(&brand.owner, &path).await,
        gateway.get(&agent, "/v1/x-apps").await,
    ] {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(!answer.text.contains("own-secret") && !answer.text.contains("own-token"));
    }
    let change = json!({ "consumer_secret": "next-secret", "bearer_token": null, "name": "Desk" });
    let changed = gateway.patch(&brand.owner, &path, change).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(
        (&changed.body["name"], &changed.body["has_bearer_token"]),
        (&json!("Desk"), &json!(false))
    );
    assert!(changed.body["previous_secret_until"].is_string());
    let sealer = gateway.sealer.clone();
    let keys = gateway.db.store.brand(brand.owner.brand, move |tx| {
        Box::pin(async move { x_apps::webhook_keys(tx, id, &sealer).await })
    });
    let keys = keys.await.unwrap().unwrap();
    assert_eq!(keys.consumer_secret.expose_secret(), "next-secret");
    assert_eq!(keys.previous.unwrap().0.expose_secret(), "own-secret");
    let lines: Vec<Option<String>> =
        sqlx::query_scalar("select concat(before, after) from audit_log order by seq")
            .fetch_all(&mut gateway.db.owner().await)
            .await
            .unwrap();
    assert_eq!(
        audited(&gateway, &brand).await,
        ["x_app.created", "x_app.updated"]
    );
    assert!(
        lines
            .iter()
            .flatten()
            .all(|line| !line.contains("secret\":\"") && !line.contains("own-token"))
    );
    assert_eq!(
        gateway.post(&agent, "/v1/x-apps", app("B")).await.status,
        403
    );
    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 204);
    assert_eq!(gateway.get(&brand.owner, &path).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_apps_are_refused_field_by_field() {
    let gateway = Gateway::start().await;
    let (ours, theirs) = (gateway.brand("Ours").await, gateway.brand("Theirs").await);
    let bad = json!({
        "name": "", "app_id": "007", "consumer_key": "", "consumer_secret": "two words", "bearer_token": "é",
    });
    let answer = gateway.post(&ours.owner, "/v1/x-apps", bad).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.pointers(),
        [
            "/name",
            "/app_id",
            "/consumer_key",
            "/consumer_secret",
            "/bearer_token"
        ]
    );
    let made = add(&gateway, &ours, app("Support")).await;
    let mut twin = app("Support");
    twin["app_id"] = json!("32");
    let taken = gateway.post(&ours.owner, "/v1/x-apps", twin).await;
    assert_eq!(
        (taken.status.as_u16(), taken.code(), taken.pointers()),
        (409, "name_taken", vec!["/name"])
    );
    // Another brand may have one of the same name, and sees nothing of ours.
    add(&gateway, &theirs, app("Support")).await;
    let path = format!("/v1/x-apps/{}", id_of(&made));
    for (method, rest, body) in [
        (Method::GET, "", None),
        (Method::PATCH, "", Some(json!({ "name": "x" }))),
        (Method::POST, "/verify", None),
        (Method::DELETE, "", None),
    ] {
        let path = format!("{path}{rest}");
        let answer = gateway
            .call(Some(&theirs.owner), method, &path, body, &[])
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (404, "not_found"),
            "{path}"
        );
    }
    let connect = json!({ "x_app_id": made["id"] });
    let answer = gateway
        .post(&theirs.owner, "/v1/channels/x/connect", connect)
        .await;
    assert_eq!(
        (answer.code(), answer.pointers()),
        ("unknown_reference", vec!["/x_app_id"])
    );
    let odd = gateway
        .post(
            &ours.owner,
            "/v1/channels/x/connect",
            json!({ "x_app_id": "main" }),
        )
        .await;
    assert_eq!(
        (odd.status.as_u16(), odd.pointers()),
        (400, vec!["/x_app_id"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_through_which_channels_are_connected_stays() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let id = id_of(&add(&gateway, &brand, app("Support")).await);
    let new = NewChannel {
        account: Account {
            platform: "x".to_owned(),
            app: id.to_string(),
            account_id: "4242".to_owned(),
        },
        handle: "harbor".to_owned(),
        credentials: Credentials {
            token: "t".to_owned().into(),
            secret: "s".to_owned().into(),
        },
        x_app: Some(id),
        name: None,
        team: None,
    };
    let sealer = gateway.sealer.clone();
    let connected = gateway.db.store.brand(brand.owner.brand, move |tx| {
        Box::pin(async move { channels::connect(tx, &new, &sealer, &Cause::system()).await })
    });
    let channel = connected.await.unwrap().channel;
    let view = gateway
        .get(&brand.owner, &format!("/v1/channels/{channel}"))
        .await;
    assert_eq!(view.body["x_app_id"], id.to_string());
    let path = format!("/v1/x-apps/{id}");
    let refused = gateway.delete(&brand.owner, &path).await;
    assert_eq!(
        (
            refused.status.as_u16(),
            refused.code(),
            &refused.body["count"]
        ),
        (409, "in_use", &json!(1))
    );
    let store = &gateway.db.store;
    let gone = store.brand(brand.owner.brand, move |tx| {
        Box::pin(async move { channels::disconnect(tx, channel, "test", &Cause::system()).await })
    });
    gone.await.unwrap();
    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 204);
    let view = gateway
        .get(&brand.owner, &format!("/v1/channels/{channel}"))
        .await;
    assert_eq!(view.body["x_app_id"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verifying_says_what_is_wrong_where_until_nothing_is() {
    let (url, x) = stand_in();
    let gateway = Gateway::start_with_x(&url).await;
    let brand = gateway.brand("Harbor").await;
    let wrong = json!({
        "name": "Support", "app_id": "30", "consumer_key": "own-key", "consumer_secret": "typo",
        "bearer_token": "old-token",
    });
    let id = id_of(&add(&gateway, &brand, wrong).await);
    let path = format!("/v1/x-apps/{id}");
    let verify = async || {
        let answer = gateway
            .post(&brand.owner, &format!("{path}/verify"), json!({}))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let checks = answer.body["checks"].as_array().unwrap().clone();
        let of = |ok: bool| {
            let hits = checks.iter().filter(|check| check["ok"] == ok);
            hits.map(|check| check["pointer"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        (answer.body["ok"].as_bool().unwrap(), of(false), of(true))
    };
    let fix = async |change: Value| {
        let answer = gateway.patch(&brand.owner, &path, change).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    let (ok, wrong, _) = verify().await;
    assert!(!ok);
    assert_eq!(wrong, ["/consumer_key", "/consumer_secret"]);
    fix(json!({ "consumer_secret": "own-secret" })).await;
    assert_eq!(verify().await.1, ["/bearer_token"]);
    fix(json!({ "bearer_token": "own-token" })).await;
    assert_eq!(verify().await.1, ["/webhook_url"]);
    x.lock().unwrap().reaches_us = true;
    assert_eq!(verify().await.1, ["/app_id"]);
    fix(json!({ "app_id": "31" })).await;
    let (ok, wrong, good) = verify().await;
    assert!(ok && wrong.is_empty());
    assert_eq!(
        good,
        [
            "/consumer_key",
            "/consumer_secret",
            "/bearer_token",
            "/webhook_url",
            "/app_id"
        ]
    );
    assert!(
        x.lock()
            .unwrap()
            .webhook
            .as_ref()
            .unwrap()
            .ends_with(&format!("/webhooks/x/{id}"))
    );
    let view = gateway.get(&brand.owner, &path).await.body;
    assert!(view["verified_at"].is_string());
    // Another name is no other app; another secret is.
    fix(json!({ "name": "Desk" })).await;
    assert!(gateway.get(&brand.owner, &path).await.body["verified_at"].is_string());
    fix(json!({ "consumer_secret": "next" })).await;
    assert!(gateway.get(&brand.owner, &path).await.body["verified_at"].is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_connected_as_the_brands_own_app() {
    let (url, x) = stand_in();
    let gateway = Gateway::start_with_x(&url).await;
    let brand = gateway.brand("Harbor").await;
    let made = add(&gateway, &brand, app("Support")).await;
    let connect = json!({ "x_app_id": made["id"] });
    let begun = gateway
        .post(&brand.owner, "/v1/channels/x/connect", connect)
        .await;
    assert_eq!(begun.status, 200, "{}", begun.text);
    let signed_by = x.lock().unwrap().signed_by.clone();
    assert!(
        signed_by[0].contains("oauth_consumer_key=\"own-key\""),
        "{signed_by:?}"
    );
    // Taken away meanwhile, it leads nowhere.
    let path = format!("/v1/x-apps/{}", made["id"].as_str().unwrap());
    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 204);
    let back = gateway
        .call(
            None,
            Method::GET,
            "/oauth/x/callback?oauth_token=r&oauth_verifier=v",
            None,
            &[("cookie", &begun.cookie())],
        )
        .await;
    assert_eq!(back.code(), "connect_expired");
}
