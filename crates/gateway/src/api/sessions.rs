//! Signing in and out.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::{SignedDuration, Timestamp};
use roost_domain::ids::{BrandId, UserId};
use roost_store::accounts::{self, Membership, NewSession, Rotation, SessionState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::account::{MembershipView, seat};
use crate::app::App;
use crate::auth::refresh::{SESSION_SECONDS, hash, random, successor};
use crate::auth::{ACCESS_TOKEN_SECONDS, Actor, cookies, limits};
use crate::input::{Body, Checks, OptionalBody};
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::brand::BrandView;
use crate::wire::member::MemberView;

/// Who wants to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    email: String,
    password: String,
    /// Which seat, where the person has several; else the oldest.
    brand_id: Option<String>,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Opened {
    /// Goes into `Authorization: Bearer …`.
    access_token: String,
    token_type: &'static str,
    /// In seconds.
    expires_in: i64,
    member: MemberView,
    brand: BrandView,
    /// Every brand in which the person has a seat.
    memberships: Vec<MembershipView>,
}

/// Signs in. The refresh token comes as a cookie.
#[utoipa::path(
    post, path = "/v1/sessions", tag = "account", request_body = SignIn, security(()),
    responses(
        (status = 201, body = Opened), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody, description = "invalid_credentials"),
        (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<SignIn>,
) -> Result<HttpResponse, Problem> {
    let SignIn {
        email,
        password,
        brand_id,
    } = body.0;
    let mut checks = Checks::default();
    let email = checks.line("/email", &email, 1, 320).to_lowercase();
    if password.is_empty() || password.len() > 1024 {
        checks.fault("/password", "must have 1 to 1024 bytes");
    }
    let brand = brand_id.and_then(|id| checks.parse::<BrandId>("/brand_id", &id));
    checks.finish()?;
    limits::sign_in(&app, &request, &email).await?;
    let found = app
        .store
        .system(move |tx| Box::pin(async move { accounts::find_user(tx, &email).await }))
        .await?;
    let known_hash = found.as_ref().map(|user| user.password_hash.clone());
    let is_right = app.passwords.verify(password, known_hash).await?;
    let refused = || Problem::new(Code::InvalidCredentials);
    let user = UserId(found.filter(|_| is_right).ok_or_else(refused)?.user_id);
    let seats = app
        .store
        .system(move |tx| Box::pin(async move { accounts::memberships(tx, user).await }));
    let seat = seats
        .await?
        .into_iter()
        .find(|seat| brand.is_none_or(|brand| brand == seat.brand));
    let (opened, cookie) = open_session(&app, user, &seat.ok_or_else(refused)?).await?;
    Ok(HttpResponse::Created()
        .insert_header(("set-cookie", cookie))
        .json(opened))
}

/// Opens a session; answers what the client gets and its cookie.
pub(super) async fn open_session(
    app: &App,
    user: UserId,
    seat: &Membership,
) -> Result<(Opened, String), Problem> {
    let token = random()?;
    let now = Timestamp::now();
    let session = NewSession {
        id: Uuid::now_v7(),
        user,
        brand: seat.brand,
        member: seat.member,
        refresh_hash: hash(&token),
        expires_at: now + SignedDuration::from_secs(SESSION_SECONDS),
    };
    let id = session.id;
    app.store
        .system(move |tx| Box::pin(async move { accounts::open_session(tx, &session).await }))
        .await?;
    let opened = show(app, id, user, seat.brand, seat.member, now).await?;
    Ok((opened, refresh_cookie(&token)))
}

async fn show(
    app: &App,
    session: Uuid,
    user: UserId,
    brand: BrandId,
    member: roost_domain::ids::MemberId,
    now: Timestamp,
) -> Result<Opened, Problem> {
    let (member, brand) = app
        .store
        .brand(brand, move |tx| Box::pin(seat(tx, member)))
        .await?;
    let seats = app
        .store
        .system(move |tx| Box::pin(async move { accounts::memberships(tx, user).await }));
    Ok(Opened {
        access_token: app.tokens.issue(session, now)?,
        token_type: "Bearer",
        expires_in: ACCESS_TOKEN_SECONDS,
        member,
        brand,
        memberships: seats.await?.into_iter().map(Into::into).collect(),
    })
}

fn refresh_cookie(token: &str) -> String {
    cookies::set(cookies::REFRESH, token, "Strict", SESSION_SECONDS)
}

/// In which brand to go on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    /// Another seat of the same person.
    brand_id: Option<String>,
}

/// A new access token for the cookie's refresh token, which is replaced. One that was replaced more
/// than 30 s ago ends its session.
#[utoipa::path(
    post, path = "/v1/sessions/refresh", tag = "account", request_body = Option<Refresh>, security(()),
    responses((status = 200, body = Opened), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody))
)]
pub(crate) async fn refresh(
    app: web::Data<App>,
    request: HttpRequest,
    body: OptionalBody<Refresh>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let brand = body
        .0
        .brand_id
        .and_then(|id| checks.parse::<BrandId>("/brand_id", &id));
    checks.finish()?;
    let presented = cookies::find(&request, cookies::REFRESH)
        .filter(|token| !token.trim().is_empty())
        .ok_or_else(|| Problem::new(Code::Unauthenticated))?;
    let next = successor(&app.config.keys.jwt_secret, &presented)?;
    let hashes = (hash(&presented), hash(&next));
    let rotation = app
        .store
        .system(move |tx| {
            Box::pin(async move { accounts::rotate_session(tx, &hashes.0, &hashes.1).await })
        })
        .await?;
    let session = match rotation {
        Rotation::Ok(session) => session,
        Rotation::Reused => {
            tracing::warn!("a refresh token was used again; its session was ended");
            return Err(Problem::new(Code::SessionEnded));
        }
        Rotation::Unknown => return Err(Problem::new(Code::SessionEnded)),
    };
    if let Some(brand) = brand {
        let switched = app.store.system(move |tx| {
            Box::pin(async move { accounts::switch_session(tx, session, brand).await })
        });
        if !switched.await? {
            return Err(Problem::not_found());
        }
    }
    app.sessions.forget(session);
    let state: Option<SessionState> = app.sessions.state(session).await?;
    let state = state
        .filter(|state| state.active)
        .ok_or_else(|| Problem::new(Code::SessionEnded))?;
    let opened = show(
        &app,
        session,
        state.user,
        state.brand,
        state.member,
        Timestamp::now(),
    )
    .await?;
    Ok(HttpResponse::Ok()
        .insert_header(("set-cookie", refresh_cookie(&next)))
        .json(opened))
}

/// Signs out: ends the session and its streams.
#[utoipa::path(
    delete, path = "/v1/sessions/current", tag = "account",
    responses((status = 204), (status = 401, body = ProblemBody))
)]
pub(crate) async fn delete(app: web::Data<App>, actor: Actor) -> Result<HttpResponse, Problem> {
    let session = actor.person()?.session;
    app.store
        .system(move |tx| Box::pin(async move { accounts::revoke_session(tx, session).await }))
        .await?;
    app.sessions.forget(session);
    let gone = cookies::set(cookies::REFRESH, "", "Strict", 0);
    Ok(HttpResponse::NoContent()
        .insert_header(("set-cookie", gone))
        .finish())
}
