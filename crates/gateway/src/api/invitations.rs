//! Invitations to a brand.

mod accept;

use actix_web::{HttpResponse, web};
use jiff::{SignedDuration, Timestamp};
use roost_domain::ids::{InvitationId, MemberId, TeamId};
use roost_domain::role::Role;
use roost_store::audit::{Auditor, Entry};
use roost_store::invitations::{self, NewInvitation, StoredInvitation};
use roost_store::mails::{self, NewMail};
use roost_store::{BrandTx, brands, members, teams};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use accept::{__path_accept, accept};

use super::account::is_address;
use crate::app::App;
use crate::auth::refresh::{hash, random};
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query};
use crate::mail::Letter;
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::invitation::{CreateInvitation, InvitationView};
use crate::wire::list::{Cursors, Paged};

/// Mails with invitations that a member, and a whole brand, may cause within a day.
const MOST_A_DAY: (i64, i64) = (50, 200);
/// Mails for one invitation.
const MOST_SENDS: i32 = 5;
/// Between two mails for one invitation.
const SEND_PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// Invitations that nobody has accepted, the newest first.
#[utoipa::path(
    get, path = "/v1/invitations", tag = "invitations",
    params(("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Paged<InvitationView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let cursors = Cursors::of(&["invitations", &actor.brand.to_string()]);
    let before: Option<InvitationId> = cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let rows = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move { invitations::list(tx, before, limit + 1).await })
        })
        .await?;
    let (rows, next_cursor) = cursors.page(rows, limit, |row| row.id);
    let data: Vec<InvitationView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

/// Invites somebody by mail. The link is good for 72 hours; an older invitation of the same address
/// is withdrawn. Inviting owners and admins asks for a fresh proof of who invites.
#[utoipa::path(
    post, path = "/v1/invitations", tag = "invitations", request_body = CreateInvitation,
    responses(
        (status = 201, body = InvitationView), (status = 400, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "`email_unverified`, `step_up_required`"),
        (status = 409, body = ProblemBody, description = "`already_member`"),
        (status = 422, body = ProblemBody, description = "`unknown_reference`"),
        (status = 429, body = ProblemBody)
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateInvitation>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let email = checks.line("/email", &body.0.email, 3, 320).to_lowercase();
    if !is_address(&email) {
        checks.fault("/email", "must be an e-mail address");
    }
    let role = checks.parse::<Role>("/role", &body.0.role);
    if body.0.team_ids.len() > 100 {
        checks.fault("/team_ids", "must have at most 100 items");
    }
    let parse =
        |(index, id): (usize, &String)| checks.parse::<TeamId>(&format!("/team_ids/{index}"), id);
    let mut teams: Vec<TeamId> = body
        .0
        .team_ids
        .iter()
        .enumerate()
        .filter_map(parse)
        .collect();
    checks.finish()?;
    teams.sort_by_key(|team| team.0);
    teams.dedup();
    let role = role.unwrap_or(Role::Analyst);
    may_send(&actor)?;
    if role == Role::Owner && actor.role != Role::Owner {
        return Err(Problem::with(Code::Forbidden, "Only an owner makes owners"));
    }
    if matches!(role, Role::Owner | Role::Admin) {
        actor.require_fresh()?;
    }
    let token = random()?;
    let new = NewInvitation {
        id: InvitationId(Uuid::now_v7()),
        email,
        role,
        teams,
        token_hash: hash(&token),
        by: actor.member,
    };
    let post = Post::new(&app, actor.member, token);
    let (audit, cause) = (app.audit.clone(), actor.cause());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            if invitations::is_member(tx, &new.email).await? {
                return Err(Problem::at(
                    Code::AlreadyMember,
                    "/email",
                    "has a seat already",
                ));
            }
            let unknown = teams::unknown(tx, &new.teams).await?;
            if !unknown.is_empty() {
                let detail = "names an unknown team";
                return Err(Problem::at(Code::UnknownReference, "/team_ids", detail));
            }
            check_allowance(tx, new.by).await?;
            let made = invitations::create(tx, &new).await?;
            post.put(tx, &made.email).await?;
            audit
                .record(tx, &cause, line(&audit, "invitation.created", &made))
                .await?;
            Answer::created(&InvitationView::from(made))
        })
    });
    let answer = answer.await?;
    app.hint_mail();
    Ok(answer)
}

/// Withdraws an invitation: its link is good no more.
#[utoipa::path(
    delete, path = "/v1/invitations/{id}", tag = "invitations", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemBody))
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<InvitationId>,
) -> Result<HttpResponse, Problem> {
    let (audit, cause, id) = (app.audit.clone(), actor.cause(), id.0);
    actor
        .write(&app, move |tx| {
            Box::pin(async move {
                let found = invitations::lock(tx, id, None).await?;
                let found = found.ok_or_else(Problem::not_found)?;
                invitations::revoke(tx, id).await?;
                audit
                    .record(tx, &cause, line(&audit, "invitation.revoked", &found))
                    .await?;
                Ok(Answer::nothing())
            })
        })
        .await
}

/// Sends an invitation again, with a new link that is good for 72 hours.
#[utoipa::path(
    post, path = "/v1/invitations/{id}/resend", tag = "invitations", params(("id" = String, Path)),
    responses(
        (status = 200, body = InvitationView), (status = 404, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "`email_unverified`"),
        (status = 429, body = ProblemBody)
    )
)]
pub(crate) async fn resend(
    app: web::Data<App>,
    actor: Actor,
    id: Id<InvitationId>,
) -> Result<HttpResponse, Problem> {
    may_send(&actor)?;
    let token = random()?;
    let link = hash(&token);
    let post = Post::new(&app, actor.member, token);
    let (audit, cause, by, id) = (app.audit.clone(), actor.cause(), actor.member, id.0);
    let may_make_owners = actor.role == Role::Owner;
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let found = invitations::lock(tx, id, None).await?;
            let found = found.ok_or_else(Problem::not_found)?;
            if found.role == Role::Owner && !may_make_owners {
                return Err(Problem::with(Code::Forbidden, "Only an owner makes owners"));
            }
            let again_at = found.sent_at + SEND_PAUSE;
            if found.sent_count >= MOST_SENDS || again_at > Timestamp::now() {
                let detail = "It was sent a moment ago, or five times";
                return Err(Problem::with(Code::RateLimited, detail).retry_after(60));
            }
            check_allowance(tx, by).await?;
            let sent = invitations::renew(tx, id, &link).await?;
            post.put(tx, &sent.email).await?;
            audit
                .record(tx, &cause, line(&audit, "invitation.resent", &sent))
                .await?;
            Answer::ok(&InvitationView::from(sent))
        })
    });
    let answer = answer.await?;
    app.hint_mail();
    Ok(answer)
}

/// Mail to strangers is sent for people alone, and only for those whose own address is proven.
fn may_send(actor: &Actor) -> Result<(), Problem> {
    if actor.person()?.email_verified {
        Ok(())
    } else {
        Err(Problem::new(Code::EmailUnverified))
    }
}

async fn check_allowance(tx: &mut BrandTx, by: MemberId) -> Result<(), Problem> {
    let (own, all) = invitations::sent_lately(tx, by).await?;
    if own >= MOST_A_DAY.0 || all >= MOST_A_DAY.1 {
        let detail = "Too many invitations were sent today";
        return Err(Problem::with(Code::RateLimited, detail).retry_after(3_600));
    }
    Ok(())
}

/// The mail of an invitation in the making.
struct Post {
    public_url: String,
    sealer: roost_store::seal::Sealer,
    by: MemberId,
    token: String,
}

impl Post {
    fn new(app: &App, by: MemberId, token: String) -> Self {
        Self {
            public_url: app.config.public.url.clone(),
            sealer: app.sealer.clone(),
            by,
            token,
        }
    }

    async fn put(&self, tx: &mut BrandTx, to: &str) -> Result<(), Problem> {
        let brand = brands::find(tx).await?.ok_or_else(Problem::not_found)?;
        let by = members::find(tx, self.by)
            .await?
            .ok_or_else(Problem::not_found)?;
        let letter = Letter::invitation(&self.public_url, to, &self.token, &brand.name, &by.name);
        let mail: NewMail = letter.seal(&self.sealer)?;
        Ok(mails::put(tx.conn(), &mail).await?)
    }
}

fn line(audit: &Auditor, action: &'static str, of: &StoredInvitation) -> Entry {
    let after: Value = json!({
        "email": audit.digest(&of.email), "role": of.role.as_str(), "team_ids": of.teams,
    });
    Entry {
        action,
        target_type: "invitation",
        target: Some(of.id.0),
        before: None,
        after: Some(after),
    }
}
