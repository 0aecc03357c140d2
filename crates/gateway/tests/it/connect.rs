//! Connecting an account, with a stand-in that answers as X does.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use reqwest::Method;
use roost_domain::ids::ChannelId;
use roost_store::channels;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::harness::{Answer, Brand, Gateway};

/// What was asked of X: method and path.
type Calls = Arc<Mutex<Vec<String>>>;

async fn x(
    request: HttpRequest,
    calls: web::Data<Mutex<Vec<String>>>,
    body: String,
) -> HttpResponse {
    let call = format!("{} {}", request.method(), request.path());
    let mut calls = calls.lock().unwrap();
    let count = calls.iter().filter(|before| **before == call).count();
    calls.push(call.clone());
    let authorization = request
        .headers()
        .get("authorization")
        .unwrap()
        .to_str()
        .unwrap();
    let registered = calls.iter().any(|call| call == "POST /2/webhooks");
    let webhook =
        json!({ "id": "9", "url": "http://localhost:8081/webhooks/x/main", "valid": true });
    match call.as_str() {
        "POST /oauth/request_token" => {
            assert!(authorization.contains("roost.example%2Foauth%2Fx%2Fcallback"), "{authorization}");
            HttpResponse::Ok().body(format!(
                "oauth_token=request{count}&oauth_token_secret=s{count}&oauth_callback_confirmed=true"
            ))
        }
        "POST /oauth/access_token" => HttpResponse::Ok()
            .body("oauth_token=access&oauth_token_secret=access-secret&user_id=4242&screen_name=harbor_help"),
        "POST /oauth2/token" => {
            HttpResponse::Ok().json(json!({ "token_type": "bearer", "access_token": "app" }))
        }
        "GET /2/webhooks" if registered => HttpResponse::Ok().json(json!({ "data": [webhook] })),
        "GET /2/webhooks" => HttpResponse::Ok().json(json!({ "data": [] })),
        "POST /2/webhooks" => {
            assert!(body.contains("/webhooks/x/main"), "{body}");
            HttpResponse::Ok().json(json!({ "data": webhook }))
        }
        "POST /2/account_activity/webhooks/9/subscriptions/all" => {
            HttpResponse::Ok().json(json!({ "data": { "subscribed": true } }))
        }
        "DELETE /2/account_activity/webhooks/9/subscriptions/4242/all" => {
            HttpResponse::Ok().json(json!({ "data": { "subscribed": false } }))
        }
        other => panic!("unexpected call of X: {other}"),
    }
}

fn stand_in() -> (String, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let calls = Calls::default();
    let data = web::Data::from(calls.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .default_service(web::to(x))
    });
    tokio::spawn(
        server
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run(),
    );
    (url, calls)
}

/// Begins as a browser would; the cookie and the request token.
async fn begin(gateway: &Gateway, brand: &Brand) -> (String, String) {
    let begun = gateway
        .post(&brand.owner, "/v1/channels/x/connect", json!({}))
        .await;
    assert_eq!(begun.status, 200, "{}", begun.text);
    let cookie = begun.headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.contains("SameSite=Lax") && cookie.contains("HttpOnly"),
        "{cookie}"
    );
    let url = begun.body["authorize_url"].as_str().unwrap();
    let token = url
        .strip_prefix("https://api.x.com/oauth/authorize?oauth_token=")
        .unwrap();
    (begun.cookie(), token.to_owned())
}

async fn come_back(gateway: &Gateway, cookie: &str, query: &str) -> Answer {
    let path = format!("/oauth/x/callback?{query}");
    gateway
        .call(None, Method::GET, &path, None, &[("cookie", cookie)])
        .await
}

async fn x_channel(gateway: &Gateway, brand: &Brand) -> Option<Value> {
    let channels = gateway.get(&brand.owner, "/v1/channels").await;
    let rows = channels.body["data"].as_array().unwrap().clone();
    rows.into_iter()
        .find(|channel| channel["account_id"] == "4242")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_active_once_x_has_agreed_to_everything() {
    let (url, calls) = stand_in();
    let gateway = Gateway::start_with_x(&url).await;
    let brand = gateway.brand("Harbor").await;
    let (cookie, token) = begin(&gateway, &brand).await;
    let query = format!("oauth_token={token}&oauth_verifier=v");
    let stranger = come_back(&gateway, "__Host-connect=guess", &query).await;
    assert_eq!(stranger.code(), "connect_expired");
    assert!(x_channel(&gateway, &brand).await.is_none());
    let done = come_back(&gateway, &cookie, &query).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(done.text.contains("@harbor_help"));
    let channel = x_channel(&gateway, &brand).await.unwrap();
    assert_eq!(
        (&channel["status"], &channel["handle"]),
        (&json!("active"), &json!("harbor_help"))
    );
    assert_eq!(channel["team_id"], brand.team.to_string());
    assert_eq!(
        come_back(&gateway, &cookie, &query).await.code(),
        "connect_expired"
    );
    let id: ChannelId = channel["id"].as_str().unwrap().parse().unwrap();
    let sealer = gateway.sealer.clone();
    let credentials = gateway
        .db
        .store
        .brand(brand.owner.brand, move |tx| {
            Box::pin(async move { channels::credentials(tx, id, &sealer).await })
        })
        .await
        .unwrap()
        .unwrap();
    assert_eq!(credentials.secret.expose_secret(), "access-secret");
    let path = format!("/v1/channels/{id}");
    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 204);
    let calls = calls.lock().unwrap();
    assert_eq!(
        calls.last().unwrap(),
        "DELETE /2/account_activity/webhooks/9/subscriptions/4242/all"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newer_proof_wins_and_the_older_channel_learns_only_that_it_lost() {
    let (url, calls) = stand_in();
    let gateway = Gateway::start_with_x(&url).await;
    let (first, second) = (gateway.brand("First").await, gateway.brand("Second").await);
    for brand in [&first, &second] {
        let (cookie, token) = begin(&gateway, brand).await;
        let query = format!("oauth_token={token}&oauth_verifier=v");
        assert_eq!(come_back(&gateway, &cookie, &query).await.status, 200);
    }
    let made = calls
        .lock()
        .unwrap()
        .iter()
        .filter(|call| *call == "POST /2/webhooks")
        .count();
    assert_eq!(made, 1, "the app has one webhook");
    assert_eq!(
        x_channel(&gateway, &second).await.unwrap()["status"],
        "active"
    );
    let lost = x_channel(&gateway, &first).await.unwrap();
    assert_eq!(
        (&lost["status"], &lost["status_reason"]),
        (&json!("disconnected"), &json!("connected_elsewhere"))
    );
    gateway.relay().await;
    let events = gateway
        .get(&first.owner, "/v1/events?types=channel.disconnected")
        .await;
    assert_eq!(events.ids().len(), 1);
    assert!(!events.text.contains(&second.owner.brand.to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_who_says_no_leaves_nothing_behind() {
    let (url, _) = stand_in();
    let gateway = Gateway::start_with_x(&url).await;
    let brand = gateway.brand("Harbor").await;
    let (cookie, token) = begin(&gateway, &brand).await;
    assert_eq!(
        come_back(&gateway, &cookie, &format!("denied={token}"))
            .await
            .code(),
        "connect_denied"
    );
    let query = format!("oauth_token={token}&oauth_verifier=v");
    assert_eq!(
        come_back(&gateway, &cookie, &query).await.code(),
        "connect_expired"
    );
    assert!(x_channel(&gateway, &brand).await.is_none());
}
