//! The calls around messages: connecting an account, webhooks, subscriptions, look-ups.

use roost_platforms::x::client::{ApiError, RefusalCode};
use roost_platforms::x::webhooks::ReplayWindow;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::server::{Server, answer, user};

async fn answering(body: &Value) -> Server {
    Server::doing(vec![answer(200, "", &body.to_string())]).await
}

fn first_line(server: &Server) -> String {
    server.requests()[0].lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn an_account_connects_in_three_legs() {
    let server = Server::doing(vec![
        answer(
            200,
            "",
            "oauth_token=req%2Btoken&oauth_token_secret=rs&oauth_callback_confirmed=true",
        ),
        answer(
            200,
            "",
            "oauth_token=t&oauth_token_secret=s&user_id=42&screen_name=brand",
        ),
        answer(
            200,
            "",
            &json!({"data": {"id": "42", "name": "A Brand", "username": "brand"}}).to_string(),
        ),
    ])
    .await;
    let client = server.client();
    let request = client
        .request_token("https://roost.example/oauth/x/callback")
        .await
        .unwrap();
    assert_eq!(request.token, "req+token");
    let access = client.access_token(&request, "the-verifier").await.unwrap();
    assert_eq!(
        (access.user_id.as_str(), access.screen_name.as_str()),
        ("42", "brand")
    );
    assert_eq!(access.credentials.secret.expose_secret(), "s");
    let me = client.users_me(&access.credentials).await.unwrap();
    assert_eq!(
        (me.id.as_str(), me.handle.as_str(), me.avatar_url),
        ("42", "brand", None)
    );

    let requests = server.requests();
    assert!(
        requests[0].starts_with("POST /oauth/request_token HTTP"),
        "{}",
        requests[0]
    );
    assert!(
        requests[0]
            .contains("oauth_callback=\"https%3A%2F%2Froost.example%2Foauth%2Fx%2Fcallback\"")
    );
    assert!(
        requests[1].starts_with("POST /oauth/access_token HTTP"),
        "{}",
        requests[1]
    );
    assert!(
        requests[1].contains("oauth_token=\"req%2Btoken\"")
            && requests[1].contains("oauth_verifier=\"the-verifier\"")
    );
    assert!(
        requests[2].starts_with("GET /2/users/me?user.fields=profile_image_url HTTP"),
        "{}",
        requests[2]
    );
}

#[tokio::test]
async fn an_unconfirmed_callback_is_no_request_token() {
    let server = Server::doing(vec![answer(200, "", "oauth_token=t&oauth_token_secret=s")]).await;
    let error = server
        .client()
        .request_token("https://roost.example/")
        .await
        .unwrap_err();
    assert_eq!(error, ApiError::Unexpected("oauth_callback_confirmed"));
}

#[tokio::test]
async fn a_dead_token_is_told_from_an_outage() {
    let server = Server::doing(vec![
        answer(401, "", "{\"title\":\"Unauthorized\"}"),
        answer(503, "", ""),
    ])
    .await;
    match server.client().users_me(&user()).await.unwrap_err() {
        ApiError::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::ReauthRequired),
        other @ (ApiError::Unreachable(_) | ApiError::Unavailable(_) | ApiError::Unexpected(_)) => {
            panic!("{other}")
        }
    }
    assert_eq!(
        server.client().users_me(&user()).await.unwrap_err(),
        ApiError::Unavailable(503)
    );
}

#[tokio::test]
async fn the_app_gets_its_bearer_token() {
    let server = answering(&json!({"token_type": "bearer", "access_token": "AAA"})).await;
    assert_eq!(
        server.client().app_bearer().await.unwrap().expose_secret(),
        "AAA"
    );
    let request = &server.requests()[0];
    // base64 of app-key:app-secret
    assert!(
        request.contains("authorization: Basic YXBwLWtleTphcHAtc2VjcmV0"),
        "{request}"
    );
    assert!(
        request.ends_with("grant_type=client_credentials"),
        "{request}"
    );
}

#[tokio::test]
async fn webhooks_are_listed_made_checked_and_taken_away() {
    let hook = json!({"id": "9", "url": "https://roost.example/webhooks/x/main", "valid": true});
    let bearer = "AAA".into();

    let server = answering(&json!({"data": [hook], "meta": {"result_count": 1}})).await;
    assert!(server.client().list_webhooks(&bearer).await.unwrap()[0].valid);
    assert_eq!(first_line(&server), "GET /2/webhooks HTTP/1.1");
    assert!(server.requests()[0].contains("authorization: Bearer AAA"));

    let server = answering(&json!({"data": hook})).await;
    let made = server
        .client()
        .create_webhook(&bearer, "https://roost.example/webhooks/x/main")
        .await
        .unwrap();
    assert_eq!(
        (made.id.as_str(), first_line(&server).as_str()),
        ("9", "POST /2/webhooks HTTP/1.1")
    );

    let server = answering(&json!({"data": {"valid": true}})).await;
    assert!(
        server
            .client()
            .validate_webhook(&bearer, "9")
            .await
            .unwrap()
    );
    assert_eq!(first_line(&server), "PUT /2/webhooks/9 HTTP/1.1");

    let server = answering(&json!({"data": {"deleted": true}})).await;
    assert!(server.client().delete_webhook(&bearer, "9").await.unwrap());
    assert_eq!(first_line(&server), "DELETE /2/webhooks/9 HTTP/1.1");

    let server =
        answering(&json!({"data": {"job_id": "77", "created_at": "2026-01-01T00:00:00Z"}})).await;
    let window = ReplayWindow {
        from: "202601010000",
        to: "202601010100",
    };
    assert_eq!(
        server
            .client()
            .replay_webhook(&bearer, "9", window)
            .await
            .unwrap(),
        "77"
    );
    assert_eq!(first_line(&server), "POST /2/webhooks/replay HTTP/1.1");
}

#[tokio::test]
async fn subscriptions_are_made_once_listed_and_ended() {
    let bearer = "AAA".into();
    let path = "/2/account_activity/webhooks/9/subscriptions";

    let server = answering(&json!({"data": {"subscribed": true}})).await;
    server.client().subscribe(&user(), "9").await.unwrap();
    assert_eq!(first_line(&server), format!("POST {path}/all HTTP/1.1"));
    assert!(server.client().is_subscribed(&user(), "9").await.unwrap());

    for body in [
        json!({"errors": [{"code": 355, "message": "exists"}]}),
        json!({"title": "DuplicateSubscriptionFailed"}),
    ] {
        let server = Server::doing(vec![answer(409, "", &body.to_string())]).await;
        server.client().subscribe(&user(), "9").await.unwrap();
    }

    let server =
        answering(&json!({"data": {"subscriptions": [{"user_id": "1"}, {"user_id": "2"}]}})).await;
    assert_eq!(
        server
            .client()
            .list_subscriptions(&bearer, "9")
            .await
            .unwrap(),
        ["1", "2"]
    );
    assert_eq!(first_line(&server), format!("GET {path}/all/list HTTP/1.1"));

    let server = answering(&json!({"data": {"subscribed": false}})).await;
    server
        .client()
        .unsubscribe(&bearer, "9", "1")
        .await
        .unwrap();
    assert_eq!(first_line(&server), format!("DELETE {path}/1/all HTTP/1.1"));
}

#[tokio::test]
async fn recent_messages_are_looked_up_with_all_fields() {
    let page = json!({"data": [{"id": "30", "event_type": "MessageCreate", "text": "b", "sender_id": "1",
        "created_at": "2026-01-02T00:00:00.000Z"}], "meta": {"result_count": 1}});
    let server = answering(&page).await;
    let recent = server.client().recent_dms(&user(), "42").await.unwrap();
    assert_eq!(
        (recent.messages[0].event_no, recent.complete_since),
        (30, None)
    );
    assert!(first_line(&server).starts_with(
        "GET /2/dm_conversations/with/42/dm_events?dm_event.fields=id%2Ctext%2Cevent_type%2Ccreated_at%2Csender_id&"
    ));
}

#[tokio::test]
async fn typing_and_read_receipts_are_forms() {
    let server = Server::doing(vec![answer(204, "", "")]).await;
    server
        .client()
        .indicate_typing(&user(), "42")
        .await
        .unwrap();
    server
        .client()
        .mark_read(&user(), "30", "42")
        .await
        .unwrap();
    let requests = server.requests();
    assert!(requests[0].starts_with("POST /1.1/direct_messages/indicate_typing.json HTTP"));
    assert!(requests[0].ends_with("\r\n\r\nrecipient_id=42"));
    assert!(requests[1].ends_with("\r\n\r\nlast_read_event_id=30&recipient_id=42"));
}

#[tokio::test]
async fn a_base_url_may_have_a_path_and_must_be_http() {
    let server = answering(&json!({"data": []})).await;
    let under = crate::server::client(&format!("{}/proxy/", server.url));
    under.list_webhooks(&"AAA".into()).await.unwrap();
    assert_eq!(first_line(&server), "GET /proxy/2/webhooks HTTP/1.1");
    for url in ["", "api.x.com", "ftp://api.x.com", "mailto:a@b"] {
        let made =
            roost_platforms::x::client::XClient::new(url, "k", "s".into(), Default::default());
        assert!(made.is_err(), "{url}");
    }
}
