//! API keys: who may make them, and how far they reach.
//!
//! Only a signed-in person makes, changes and rotates keys: a key that could would be as good as all
//! that its role allows. A key may look at keys and revoke them, as a scanner for leaked ones does.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use roost_domain::ids::{ApiKeyId, ChannelId, TeamId};
use roost_domain::role::{Permission, Role};
use roost_store::BrandTx;
use roost_store::api_keys::{self, KeyChange, NewKey, Secret, StoredKey};
use roost_store::{audit, channels, teams};
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::keys::new_secret;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, OptionalBody, Query, if_match};
use crate::problem::{Code, Fault, Problem, ProblemBody, changed};
use crate::wire::api_key::{ApiKeyPatch, ApiKeyView, CreateApiKey, NewApiKeyView, mode};
use crate::wire::channel::Nothing;
use crate::wire::list::{Cursors, Paged};

/// Teams or channels that a key can be held to.
const MAX_IDS: usize = 100;

/// All keys, newest first; revoked ones too.
#[utoipa::path(
    get, path = "/v1/api-keys", tag = "api-keys",
    params(("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Paged<ApiKeyView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let cursors = Cursors::of(&["api-keys", &actor.brand.to_string()]);
    let before: Option<ApiKeyId> = cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let rows = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(api_keys::list(tx, None, before, limit + 1))
        })
        .await?;
    let (rows, next_cursor) = cursors.page(rows, limit, |row| row.id);
    let data: Vec<ApiKeyView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

async fn find(tx: &mut BrandTx, id: ApiKeyId) -> Result<StoredKey, Problem> {
    api_keys::find(tx, id).await?.ok_or_else(Problem::not_found)
}

fn show(key: StoredKey) -> Result<Answer, Problem> {
    let version = key.version;
    Ok(Answer::ok(&ApiKeyView::from(key))?.version(version))
}

/// One key.
#[utoipa::path(
    get, path = "/v1/api-keys/{id}", tag = "api-keys", params(("id" = String, Path)),
    responses((status = 200, body = ApiKeyView))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ApiKeyId>,
) -> Result<HttpResponse, Problem> {
    let key = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    Ok(show(key)?.response())
}

fn read_scopes(checks: &mut Checks, role: Option<Role>, names: &[String]) -> Vec<Permission> {
    if names.is_empty() {
        checks.fault("/scopes", "must name at least one scope");
    }
    let mut scopes: Vec<Permission> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let pointer = format!("/scopes/{index}");
        let Some(scope) = checks.parse::<Permission>(&pointer, name) else {
            continue;
        };
        match role {
            Some(role) if !role.allows(scope) => {
                checks.fault(&pointer, format!("is more than the role {role} has"));
            }
            Some(_) | None => scopes.push(scope),
        }
    }
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

fn read_ids<T>(checks: &mut Checks, pointer: &str, ids: Option<&Vec<String>>) -> Option<Vec<T>>
where
    T: std::str::FromStr + Ord,
    T::Err: std::fmt::Display,
{
    let ids = ids?;
    if ids.is_empty() || ids.len() > MAX_IDS {
        checks.fault(
            pointer,
            format!("must name 1 to {MAX_IDS}; null stands for all"),
        );
    }
    let mut read: Vec<T> = ids
        .iter()
        .take(MAX_IDS)
        .enumerate()
        .filter_map(|(index, id)| checks.parse(&format!("{pointer}/{index}"), id))
        .collect();
    read.sort_unstable();
    read.dedup();
    Some(read)
}

fn read_expiry(checks: &mut Checks, text: Option<&String>) -> Option<Timestamp> {
    let at = checks.instant("/expires_at", text?)?;
    if at <= Timestamp::now() {
        checks.fault("/expires_at", "must lie in the future");
    }
    Some(at)
}

/// Refuses what isn't the brand's, as if there were no such thing.
async fn check_reach(
    tx: &mut BrandTx,
    of_teams: Option<&Vec<TeamId>>,
    of_channels: Option<&Vec<ChannelId>>,
) -> Result<(), Problem> {
    let mut faults = Vec::new();
    let mut unknown = |pointer: &str, ids: Vec<String>| {
        if !ids.is_empty() {
            faults.push(Fault {
                pointer: pointer.to_owned(),
                detail: format!("there is no {}", ids.join(", ")),
            });
        }
    };
    if let Some(ids) = of_teams {
        let missing = teams::unknown(tx, ids).await?;
        unknown(
            "/team_ids",
            missing.iter().map(ToString::to_string).collect(),
        );
    }
    if let Some(ids) = of_channels {
        let missing = channels::unknown(tx, ids).await?;
        unknown(
            "/channel_ids",
            missing.iter().map(ToString::to_string).collect(),
        );
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(Code::UnknownReference).faults(faults))
    }
}

/// What the audit log keeps of a key.
fn facts(key: &StoredKey) -> Value {
    json!({
        "name": key.name, "mode": mode(key.is_test), "role": key.role.as_str(), "scopes": key.scopes,
        "team_ids": key.teams, "channel_ids": key.channels, "hint": key.hint,
        "expires_at": key.expires_at.map(|at| at.to_string()),
    })
}

fn entry(
    action: &'static str,
    id: ApiKeyId,
    before: Option<Value>,
    after: Option<Value>,
) -> audit::Entry {
    audit::Entry {
        action,
        target_type: "api_key",
        target: Some(id.0),
        before,
        after,
    }
}

/// Makes a key, which acts as a member of its own of kind bot. Its secret is shown once.
#[utoipa::path(
    post, path = "/v1/api-keys", tag = "api-keys", request_body = CreateApiKey,
    responses(
        (status = 201, body = NewApiKeyView),
        (status = 403, body = ProblemBody, description = "A key makes no keys, and nobody makes one above their own role"),
        (status = 422, body = ProblemBody, description = "unknown_reference")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateApiKey>,
) -> Result<HttpResponse, Problem> {
    actor.person()?;
    actor.require_fresh()?;
    let body = body.0;
    let mut checks = Checks::default();
    let name = checks.line("/name", &body.name, 1, 200);
    if !matches!(body.mode.as_str(), "live" | "test") {
        checks.fault("/mode", "must be live or test");
    }
    let is_test = body.mode == "test";
    let mut role = checks.parse::<Role>("/role", &body.role);
    if role == Some(Role::Owner) {
        checks.fault("/role", "must not be owner");
        role = None;
    }
    let scopes = read_scopes(&mut checks, role, &body.scopes);
    let of_teams: Option<Vec<TeamId>> = read_ids(&mut checks, "/team_ids", body.team_ids.as_ref());
    let of_channels: Option<Vec<ChannelId>> =
        read_ids(&mut checks, "/channel_ids", body.channel_ids.as_ref());
    let expires_at = read_expiry(&mut checks, body.expires_at.as_ref());
    checks.finish()?;
    let role = role.ok_or_else(|| Problem::new(Code::InvalidRequest))?;
    if !actor.role.covers(role) {
        return Err(Problem::at(Code::Forbidden, "/role", "is above your own"));
    }
    let (text, secret) = new_secret(is_test)?;
    let new = NewKey {
        name,
        role,
        is_test,
        scopes,
        teams: of_teams,
        channels: of_channels,
        expires_at,
        secret,
        created_by: actor.member,
    };
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            check_reach(tx, new.teams.as_ref(), new.channels.as_ref()).await?;
            let id = api_keys::create(tx, &new, &cause).await?;
            let key = find(tx, id).await?;
            let line = entry("api_key.created", id, None, Some(facts(&key)));
            audit.record(tx, &cause, line).await?;
            reveal(text, key, true)
        })
    });
    let answer = answer.await?;
    app.hint_relay();
    Ok(answer)
}

fn reveal(key: String, stored: StoredKey, is_new: bool) -> Result<Answer, Problem> {
    let version = stored.version;
    let view = NewApiKeyView {
        key,
        view: stored.into(),
    };
    let answer = if is_new {
        Answer::created(&view)?
    } else {
        Answer::ok(&view)?
    };
    Ok(answer.version(version).shown_once(&["key"]))
}

/// Changes a key's name and reach; its role and mode are for ever.
#[utoipa::path(
    patch, path = "/v1/api-keys/{id}", tag = "api-keys",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the key")),
    request_body = ApiKeyPatch,
    responses(
        (status = 200, body = ApiKeyView), (status = 403, body = ProblemBody, description = "A key changes no keys"),
        (status = 409, body = ProblemBody, description = "version_conflict, key_revoked"),
        (status = 422, body = ProblemBody, description = "unknown_reference")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<ApiKeyId>,
    body: Body<ApiKeyPatch>,
) -> Result<HttpResponse, Problem> {
    let id = id.0;
    // A foreign id is missing before anything is said about the body.
    let before = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id)))
        .await?;
    actor.person()?;
    actor.require_fresh()?;
    if !actor.role.covers(before.role) {
        return Err(Problem::new(Code::Forbidden));
    }
    let body = body.0;
    let mut checks = Checks::default();
    let change = KeyChange {
        if_version: if_match(&request)?,
        name: body.name.map(|name| checks.line("/name", &name, 1, 200)),
        scopes: body
            .scopes
            .map(|names| read_scopes(&mut checks, Some(before.role), &names)),
        teams: body
            .team_ids
            .map(|ids| read_ids(&mut checks, "/team_ids", ids.as_ref())),
        channels: body
            .channel_ids
            .map(|ids| read_ids(&mut checks, "/channel_ids", ids.as_ref())),
        expires_at: body
            .expires_at
            .map(|at| read_expiry(&mut checks, at.as_ref())),
    };
    checks.finish()?;
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = changed(api_keys::lock(tx, id, change.if_version).await?)?;
            if before.revoked_at.is_some() {
                return Err(Problem::new(Code::KeyRevoked));
            }
            check_reach(
                tx,
                change.teams.as_ref().and_then(Option::as_ref),
                change.channels.as_ref().and_then(Option::as_ref),
            )
            .await?;
            api_keys::change(tx, &before, &change).await?;
            let key = find(tx, id).await?;
            let line = entry(
                "api_key.changed",
                id,
                Some(facts(&before)),
                Some(facts(&key)),
            );
            audit.record(tx, &cause, line).await?;
            show(key)
        })
    });
    let answer = answer.await?;
    app.keys.forget(id);
    Ok(answer)
}

/// Gives a key a new secret, shown once; the present one is good for 24 h more.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/rotate", tag = "api-keys", params(("id" = String, Path)),
    request_body = Option<Nothing>,
    responses(
        (status = 200, body = NewApiKeyView), (status = 403, body = ProblemBody, description = "A key rotates no keys"),
        (status = 409, body = ProblemBody, description = "key_revoked")
    )
)]
pub(crate) async fn rotate(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ApiKeyId>,
    body: OptionalBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    let Nothing {} = body.0;
    let id = id.0;
    let before = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id)))
        .await?;
    actor.person()?;
    if !actor.role.covers(before.role) {
        return Err(Problem::new(Code::Forbidden));
    }
    let (text, secret): (String, Secret) = new_secret(before.is_test)?;
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = changed(api_keys::lock(tx, id, None).await?)?;
            if before.revoked_at.is_some() {
                return Err(Problem::new(Code::KeyRevoked));
            }
            api_keys::rotate(tx, id, &secret).await?;
            let line = entry(
                "api_key.rotated",
                id,
                Some(json!({ "hint": before.hint })),
                Some(json!({ "hint": secret.hint })),
            );
            audit.record(tx, &cause, line).await?;
            reveal(text, find(tx, id).await?, false)
        })
    });
    let answer = answer.await?;
    app.keys.forget(id);
    Ok(answer)
}

/// Revokes a key: within 5 s it is good for nothing anywhere. What it did keeps its author.
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}", tag = "api-keys", params(("id" = String, Path)),
    responses((status = 204))
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ApiKeyId>,
) -> Result<HttpResponse, Problem> {
    let id = id.0;
    let (cause, audit, role) = (actor.cause(), app.audit.clone(), actor.role);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = changed(api_keys::lock(tx, id, None).await?)?;
            if !role.covers(before.role) {
                return Err(Problem::new(Code::Forbidden));
            }
            if before.revoked_at.is_none() {
                api_keys::revoke(tx, &before, &cause).await?;
                let line = entry("api_key.revoked", id, Some(facts(&before)), None);
                audit.record(tx, &cause, line).await?;
            }
            Ok(Answer::nothing())
        })
    });
    let answer = answer.await?;
    app.keys.forget(id);
    app.hint_relay();
    Ok(answer)
}
