//! Definitions of custom attributes.

use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::AttributeId;
use roost_store::attributes::{
    self, Definition, DefinitionChange, DefinitionOutcome, Kind, NewDefinition, Subject,
};
use roost_store::audit::Entry;
use roost_store::{BrandTx, StoreError, on_constraint};
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query, if_match};
use crate::problem::{Code, Problem, changed, deleted};
use crate::wire::attribute::{
    AttributeDefinitionPatch, AttributeDefinitionView, CreateAttributeDefinition,
};
use crate::wire::list::{Cursors, Paged};

/// Most choices of an attribute.
const MAX_CHOICES: usize = 200;

/// All definitions by key.
#[utoipa::path(
    get, path = "/v1/attribute-definitions", tag = "attribute-definitions",
    params(
        ("subject" = Option<String>, Query, description = "conversation or contact"),
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<AttributeDefinitionView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let subject = query.text("subject").and_then(|text| {
        let subject = text.parse::<Subject>().ok();
        if subject.is_none() {
            query.fault("subject", "must be conversation or contact");
        }
        subject
    });
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let of = subject.map_or("", Subject::as_str);
    let cursors = Cursors::of(&["attribute-definitions", &actor.brand.to_string(), of]);
    let after: Option<(String, AttributeId)> =
        cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let rows = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move {
            let after = after.as_ref().map(|(key, id)| (key.as_str(), *id));
            attributes::list(tx, subject, after, limit + 1).await
        })
    });
    let (rows, next_cursor) = cursors.page(rows.await?, limit, |row| (row.key.clone(), row.id));
    let data: Vec<AttributeDefinitionView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

/// One definition.
#[utoipa::path(
    get, path = "/v1/attribute-definitions/{id}", tag = "attribute-definitions", params(("id" = String, Path)),
    responses((status = 200, body = AttributeDefinitionView))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<AttributeId>,
) -> Result<HttpResponse, Problem> {
    let definition = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    Ok(show(definition)?.response())
}

async fn find(tx: &mut BrandTx, id: AttributeId) -> Result<Definition, Problem> {
    attributes::find(tx, id)
        .await?
        .ok_or_else(Problem::not_found)
}

fn show(definition: Definition) -> Result<Answer, Problem> {
    let version = definition.version;
    Ok(Answer::ok(&AttributeDefinitionView::from(definition))?.version(version))
}

fn told(definition: &Definition) -> Value {
    json!({
        "subject": definition.subject.as_str(),
        "key": definition.key,
        "name": definition.name,
        "type": definition.kind.as_str(),
        "choices": definition.choices,
    })
}

fn choices(checks: &mut Checks, wanted: &[String]) -> Vec<String> {
    if wanted.is_empty() || wanted.len() > MAX_CHOICES {
        checks.fault("/choices", format!("must name 1 to {MAX_CHOICES} choices"));
    }
    let mut choices: Vec<String> = Vec::new();
    for (index, choice) in wanted.iter().take(MAX_CHOICES).enumerate() {
        let pointer = format!("/choices/{index}");
        let choice = checks.line(&pointer, choice, 1, 100);
        if choices.contains(&choice) {
            checks.fault(&pointer, "is there already");
        }
        choices.push(choice);
    }
    choices
}

impl CreateAttributeDefinition {
    fn check(self) -> Result<NewDefinition, Problem> {
        let mut checks = Checks::default();
        let subject = checks.parse::<Subject>("/subject", &self.subject);
        let kind = checks.parse::<Kind>("/type", &self.r#type);
        let name = checks.line("/name", &self.name, 1, 100);
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let starts = self.key.starts_with(|c: char| c.is_ascii_lowercase());
        if !starts || self.key.len() > 63 || !self.key.chars().all(is_word) {
            checks.fault(
                "/key",
                "must be a letter from a to z, then up to 62 of a to z, 0 to 9 and _",
            );
        }
        let choices = match kind {
            Some(Kind::Choice) => choices(&mut checks, &self.choices),
            Some(Kind::Text | Kind::Number | Kind::Boolean | Kind::Date)
                if !self.choices.is_empty() =>
            {
                checks.fault("/choices", "are for the type choice only");
                Vec::new()
            }
            Some(_) | None => Vec::new(),
        };
        checks.finish()?;
        match (subject, kind) {
            (Some(subject), Some(kind)) => Ok(NewDefinition {
                subject,
                key: self.key,
                name,
                kind,
                choices,
            }),
            _ => Err(Problem::new(Code::InvalidRequest)),
        }
    }
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "attribute_definitions_key_key") {
        Problem::at(Code::NameTaken, "/key", "is in use")
    } else {
        error.into()
    }
}

/// Makes a definition.
#[utoipa::path(
    post, path = "/v1/attribute-definitions", tag = "attribute-definitions",
    request_body = CreateAttributeDefinition,
    responses((status = 201, body = AttributeDefinitionView), (status = 409, description = "`name_taken`"))
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateAttributeDefinition>,
) -> Result<HttpResponse, Problem> {
    let new = body.0.check()?;
    let (audit, cause) = (app.audit.clone(), actor.cause());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let id = attributes::create(tx, &new).await.map_err(refused)?;
            let definition = find(tx, id).await?;
            let entry = Entry {
                action: "attribute_definition.created",
                target_type: "attribute_definition",
                target: Some(id.0),
                before: None,
                after: Some(told(&definition)),
            };
            audit.record(tx, &cause, entry).await?;
            let version = definition.version;
            Ok(Answer::created(&AttributeDefinitionView::from(definition))?.version(version))
        })
    });
    answer.await
}

/// Changes a definition's name or choices. With `If-Match`, only if nobody has changed it since.
#[utoipa::path(
    patch, path = "/v1/attribute-definitions/{id}", tag = "attribute-definitions",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the definition")),
    request_body = AttributeDefinitionPatch,
    responses(
        (status = 200, body = AttributeDefinitionView),
        (status = 409, description = "`version_conflict`; `in_use`, with the `count` of values that are a choice left out"),
        (status = 422, description = "`attribute_invalid`: choices for another type")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<AttributeId>,
    body: Body<AttributeDefinitionPatch>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let wanted = DefinitionChange {
        name: body.0.name.map(|name| checks.line("/name", &name, 1, 100)),
        choices: body.0.choices.map(|wanted| choices(&mut checks, &wanted)),
        if_version: if_match(&request)?,
    };
    checks.finish()?;
    let (audit, cause, id) = (app.audit.clone(), actor.cause(), id.0);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = find(tx, id).await?;
            match attributes::change(tx, id, &wanted).await? {
                DefinitionOutcome::Plain(outcome) => changed(outcome)?,
                DefinitionOutcome::ChoiceInUse { choice, count } => {
                    let detail = format!("leaves out `{choice}`, which is in use");
                    let problem = Problem::at(Code::InUse, "/choices", detail);
                    return Err(problem.extra("count", count.into()));
                }
                DefinitionOutcome::NoChoice => {
                    let detail = "are for the type choice only";
                    return Err(Problem::at(Code::AttributeInvalid, "/choices", detail));
                }
            }
            let after = find(tx, id).await?;
            let entry = Entry {
                action: "attribute_definition.changed",
                target_type: "attribute_definition",
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

/// Deletes a definition that has no values.
#[utoipa::path(
    delete, path = "/v1/attribute-definitions/{id}", tag = "attribute-definitions", params(("id" = String, Path)),
    responses((status = 204), (status = 409, description = "`in_use`, with the `count` of values"))
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<AttributeId>,
) -> Result<HttpResponse, Problem> {
    let (audit, cause, id) = (app.audit.clone(), actor.cause(), id.0);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = find(tx, id).await?;
            deleted(attributes::delete(tx, id).await?)?;
            let entry = Entry {
                action: "attribute_definition.deleted",
                target_type: "attribute_definition",
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
