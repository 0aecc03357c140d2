//! Labels.

use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::LabelId;
use roost_store::audit::Entry;
use roost_store::labels::{self, LabelChange, StoredLabel};
use roost_store::{BrandTx, StoreError, on_constraint};
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query, if_match};
use crate::problem::{Code, Problem, changed, deleted};
use crate::wire::label::{CreateLabel, LabelPatch, LabelView};
use crate::wire::list::{Cursors, Paged};

/// All labels by name.
#[utoipa::path(
    get, path = "/v1/labels", tag = "labels",
    params(("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Paged<LabelView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let cursors = Cursors::of(&["labels", &actor.brand.to_string()]);
    let after: Option<(String, LabelId)> =
        cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let rows = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move {
            let after = after.as_ref().map(|(name, id)| (name.as_str(), *id));
            labels::list(tx, after, limit + 1).await
        })
    });
    let (rows, next_cursor) =
        cursors.page(rows.await?, limit, |row| (row.sort_name.clone(), row.id));
    let data: Vec<LabelView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

/// One label.
#[utoipa::path(
    get, path = "/v1/labels/{id}", tag = "labels", params(("id" = String, Path)),
    responses((status = 200, body = LabelView))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<LabelId>,
) -> Result<HttpResponse, Problem> {
    let label = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    Ok(show(label)?.response())
}

async fn find(tx: &mut BrandTx, id: LabelId) -> Result<StoredLabel, Problem> {
    labels::find(tx, id).await?.ok_or_else(Problem::not_found)
}

fn show(label: StoredLabel) -> Result<Answer, Problem> {
    let version = label.version;
    Ok(Answer::ok(&LabelView::from(label))?.version(version))
}

fn told(label: &StoredLabel) -> Value {
    json!({ "name": label.name, "color": label.color })
}

fn color(checks: &mut Checks, text: &str) -> String {
    let digits = text.strip_prefix('#').unwrap_or_default();
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        checks.fault("/color", "must be of the form #rrggbb");
    }
    text.to_ascii_lowercase()
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "labels_name_key") {
        Problem::at(Code::NameTaken, "/name", "is in use")
    } else {
        error.into()
    }
}

/// Makes a label.
#[utoipa::path(
    post, path = "/v1/labels", tag = "labels", request_body = CreateLabel,
    responses((status = 201, body = LabelView), (status = 409, description = "`name_taken`"))
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateLabel>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let name = checks.line("/name", &body.0.name, 1, 100);
    let color = color(&mut checks, &body.0.color);
    checks.finish()?;
    let (audit, cause) = (app.audit.clone(), actor.cause());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let id = labels::create(tx, &name, &color).await.map_err(refused)?;
            let label = find(tx, id).await?;
            let entry = Entry {
                action: "label.created",
                target_type: "label",
                target: Some(id.0),
                before: None,
                after: Some(told(&label)),
            };
            audit.record(tx, &cause, entry).await?;
            let version = label.version;
            Ok(Answer::created(&LabelView::from(label))?.version(version))
        })
    });
    answer.await
}

/// Changes a label. With `If-Match`, only if nobody has changed it since.
#[utoipa::path(
    patch, path = "/v1/labels/{id}", tag = "labels",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the label")),
    request_body = LabelPatch,
    responses((status = 200, body = LabelView), (status = 409, description = "`name_taken`, `version_conflict`"))
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<LabelId>,
    body: Body<LabelPatch>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let wanted = LabelChange {
        name: body.0.name.map(|name| checks.line("/name", &name, 1, 100)),
        color: body.0.color.map(|text| color(&mut checks, &text)),
        if_version: if_match(&request)?,
    };
    checks.finish()?;
    let (audit, cause, id) = (app.audit.clone(), actor.cause(), id.0);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = find(tx, id).await?;
            changed(labels::change(tx, id, &wanted).await.map_err(refused)?)?;
            let after = find(tx, id).await?;
            let entry = Entry {
                action: "label.changed",
                target_type: "label",
                target: Some(id.0),
                before: Some(told(&before)),
                after: Some(told(&after)),
            };
            audit.record(tx, &cause, entry).await?;
            show(after)
        })
    });
    answer.await
}

/// Deletes a label that no conversation has.
#[utoipa::path(
    delete, path = "/v1/labels/{id}", tag = "labels", params(("id" = String, Path)),
    responses((status = 204), (status = 409, description = "`in_use`, with the `count` of conversations"))
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<LabelId>,
) -> Result<HttpResponse, Problem> {
    let (audit, cause, id) = (app.audit.clone(), actor.cause(), id.0);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = find(tx, id).await?;
            deleted(labels::delete(tx, id).await?)?;
            let entry = Entry {
                action: "label.deleted",
                target_type: "label",
                target: Some(id.0),
                before: Some(told(&before)),
                after: None,
            };
            audit.record(tx, &cause, entry).await?;
            Ok(Answer::nothing())
        })
    });
    answer.await
}
