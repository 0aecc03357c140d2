//! Connecting an X account: OAuth 1.0a in three legs, then its events.
//!
//! The browser goes to X and comes back without a session of ours: the cookie that it was given
//! before says that it is the one that began. The channel is active only once X has let us read
//! (webhook) and write (token).

use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::{BrandId, MemberId, XAppId};
use roost_domain::role::Permission;
use roost_platforms::x::client::{AccessToken, ApiError, RequestToken};
use roost_store::audit::Entry;
use roost_store::channels::{self, ConnectRequest, Credentials, NewChannel};
use roost_store::ledger::{Actor as Who, Cause};
use roost_store::routes::{Account, Route};
use roost_store::{StoreError, members, on_constraint};
use serde_json::json;

use super::x_apps::must_be_live;
use crate::app::App;
use crate::auth::refresh::{hash, random};
use crate::auth::{Actor, address, cookies, request_id};
use crate::input::{Checks, OptionalBody, Query};
use crate::problem::{Code, Problem, ProblemBody, chain};
use crate::quotas;
use crate::wire::channel::{ConnectView, ConnectX};
use crate::x_side::{MAIN, XSide};

/// How long a person has to agree, in seconds.
const CONNECT_SECONDS: i64 = 600;

/// Begins a connection: send the owner of the account to `authorize_url`, in the same browser.
#[utoipa::path(
    post, path = "/v1/channels/x/connect", tag = "channels", request_body = Option<ConnectX>,
    responses(
        (status = 200, body = ConnectView),
        (status = 422, body = ProblemBody, description = "unknown_reference, test_mode"),
        (status = 502, body = ProblemBody, description = "platform_failed")
    )
)]
pub(crate) async fn begin(
    app: web::Data<App>,
    actor: Actor,
    body: OptionalBody<ConnectX>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let own = body.0.x_app_id;
    let own = own.and_then(|id| checks.parse::<XAppId>("/x_app_id", &id));
    checks.finish()?;
    must_be_live(&actor)?;
    let name = own.map_or_else(|| MAIN.to_owned(), |id| id.to_string());
    let side = XSide::of(&app, actor.brand, &name)
        .await?
        .ok_or_else(|| Problem::at(Code::UnknownReference, "/x_app_id", "names an unknown app"))?;
    let callback = format!("{}/oauth/x/callback", app.config.public.url);
    let token = side.x.request_token(&callback).await.map_err(platform)?;
    let browser = random()?;
    let token_hash = hash(&token.token);
    let request = ConnectRequest {
        token_secret: token.secret,
        token_hash,
        app: name,
        brand: actor.brand,
        member: actor.member,
        browser_hash: hash(&browser),
    };
    let sealer = app.sealer.clone();
    app.store
        .system(move |tx| {
            Box::pin(async move { channels::begin_connect(tx, &request, &sealer).await })
        })
        .await?;
    let view = ConnectView {
        authorize_url: format!(
            "{}?oauth_token={}",
            app.config.x.authorize_url,
            escape(&token.token)
        ),
    };
    let cookie = cookies::set(cookies::CONNECT, &browser, "Lax", CONNECT_SECONDS);
    Ok(HttpResponse::Ok()
        .insert_header(("set-cookie", cookie))
        .json(view))
}

/// Tokens of X are letters and digits; whatever else comes must not leave its place in a URL.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Ends a connection: X sends the browser here.
#[utoipa::path(
    get, path = "/oauth/x/callback", tag = "channels", security(()),
    params(
        ("oauth_token" = Option<String>, Query), ("oauth_verifier" = Option<String>, Query),
        ("denied" = Option<String>, Query)
    ),
    responses(
        (status = 200, description = "A small page that says so", content_type = "text/html"),
        (status = 422, body = ProblemBody, description = "connect_expired, connect_denied, quota_exceeded"),
        (status = 502, body = ProblemBody)
    )
)]
pub(crate) async fn callback(
    app: web::Data<App>,
    request: HttpRequest,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let denied = query.text("denied");
    let token = query.text("oauth_token").or_else(|| denied.clone());
    let verifier = query.text("oauth_verifier");
    query.finish()?;
    let expired = || Problem::new(Code::ConnectExpired);
    let token = token
        .filter(|token| !token.trim().is_empty())
        .ok_or_else(expired)?;
    let browser = cookies::find(&request, cookies::CONNECT).ok_or_else(expired)?;
    let begun = take(&app, &token, &browser).await?;
    if denied.is_some() {
        return Err(Problem::new(Code::ConnectDenied));
    }
    let verifier = verifier
        .filter(|verifier| !verifier.is_empty())
        .ok_or_else(expired)?;
    may_connect(&app, begun.brand, begun.member).await?;
    let token = RequestToken {
        token,
        secret: begun.token_secret,
    };
    // Its app may have been taken away meanwhile.
    let side = XSide::of(&app, begun.brand, &begun.app)
        .await?
        .ok_or_else(expired)?;
    let access = side
        .x
        .access_token(&token, &verifier)
        .await
        .map_err(platform)?;
    may_have_one_more(&app, begun.brand, account_of(&side.app, &access)).await?;
    listen(&side, &access).await.map_err(platform)?;
    let cause = Cause::new(Who::Member(begun.member), Some(request_id(&request)))
        .from_address(address::of(&request, &app.config.public.trusted_proxies));
    let handle = access.screen_name.clone();
    connect(&app, begun.brand, &side.app, access, cause).await?;
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Connected</title>\
         <p>Connected @{}. You can close this page.</p></html>",
        text(&handle)
    );
    let gone = cookies::set(cookies::CONNECT, "", "Lax", 0);
    Ok(HttpResponse::Ok()
        .insert_header(("set-cookie", gone))
        .content_type("text/html; charset=utf-8")
        .body(page))
}

/// Handles of X are letters, digits and underscores; a page shows nothing else.
fn text(handle: &str) -> String {
    handle
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

async fn take(app: &App, token: &str, browser: &str) -> Result<ConnectRequest, Problem> {
    let (token_hash, browser_hash) = (hash(token), hash(browser));
    let sealer = app.sealer.clone();
    let found = app.store.system(move |tx| {
        Box::pin(
            async move { channels::finish_connect(tx, &token_hash, &browser_hash, &sealer).await },
        )
    });
    found
        .await?
        .ok_or_else(|| Problem::new(Code::ConnectExpired))
}

/// Who began must still be allowed to.
async fn may_connect(app: &App, brand: BrandId, member: MemberId) -> Result<(), Problem> {
    let found = app
        .store
        .brand(brand, move |tx| Box::pin(members::find(tx, member)))
        .await?;
    match found {
        Some(member) if member.active && member.role.allows(Permission::ChannelsWrite) => Ok(()),
        Some(_) | None => Err(Problem::new(Code::Forbidden)),
    }
}

fn account_of(app: &str, access: &AccessToken) -> Account {
    Account {
        platform: "x".to_owned(),
        app: app.to_owned(),
        account_id: access.user_id.clone(),
    }
}

/// Before X is told to post anything: whether the brand's limit leaves room for the account.
async fn may_have_one_more(app: &App, brand: BrandId, account: Account) -> Result<(), Problem> {
    let limits = app.quotas.defaults;
    app.store
        .brand(brand, move |tx| {
            Box::pin(async move { quotas::require_channel(tx, &limits, &account).await })
        })
        .await
}

/// Sees to it that X posts the account's events to us: the app's webhook, valid, and a subscription.
async fn listen(side: &XSide, access: &AccessToken) -> Result<(), ApiError> {
    let bearer = side.bearer().await?;
    let webhook = side.webhook(&bearer).await?;
    side.x.subscribe(&access.credentials, &webhook.id).await
}

/// Makes the channel active; whoever had the account before is told that they lost it.
async fn connect(
    app: &App,
    brand: BrandId,
    name: &str,
    access: AccessToken,
    cause: Cause,
) -> Result<(), Problem> {
    let new = NewChannel {
        account: account_of(name, &access),
        handle: access.screen_name,
        credentials: Credentials {
            token: access.credentials.token,
            secret: access.credentials.secret,
        },
        x_app: name.parse().ok(),
        name: None,
        team: None,
    };
    let (sealer, audit, limits) = (app.sealer.clone(), app.audit.clone(), app.quotas.defaults);
    let connected = app
        .store
        .brand(brand, move |tx| {
            Box::pin(async move {
                // Again, under a lock: two accounts may come in at once.
                quotas::require_channel(tx, &limits, &new.account).await?;
                let connected = channels::connect(tx, &new, &sealer, &cause).await;
                // The app was taken away a moment ago.
                let connected = connected.map_err(|error| {
                    if on_constraint(&error, "channels_x_app_fkey") {
                        Problem::new(Code::ConnectExpired)
                    } else {
                        error.into()
                    }
                })?;
                let entry = Entry {
                    action: "channel.connected",
                    target_type: "channel",
                    target: Some(connected.channel.0),
                    before: None,
                    after: Some(json!({
                        "platform": "x", "x_app_id": new.x_app, "handle": audit.digest(&new.handle),
                    })),
                };
                audit.record(tx, &cause, entry).await?;
                Ok::<_, Problem>(connected)
            })
        })
        .await?;
    // Its waiting replies can go now.
    app.hint_sender();
    tracing::info!(brand.id = %brand, channel.id = %connected.channel, "an account was connected");
    if let Some(before) = connected.before
        && let Err(error) = tell_loser(app, before).await
    {
        // Its route is gone all the same; only its status still says active.
        tracing::error!(channel.id = %before.channel, error = chain(&error), "cannot mark a channel disconnected");
    }
    Ok(())
}

async fn tell_loser(app: &App, before: Route) -> Result<(), StoreError> {
    app.store
        .brand(before.brand, move |tx| {
            Box::pin(channels::lose_account(tx, before.channel))
        })
        .await?;
    app.hint_relay();
    Ok(())
}

fn platform(error: ApiError) -> Problem {
    Problem::caused(Code::PlatformFailed, chain(&error))
}
