//! Asking X about an app.

use actix_web::{HttpResponse, web};
use roost_domain::ids::XAppId;
use roost_platforms::x::client::ApiError;
use roost_store::audit::Entry;
use roost_store::x_apps::{self, StoredXApp};
use serde_json::json;

use super::{find, must_be_live};
use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::Id;
use crate::problem::{Code, Problem, ProblemBody, chain};
use crate::wire::x_app::{XAppCheck, XAppVerdict};
use crate::x_side::XSide;

/// Asks X about an app: are key and secret right, is the token, does the webhook reach us (it is
/// registered if need be), is it the app that it says it is?
#[utoipa::path(
    post, path = "/v1/x-apps/{id}/verify", tag = "x-apps", params(("id" = String, Path)),
    responses(
        (status = 200, body = XAppVerdict), (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "test_mode"),
        (status = 502, body = ProblemBody, description = "platform_failed: X can't be reached")
    )
)]
pub(crate) async fn verify(
    app: web::Data<App>,
    actor: Actor,
    id: Id<XAppId>,
) -> Result<HttpResponse, Problem> {
    must_be_live(&actor)?;
    let (id, sealer) = (id.0, app.sealer.clone());
    let (stored, keys) = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                let stored = find(tx, id).await?;
                let keys = x_apps::keys(tx, id, &sealer).await?;
                Ok::<_, Problem>((stored, keys.ok_or_else(Problem::not_found)?))
            })
        })
        .await?;
    let side = XSide::own(&app, id, keys);
    let checks = ask(&side, &stored).await?;
    let ok = checks.iter().all(|check| check.ok);
    let verdict = XAppVerdict {
        ok,
        webhook_url: side.webhook_url,
        checks,
    };
    let (audit, cause) = (app.audit.clone(), actor.cause());
    let work = actor.write(&app, move |tx| {
        Box::pin(async move {
            if ok {
                x_apps::verified(tx, id, stored.version).await?;
            }
            let entry = Entry {
                action: "x_app.verified",
                target_type: "x_app",
                target: Some(id.0),
                before: None,
                after: Some(json!({ "ok": ok })),
            };
            audit.record(tx, &cause, entry).await?;
            Answer::ok(&verdict)
        })
    });
    work.await
}

fn good(pointer: &'static str) -> XAppCheck {
    XAppCheck {
        pointer,
        ok: true,
        detail: None,
    }
}

fn bad(pointer: &'static str, detail: impl Into<String>) -> XAppCheck {
    XAppCheck {
        pointer,
        ok: false,
        detail: Some(detail.into()),
    }
}

/// A refusal is an answer; silence is none.
fn refusal(error: ApiError) -> Result<String, Problem> {
    match error {
        ApiError::Refused(refusal) => Ok(format!("X says: {}", refusal.detail)),
        ApiError::Unexpected(what) => Ok(format!("X answers without {what}")),
        ApiError::Unreachable(_) | ApiError::Unavailable(_) => {
            Err(Problem::caused(Code::PlatformFailed, chain(&error)))
        }
    }
}

async fn ask(side: &XSide, stored: &StoredXApp) -> Result<Vec<XAppCheck>, Problem> {
    let mut checks = Vec::new();
    match side.x.app_bearer().await {
        Ok(_) => checks.extend([good("/consumer_key"), good("/consumer_secret")]),
        Err(error) => {
            // X doesn't tell which of the two is wrong.
            let said = refusal(error)?;
            checks.push(bad("/consumer_key", said.clone()));
            checks.push(bad("/consumer_secret", said));
            return Ok(checks);
        }
    }
    let bearer = side
        .bearer()
        .await
        .map_err(|error| Problem::caused(Code::PlatformFailed, chain(&error)))?;
    if let Err(error) = side.find_webhook(&bearer).await {
        let pointer = if stored.has_bearer_token {
            "/bearer_token"
        } else {
            "/consumer_secret"
        };
        checks.push(bad(pointer, refusal(error)?));
        return Ok(checks);
    }
    if stored.has_bearer_token {
        checks.push(good("/bearer_token"));
    }
    let webhook = match side.webhook(&bearer).await {
        Ok(webhook) => webhook,
        Err(error) => {
            checks.push(bad("/webhook_url", refusal(error)?));
            return Ok(checks);
        }
    };
    checks.push(good("/webhook_url"));
    match side.x.application_id(&bearer, &webhook.id).await {
        Ok(Some(id)) if id != stored.app_id.to_string() => {
            checks.push(bad("/app_id", format!("X says that this app's id is {id}")));
        }
        Ok(Some(_)) => checks.push(good("/app_id")),
        // Not every plan has this call.
        Ok(None) => {}
        Err(error) => {
            tracing::debug!(error = chain(&error), "x doesn't tell an app's id");
        }
    }
    Ok(checks)
}
