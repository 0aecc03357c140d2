//! Proving a mail address, and choosing a new password by a link to it.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::UserId;
use roost_store::accounts::links::{self, Purpose};
use roost_store::accounts::tries;
use roost_store::{StoreError, accounts, mails};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::refresh::{hash, hash_bytes, random};
use crate::auth::{check_new, limits, trail};
use crate::input::{Body, Checks};
use crate::mail::Letter;
use crate::problem::{Code, Problem, ProblemBody};

/// To which address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Address {
    #[schema(min_length = 3, max_length = 320, example = "olivia@harbor.example")]
    email: String,
}

/// What a mail's link ends with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    #[schema(min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]{43}$")]
    token: String,
}

/// A link's token and the new password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    #[schema(min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]{43}$")]
    token: String,
    /// 12 to 128 characters, none that everybody tries first.
    #[schema(min_length = 12, max_length = 128, example = "correct horse battery")]
    password: String,
}

/// The hash of a token, or a fault: what can't be one of ours never reaches the database.
pub(super) fn token_hash(checks: &mut Checks, token: &str) -> Vec<u8> {
    let is_ours = token.len() == 43
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !is_ours {
        checks.fault("/token", "must be the 43 characters at the end of the link");
    }
    hash(token)
}

/// Sends a link that proves an address, if it is somebody's and isn't proven yet. The answer is the
/// same for all.
#[utoipa::path(
    post, path = "/v1/email-verifications", tag = "account", request_body = Address, security(()),
    responses((status = 202, description = "Whether or not there was a mail to send"), (status = 400, body = ProblemBody))
)]
pub(crate) async fn verify_again(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<Address>,
) -> Result<HttpResponse, Problem> {
    send_link(app, &request, body.0, Purpose::Verification).await
}

/// Sends a link that allows a new password, if the address is somebody's. The answer is the same for
/// all.
#[utoipa::path(
    post, path = "/v1/password-resets", tag = "account", request_body = Address, security(()),
    responses((status = 202, description = "Whether or not there was a mail to send"), (status = 400, body = ProblemBody))
)]
pub(crate) async fn ask_reset(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<Address>,
) -> Result<HttpResponse, Problem> {
    send_link(app, &request, body.0, Purpose::Reset).await
}

async fn send_link(
    app: web::Data<App>,
    request: &HttpRequest,
    address: Address,
    purpose: Purpose,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let email = checks.line("/email", &address.email, 3, 320).to_lowercase();
    checks.finish()?;
    limits::stranger(&app, request).await?;
    let asked = email.clone();
    let found = app.store.system(move |tx| {
        Box::pin(async move {
            let Some(user) = accounts::find_user(tx, &asked).await? else {
                return Ok(None);
            };
            let user = UserId(user.user_id);
            let person = accounts::find(tx.conn(), user).await?;
            Ok::<_, StoreError>(person.map(|person| (user, person.email_verified)))
        })
    });
    if let Some((user, is_verified)) = found.await?
        && !(is_verified && purpose == Purpose::Verification)
    {
        // Beside the answer, so that its time tells nothing.
        actix_web::rt::spawn(queue_link(app.into_inner(), user, email, purpose));
    }
    Ok(HttpResponse::Accepted().finish())
}

async fn queue_link(app: Arc<App>, user: UserId, email: String, purpose: Purpose) {
    let queued = async {
        let token = random()?;
        let url = &app.config.public.url;
        let letter = match purpose {
            Purpose::Reset => Letter::reset(url, &email, &token),
            Purpose::Verification | Purpose::Notice => Letter::verification(url, &email, &token),
        };
        let (mail, link) = (letter.seal(&app.sealer)?, hash(&token));
        app.store
            .system(move |tx| {
                Box::pin(async move {
                    if links::put(tx.conn(), &link, purpose, user, &email).await? {
                        mails::put(tx.conn(), &mail).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok::<_, Problem>(())
    };
    match queued.await {
        Ok(()) => app.hint_mail(),
        Err(problem) => {
            let cause = problem.cause().unwrap_or_default();
            tracing::warn!(cause, "cannot queue the mail with a link");
        }
    }
}

/// Proves an address by the token of its link. Works once; a POST or PUT, since mail scanners follow
/// links.
#[utoipa::path(
    put, path = "/v1/email-verifications", tag = "account", request_body = Token, security(()),
    responses(
        (status = 204), (status = 400, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "`token_invalid`: used, run out, or never ours")
    )
)]
pub(crate) async fn verify(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<Token>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let link = token_hash(&mut checks, &body.0.token);
    checks.finish()?;
    limits::stranger(&app, &request).await?;
    let user = app
        .store
        .system(move |tx| Box::pin(async move { links::verify_email(tx.conn(), &link).await }))
        .await?
        .ok_or_else(|| Problem::new(Code::TokenInvalid))?;
    app.sessions.forget_user(user);
    trail::everywhere(
        &app,
        &request,
        user,
        trail::By::Themselves,
        "member.email_verified",
    )
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Sets a new password by the token of a link. Works once; ends all sessions and streams of the
/// person. Signing in with a second factor still needs its code.
#[utoipa::path(
    put, path = "/v1/password-resets", tag = "account", request_body = NewPassword, security(()),
    responses(
        (status = 204), (status = 400, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "`token_invalid`: used, run out, or never ours"),
        (status = 503, body = ProblemBody, description = "`busy`")
    )
)]
pub(crate) async fn reset(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<NewPassword>,
) -> Result<HttpResponse, Problem> {
    let NewPassword { token, password } = body.0;
    let mut checks = Checks::default();
    let link = token_hash(&mut checks, &token);
    checks.finish()?;
    limits::stranger(&app, &request).await?;
    let invalid = || Problem::new(Code::TokenInvalid);
    let asked = link.clone();
    let whose = app
        .store
        .system(move |tx| Box::pin(async move { links::peek_reset(tx.conn(), &asked).await }))
        .await?
        .ok_or_else(invalid)?;
    let mut checks = Checks::default();
    check_new(
        &mut checks,
        "/password",
        &password,
        &[&whose.email, &whose.full_name],
    );
    checks.finish()?;
    let new = app.passwords.hash(password).await?;
    let mail = Letter::password_changed(&app.config.public.url, &whose.email).seal(&app.sealer)?;
    let account = hash_bytes(format!("account:{}", whose.email).as_bytes());
    let user = app.store.system(move |tx| {
        Box::pin(async move {
            let user = links::reset(tx.conn(), &link, &new).await?;
            if user.is_some() {
                mails::put(tx.conn(), &mail).await?;
                tries::forgive(tx.conn(), &account).await?;
            }
            Ok::<_, StoreError>(user)
        })
    });
    let user = user.await?.ok_or_else(invalid)?;
    app.hint_mail();
    app.sessions.forget_user(user);
    trail::everywhere(
        &app,
        &request,
        user,
        trail::By::Themselves,
        "member.password_reset",
    )
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
