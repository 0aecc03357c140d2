//! The brand.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::tz::TimeZone;
use roost_store::audit;
use roost_store::brands::{self, BrandChange};
use serde_json::json;

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, if_match};
use crate::problem::{Problem, ProblemBody, changed};
use crate::wire::brand::{BrandPatch, BrandView};

/// The brand that the caller acts in.
#[utoipa::path(
    get, path = "/v1/brand", tag = "brand",
    responses((status = 200, body = BrandView))
)]
pub(crate) async fn get(app: web::Data<App>, actor: Actor) -> Result<HttpResponse, Problem> {
    let found = app
        .store
        .brand(actor.brand, |tx| Box::pin(brands::find(tx)))
        .await?;
    let brand = found.ok_or_else(Problem::not_found)?;
    let version = brand.version;
    let answer = Answer::ok(&BrandView::new(actor.brand, brand))?.version(version);
    Ok(answer.response())
}

/// Changes the brand's name or time zone.
#[utoipa::path(
    patch, path = "/v1/brand", tag = "brand",
    params(("If-Match" = Option<String>, Header, description = "An ETag of the brand")),
    request_body = BrandPatch,
    responses(
        (status = 200, body = BrandView),
        (status = 409, body = ProblemBody, description = "version_conflict")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    body: Body<BrandPatch>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let change = BrandChange {
        if_version: if_match(&request)?,
        name: body.0.name.map(|name| checks.line("/name", &name, 1, 200)),
        time_zone: body.0.time_zone,
    };
    if let Some(zone) = &change.time_zone
        && (zone.len() > 100 || TimeZone::get(zone).is_err())
    {
        checks.fault("/time_zone", "must be an IANA name, such as Europe/Berlin");
    }
    checks.finish()?;
    let (cause, audit, id) = (actor.cause(), app.audit.clone(), actor.brand);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = changed(brands::change(tx, &change).await?)?;
            let after = brands::find(tx).await?.ok_or_else(Problem::not_found)?;
            let line = audit::Entry {
                action: "brand.changed",
                target_type: "brand",
                target: None,
                before: Some(json!({ "name": before.name, "time_zone": before.time_zone })),
                after: Some(json!({ "name": after.name, "time_zone": after.time_zone })),
            };
            audit.record(tx, &cause, line).await?;
            let version = after.version;
            Ok(Answer::ok(&BrandView::new(id, after))?.version(version))
        })
    });
    answer.await
}
