//! Accepting an invitation.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use roost_domain::ids::{MemberId, UserId};
use roost_store::accounts::{self, Membership, NewAccount};
use roost_store::invitations::{self, Invited, StoredInvitation};
use roost_store::ledger::{Actor, Cause};
use roost_store::members::{self, MemberChange};
use roost_store::{BrandTx, teams};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::sessions::{Opened, Opening, check_given, prove};
use super::super::verifications::token_hash;
use super::line;
use crate::app::App;
use crate::auth::{check_new, limits, trail};
use crate::input::{Body, Checks};
use crate::problem::{Code, Problem, ProblemBody};

/// A link's token, and who accepts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accept {
    #[schema(min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]{43}$")]
    token: String,
    /// Needed where the address has no account yet.
    #[schema(min_length = 1, max_length = 200, example = "Ana Silva")]
    full_name: Option<String>,
    /// Of the account that the address has; else of the one that is made.
    #[schema(min_length = 1, max_length = 1024, example = "correct horse battery")]
    password: String,
    /// Where the account has a second factor: its code, or a recovery code.
    #[schema(min_length = 1, max_length = 64, pattern = "[^\\s]")]
    totp: Option<String>,
}

/// Accepts an invitation and signs in. An address that has an account keeps it: its password is asked
/// for; else an account is made.
#[utoipa::path(
    post, path = "/v1/invitations/accept", tag = "invitations", request_body = Accept, security(()),
    responses(
        (status = 201, body = Opened), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody, description = "`invalid_credentials`, `totp_required`"),
        (status = 409, body = ProblemBody, description = "`already_member`"),
        (status = 422, body = ProblemBody, description = "`token_invalid`: used, withdrawn, run out, or never ours"),
        (status = 429, body = ProblemBody), (status = 503, body = ProblemBody, description = "`busy`")
    )
)]
pub(crate) async fn accept(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<Accept>,
) -> Result<HttpResponse, Problem> {
    let Accept {
        token,
        full_name,
        password,
        totp,
    } = body.0;
    let mut checks = Checks::default();
    let link = token_hash(&mut checks, &token);
    check_given(&mut checks, &password, totp.as_deref());
    let full_name = full_name.map(|name| checks.line("/full_name", &name, 1, 200));
    checks.finish()?;
    limits::stranger(&app, &request).await?;
    let invited = find(&app, &link).await?;
    let asked = invited.email.clone();
    let known = app
        .store
        .system(move |tx| Box::pin(async move { accounts::find_user(tx, &asked).await }))
        .await?;
    let account = match known {
        Some(known) => {
            let user = prove(&app, &request, invited.email.clone(), password, totp).await?;
            NewAccount {
                full_name: known.full_name,
                ..blank(user, &invited)
            }
        }
        None => new_account(&app, &invited, full_name, password).await?,
    };
    let seat = Membership {
        brand: invited.brand,
        member: account.member,
        brand_name: invited.brand_name.clone(),
    };
    let opening = Opening::new(&app, &request, account.user, &seat)?;
    let (audit, mut session) = (app.audit.clone(), opening.session.clone());
    let from = trail::cause(&app, &request, Actor::System);
    let member = app.store.brand(invited.brand, move |tx| {
        Box::pin(async move {
            let invitation = invitations::lock(tx, invited.id, Some(&link)).await?;
            let invitation = invitation
                .filter(|one| one.expires_at > Timestamp::now())
                .ok_or_else(|| Problem::new(Code::TokenInvalid))?;
            let member = take_seat(tx, &account, &invitation, &from).await?;
            invitations::accept(tx, invitation.id).await?;
            accounts::trust_email(tx.conn(), account.user).await?;
            session.member = member;
            accounts::open_session(tx.conn(), &session).await?;
            let cause = acting(&from, member);
            let line = line(&audit, "invitation.accepted", &invitation);
            audit.record(tx, &cause, line).await?;
            Ok::<_, Problem>(member)
        })
    });
    let member = member.await?;
    app.hint_relay();
    app.hint_router();
    opening.seated(member).answer(&app, &request).await
}

async fn find(app: &App, link: &[u8]) -> Result<Invited, Problem> {
    let link = link.to_vec();
    app.store
        .system(move |tx| Box::pin(async move { invitations::find(tx, &link).await }))
        .await?
        .ok_or_else(|| Problem::new(Code::TokenInvalid))
}

fn blank(user: UserId, invited: &Invited) -> NewAccount {
    NewAccount {
        user,
        member: MemberId(Uuid::now_v7()),
        brand_name: invited.brand_name.clone(),
        full_name: String::new(),
        email: invited.email.clone(),
        password_hash: String::new(),
        time_zone: String::new(),
    }
}

async fn new_account(
    app: &App,
    invited: &Invited,
    full_name: Option<String>,
    password: String,
) -> Result<NewAccount, Problem> {
    let mut checks = Checks::default();
    let full_name = full_name.unwrap_or_default();
    if full_name.is_empty() {
        checks.fault("/full_name", "is needed for a new account");
    }
    check_new(
        &mut checks,
        "/password",
        &password,
        &[&invited.email, &full_name],
    );
    checks.finish()?;
    Ok(NewAccount {
        full_name,
        password_hash: app.passwords.hash(password).await?,
        ..blank(UserId(Uuid::now_v7()), invited)
    })
}

/// Gives the person their seat: a new one, or the one that was deactivated.
async fn take_seat(
    tx: &mut BrandTx,
    account: &NewAccount,
    invitation: &StoredInvitation,
    from: &Cause,
) -> Result<MemberId, Problem> {
    if !account.password_hash.is_empty() && !accounts::create_user(tx, account).await? {
        // Somebody signed up with the address a moment ago: next time their password is asked for.
        return Err(Problem::new(Code::Busy));
    }
    // Teams may have gone since.
    let gone = teams::unknown(tx, &invitation.teams).await?;
    let mut joined = invitation.teams.clone();
    joined.retain(|team| !gone.contains(team));
    match invitations::lock_seat(tx, account.user).await? {
        Some((_, true)) => Err(Problem::new(Code::AlreadyMember)),
        Some((member, false)) => {
            let change = MemberChange {
                role: Some(invitation.role),
                active: Some(true),
                teams: Some(joined),
                ..MemberChange::default()
            };
            members::change(tx, member, &change, &acting(from, member)).await?;
            Ok(member)
        }
        None => {
            let cause = acting(from, account.member);
            accounts::add_member(tx, account, invitation.role, &joined, &cause).await?;
            Ok(account.member)
        }
    }
}

fn acting(from: &Cause, member: MemberId) -> Cause {
    Cause::new(Actor::Member(member), from.request_id.clone()).from_address(from.address)
}
