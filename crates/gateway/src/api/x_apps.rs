//! X apps that brands bring along.

mod verify;

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::XAppId;
use roost_store::audit::Entry;
use roost_store::x_apps::{self, NewXApp, Removed, StoredXApp, XAppChange};
use roost_store::{BrandTx, StoreError, on_constraint};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query, if_match};
use crate::problem::{Code, Problem, ProblemBody, expect_version};
use crate::wire::list::Paged;
use crate::wire::x_app::{CreateXApp, XAppPatch, XAppView};
use crate::x_side::webhook_url;
pub(crate) use verify::*;

/// Longest key or secret of X.
const MAX_KEY: usize = 200;
/// Longest bearer token of X.
const MAX_TOKEN: usize = 1000;

fn view(app: &App, stored: StoredXApp) -> XAppView {
    let webhook_url = webhook_url(app, &stored.id.to_string());
    XAppView::new(stored, webhook_url)
}

async fn find(tx: &mut BrandTx, id: XAppId) -> Result<StoredXApp, Problem> {
    x_apps::find(tx, id).await?.ok_or_else(Problem::not_found)
}

/// Test keys reach nothing that reaches a platform.
pub(super) fn must_be_live(actor: &Actor) -> Result<(), Problem> {
    if actor.visibility().sandbox_only {
        return Err(Problem::new(Code::TestMode));
    }
    Ok(())
}

/// The brand's own X apps by name.
#[utoipa::path(
    get, path = "/v1/x-apps", tag = "x-apps", responses((status = 200, body = Paged<XAppView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    query.finish()?;
    let rows = app
        .store
        .brand(actor.brand, |tx| {
            Box::pin(async move { x_apps::list(tx, None).await })
        })
        .await?;
    let rows = rows.into_iter().map(|row| view(&app, row)).collect();
    Ok(HttpResponse::Ok().json(Paged::whole(rows)))
}

/// One X app.
#[utoipa::path(
    get, path = "/v1/x-apps/{id}", tag = "x-apps", params(("id" = String, Path)),
    responses((status = 200, body = XAppView), (status = 404, body = ProblemBody))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<XAppId>,
) -> Result<HttpResponse, Problem> {
    let stored = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    Ok(HttpResponse::Ok()
        .insert_header((ETAG, format!("\"{}\"", stored.version)))
        .json(view(&app, stored)))
}

fn read_app_id(checks: &mut Checks, text: &str) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let id = text.parse().ok().filter(|_| is_plain && text.len() <= 18);
    if id.is_none() {
        checks.fault("/app_id", "must be X's numeric id of the app");
    }
    id
}

/// A key, secret or token: visible ASCII, as X makes them.
fn read_key(checks: &mut Checks, pointer: &str, text: &str, most: usize) -> String {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > most || !is_plain {
        checks.fault(
            pointer,
            format!("must have 1 to {most} visible ASCII characters"),
        );
    }
    text.to_owned()
}

/// Adds an X app of the brand. Secrets are kept sealed and never shown.
#[utoipa::path(
    post, path = "/v1/x-apps", tag = "x-apps", request_body = CreateXApp,
    responses(
        (status = 201, body = XAppView), (status = 409, body = ProblemBody, description = "name_taken"),
        (status = 422, body = ProblemBody, description = "test_mode")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateXApp>,
) -> Result<HttpResponse, Problem> {
    let body = body.0;
    let mut checks = Checks::default();
    let name = checks.line("/name", &body.name, 1, 100);
    let app_id = read_app_id(&mut checks, &body.app_id).unwrap_or_default();
    let consumer_key = read_key(&mut checks, "/consumer_key", &body.consumer_key, MAX_KEY);
    let secret = read_key(
        &mut checks,
        "/consumer_secret",
        &body.consumer_secret,
        MAX_KEY,
    );
    let token = body.bearer_token.as_deref();
    let token = token.map(|token| read_key(&mut checks, "/bearer_token", token, MAX_TOKEN));
    checks.finish()?;
    must_be_live(&actor)?;
    let new = NewXApp {
        name,
        app_id,
        consumer_key,
        consumer_secret: SecretString::from(secret),
        bearer_token: token.map(SecretString::from),
    };
    let (sealer, audit, cause) = (app.sealer.clone(), app.audit.clone(), actor.cause());
    let here = app.clone();
    let work = actor.write(&app, move |tx| {
        Box::pin(async move {
            let id = x_apps::create(tx, &new, &sealer).await.map_err(refused)?;
            let stored = find(tx, id).await?;
            let entry = Entry {
                action: "x_app.created",
                target_type: "x_app",
                target: Some(id.0),
                before: None,
                after: Some(facts(&stored)),
            };
            audit.record(tx, &cause, entry).await?;
            let version = stored.version;
            Ok(Answer::created(&view(&here, stored))?.version(version))
        })
    });
    work.await
}

/// What the audit log tells of an app: never a secret.
fn facts(app: &StoredXApp) -> Value {
    json!({
        "name": app.name, "app_id": app.app_id.to_string(), "consumer_key": app.consumer_key,
        "has_bearer_token": app.has_bearer_token,
    })
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "x_apps_name_key") {
        Problem::at(Code::NameTaken, "/name", "is in use")
    } else if on_constraint(&error, "x_apps_app_id_key") {
        Problem::at(Code::NameTaken, "/app_id", "is in use")
    } else {
        error.into()
    }
}

/// Changes an X app. A new consumer secret takes the place of the old one, with which webhooks may still
/// be signed for 24 h.
#[utoipa::path(
    patch, path = "/v1/x-apps/{id}", tag = "x-apps",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the app")),
    request_body = XAppPatch,
    responses(
        (status = 200, body = XAppView), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "version_conflict, name_taken"),
        (status = 422, body = ProblemBody, description = "test_mode")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<XAppId>,
    body: Body<XAppPatch>,
) -> Result<HttpResponse, Problem> {
    let if_version = if_match(&request)?;
    let body = body.0;
    let mut checks = Checks::default();
    let change = XAppChange {
        name: body.name.map(|name| checks.line("/name", &name, 1, 100)),
        app_id: body.app_id.and_then(|id| read_app_id(&mut checks, &id)),
        consumer_key: body
            .consumer_key
            .map(|key| read_key(&mut checks, "/consumer_key", &key, MAX_KEY)),
        consumer_secret: body
            .consumer_secret
            .map(|secret| read_key(&mut checks, "/consumer_secret", &secret, MAX_KEY).into()),
        bearer_token: body.bearer_token.map(|token| {
            token.map(|token| read_key(&mut checks, "/bearer_token", &token, MAX_TOKEN).into())
        }),
    };
    checks.finish()?;
    must_be_live(&actor)?;
    let (sealer, audit, cause) = (app.sealer.clone(), app.audit.clone(), actor.cause());
    let (here, id) = (app.clone(), id.0);
    let work = actor.write(&app, move |tx| {
        Box::pin(async move {
            x_apps::lock(tx, id).await?;
            let before = find(tx, id).await?;
            expect_version(if_version, before.version)?;
            let new_secret = change.consumer_secret.is_some();
            let new_token = change.bearer_token.is_some();
            x_apps::change(tx, id, &change, &sealer)
                .await
                .map_err(refused)?;
            let after = find(tx, id).await?;
            let mut told = facts(&after);
            told["consumer_secret_changed"] = json!(new_secret);
            told["bearer_token_changed"] = json!(new_token);
            let entry = Entry {
                action: "x_app.updated",
                target_type: "x_app",
                target: Some(id.0),
                before: Some(facts(&before)),
                after: Some(told),
            };
            audit.record(tx, &cause, entry).await?;
            let version = after.version;
            Ok(Answer::ok(&view(&here, after))?.version(version))
        })
    });
    work.await
}

/// Takes an X app away. Refused while channels are connected through it.
#[utoipa::path(
    delete, path = "/v1/x-apps/{id}", tag = "x-apps", params(("id" = String, Path)),
    responses(
        (status = 204), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "in_use, with count"),
        (status = 422, body = ProblemBody, description = "test_mode")
    )
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<XAppId>,
) -> Result<HttpResponse, Problem> {
    must_be_live(&actor)?;
    let (audit, cause, id) = (app.audit.clone(), actor.cause(), id.0);
    let work = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = find(tx, id).await?;
            match x_apps::delete(tx, id).await? {
                Removed::Done => {}
                Removed::Missing => return Err(Problem::not_found()),
                Removed::InUse(count) => {
                    let detail = format!("{count} channels are connected through it");
                    return Err(Problem::with(Code::InUse, detail).extra("count", json!(count)));
                }
            }
            let entry = Entry {
                action: "x_app.deleted",
                target_type: "x_app",
                target: Some(id.0),
                before: Some(facts(&before)),
                after: None,
            };
            audit.record(tx, &cause, entry).await?;
            Ok(Answer::nothing())
        })
    });
    work.await
}
