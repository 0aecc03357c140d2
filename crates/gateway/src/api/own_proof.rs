//! The signed-in person's password and second factor.

use actix_web::{HttpResponse, web};
use jiff::Timestamp;
use roost_domain::ids::UserId;
use roost_store::accounts::{self, factors};
use roost_store::mails;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::{Actor, Answer, Person, check_new, limits, totp, trail};
use crate::input::{Body, Checks};
use crate::mail::Letter;
use crate::problem::{Code, Problem, ProblemBody};

/// The old and the new password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePassword {
    #[schema(min_length = 1, max_length = 1024)]
    current_password: String,
    /// 12 to 128 characters, none that everybody tries first.
    #[schema(min_length = 12, max_length = 128, example = "correct horse battery")]
    password: String,
}

/// A code of the app, or a recovery code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeBody {
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "[^\\s]",
        example = "123456"
    )]
    code: String,
}

/// A password, a code, or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proof {
    #[schema(min_length = 1, max_length = 1024)]
    password: Option<String>,
    /// A code of the second factor or a recovery code; enough alone.
    #[schema(min_length = 1, max_length = 64, pattern = "[^\\s]")]
    totp: Option<String>,
}

/// A second factor that isn't on yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Begun {
    /// In base 32, to type. A repeated request isn't told.
    #[schema(required = false, example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// The same, to show as a QR code. A repeated request isn't told.
    #[schema(required = false)]
    otpauth_url: String,
}

/// Codes that are shown once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecoveryCodes {
    /// Each stands in for a code of the app, once. A repeated request isn't told.
    #[schema(required = false)]
    recovery_codes: Vec<String>,
}

const SECRETS: &[&str] = &["secret", "otpauth_url", "recovery_codes"];

fn wrong() -> Problem {
    Problem::new(Code::ProofWrong)
}

async fn person(app: &App, user: UserId) -> Result<accounts::Person, Problem> {
    app.store
        .system(move |tx| Box::pin(async move { accounts::find(tx.conn(), user).await }))
        .await?
        .ok_or_else(Problem::not_found)
}

/// Changes my password. All my other sessions end.
#[utoipa::path(
    put, path = "/v1/me/password", tag = "account", request_body = ChangePassword,
    responses(
        (status = 204), (status = 400, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "`proof_wrong`: the current password is another one"),
        (status = 503, body = ProblemBody, description = "`busy`")
    )
)]
pub(crate) async fn change_password(
    app: web::Data<App>,
    actor: Actor,
    body: Body<ChangePassword>,
) -> Result<HttpResponse, Problem> {
    let ChangePassword {
        current_password,
        password,
    } = body.0;
    let Person { user, session, .. } = actor.person()?;
    let person = person(&app, user).await?;
    let mut checks = Checks::default();
    if current_password.is_empty() || current_password.len() > 1024 {
        checks.fault("/current_password", "must have 1 to 1024 bytes");
    }
    check_new(
        &mut checks,
        "/password",
        &password,
        &[&person.email, &person.full_name],
    );
    checks.finish()?;
    let attempt = limits::Try::within(&app, session).await?;
    let old = person.password_hash.clone();
    if !app
        .passwords
        .verify(current_password, Some(old.clone()))
        .await?
    {
        return Err(wrong());
    }
    attempt.succeeded(&app).await?;
    let new = app.passwords.hash(password).await?;
    let mail = Letter::password_changed(&app.config.public.url, &person.email).seal(&app.sealer)?;
    let (audit, cause, member) = (app.audit.clone(), actor.cause(), actor.member);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            if !accounts::set_password(tx.conn(), user, &old, &new).await? {
                return Err(wrong());
            }
            accounts::end_other_sessions(tx.conn(), user, session).await?;
            accounts::prove_session(tx.conn(), session).await?;
            mails::put(tx.conn(), &mail).await?;
            audit
                .record(tx, &cause, trail::line("member.password_changed", member))
                .await?;
            Ok(Answer::nothing())
        })
    });
    let answer = answer.await?;
    app.hint_mail();
    app.sessions.forget_user(user);
    Ok(answer)
}

/// Shows password or code again, for what asks for it within 15 minutes (`step_up_required`).
#[utoipa::path(
    post, path = "/v1/me/step-up", tag = "account", request_body = Proof,
    responses(
        (status = 204), (status = 400, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "`proof_wrong`"),
        (status = 503, body = ProblemBody, description = "`busy`")
    )
)]
pub(crate) async fn step_up(
    app: web::Data<App>,
    actor: Actor,
    body: Body<Proof>,
) -> Result<HttpResponse, Problem> {
    let Proof { password, totp } = body.0;
    let mut checks = Checks::default();
    if password.is_none() && totp.is_none() {
        checks.fault("", "must have password or totp");
    }
    super::sessions::check_given(
        &mut checks,
        password.as_deref().unwrap_or("-"),
        totp.as_deref(),
    );
    checks.finish()?;
    let Person { user, session, .. } = actor.person()?;
    let person = person(&app, user).await?;
    let attempt = limits::Try::within(&app, session).await?;
    let mut is_right = true;
    if let Some(password) = password {
        is_right = app
            .passwords
            .verify(password, Some(person.password_hash.clone()))
            .await?;
    }
    if let Some(code) = totp.filter(|_| is_right) {
        is_right = spend(&app, user, &person, &code).await?;
    }
    if !is_right {
        return Err(wrong());
    }
    attempt.succeeded(&app).await?;
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            accounts::prove_session(tx.conn(), session).await?;
            Ok(Answer::nothing())
        })
    });
    let answer = answer.await?;
    app.sessions.forget(session);
    Ok(answer)
}

/// Uses up a code of a second factor that is on.
async fn spend(
    app: &App,
    user: UserId,
    person: &accounts::Person,
    code: &str,
) -> Result<bool, Problem> {
    match &person.totp_secret {
        Some(sealed) if person.totp_enabled => totp::spend(app, user, sealed, code).await,
        Some(_) | None => Ok(false),
    }
}

/// Begins a second factor: a secret for an authenticator app. It counts once a code of it was shown.
#[utoipa::path(
    post, path = "/v1/me/totp", tag = "account",
    responses(
        (status = 201, body = Begun, description = "Shown once"),
        (status = 403, body = ProblemBody, description = "`step_up_required`"),
        (status = 409, body = ProblemBody, description = "`already_enabled`")
    )
)]
pub(crate) async fn begin(app: web::Data<App>, actor: Actor) -> Result<HttpResponse, Problem> {
    actor.require_fresh()?;
    let user = actor.person()?.user;
    let person = person(&app, user).await?;
    let secret = totp::new_secret()?;
    let sealed = totp::seal(&app, user, &secret)?;
    let begun = Begun {
        secret: totp::base32(&secret),
        otpauth_url: totp::otpauth_url(&secret, &person.email),
    };
    actor
        .write(&app, move |tx| {
            Box::pin(async move {
                if !factors::begin(tx.conn(), user, &sealed).await? {
                    return Err(Problem::new(Code::AlreadyEnabled));
                }
                Ok(Answer::created(&begun)?.shown_once(SECRETS))
            })
        })
        .await
}

/// Turns the second factor on by a code of the app. All my other sessions end.
#[utoipa::path(
    put, path = "/v1/me/totp", tag = "account", request_body = CodeBody,
    responses(
        (status = 200, body = RecoveryCodes, description = "Shown once"), (status = 400, body = ProblemBody),
        (status = 403, body = ProblemBody, description = "`step_up_required`"),
        (status = 409, body = ProblemBody, description = "`already_enabled`"),
        (status = 422, body = ProblemBody, description = "`proof_wrong`: not a code of the secret that was begun")
    )
)]
pub(crate) async fn enable(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CodeBody>,
) -> Result<HttpResponse, Problem> {
    actor.require_fresh()?;
    let code = check_code(&body.0)?;
    let Person { user, session, .. } = actor.person()?;
    let person = person(&app, user).await?;
    if person.totp_enabled {
        return Err(Problem::new(Code::AlreadyEnabled));
    }
    let attempt = limits::Try::within(&app, session).await?;
    let sealed = person.totp_secret.ok_or_else(wrong)?;
    let secret = totp::open(&app, user, &sealed)?;
    let step = totp::step_of(&secret, &code, Timestamp::now()).ok_or_else(wrong)?;
    attempt.succeeded(&app).await?;
    let (codes, hashes) = totp::recovery_codes()?;
    let (audit, cause, member) = (app.audit.clone(), actor.cause(), actor.member);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            if !factors::enable(tx.conn(), user, &sealed, step, &hashes).await? {
                return Err(wrong());
            }
            accounts::end_other_sessions(tx.conn(), user, session).await?;
            audit
                .record(tx, &cause, trail::line("member.two_factor_enabled", member))
                .await?;
            Answer::ok(&RecoveryCodes {
                recovery_codes: codes,
            })
        })
    });
    let answer = answer.await?;
    app.sessions.forget_user(user);
    Ok(answer)
}

/// Turns the second factor off. All my other sessions end.
#[utoipa::path(
    delete, path = "/v1/me/totp", tag = "account", request_body = CodeBody,
    responses(
        (status = 204), (status = 400, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "`proof_wrong`")
    )
)]
pub(crate) async fn disable(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CodeBody>,
) -> Result<HttpResponse, Problem> {
    let Person { user, session, .. } = actor.person()?;
    let (attempt, given) = read_code(&app, &actor, &body.0).await?;
    let (audit, cause, member) = (app.audit.clone(), actor.cause(), actor.member);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            if !factors::spend(tx.conn(), user, given.step, &given.recovery).await? {
                return Err(wrong());
            }
            factors::disable(tx.conn(), user).await?;
            accounts::end_other_sessions(tx.conn(), user, session).await?;
            audit
                .record(
                    tx,
                    &cause,
                    trail::line("member.two_factor_disabled", member),
                )
                .await?;
            Ok(Answer::nothing())
        })
    });
    let answer = answer.await?;
    attempt.succeeded(&app).await?;
    app.sessions.forget_user(user);
    Ok(answer)
}

/// Makes new recovery codes; the old ones are good no more.
#[utoipa::path(
    post, path = "/v1/me/totp/recovery-codes", tag = "account", request_body = CodeBody,
    responses(
        (status = 201, body = RecoveryCodes, description = "Shown once"), (status = 400, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "`proof_wrong`")
    )
)]
pub(crate) async fn renew_codes(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CodeBody>,
) -> Result<HttpResponse, Problem> {
    let user = actor.person()?.user;
    let (attempt, given) = read_code(&app, &actor, &body.0).await?;
    let (codes, hashes) = totp::recovery_codes()?;
    let (audit, cause, member) = (app.audit.clone(), actor.cause(), actor.member);
    let answer = actor
        .write(&app, move |tx| {
            Box::pin(async move {
                if !factors::spend(tx.conn(), user, given.step, &given.recovery).await? {
                    return Err(wrong());
                }
                factors::replace_recovery_codes(tx.conn(), user, &hashes).await?;
                let line = trail::line("member.recovery_codes_renewed", member);
                audit.record(tx, &cause, line).await?;
                let codes = RecoveryCodes {
                    recovery_codes: codes,
                };
                Ok(Answer::created(&codes)?.shown_once(SECRETS))
            })
        })
        .await?;
    attempt.succeeded(&app).await?;
    Ok(answer)
}

fn check_code(body: &CodeBody) -> Result<String, Problem> {
    let mut checks = Checks::default();
    let code = checks.line("/code", &body.code, 1, 64);
    checks.finish()?;
    Ok(code)
}

/// Reads a code of a second factor that is on; it counts as a try.
async fn read_code(
    app: &App,
    actor: &Actor,
    body: &CodeBody,
) -> Result<(limits::Try, totp::Given), Problem> {
    let code = check_code(body)?;
    let Person { user, session, .. } = actor.person()?;
    let person = person(app, user).await?;
    let attempt = limits::Try::within(app, session).await?;
    let sealed = person.totp_secret.filter(|_| person.totp_enabled);
    let given = totp::given(app, user, &sealed.ok_or_else(wrong)?, &code)?;
    Ok((attempt, given))
}
