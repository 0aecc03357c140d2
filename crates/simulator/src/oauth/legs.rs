//! The three legs of OAuth 1.0a, the approval page between them, and the app's bearer token.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, LOCATION};
use actix_web::web::ServiceConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::verify::{strip_scheme, verify_signed};
use super::{decode_form, encode, encode_form};
use crate::call::{Answer, Call, now, resource};
use crate::error::ApiError;
use crate::ids::{AccountId, now_ms};
use crate::pages;
use crate::random;

/// A request token lives this long.
const LIFE_MS: u64 = 30 * 60 * 1_000;

/// A token between the first and the third leg.
#[derive(Debug, Clone)]
pub(crate) struct RequestToken {
    secret: String,
    /// Where the browser goes back to; `oob` shows the verifier instead.
    callback: String,
    made_ms: u64,
    /// Who approved, and the proof that the client must bring.
    approved: Option<(AccountId, String)>,
}

/// The callback address for "the person types the number".
const OUT_OF_BAND: &str = "oob";

pub(crate) fn routes(routes: &mut ServiceConfig) {
    let authorize = |path: &str| {
        resource(path)
            .route(now(Method::GET, page))
            .route(now(Method::POST, decide))
    };
    routes
        .service(resource("/oauth/request_token").route(now(Method::POST, request_token)))
        .service(authorize("/oauth/authorize"))
        .service(authorize("/oauth/authenticate"))
        .service(resource("/oauth/access_token").route(now(Method::POST, access_token)))
        .service(resource("/oauth2/token").route(now(Method::POST, bearer_token)))
        .service(resource("/sim/oauth/approve").route(now(Method::POST, approve)));
}

fn request_token(call: &Call) -> Answer {
    let signed = verify_signed(&call.sim, &call.req, &call.body, |_, token| {
        token.is_empty().then(String::new)
    })?;
    let in_form = || signed.form.iter().find(|(key, _)| key == "oauth_callback");
    let callback = signed.oauth.get("oauth_callback").cloned();
    let callback = callback
        .or_else(|| in_form().map(|(_, value)| value.clone()))
        .or_else(|| call.query("oauth_callback"))
        .unwrap_or_default();
    let parsed = reqwest::Url::parse(&callback);
    if callback != OUT_OF_BAND && !parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
    {
        return Err(ApiError::forbidden(
            415,
            "Callback URL not approved for this client application.",
        ));
    }
    let (token, secret) = (random::token(), random::token());
    let made_ms = now_ms();
    call.sim.change(|world| {
        world
            .request_tokens
            .retain(|_, old| old.made_ms + LIFE_MS > made_ms);
        let fresh = RequestToken {
            secret: secret.clone(),
            callback,
            made_ms,
            approved: None,
        };
        world.request_tokens.insert(token.clone(), fresh);
    });
    Ok(form(&[
        ("oauth_token", &token),
        ("oauth_token_secret", &secret),
        ("oauth_callback_confirmed", "true"),
    ]))
}

fn form(pairs: &[(&str, &str)]) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/x-www-form-urlencoded; charset=utf-8")
        .body(encode_form(pairs))
}

fn page(call: &Call) -> Answer {
    let token = call.query("oauth_token").unwrap_or_default();
    let world = call.sim.read();
    let living = world
        .request_tokens
        .get(&token)
        .filter(|token| token.approved.is_none());
    let brands = world
        .accounts
        .all()
        .filter(|account| account.brand)
        .collect::<Vec<_>>();
    Ok(match living {
        Some(_) => pages::html(pages::approval(&call.sim.config.app_name, &token, &brands)),
        None => pages::html(pages::notice(
            "Whoa there!",
            "There is no request token for this page. Go back to the site and try again.",
        )),
    })
}

/// The page's form: `oauth_token`, `account_id`, `action` = `approve` or `deny`.
fn decide(call: &Call) -> Answer {
    let fields: HashMap<_, _> = decode_form(&String::from_utf8_lossy(&call.body))
        .into_iter()
        .collect();
    let get = |key: &str| fields.get(key).map(String::as_str).unwrap_or_default();
    let token = get("oauth_token");
    if get("action") == "deny" {
        let request = call.sim.change(|world| world.request_tokens.remove(token));
        let request = request.ok_or_else(no_request)?;
        return Ok(if request.callback == OUT_OF_BAND {
            pages::html(pages::notice("Denied", "The app was given nothing."))
        } else {
            redirect(&with_query(&request.callback, &[("denied", token)]))
        });
    }
    let account = get("account_id").parse().map_err(|_| no_request())?;
    let (callback, verifier) = grant(call, token, account)?;
    Ok(if callback == OUT_OF_BAND {
        pages::html(pages::notice("Enter this number in the app", &verifier))
    } else {
        redirect(&with_query(
            &callback,
            &[("oauth_token", token), ("oauth_verifier", &verifier)],
        ))
    })
}

/// The page's approval without a browser.
fn approve(call: &Call) -> Answer {
    #[derive(serde::Deserialize)]
    struct Approve {
        oauth_token: String,
        account_id: AccountId,
    }
    let body: Approve = call.json()?;
    let (callback, verifier) = grant(call, &body.oauth_token, body.account_id)?;
    let pairs = [
        ("oauth_token", body.oauth_token.as_str()),
        ("oauth_verifier", &verifier),
    ];
    let redirect_url = (callback != OUT_OF_BAND).then(|| with_query(&callback, &pairs));
    Ok(
        HttpResponse::Ok()
            .json(json!({ "redirect_url": redirect_url, "oauth_verifier": verifier })),
    )
}

/// Notes the approval; gives the callback and the verifier.
fn grant(call: &Call, token: &str, account: AccountId) -> Result<(String, String), ApiError> {
    call.sim.change(|world| {
        if world.accounts.get(account).is_none() {
            return Err(ApiError::not_found(50, "User not found."));
        }
        let request = world.request_tokens.get_mut(token).ok_or_else(no_request)?;
        let verifier = random::token();
        request.approved = Some((account, verifier.clone()));
        Ok((request.callback.clone(), verifier))
    })
}

fn no_request() -> ApiError {
    ApiError::not_found(34, "There is no such request token.")
}

fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let query: Vec<_> = pairs
        .iter()
        .map(|(k, v)| format!("{k}={}", encode(v)))
        .collect();
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{}", query.join("&"))
}

fn redirect(url: &str) -> HttpResponse {
    HttpResponse::Found()
        .insert_header((LOCATION, url))
        .finish()
}

fn access_token(call: &Call) -> Answer {
    let signed = verify_signed(&call.sim, &call.req, &call.body, |world, token| {
        world
            .request_tokens
            .get(token)
            .map(|token| token.secret.clone())
    })?;
    let token = signed.oauth.get("oauth_token").cloned().unwrap_or_default();
    let in_form = || signed.form.iter().find(|(key, _)| key == "oauth_verifier");
    let verifier = signed.oauth.get("oauth_verifier").cloned();
    let verifier = verifier
        .or_else(|| in_form().map(|(_, value)| value.clone()))
        .or_else(|| call.query("oauth_verifier"))
        .unwrap_or_default();

    call.sim.change(|world| {
        let approved = world
            .request_tokens
            .get(&token)
            .and_then(|token| token.approved.clone());
        let (account, _) = approved
            .filter(|(_, expected)| *expected == verifier)
            .ok_or_else(ApiError::could_not_authenticate)?;
        world.request_tokens.remove(&token); // good once
        let handle = world
            .accounts
            .get(account)
            .map(|account| account.handle.clone());
        let (key, secret) = world.tokens.issue_oauth1(account);
        Ok(form(&[
            ("oauth_token", &key),
            ("oauth_token_secret", &secret),
            ("user_id", &account.to_string()),
            ("screen_name", &handle.unwrap_or_default()),
        ]))
    })
}

/// The app's own token, for HTTP Basic of key and secret, each URL-encoded.
fn bearer_token(call: &Call) -> Answer {
    let header = call
        .req
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let basic = header.and_then(|header| strip_scheme(header, "basic"));
    let decoded = basic.and_then(|basic| STANDARD.decode(basic).ok());
    let expected = format!(
        "{}:{}",
        encode(&call.sim.config.consumer_key),
        encode(&call.sim.config.consumer_secret)
    );
    if decoded.is_none_or(|given| given != expected.as_bytes()) {
        return Err(ApiError::forbidden(99, "Unable to verify your credentials"));
    }
    if call.field("grant_type").as_deref() != Some("client_credentials") {
        return Err(ApiError::forbidden(
            170,
            "Missing required parameter: grant_type",
        ));
    }
    let bearer = call.sim.read().bearer.clone();
    Ok(HttpResponse::Ok().json(json!({ "token_type": "bearer", "access_token": bearer })))
}
