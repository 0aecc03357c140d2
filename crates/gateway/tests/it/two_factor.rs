//! The second factor: turning it on, needing it, losing it, and brands that ask for one.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use sha1::Sha1;

use crate::harness::{Answer, Gateway, PASSWORD, Person};

/// What an authenticator app shows: written anew here, so that it can't share a mistake.
fn code(secret: &str, steps_from_now: i64) -> String {
    let mut bits = String::new();
    for c in secret.chars() {
        let value = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).unwrap();
        bits.push_str(&format!("{value:05b}"));
    }
    let key: Vec<u8> = (0..bits.len() / 8)
        .map(|n| u8::from_str_radix(&bits[n * 8..n * 8 + 8], 2).unwrap())
        .collect();
    let step = Timestamp::now().as_second() / 30 + steps_from_now;
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

impl Gateway {
    /// Turns a second factor on; its secret and recovery codes.
    async fn two_factor(&self, who: &Person) -> (String, Vec<String>) {
        let begun = self.post(who, "/v1/me/totp", json!({})).await;
        assert_eq!(begun.status, 201, "{}", begun.text);
        let secret = begun.body["secret"].as_str().unwrap().to_owned();
        assert!(
            begun.body["otpauth_url"]
                .as_str()
                .unwrap()
                .contains(&secret)
        );
        let on = self
            .put(who, "/v1/me/totp", json!({ "code": code(&secret, -1) }))
            .await;
        assert_eq!(on.status, 200, "{}", on.text);
        let codes = on.body["recovery_codes"].as_array().unwrap();
        let codes = codes.iter().map(|code| code.as_str().unwrap().to_owned());
        (secret, codes.collect())
    }

    async fn sign_in_with(&self, email: &str, password: &str, totp: &str) -> Answer {
        let body = json!({ "email": email, "password": password, "totp": totp });
        self.stranger(Method::POST, "/v1/sessions", body).await
    }

    async fn forget_tries(&self) {
        self.sql("delete from sign_in_tries").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_factor_is_asked_for_and_each_code_works_once() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let email = gateway.email_of(&owner).await;
    let other = gateway.sign_in(&email, PASSWORD).await.person();
    let early = gateway
        .put(&owner, "/v1/me/totp", json!({ "code": "123456" }))
        .await;
    assert_eq!((early.status.as_u16(), early.code()), (422, "proof_wrong"));
    let (secret, codes) = gateway.two_factor(&owner).await;
    assert_eq!(codes.len(), 10);
    // Who was signed in elsewhere is out, and sealed is what is kept.
    assert_eq!(gateway.get(&other, "/v1/me").await.code(), "session_ended");
    let me = gateway.get(&owner, "/v1/me").await;
    assert_eq!(
        me.body["two_factor"],
        json!({ "enabled": true, "missing": false, "recovery_codes_left": 10 })
    );
    let again = gateway.post(&owner, "/v1/me/totp", json!({})).await;
    assert_eq!(
        (again.status.as_u16(), again.code()),
        (409, "already_enabled")
    );
    let without = gateway.sign_in(&email, PASSWORD).await;
    assert_eq!(
        (without.status.as_u16(), without.code()),
        (401, "totp_required")
    );
    // A wrong password tells nothing of the second factor.
    let wrong = gateway.sign_in(&email, "wrong horse battery").await;
    assert_eq!(wrong.code(), "invalid_credentials");
    gateway.forget_tries().await;
    // The code that turned it on was used by that.
    let step = |n| code(&secret, n);
    assert_eq!(
        gateway
            .sign_in_with(&email, PASSWORD, &step(-1))
            .await
            .code(),
        "invalid_credentials"
    );
    let now = step(0);
    assert_eq!(
        gateway.sign_in_with(&email, PASSWORD, &now).await.status,
        201
    );
    assert_eq!(
        gateway.sign_in_with(&email, PASSWORD, &now).await.code(),
        "invalid_credentials"
    );
    gateway.forget_tries().await;
    // Lost phone.
    let typed = codes[0].to_uppercase().replace('-', " ");
    assert_eq!(
        gateway.sign_in_with(&email, PASSWORD, &typed).await.status,
        201
    );
    assert_eq!(
        gateway
            .sign_in_with(&email, PASSWORD, &codes[0])
            .await
            .code(),
        "invalid_credentials"
    );
    for bad in [
        "",
        "  ",
        "000000000000000000000000000000000000000000000000000000000000000000000",
    ] {
        let answer = gateway.sign_in_with(&email, PASSWORD, bad).await;
        assert_eq!(answer.pointers(), ["/totp"], "{bad}");
    }
    // Nobody guesses a code, even with the password.
    gateway.forget_tries().await;
    for _ in 0..3 {
        gateway.sign_in_with(&email, PASSWORD, "000000").await;
        gateway.sign_in(&email, PASSWORD).await;
    }
    gateway.stretch_pauses().await;
    let last = gateway.sign_in_with(&email, PASSWORD, &codes[1]).await;
    assert_eq!(last.status, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovery_codes_are_made_anew_and_the_second_factor_turned_off_by_a_code() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let email = gateway.email_of(&owner).await;
    let (secret, old) = gateway.two_factor(&owner).await;
    let renew = async |code: &str, key: &str| {
        let body = Some(json!({ "code": code }));
        let headers = [("idempotency-key", key)];
        gateway
            .call(
                Some(&owner),
                Method::POST,
                "/v1/me/totp/recovery-codes",
                body,
                &headers,
            )
            .await
    };
    assert_eq!(renew("000000", "a").await.code(), "proof_wrong");
    let now = code(&secret, 0);
    let made = renew(&now, "b").await;
    assert_eq!(made.status, 201, "{}", made.text);
    // The same request again shows them no more, and makes no others.
    let repeated = renew(&now, "b").await;
    assert_eq!(repeated.status, 201);
    assert_eq!(repeated.body, json!({ "secret_shown_once": true }));
    let new: Vec<String> = serde_json::from_value(made.body["recovery_codes"].clone()).unwrap();
    assert_eq!(
        gateway.sign_in_with(&email, PASSWORD, &old[0]).await.status,
        401
    );
    let other = gateway
        .sign_in_with(&email, PASSWORD, &new[0])
        .await
        .person();
    let off = async |code: &str| {
        let body = Some(json!({ "code": code }));
        gateway
            .call(Some(&owner), Method::DELETE, "/v1/me/totp", body, &[])
            .await
    };
    assert_eq!(off(&old[1]).await.code(), "proof_wrong");
    assert_eq!(off(&new[1]).await.status, 204);
    assert_eq!(gateway.get(&other, "/v1/me").await.code(), "session_ended");
    assert_eq!(gateway.sign_in(&email, PASSWORD).await.status, 201);
    let actions = gateway.audit_actions(&owner).await;
    for action in [
        "member.two_factor_enabled",
        "member.recovery_codes_renewed",
        "member.two_factor_disabled",
    ] {
        assert!(
            actions.iter().any(|done| done == action),
            "{action}: {actions:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brand_that_asks_for_a_second_factor_lets_members_set_one_up_first() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let elsewhere = gateway.brand("Elsewhere").await.owner;
    gateway
        .sql("update brands set require_two_factor = true where name = 'Harbor'")
        .await;
    // Sessions are looked up at most two seconds late.
    let begun = tokio::time::Instant::now();
    while gateway.get(&agent, "/v1/teams").await.status == 200 {
        assert!(begun.elapsed().as_secs() < 10, "never asked for");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for path in ["/v1/teams", "/v1/members", "/v1/conversations", "/v1/brand"] {
        let answer = gateway.get(&agent, path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (403, "two_factor_required"),
            "{path}"
        );
    }
    let me = gateway.get(&agent, "/v1/me").await;
    assert_eq!(me.body["two_factor"]["missing"], true);
    assert_eq!(gateway.get(&agent, "/v1/me/sessions").await.status, 200);
    assert_eq!(gateway.get(&elsewhere, "/v1/teams").await.status, 200);
    gateway.two_factor(&agent).await;
    assert_eq!(gateway.get(&agent, "/v1/teams").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_session_must_prove_itself_before_what_matters_most() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    gateway
        .sql("update sessions set proven_at = now() - interval '16 minutes'")
        .await;
    let begun = tokio::time::Instant::now();
    let stale = loop {
        let answer = gateway.post(&owner, "/v1/me/totp", json!({})).await;
        if answer.status == 403 {
            break answer;
        }
        assert!(begun.elapsed().as_secs() < 10, "{}", answer.text);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(stale.code(), "step_up_required");
    for (bad, pointer) in [
        (json!({}), ""),
        (json!({ "password": null, "totp": null }), ""),
        (json!({ "password": "" }), "/password"),
        (json!({ "totp": " " }), "/totp"),
    ] {
        let answer = gateway.post(&owner, "/v1/me/step-up", bad.clone()).await;
        assert_eq!(answer.pointers(), [pointer], "{bad}: {}", answer.text);
    }
    for wrong in [json!({ "password": "guess" }), json!({ "totp": "123456" })] {
        let answer = gateway.post(&owner, "/v1/me/step-up", wrong).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (422, "proof_wrong")
        );
    }
    let body: Value = json!({ "password": PASSWORD });
    assert_eq!(
        gateway.post(&owner, "/v1/me/step-up", body).await.status,
        204
    );
    assert_eq!(
        gateway.post(&owner, "/v1/me/totp", json!({})).await.status,
        201
    );
}
