//! Changing conversations: one, or many at once.

use std::collections::BTreeSet;

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::{SignedDuration, Timestamp};
use roost_domain::conversation::{Priority, Status};
use roost_domain::ids::{ConversationId, LabelId, MemberId};
use roost_store::conversation_acts::{
    self, ChangeOutcome, ConversationChange, FieldChange, FieldRefusal, LabelChange,
};
use roost_store::ledger::Cause;
use roost_store::visibility::Visibility;
use roost_store::{BrandTx, conversations};
use serde_json::json;

use super::conversations::find;
use super::messages::exists;
use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, if_match};
use crate::problem::{Code, Fault, Problem, ProblemBody};
use crate::wire::conversation::{
    BulkChange, BulkItemView, BulkView, ConversationPatch, ConversationView, LabelsPatch,
};

/// Longest snooze.
const MAX_SNOOZE: SignedDuration = SignedDuration::from_hours(24 * 366);
/// Labels, skills or attributes that one change may name.
const MAX_NAMES: usize = 100;
/// Conversations that one request may change.
const MAX_ITEMS: usize = 500;

impl ConversationPatch {
    fn check(self, at: &str, now: Timestamp) -> Result<ConversationChange, Problem> {
        let mut checks = Checks::default();
        let here = |name: &str| format!("{at}/{name}");
        let mut status = self
            .status
            .and_then(|text| checks.parse::<Status>(&here("status"), &text));
        let priority = self
            .priority
            .and_then(|text| checks.parse::<Priority>(&here("priority"), &text));
        let snooze_until = match self.snooze_until {
            Some(Some(text)) => read_until(&mut checks, &here("snooze_until"), &text, now),
            Some(None) => {
                // Ending a snooze opens the conversation unless something else is asked for.
                status = status.or(Some(Status::Open));
                None
            }
            None => None,
        };
        if status == Some(Status::Snoozed) && snooze_until.is_none() {
            checks.fault(&here("snooze_until"), "is needed with status snoozed");
        }
        if snooze_until.is_some() && status.is_some_and(|status| status != Status::Snoozed) {
            checks.fault(&here("snooze_until"), "goes with status snoozed only");
        }
        let labels = self
            .labels
            .and_then(|labels| read_labels(&mut checks, &here("labels"), labels));
        let skills = self
            .skills
            .map(|names| read_skills(&mut checks, &here("skills"), names));
        let attributes = self.attributes.unwrap_or_default();
        if attributes.len() > MAX_NAMES {
            checks.fault(
                &here("attributes"),
                format!("must have at most {MAX_NAMES} keys"),
            );
        }
        let external_id = self
            .external_id
            .map(|name| name.map(|name| checks.line(&here("external_id"), &name, 1, 200)));
        checks.finish()?;
        Ok(ConversationChange {
            status,
            snooze_until,
            priority,
            fields: FieldChange {
                labels,
                skills,
                attributes,
                external_id,
            },
            if_version: None,
            is_confirmed: self.confirm,
        })
    }
}

fn read_labels(checks: &mut Checks, at: &str, labels: LabelsPatch) -> Option<LabelChange> {
    let mut read = |part: &str, ids: Vec<String>| -> BTreeSet<LabelId> {
        if ids.len() > MAX_NAMES {
            checks.fault(
                &format!("{at}{part}"),
                format!("must have at most {MAX_NAMES}"),
            );
        }
        let ids = ids.iter().enumerate();
        ids.filter_map(|(index, id)| checks.parse(&format!("{at}{part}/{index}"), id))
            .collect()
    };
    Some(match labels {
        LabelsPatch::All(ids) => LabelChange::Set(read("", ids)),
        LabelsPatch::Some(edit) => LabelChange::Edit {
            add: read("/add", edit.add),
            remove: read("/remove", edit.remove),
        },
    })
}

fn read_skills(checks: &mut Checks, at: &str, names: Vec<String>) -> Vec<String> {
    let unique: BTreeSet<&String> = names.iter().collect();
    if names.len() > MAX_NAMES || unique.len() < names.len() {
        checks.fault(at, format!("must name at most {MAX_NAMES}, each once"));
    }
    names
}

/// When a snooze ends.
pub(super) fn read_until(
    checks: &mut Checks,
    pointer: &str,
    text: &str,
    now: Timestamp,
) -> Option<Timestamp> {
    let until = checks.instant(pointer, text)?;
    let ahead = until.duration_since(now);
    if ahead.is_positive() && ahead <= MAX_SNOOZE {
        Some(until)
    } else {
        checks.fault(pointer, "must lie in the future, at most a year ahead");
        None
    }
}

/// Changes a conversation: JSON merge patch. With `If-Match`, only if nothing else has changed since.
#[utoipa::path(
    patch, path = "/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the conversation")),
    request_body = ConversationPatch,
    responses(
        (status = 200, body = ConversationView), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "version_conflict, conversation_exists"),
        (status = 422, body = ProblemBody, description = "unknown_reference, attribute_invalid, confirmation_needed")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<ConversationId>,
    body: Body<ConversationPatch>,
) -> Result<HttpResponse, Problem> {
    let if_version = if_match(&request)?;
    let change = ConversationChange {
        if_version,
        ..body.0.check("", Timestamp::now())?
    };
    let (member, cause) = (actor.member, actor.cause());
    let visibility = actor.visibility();
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            change_one(tx, id.0, &change, &visibility, member, &cause).await?;
            let found = find(tx, id.0, &visibility, member).await?;
            let version = found.version;
            Ok(Answer::ok(&ConversationView::from(found))?.version(version))
        })
    });
    let answer = answer.await?;
    // A reopened conversation wants an agent, a closed one leaves room for another.
    app.hint_router();
    Ok(answer)
}

async fn change_one(
    tx: &mut BrandTx,
    id: ConversationId,
    change: &ConversationChange,
    visibility: &Visibility,
    member: MemberId,
    cause: &Cause,
) -> Result<(), Problem> {
    if !conversations::exists(tx, id, visibility).await? {
        return Err(Problem::not_found());
    }
    match conversation_acts::change(tx, id, change, member, cause).await? {
        ChangeOutcome::Done => Ok(()),
        ChangeOutcome::Missing => Err(Problem::not_found()),
        ChangeOutcome::Exists(other) => Err(exists(other)),
        ChangeOutcome::Refused(refusal) => Err(refused(refusal)),
        ChangeOutcome::Unconfirmed => {
            let detail = "must be true: a response clock runs, and goes on while it is snoozed";
            Err(Problem::at(Code::ConfirmationNeeded, "/confirm", detail))
        }
        ChangeOutcome::Stale { version, fields } => Err(conflict(version, &fields)),
    }
}

fn conflict(version: i64, fields: &[String]) -> Problem {
    let faults = fields
        .iter()
        .map(|field| Fault {
            pointer: format!("/{field}"),
            detail: "has changed since".to_owned(),
        })
        .collect();
    Problem::new(Code::VersionConflict)
        .faults(faults)
        .extra("current_version", json!(version))
}

fn refused(refusal: FieldRefusal) -> Problem {
    let unknown =
        |at: &str, what: String| Problem::at(Code::UnknownReference, at, format!("names {what}"));
    match refusal {
        FieldRefusal::UnknownLabel(id) => unknown("/labels", format!("{id}, which is no label")),
        FieldRefusal::UnknownSkill(name) => {
            unknown("/skills", format!("{name:?}, which is no skill"))
        }
        FieldRefusal::Attributes(faults) => {
            let faults = faults
                .into_iter()
                .map(|(key, detail)| Fault {
                    pointer: format!("/attributes/{}", key.replace('~', "~0").replace('/', "~1")),
                    detail,
                })
                .collect();
            Problem::new(Code::AttributeInvalid).faults(faults)
        }
    }
}

/// Changes many conversations, each judged on the version that the list showed: what has changed since
/// is skipped and named. All of it is one transaction.
#[utoipa::path(
    post, path = "/v1/conversations/bulk", tag = "conversations", request_body = BulkChange,
    responses(
        (status = 200, body = BulkView),
        (status = 422, body = ProblemBody, description = "unknown_reference, attribute_invalid")
    )
)]
pub(crate) async fn bulk(
    app: web::Data<App>,
    actor: Actor,
    body: Body<BulkChange>,
) -> Result<HttpResponse, Problem> {
    let items = read_items(&body.0)?;
    let change = body.0.set.check("/set", Timestamp::now())?;
    let (member, cause) = (actor.member, actor.cause());
    let visibility = actor.visibility();
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let ids: Vec<ConversationId> = items.iter().map(|(_, id, _)| *id).collect();
            conversation_acts::lock_identities(tx, &ids).await?;
            // In the order of their ids, as everywhere; answered in the order of the request.
            let mut sorted: Vec<&(usize, ConversationId, i64)> = items.iter().collect();
            sorted.sort_by_key(|(_, id, _)| *id);
            let mut data: Vec<(usize, BulkItemView)> = Vec::new();
            for (index, id, version) in sorted {
                let change = ConversationChange {
                    if_version: Some(*version),
                    ..change.clone()
                };
                let done = change_one(tx, *id, &change, &visibility, member, &cause).await;
                let problem = match done {
                    Ok(()) => None,
                    Err(problem) if is_the_items_own(&problem) => Some(problem),
                    Err(problem) => return Err(problem),
                };
                let code = problem.as_ref().map(|problem| problem.code().as_str());
                data.push((*index, BulkItemView::new(*id, code)));
            }
            data.sort_by_key(|(index, _)| *index);
            let data = data.into_iter().map(|(_, item)| item).collect();
            Answer::ok(&BulkView { data })
        })
    });
    let answer = answer.await?;
    app.hint_router();
    Ok(answer)
}

/// Whether a refusal concerns one item and leaves the others alone.
fn is_the_items_own(problem: &Problem) -> bool {
    matches!(
        problem.code(),
        Code::NotFound
            | Code::VersionConflict
            | Code::ConversationExists
            | Code::ConfirmationNeeded
    )
}

fn read_items(body: &BulkChange) -> Result<Vec<(usize, ConversationId, i64)>, Problem> {
    let mut checks = Checks::default();
    if body.items.is_empty() || body.items.len() > MAX_ITEMS {
        checks.fault("/items", format!("must have 1 to {MAX_ITEMS} items"));
    }
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for (index, item) in body.items.iter().enumerate() {
        let at = format!("/items/{index}/id");
        let Some(id) = checks.parse::<ConversationId>(&at, &item.id) else {
            continue;
        };
        if !seen.insert(id) {
            checks.fault(&at, "is named twice");
        }
        items.push((index, id, item.version));
    }
    checks.finish()?;
    Ok(items)
}
