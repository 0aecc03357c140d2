//! Three legs, and signatures that are refused.

use serde_json::{Value, json};

use crate::support::{BRAND, Keys, Stage, authorization, authorization_at, encode};

const NONE: Keys = Keys {
    token: String::new(),
    secret: String::new(),
    oauth2: String::new(),
};

fn pairs(form: &str) -> std::collections::HashMap<String, String> {
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| (k.into(), v.into()))
        .collect()
}

async fn request_token(stage: &Stage, callback: &str) -> Keys {
    let url = stage.url("/oauth/request_token");
    let header = authorization("POST", &url, &NONE, &[("oauth_callback", callback)]);
    let answer = stage
        .http
        .post(url)
        .header("authorization", header)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    let fields = pairs(&answer.text().await.expect("a form"));
    assert_eq!(fields["oauth_callback_confirmed"], "true");
    Keys {
        token: fields["oauth_token"].clone(),
        secret: fields["oauth_token_secret"].clone(),
        ..NONE
    }
}

#[tokio::test]
async fn three_legs_end_in_a_token_that_works() {
    let stage = Stage::new().await;
    let request = request_token(&stage, "http://localhost:8080/oauth/x/callback?state=a b").await;

    let page = stage
        .http
        .get(stage.url(&format!("/oauth/authorize?oauth_token={}", request.token)));
    let page = page
        .send()
        .await
        .expect("a page")
        .text()
        .await
        .expect("HTML");
    assert!(page.contains("@acme") && page.contains(BRAND));

    let browser = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let form = format!(
        "oauth_token={}&account_id={BRAND}&action=approve",
        request.token
    );
    let answer = browser
        .post(stage.url("/oauth/authorize"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 302);
    let back = answer.headers()["location"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(back.starts_with("http://localhost:8080/oauth/x/callback?state=a b&oauth_token="));
    let verifier = back
        .rsplit_once("oauth_verifier=")
        .expect("a verifier")
        .1
        .to_owned();

    let url = stage.url("/oauth/access_token");
    let wrong = authorization("POST", &url, &request, &[("oauth_verifier", "guess")]);
    let refused = stage
        .http
        .post(&url)
        .header("authorization", wrong)
        .send()
        .await
        .expect("an answer");
    assert_eq!(refused.status(), 401);
    let right = authorization("POST", &url, &request, &[("oauth_verifier", &verifier)]);
    let answer = stage
        .http
        .post(&url)
        .header("authorization", right)
        .send()
        .await
        .expect("an answer");
    let fields = pairs(&answer.text().await.expect("a form"));
    assert_eq!(fields["user_id"], BRAND);
    assert_eq!(fields["screen_name"], "acme");
    let keys = Keys {
        token: fields["oauth_token"].clone(),
        secret: fields["oauth_token_secret"].clone(),
        ..NONE
    };

    let me = stage
        .signed(
            "GET",
            "/2/users/me?user.fields=created_at%2Cverified",
            &keys,
            None,
        )
        .await;
    let me: Value = me.json().await.expect("JSON");
    assert_eq!(me["data"]["username"], "acme");
    assert!(me["data"]["created_at"].is_string() && me["data"]["public_metrics"].is_null());
}

#[tokio::test]
async fn the_shortcut_and_a_refusal() {
    let stage = Stage::new().await;
    let request = request_token(&stage, "http://localhost/cb").await;
    let body = json!({ "oauth_token": request.token, "account_id": BRAND });
    let approved = stage.post("/sim/oauth/approve", &body).await;
    assert!(
        approved["redirect_url"]
            .as_str()
            .is_some_and(|url| url.contains("oauth_verifier="))
    );

    let request = request_token(&stage, "http://localhost/cb").await;
    let answer = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
        .post(stage.url("/oauth/authorize"))
        .body(format!("oauth_token={}&action=deny", request.token))
        .send()
        .await
        .expect("an answer");
    let back = answer.headers()["location"]
        .to_str()
        .expect("text")
        .to_owned();
    assert_eq!(
        back,
        format!("http://localhost/cb?denied={}", encode(&request.token))
    );
}

#[tokio::test]
async fn bad_signatures_are_refused_with_the_platforms_codes() {
    let stage = Stage::new().await;
    let keys = stage.keys("acme").await;
    let url = stage.url("/1.1/account/verify_credentials.json?skip_status=true");
    let now = jiff::Timestamp::now().as_second();
    let ask = async |header: String| {
        let answer = stage
            .http
            .get(&url)
            .header("authorization", header)
            .send()
            .await;
        let answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.expect("JSON");
        (status, body["errors"][0]["code"].as_u64())
    };

    let good = authorization_at("GET", &url, &keys, &[], "once", now);
    assert_eq!(ask(good.clone()).await, (200, None));
    assert_eq!(ask(good).await, (401, Some(32)), "a nonce is good once");
    let old = authorization_at("GET", &url, &keys, &[], "old", now - 400);
    assert_eq!(ask(old).await, (401, Some(135)));
    let other = Keys {
        secret: "wrong".into(),
        ..keys.clone()
    };
    assert_eq!(
        ask(authorization("GET", &url, &other, &[])).await,
        (401, Some(32))
    );
    let unknown = Keys {
        token: "nobody".into(),
        ..keys.clone()
    };
    assert_eq!(
        ask(authorization("GET", &url, &unknown, &[])).await,
        (401, Some(89))
    );
    let elsewhere = url.replace("skip_status=true", "skip_status=false");
    assert_eq!(
        ask(authorization("GET", &elsewhere, &keys, &[])).await,
        (401, Some(32))
    );
    assert_eq!(
        ask(authorization("POST", &url, &keys, &[])).await,
        (401, Some(32))
    );
    assert_eq!(ask("Basic eA==".into()).await, (400, Some(215)));
    assert_eq!(ask("OAuth ".into()).await, (400, Some(215)));
    assert_eq!(ask("Bearer nobody".into()).await, (401, Some(89)));

    stage.post("/sim/accounts/acme/revoke", &json!({})).await;
    assert_eq!(
        ask(authorization("GET", &url, &keys, &[])).await,
        (401, Some(89))
    );
}

#[tokio::test]
async fn the_apps_bearer_token_is_for_the_app_only() {
    let stage = Stage::new().await;
    let ask = |secret: &'static str| {
        let request = stage.http.post(stage.url("/oauth2/token"));
        request
            .basic_auth("sim-consumer-key", Some(secret))
            .form(&[("grant_type", "client_credentials")])
            .send()
    };
    assert_eq!(ask("wrong").await.expect("an answer").status(), 403);
    let body: Value = ask("sim-consumer-secret")
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(body["token_type"], "bearer");
    let bearer = body["access_token"].as_str().expect("text");
    let list = stage
        .http
        .get(stage.url("/2/webhooks"))
        .bearer_auth(bearer)
        .send()
        .await;
    assert_eq!(list.expect("an answer").status(), 200);
    let me = stage
        .http
        .get(stage.url("/2/users/me"))
        .bearer_auth(bearer)
        .send()
        .await;
    assert_eq!(me.expect("an answer").status(), 403);
}
