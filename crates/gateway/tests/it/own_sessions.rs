//! Where a person is signed in, and ending that.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Gateway, PASSWORD};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sees_where_they_are_signed_in_and_ends_what_they_dont_know() {
    let gateway = Gateway::start_behind_proxy().await;
    let owner = gateway.brand("Harbor").await.owner;
    let email = gateway.email_of(&owner).await;
    let elsewhere = gateway
        .call(
            None,
            Method::POST,
            "/v1/sessions",
            Some(json!({ "email": email, "password": PASSWORD })),
            &[
                ("x-forwarded-for", "203.0.113.9"),
                ("user-agent", "Phone/1.0"),
            ],
        )
        .await
        .person();
    let third = gateway.sign_in(&email, PASSWORD).await.person();
    let list = gateway.get(&owner, "/v1/me/sessions").await;
    let sessions = list.body["data"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    let current: Vec<bool> = sessions
        .iter()
        .map(|one| one["is_current"].as_bool().unwrap())
        .collect();
    assert_eq!(current.iter().filter(|is_current| **is_current).count(), 1);
    let phone = sessions
        .iter()
        .find(|one| one["user_agent"] == "Phone/1.0")
        .unwrap();
    assert_eq!(phone["address"], "203.0.113.9");
    assert_eq!(phone["brand_name"], "Harbor");
    let path = format!("/v1/me/sessions/{}", phone["id"].as_str().unwrap());
    // Nobody else can end it.
    let theirs = gateway.brand("Theirs").await.owner;
    for (who, path) in [
        (&theirs, path.as_str()),
        (&owner, "/v1/me/sessions/ses_01h455vb4pex5vsknk084sn02q"),
        (&owner, "/v1/me/sessions/junk"),
    ] {
        assert_eq!(gateway.delete(who, path).await.status, 404, "{path}");
    }
    assert_eq!(gateway.get(&elsewhere, "/v1/me").await.status, 200);
    assert_eq!(gateway.delete(&owner, &path).await.status, 204);
    assert_eq!(
        gateway.get(&elsewhere, "/v1/me").await.code(),
        "session_ended"
    );
    assert_eq!(gateway.delete(&owner, &path).await.status, 404);
    assert_eq!(gateway.delete(&owner, "/v1/me/sessions").await.status, 204);
    assert_eq!(gateway.get(&third, "/v1/me").await.code(), "session_ended");
    assert_eq!(gateway.get(&owner, "/v1/me/sessions").await.ids().len(), 1);
    let actions = gateway.audit_actions(&owner).await;
    for action in [
        "session.opened",
        "session.revoked",
        "session.others_revoked",
    ] {
        assert!(
            actions.iter().any(|done| done == action),
            "{action}: {actions:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_refresh_token_ends_its_session_however_old_it_is() {
    let gateway = Gateway::start_behind_proxy().await;
    let owner = gateway.brand("Harbor").await.owner;
    let stolen = owner.cookie.clone();
    let mut cookie = owner.cookie.clone();
    for _ in 0..3 {
        let answer = gateway.refresh(&cookie).await;
        assert_eq!(answer.status, 200);
        cookie = answer.cookie();
        gateway
            .sql("update sessions set rotated_at = now() - interval '10 minutes'")
            .await;
    }
    assert_eq!(gateway.refresh(&stolen).await.code(), "session_ended");
    assert_eq!(gateway.refresh(&cookie).await.code(), "session_ended");
    assert_eq!(gateway.get(&owner, "/v1/me").await.code(), "session_ended");
    let actions = gateway.audit_actions(&owner).await;
    assert_eq!(actions.last().unwrap(), "session.token_reused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_idle_or_old() {
    let gateway = Gateway::start_behind_proxy().await;
    let owner = gateway.brand("Harbor").await.owner;
    gateway
        .sql("update sessions set rotated_at = now() - interval '13 hours'")
        .await;
    assert_eq!(gateway.refresh(&owner.cookie).await.code(), "session_ended");
    gateway
        .sql("update sessions set rotated_at = now(), expires_at = now()")
        .await;
    assert_eq!(gateway.refresh(&owner.cookie).await.code(), "session_ended");
}
