//! Guessing passwords: it gets slow for strangers, never for the person.

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Gateway, PASSWORD};

async fn from(gateway: &Gateway, address: &str, cookie: &str, email: &str, word: &str) -> Answer {
    let body = json!({ "email": email, "password": word });
    let headers = [("x-forwarded-for", address), ("cookie", cookie)];
    gateway
        .call(None, Method::POST, "/v1/sessions", Some(body), &headers)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_are_slowed_down_from_anywhere_but_the_person_still_gets_in() {
    let gateway = Gateway::start_behind_proxy().await;
    let owner = gateway.brand("Harbor").await.owner;
    let email = gateway.email_of(&owner).await;
    // The person has been here before; the browser remembers.
    let signed_in = from(&gateway, "198.51.100.1", "", &email, PASSWORD).await;
    assert_eq!(signed_in.status, 201);
    let device = signed_in
        .headers
        .get_all("set-cookie")
        .iter()
        .filter_map(|cookie| cookie.to_str().unwrap().split(';').next())
        .find(|cookie| cookie.starts_with("__Host-roost_device="))
        .unwrap()
        .to_owned();
    // A guesser with an address for each guess.
    for n in 0..5 {
        let answer = from(&gateway, &format!("203.0.113.{n}"), "", &email, "guess").await;
        assert_eq!(answer.code(), "invalid_credentials", "{n}");
    }
    gateway.stretch_pauses().await;
    let refused = from(&gateway, "203.0.113.99", "", &email, PASSWORD).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (429, "rate_limited")
    );
    let wait: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=301).contains(&wait), "{wait}");
    assert_eq!(refused.body["retryable"], true);
    // The person: in their browser from anywhere, or at their address with any browser.
    assert_eq!(
        from(&gateway, "192.0.2.77", &device, &email, PASSWORD)
            .await
            .status,
        201
    );
    assert_eq!(
        from(&gateway, "198.51.100.1", "", &email, PASSWORD)
            .await
            .status,
        201
    );
    // Somebody else's cookie is none of theirs.
    let forged = format!("__Host-roost_device={}", "a".repeat(43));
    assert_eq!(
        from(&gateway, "203.0.113.98", &forged, &email, PASSWORD)
            .await
            .status,
        429
    );
    // It is a pause, no lock.
    gateway
        .sql(
            "update sign_in_tries set blocked_until = now(), last_at = now() - interval '1 minute'",
        )
        .await;
    assert_eq!(
        from(&gateway, "203.0.113.99", "", &email, PASSWORD)
            .await
            .status,
        201
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_tries_account_after_account_is_slowed_down_too() {
    let gateway = Gateway::start_behind_proxy().await;
    let owner = gateway.brand("Harbor").await.owner;
    let email = gateway.email_of(&owner).await;
    for n in 0..5 {
        let answer = from(
            &gateway,
            "203.0.113.7",
            "",
            &format!("{n}@x.example"),
            "guess",
        )
        .await;
        assert_eq!(answer.code(), "invalid_credentials", "{n}");
    }
    gateway.stretch_pauses().await;
    assert_eq!(
        from(&gateway, "203.0.113.7", "", &email, PASSWORD)
            .await
            .status,
        429
    );
    // Nobody else pays for it.
    assert_eq!(
        from(&gateway, "203.0.113.8", "", &email, PASSWORD)
            .await
            .status,
        201
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_guesses_at_once_are_no_way_around() {
    let gateway = Gateway::start_behind_proxy().await;
    gateway.brand("Harbor").await;
    let guess = async |n: usize| {
        from(
            &gateway,
            &format!("203.0.113.{n}"),
            "",
            "victim@x.example",
            "guess",
        )
        .await
    };
    let answers = futures_util::future::join_all((0..30).map(guess)).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert!(looked_at <= 8, "{looked_at} guesses were looked at");
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status.as_u16(), 401 | 429))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hash_of_former_parameters_is_replaced_at_the_next_sign_in() {
    let gateway = Gateway::start_behind_proxy().await;
    let owner = gateway.brand("Harbor").await.owner;
    let email = gateway.email_of(&owner).await;
    let cheap = Params::new(8 * 1024, 1, 1, None).unwrap();
    let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, cheap);
    let former = cheap
        .hash_password(PASSWORD.as_bytes())
        .unwrap()
        .to_string();
    let mut db = gateway.db.owner().await;
    sqlx::query("update users set password_hash = $1")
        .bind(former)
        .execute(&mut db)
        .await
        .unwrap();
    assert_eq!(gateway.sign_in(&email, PASSWORD).await.status, 201);
    let hash: String = sqlx::query_scalar("select password_hash from users")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"),
        "{hash}"
    );
    assert_eq!(gateway.sign_in(&email, PASSWORD).await.status, 201);
}
