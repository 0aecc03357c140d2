//! Contacts: found and changed.
//!
//! Who may read contacts sees all of the brand's, whatever teams or channels they are held to; of a
//! contact's conversations they see what they see elsewhere. A test key sees customers of sandboxes only.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use roost_domain::ids::{ContactId, ConversationId};
use roost_store::contacts::{
    self, ContactChange, ContactDetail, ContactFilter, ContactKey, ContactOutcome, ContactSort,
};
use roost_store::{BrandTx, StoreError, conversations, on_constraint};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query, if_match};
use crate::problem::{Code, Fault, Problem, changed};
use crate::wire::contact::{ContactDetailView, ContactPatch};
use crate::wire::conversation::ConversationView;
use crate::wire::list::{Cursors, Paged};

/// Most attributes that one request changes.
const MAX_ATTRIBUTES: usize = 100;

/// A page of contacts. Merged and erased ones are in no list.
#[utoipa::path(
    get, path = "/v1/contacts", tag = "contacts",
    params(
        ("q" = Option<String>, Query, description = "A part of name or handle, with or without @; case and accents don't matter"),
        ("handle" = Option<String>, Query, description = "A whole handle, with or without @"),
        ("platform" = Option<String>, Query, description = "Such as x; with platform_user_id"),
        ("platform_user_id" = Option<String>, Query, description = "The platform's id of an account"),
        ("external_id" = Option<String>, Query),
        ("updated_after" = Option<String>, Query, description = "RFC 3339, inclusive"),
        ("sort" = Option<String>, Query, description = "name or updated_at; a leading - reverses. Default: name"),
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<ContactDetailView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let mut filter = read_filter(&query);
    filter.sandbox_only = actor.visibility().sandbox_only;
    let sort = read_sort(&query);
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let cursors = Cursors::of(&[
        "contacts",
        &actor.brand.to_string(),
        &format!("{filter:?}"),
        &format!("{sort:?}"),
    ]);
    let after = match &cursor {
        Some(cursor) => {
            let (name_key, micros, id): (String, i64, ContactId) = cursors.read(cursor)?;
            let at = Timestamp::from_microsecond(micros);
            let updated_at = at.map_err(|_| Problem::new(Code::InvalidCursor))?;
            Some(ContactKey {
                name_key,
                updated_at,
                id,
            })
        }
        None => None,
    };
    let rows = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move { contacts::list(tx, &filter, sort, after.as_ref(), limit + 1).await })
    });
    let (rows, next_cursor) = cursors.page(rows.await?, limit, |row| {
        let micros = row.updated_at.as_microsecond();
        (row.name_key.clone(), micros, row.id)
    });
    let data: Vec<ContactDetailView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

fn read_filter(query: &Query) -> ContactFilter {
    let (platform, user) = (query.text("platform"), query.text("platform_user_id"));
    let account = match (platform, user) {
        (Some(platform), Some(user)) => Some((platform, user)),
        (None, None) => None,
        (Some(_), None) => {
            query.fault("platform", "needs platform_user_id");
            None
        }
        (None, Some(_)) => {
            query.fault("platform_user_id", "needs platform");
            None
        }
    };
    ContactFilter {
        q: query.text("q"),
        handle: query.text("handle"),
        account,
        external_id: query.text("external_id"),
        updated_after: query.instant("updated_after"),
        sandbox_only: false,
    }
}

fn read_sort(query: &Query) -> ContactSort {
    let text = query.text("sort").unwrap_or_else(|| "name".to_owned());
    let (field, descending) = match text.strip_prefix('-') {
        Some(field) => (field, true),
        None => (text.as_str(), false),
    };
    match field {
        "updated_at" => ContactSort::UpdatedAt { descending },
        "name" => ContactSort::Name { descending },
        _ => {
            query.fault(
                "sort",
                "must be name or updated_at, with a leading - to reverse",
            );
            ContactSort::Name { descending }
        }
    }
}

/// One contact. A merged one says into which.
#[utoipa::path(
    get, path = "/v1/contacts/{id}", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = ContactDetailView))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ContactId>,
) -> Result<HttpResponse, Problem> {
    let sandbox_only = actor.visibility().sandbox_only;
    let contact = app.store.brand(actor.brand, move |tx| {
        Box::pin(find(tx, id.0, sandbox_only))
    });
    Ok(show(contact.await?)?.response())
}

pub(super) async fn find(
    tx: &mut BrandTx,
    id: ContactId,
    sandbox_only: bool,
) -> Result<ContactDetail, Problem> {
    let found = contacts::find(tx, id, sandbox_only).await?;
    found.ok_or_else(Problem::not_found)
}

pub(super) fn show(contact: ContactDetail) -> Result<Answer, Problem> {
    let version = contact.version;
    Ok(Answer::ok(&ContactDetailView::from(contact))?.version(version))
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "contacts_external_key") {
        Problem::at(Code::NameTaken, "/external_id", "is in use")
    } else {
        error.into()
    }
}

fn at_attribute(key: &str, detail: String) -> Fault {
    let key = key.replace('~', "~0").replace('/', "~1");
    Fault {
        pointer: format!("/attributes/{key}"),
        detail,
    }
}

/// Changes a contact's name, external id or attributes. With `If-Match`, only if nobody has changed it
/// since.
#[utoipa::path(
    patch, path = "/v1/contacts/{id}", tag = "contacts",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the contact")),
    request_body = ContactPatch,
    responses(
        (status = 200, body = ContactDetailView),
        (status = 409, description = "`version_conflict`, `already_merged`, `name_taken`: the external id"),
        (status = 410, description = "`erased`"),
        (status = 422, description = "`attribute_invalid`; `unknown_reference`: no definition has that key")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<ContactId>,
    body: Body<ContactPatch>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    if body.0.attributes.len() > MAX_ATTRIBUTES {
        checks.fault("/attributes", format!("must name at most {MAX_ATTRIBUTES}"));
    }
    let wanted = ContactChange {
        name: body.0.name.map(|name| checks.line("/name", &name, 1, 200)),
        external_id: body
            .0
            .external_id
            .map(|id| id.map(|id| checks.line("/external_id", &id, 1, 200))),
        attributes: body.0.attributes,
        if_version: if_match(&request)?,
    };
    checks.finish()?;
    let (cause, id) = (actor.cause(), id.0);
    let sandbox_only = actor.visibility().sandbox_only;
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            find(tx, id, sandbox_only).await?;
            let outcome = contacts::change(tx, id, &wanted, &cause).await;
            match outcome.map_err(refused)? {
                ContactOutcome::Plain(outcome) => changed(outcome)?,
                ContactOutcome::Merged => return Err(Problem::new(Code::AlreadyMerged)),
                ContactOutcome::Erased => return Err(Problem::new(Code::Erased)),
                ContactOutcome::UnknownAttributes(keys) => {
                    let fault = |key: &String| at_attribute(key, "is not defined".to_owned());
                    let faults = keys.iter().map(fault).collect();
                    return Err(Problem::new(Code::UnknownReference).faults(faults));
                }
                ContactOutcome::InvalidAttributes(reasons) => {
                    let faults = reasons.into_iter();
                    let faults = faults
                        .map(|(key, reason)| at_attribute(&key, reason))
                        .collect();
                    return Err(Problem::new(Code::AttributeInvalid).faults(faults));
                }
            }
            show(find(tx, id, sandbox_only).await?)
        })
    });
    let answer = answer.await?;
    app.hint_relay();
    Ok(answer)
}

/// A contact's conversations that the caller sees, newest first.
#[utoipa::path(
    get, path = "/v1/contacts/{id}/conversations", tag = "contacts",
    params(
        ("id" = String, Path), ("limit" = Option<i64>, Query, description = "1 to 200"),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<ConversationView>))
)]
pub(crate) async fn conversations(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ContactId>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let id = id.0;
    let cursors = Cursors::of(&[
        "contact-conversations",
        &actor.brand.to_string(),
        &id.to_string(),
    ]);
    let after = match cursor {
        Some(cursor) => {
            let (micros, id): (i64, ConversationId) = cursors.read(&cursor)?;
            let at = Timestamp::from_microsecond(micros);
            Some((at.map_err(|_| Problem::new(Code::InvalidCursor))?, id))
        }
        None => None,
    };
    let (visibility, reader) = (actor.visibility(), actor.member);
    let rows = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move {
            find(tx, id, visibility.sandbox_only).await?;
            let ids = contacts::conversations_of(tx, id, &visibility, after, limit + 1).await?;
            let mut rows = conversations::load(tx, &ids, &visibility, Some(reader)).await?;
            rows.sort_by_key(|row| std::cmp::Reverse((row.opened_at, row.id)));
            Ok::<_, Problem>(rows)
        })
    });
    let (rows, next_cursor) = cursors.page(rows.await?, limit, |row| {
        (row.opened_at.as_microsecond(), row.id)
    });
    let data: Vec<ConversationView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}
