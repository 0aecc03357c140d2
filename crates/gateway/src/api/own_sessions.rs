//! The signed-in person's own sessions.

use actix_web::{HttpResponse, web};
use roost_domain::ids::{BrandId, SessionId};
use roost_store::accounts::{self, OpenSession};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::auth::{Actor, Answer, Person, trail};
use crate::input::{Id, Query};
use crate::problem::{Problem, ProblemBody};
use crate::wire::At;
use crate::wire::list::Paged;

/// A session that hasn't ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionView {
    #[schema(example = "ses_01h455vb4pex5vsknk084sn02q")]
    id: String,
    /// Whether this request belongs to it.
    is_current: bool,
    /// In which brand it acts now.
    brand_id: String,
    brand_name: String,
    created_at: At,
    /// When it last got a new access token.
    last_used_at: At,
    /// From which address it was used last.
    address: Option<String>,
    /// What the browser or program says it is.
    user_agent: Option<String>,
}

impl SessionView {
    fn new(session: OpenSession, current: Uuid) -> Self {
        Self {
            id: SessionId(session.id).to_string(),
            is_current: session.id == current,
            brand_id: BrandId(session.brand_id).to_string(),
            brand_name: session.brand_name,
            created_at: session.created_at.get().into(),
            last_used_at: session.used_at.get().into(),
            address: session.address,
            user_agent: session.user_agent,
        }
    }
}

/// Where I am signed in, the last used first.
#[utoipa::path(
    get, path = "/v1/me/sessions", tag = "account",
    responses((status = 200, body = Paged<SessionView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    query.finish()?;
    let Person { user, session, .. } = actor.person()?;
    let sessions = app
        .store
        .system(move |tx| Box::pin(async move { accounts::list_sessions(tx.conn(), user).await }))
        .await?;
    let views = sessions
        .into_iter()
        .map(|one| SessionView::new(one, session))
        .collect();
    Ok(HttpResponse::Ok().json(Paged::whole(views)))
}

/// Ends one of my sessions, and its streams within five seconds.
#[utoipa::path(
    delete, path = "/v1/me/sessions/{id}", tag = "account", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemBody))
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<SessionId>,
) -> Result<HttpResponse, Problem> {
    let user = actor.person()?.user;
    let (audit, cause, member) = (app.audit.clone(), actor.cause(), actor.member);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            if !accounts::end_session(tx.conn(), user, id.0.0).await? {
                return Err(Problem::not_found());
            }
            let mut line = trail::line("session.revoked", member);
            line.after = Some(json!({ "session_id": id.0 }));
            audit.record(tx, &cause, line).await?;
            Ok(Answer::nothing())
        })
    });
    let answer = answer.await?;
    app.sessions.forget(id.0.0);
    Ok(answer)
}

/// Ends all my sessions but this one.
#[utoipa::path(delete, path = "/v1/me/sessions", tag = "account", responses((status = 204)))]
pub(crate) async fn delete_others(
    app: web::Data<App>,
    actor: Actor,
) -> Result<HttpResponse, Problem> {
    let Person { user, session, .. } = actor.person()?;
    let (audit, cause, member) = (app.audit.clone(), actor.cause(), actor.member);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let ended = accounts::end_other_sessions(tx.conn(), user, session).await?;
            let mut line = trail::line("session.others_revoked", member);
            line.after = Some(json!({ "count": ended }));
            audit.record(tx, &cause, line).await?;
            Ok(Answer::nothing())
        })
    });
    let answer = answer.await?;
    app.sessions.forget_user(user);
    Ok(answer)
}
