//! Proving an address, forgotten and changed passwords.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Gateway, PASSWORD, Person};

const OTHER: &str = "another horse battery";

impl Gateway {
    /// A request of a stranger.
    pub(crate) async fn stranger(&self, method: Method, path: &str, body: Value) -> Answer {
        self.call(None, method, path, Some(body), &[]).await
    }

    /// Signs in.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.stranger(Method::POST, "/v1/sessions", body).await
    }

    /// What a refresh with a person's cookie answers.
    pub(crate) async fn refresh(&self, cookie: &str) -> Answer {
        let headers = [("cookie", cookie)];
        self.call(None, Method::POST, "/v1/sessions/refresh", None, &headers)
            .await
    }

    /// Proves the person's address by the mail that asked for it.
    pub(crate) async fn verify(&self, who: &Person) {
        let email = self.email_of(who).await;
        let token = self.mail("verification", &email, 1).await.token();
        let answer = self
            .stranger(
                Method::PUT,
                "/v1/email-verifications",
                json!({ "token": token }),
            )
            .await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_proven_by_the_link_that_went_to_it_and_by_each_link_once() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let email = gateway.email_of(&owner).await;
    assert_eq!(
        gateway.get(&owner, "/v1/me").await.body["email_verified"],
        false
    );
    let token = gateway.mail("verification", &email, 1).await.token();
    gateway.verify(&owner).await;
    assert_eq!(
        gateway.get(&owner, "/v1/me").await.body["email_verified"],
        true
    );
    let again = gateway
        .stranger(
            Method::PUT,
            "/v1/email-verifications",
            json!({ "token": token }),
        )
        .await;
    assert_eq!(
        (again.status.as_u16(), again.code()),
        (422, "token_invalid")
    );
    let actions = gateway.audit_actions(&owner).await;
    assert_eq!(actions, ["brand.signed_up", "member.email_verified"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_for_a_link_tells_nothing_about_who_has_an_account() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let email = gateway.email_of(&owner).await;
    for path in ["/v1/password-resets", "/v1/email-verifications"] {
        let ask = async |email: &str| {
            let answer = gateway
                .stranger(Method::POST, path, json!({ "email": email }))
                .await;
            assert_eq!(answer.status, 202);
            answer.text
        };
        assert_eq!(
            ask(&email.to_uppercase()).await,
            ask("nobody@nowhere.example").await
        );
    }
    gateway.mail("reset", &email, 1).await;
    gateway.mail("verification", &email, 2).await;
    assert!(gateway.mails().await.iter().all(|mail| mail.to == email));
    // However often somebody asks, a person gets three such mails an hour.
    for _ in 0..5 {
        gateway
            .stranger(
                Method::POST,
                "/v1/password-resets",
                json!({ "email": email }),
            )
            .await;
    }
    gateway.mail("reset", &email, 3).await;
    gateway
        .sql("update account_tokens set created_at = now() - interval '2 hours'")
        .await;
    gateway
        .stranger(
            Method::POST,
            "/v1/password-resets",
            json!({ "email": email }),
        )
        .await;
    gateway.mail("reset", &email, 4).await;
    // Three before and at most three after the hour, though all of them asked at once.
    let mails = gateway.mails().await;
    let resets = mails.iter().filter(|mail| mail.kind == "reset").count();
    assert!((4..=6).contains(&resets), "{resets}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_a_token_is_refused_before_anything_is_asked() {
    let gateway = Gateway::start().await;
    let forty_three = "a".repeat(43);
    for (method, path, mut body) in [
        (Method::PUT, "/v1/email-verifications", json!({})),
        (
            Method::PUT,
            "/v1/password-resets",
            json!({ "password": OTHER }),
        ),
        (
            Method::POST,
            "/v1/invitations/accept",
            json!({ "password": OTHER }),
        ),
    ] {
        for bad in [
            json!(""),
            json!(" "),
            json!(" ".repeat(43)),
            json!([forty_three]),
            json!({ "token": forty_three }),
            Value::Null,
            json!(1),
            json!("a".repeat(42)),
            json!("a".repeat(5_000)),
            json!("ä".repeat(43)),
        ] {
            body["token"] = bad.clone();
            let answer = gateway.stranger(method.clone(), path, body.clone()).await;
            assert_eq!(answer.status, 400, "{path} {bad}: {}", answer.text);
            assert_eq!(answer.pointers(), ["/token"], "{path} {bad}");
        }
        body["token"] = json!(forty_three);
        let answer = gateway.stranger(method.clone(), path, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (422, "token_invalid"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_password_is_replaced_once_and_ends_every_session() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let email = gateway.email_of(&owner).await;
    let ask = async |count: usize| {
        gateway
            .stranger(
                Method::POST,
                "/v1/password-resets",
                json!({ "email": email }),
            )
            .await;
        gateway.mail("reset", &email, count).await.token()
    };
    let (older, token) = (ask(1).await, ask(2).await);
    let reset = async |token: &str, password: &str| {
        let body = json!({ "token": token, "password": password });
        gateway
            .stranger(Method::PUT, "/v1/password-resets", body)
            .await
    };
    for weak in ["short", "passwordpassword", &email, &"x".repeat(129)] {
        let answer = reset(&token, weak).await;
        assert_eq!(answer.status, 400, "{weak}");
        assert_eq!(answer.pointers(), ["/password"], "{weak}");
    }
    assert_eq!(reset(&token, OTHER).await.status, 204);
    for used in [&token, &older] {
        assert_eq!(reset(used, OTHER).await.code(), "token_invalid");
    }
    assert_eq!(gateway.get(&owner, "/v1/me").await.code(), "session_ended");
    assert_eq!(gateway.refresh(&owner.cookie).await.code(), "session_ended");
    assert_eq!(
        gateway.sign_in(&email, PASSWORD).await.code(),
        "invalid_credentials"
    );
    let again = gateway.sign_in(&email, OTHER).await.person();
    assert_eq!(
        gateway.get(&again, "/v1/me").await.body["email_verified"],
        true
    );
    gateway.mail("password_changed", &email, 1).await;
    let late = ask(3).await;
    gateway
        .sql("update account_tokens set expires_at = now()")
        .await;
    assert_eq!(reset(&late, PASSWORD).await.code(), "token_invalid");
    let actions = gateway.audit_actions(&owner).await;
    assert!(
        actions.contains(&"member.password_reset".to_owned()),
        "{actions:?}"
    );
    assert!(
        actions.contains(&"session.refused".to_owned()),
        "{actions:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_ends_the_other_sessions_and_asks_for_the_old_one() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let email = gateway.email_of(&owner).await;
    let others = [
        gateway.sign_in(&email, PASSWORD).await.person(),
        gateway.sign_in(&email, PASSWORD).await.person(),
    ];
    let change = async |current: &str, new: &str| {
        let body = json!({ "current_password": current, "password": new });
        gateway.put(&owner, "/v1/me/password", body).await
    };
    let wrong = change("wrong horse battery", OTHER).await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (422, "proof_wrong"));
    assert_eq!(
        change(PASSWORD, "Harbor owner").await.pointers(),
        ["/password"]
    );
    assert_eq!(change(PASSWORD, OTHER).await.status, 204);
    assert_eq!(gateway.get(&owner, "/v1/me").await.status, 200);
    assert_eq!(gateway.refresh(&owner.cookie).await.status, 200);
    for other in &others {
        assert_eq!(gateway.get(other, "/v1/me").await.code(), "session_ended");
        assert_eq!(gateway.refresh(&other.cookie).await.code(), "session_ended");
    }
    assert_eq!(gateway.sign_in(&email, PASSWORD).await.status, 401);
    gateway.sign_in(&email, OTHER).await.person();
    // A stolen session can't try out passwords either.
    for _ in 0..5 {
        change("guess", OTHER).await;
    }
    gateway.stretch_pauses().await;
    let last = change(OTHER, PASSWORD).await;
    assert_eq!((last.status.as_u16(), last.code()), (429, "rate_limited"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_up_twice_is_told_to_the_owner_of_the_address() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let email = gateway.email_of(&owner).await;
    let body = json!({
        "brand_name": "Other", "full_name": "Mallory", "email": email, "password": PASSWORD,
        "time_zone": "Europe/Berlin",
    });
    for _ in 0..3 {
        let answer = gateway
            .stranger(Method::POST, "/v1/signup", body.clone())
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (409, "email_taken")
        );
    }
    let notice = gateway.mail("has_account", &email, 1).await;
    assert!(!notice.text.contains("token"), "{}", notice.text);
    let mails = gateway.mails().await;
    assert_eq!(
        mails
            .iter()
            .filter(|mail| mail.kind == "has_account")
            .count(),
        1
    );
    // Trying out address after address has an end.
    let mut refused = 0;
    for _ in 0..40 {
        let answer = gateway
            .stranger(Method::POST, "/v1/signup", body.clone())
            .await;
        refused += usize::from(answer.status == 429);
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0, "never refused");
}
