//! Who has a conversation, and why.

use actix_web::{HttpResponse, web};
use jiff::Timestamp;
use roost_domain::ids::{ConversationId, DecisionId, MemberId, TeamId};
use roost_domain::role::Permission;
use roost_store::assignments::{self, ByHand, Moved};
use roost_store::ledger::Cause;
use roost_store::visibility::Visibility;
use roost_store::{BrandTx, conversations};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query};
use crate::problem::{Code, Fault, Problem, ProblemBody};
use crate::wire::assignment::{Assign, AssignmentView, DecisionView};
use crate::wire::list::{Cursors, Paged};

/// Who has it, or why it waits, with the newest decision.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/assignment", tag = "assignment", params(("id" = String, Path)),
    responses((status = 200, body = AssignmentView), (status = 404, body = ProblemBody))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ConversationId>,
) -> Result<HttpResponse, Problem> {
    let visibility = actor.visibility();
    let view = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move { show(tx, id.0, &visibility).await })
        })
        .await?;
    Ok(HttpResponse::Ok().json(view))
}

async fn show(
    tx: &mut BrandTx,
    id: ConversationId,
    visibility: &Visibility,
) -> Result<AssignmentView, Problem> {
    let found = conversations::find(tx, id, visibility, None)
        .await?
        .ok_or_else(Problem::not_found)?;
    Ok(AssignmentView {
        conversation_id: id.to_string(),
        member_id: found.assignee.map(|id| id.to_string()),
        team_id: found.team.map(|id| id.to_string()),
        waiting_reason: found.waiting_reason,
        decision: assignments::latest(tx, id).await?.map(Into::into),
    })
}

/// All decisions, newest first.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/assignments", tag = "assignment",
    params(
        ("id" = String, Path), ("limit" = Option<i64>, Query, description = "1 to 200"),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<DecisionView>), (status = 404, body = ProblemBody))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ConversationId>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let (conversation, visibility) = (id.0, actor.visibility());
    let cursors = Cursors::of(&["assignments", &conversation.to_string()]);
    let before = match cursor {
        Some(cursor) => {
            let (micros, id): (i64, DecisionId) = cursors.read(&cursor)?;
            let at = Timestamp::from_microsecond(micros);
            Some((at.map_err(|_| Problem::new(Code::InvalidCursor))?, id))
        }
        None => None,
    };
    let rows = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                if !conversations::exists(tx, conversation, &visibility).await? {
                    return Err(Problem::not_found());
                }
                Ok(assignments::list(tx, conversation, before, limit + 1).await?)
            })
        })
        .await?;
    let (rows, next_cursor) =
        cursors.page(rows, limit, |row| (row.decided_at.as_microsecond(), row.id));
    let data: Vec<DecisionView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

#[derive(Debug, Clone, Copy)]
enum To {
    Member(MemberId),
    Team(TeamId),
    Nobody,
}

impl Assign {
    fn check(self) -> Result<To, Problem> {
        let mut checks = Checks::default();
        let member = self
            .member_id
            .and_then(|id| checks.parse::<MemberId>("/member_id", &id));
        let team = self
            .team_id
            .and_then(|id| checks.parse::<TeamId>("/team_id", &id));
        checks.finish()?;
        match (member, team) {
            (Some(member), None) => Ok(To::Member(member)),
            (None, Some(team)) => Ok(To::Team(team)),
            (None, None) | (Some(_), Some(_)) => {
                let detail = "give member_id or team_id".to_owned();
                Err(Problem::invalid(vec![Fault {
                    pointer: String::new(),
                    detail,
                }]))
            }
        }
    }
}

/// Gives a conversation to a member or moves it to a team. An agent takes for themselves or gives
/// away what they have; a lead does as they see fit.
#[utoipa::path(
    put, path = "/v1/conversations/{id}/assignment", tag = "assignment", params(("id" = String, Path)),
    request_body = Assign,
    responses(
        (status = 200, body = AssignmentView), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "member_cannot_take, unknown_reference")
    )
)]
pub(crate) async fn put(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ConversationId>,
    body: Body<Assign>,
) -> Result<HttpResponse, Problem> {
    let to = body.0.check()?;
    assign(&app, &actor, id.0, to).await
}

/// Takes a conversation from whoever has it; an open one queues again.
#[utoipa::path(
    delete, path = "/v1/conversations/{id}/assignment", tag = "assignment", params(("id" = String, Path)),
    responses(
        (status = 200, body = AssignmentView), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)
    )
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ConversationId>,
) -> Result<HttpResponse, Problem> {
    assign(&app, &actor, id.0, To::Nobody).await
}

async fn assign(
    app: &App,
    actor: &Actor,
    id: ConversationId,
    to: To,
) -> Result<HttpResponse, Problem> {
    let (me, cause) = (actor.member, actor.cause());
    let visibility = actor.visibility();
    let leads = actor.allows(Permission::ConversationsLead);
    let answer = actor.write(app, move |tx| {
        Box::pin(async move {
            let held = conversations::find(tx, id, &visibility, None)
                .await?
                .ok_or_else(Problem::not_found)?;
            if !may_assign(leads, me, held.assignee, to) {
                return Err(Problem::new(Code::Forbidden));
            }
            act(tx, id, to, me, &cause).await?;
            // Who gave it into a closed team is told so, though it is out of their sight now.
            Answer::ok(&show(tx, id, &Visibility::ALL).await?)
        })
    });
    let answer = answer.await?;
    app.hint_router();
    Ok(answer)
}

fn may_assign(leads: bool, me: MemberId, holder: Option<MemberId>, to: To) -> bool {
    let is_mine = holder == Some(me);
    let takes_it = matches!(to, To::Member(member) if member == me);
    leads || is_mine || takes_it
}

async fn act(
    tx: &mut BrandTx,
    id: ConversationId,
    to: To,
    me: MemberId,
    cause: &Cause,
) -> Result<(), Problem> {
    let member = match to {
        To::Team(team) => {
            return match assignments::move_to_team(tx, id, team, me, cause).await? {
                Moved::Done => Ok(()),
                Moved::NotFound => Err(Problem::at(
                    Code::UnknownReference,
                    "/team_id",
                    "names an unknown team",
                )),
            };
        }
        To::Member(member) => Some(member),
        To::Nobody => None,
    };
    match assignments::assign_by_hand(tx, id, member, me, cause).await? {
        ByHand::Assigned { .. } | ByHand::Unassigned => Ok(()),
        ByHand::RefusedInactive => Err(Problem::at(
            Code::MemberCannotTake,
            "/member_id",
            "is deactivated",
        )),
        ByHand::RefusedRole => Err(Problem::at(
            Code::MemberCannotTake,
            "/member_id",
            "has a role that may not reply",
        )),
        ByHand::NotFound => Err(Problem::at(
            Code::UnknownReference,
            "/member_id",
            "names an unknown member",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_agent_takes_and_gives_away_and_no_more() {
        let (me, other) = (MemberId(Uuid::now_v7()), MemberId(Uuid::now_v7()));
        let may = |holder, to| may_assign(false, me, holder, to);
        assert!(may(None, To::Member(me)) && may(Some(other), To::Member(me)));
        assert!(may(Some(me), To::Member(other)) && may(Some(me), To::Nobody));
        assert!(!may(Some(other), To::Member(other)) && !may(None, To::Member(other)));
        assert!(!may(Some(other), To::Nobody));
        assert!(may_assign(true, me, Some(other), To::Nobody));
    }
}
