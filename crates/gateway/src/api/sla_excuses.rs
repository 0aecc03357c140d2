//! Excuses: they mark breaches, and delete nothing.

use actix_web::{HttpResponse, web};
use jiff::{SignedDuration, Timestamp};
use roost_domain::ids::{ChannelId, ExcuseId};
use roost_store::audit::Entry;
use roost_store::sla_excuses::{self, Excuse, StoredExcuse};
use roost_store::visibility::{Visibility, Walls};
use roost_store::{BrandTx, StoreError, on_constraint};
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query};
use crate::problem::{Code, Problem};
use crate::wire::At;
use crate::wire::list::{Cursors, Paged};
use crate::wire::sla_excuse::{CreateSlaExcuse, SlaExcuseView};

/// Longest period that one excuse covers.
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);

/// All excuses, latest period first.
#[utoipa::path(
    get, path = "/v1/sla-excuses", tag = "reports",
    params(("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Paged<SlaExcuseView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let cursors = Cursors::of(&["sla-excuses", &actor.brand.to_string()]);
    let after: Option<(Timestamp, ExcuseId)> =
        cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let rows = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move { sla_excuses::list(tx, after, limit + 1).await })
        })
        .await?;
    let (rows, next_cursor) = cursors.page(rows, limit, |row| (row.excuse.starts_at, row.id));
    let data: Vec<SlaExcuseView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

fn told(stored: &StoredExcuse) -> Value {
    let excuse = &stored.excuse;
    json!({
        "channel_id": excuse.channel,
        "starts_at": At::from(excuse.starts_at),
        "ends_at": At::from(excuse.ends_at),
        "reason": excuse.reason,
    })
}

fn unknown_channel() -> Problem {
    let detail = "names an unknown channel";
    Problem::at(Code::UnknownReference, "/channel_id", detail)
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "sla_excuses_brand_id_channel_id_fkey") {
        unknown_channel()
    } else {
        error.into()
    }
}

/// Whether a caller may excuse what happened over a channel, or over all of them.
async fn check_reach(
    tx: &mut BrandTx,
    visibility: &Visibility,
    channel: Option<ChannelId>,
) -> Result<(), Problem> {
    if !visibility.is_partial() {
        return Ok(());
    }
    let Some(channel) = channel else {
        let detail = "A key that is bound to teams or channels can't excuse the whole brand";
        return Err(Problem::with(Code::Forbidden, detail));
    };
    let walls = Walls::load(tx).await?;
    if visibility.sees_channel(channel, &walls) {
        Ok(())
    } else {
        Err(unknown_channel())
    }
}

fn read(body: &CreateSlaExcuse) -> Result<Excuse, Problem> {
    let mut checks = Checks::default();
    let channel = body.channel_id.as_deref();
    let channel = channel.map(|id| checks.parse::<ChannelId>("/channel_id", id));
    let starts_at = checks.instant("/starts_at", &body.starts_at);
    let ends_at = checks.instant("/ends_at", &body.ends_at);
    let reason = checks.line("/reason", &body.reason, 1, 500);
    if let (Some(starts_at), Some(ends_at)) = (starts_at, ends_at) {
        // As they are kept.
        let length = ends_at.as_microsecond() - starts_at.as_microsecond();
        if length <= 0 {
            checks.fault("/ends_at", "must be later than starts_at");
        } else if starts_at.duration_until(ends_at) > LONGEST {
            checks.fault("/ends_at", "must be at most 31 days after starts_at");
        }
        super::reports::check_instant(&mut checks, "/starts_at", starts_at);
    }
    checks.finish()?;
    match (starts_at, ends_at) {
        (Some(starts_at), Some(ends_at)) => Ok(Excuse {
            channel: channel.flatten(),
            starts_at,
            ends_at,
            reason,
        }),
        _ => Err(Problem::new(Code::InvalidRequest)),
    }
}

/// Excuses the breaches that fall due in a period, over one channel or all.
#[utoipa::path(
    post, path = "/v1/sla-excuses", tag = "reports", request_body = CreateSlaExcuse,
    responses((status = 201, body = SlaExcuseView), (status = 422, description = "`unknown_reference`"))
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateSlaExcuse>,
) -> Result<HttpResponse, Problem> {
    let new = read(&body.0)?;
    let (audit, cause) = (app.audit.clone(), actor.cause());
    let (visibility, member) = (actor.visibility(), actor.member);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            check_reach(tx, &visibility, new.channel).await?;
            let made = sla_excuses::create(tx, &new, member)
                .await
                .map_err(refused)?;
            let entry = Entry {
                action: "sla_excuse.created",
                target_type: "sla_excuse",
                target: Some(made.id.0),
                before: None,
                after: Some(told(&made)),
            };
            audit.record(tx, &cause, entry).await?;
            Answer::created(&SlaExcuseView::from(made))
        })
    });
    answer.await
}

/// Takes an excuse back: its breaches count as before.
#[utoipa::path(
    delete, path = "/v1/sla-excuses/{id}", tag = "reports", params(("id" = String, Path)),
    responses((status = 204))
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ExcuseId>,
) -> Result<HttpResponse, Problem> {
    let (audit, cause, id) = (app.audit.clone(), actor.cause(), id.0);
    let visibility = actor.visibility();
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let gone = sla_excuses::delete(tx, id).await?;
            let gone = gone.ok_or_else(Problem::not_found)?;
            check_reach(tx, &visibility, gone.excuse.channel).await?;
            let entry = Entry {
                action: "sla_excuse.deleted",
                target_type: "sla_excuse",
                target: Some(id.0),
                before: Some(told(&gone)),
                after: None,
            };
            audit.record(tx, &cause, entry).await?;
            Ok(Answer::nothing())
        })
    });
    answer.await
}
