//! Signing in and out.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::{SignedDuration, Timestamp};
use roost_domain::ids::{BrandId, MemberId, UserId};
use roost_store::accounts::{self, Membership, NewSession, Rotation, SessionState, StoredUser};
use roost_store::ledger;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::account::{MembershipView, seat};
use crate::app::App;
use crate::auth::refresh::{SESSION_SECONDS, hash, random, successor};
use crate::auth::{
    ACCESS_TOKEN_SECONDS, Actor, Passwords, Person, cookies, limits, place, totp, trail,
};
use crate::input::{Body, Checks, OptionalBody};
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::brand::BrandView;
use crate::wire::member::MemberView;

/// Who wants to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    #[schema(min_length = 1, max_length = 320, example = "olivia@harbor.example")]
    email: String,
    #[schema(min_length = 1, max_length = 1024, example = "correct horse battery")]
    password: String,
    /// A code of the second factor, or a recovery code; needed once it is on.
    #[schema(min_length = 1, max_length = 64, example = "123456")]
    totp: Option<String>,
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
        (status = 401, body = ProblemBody, description = "`invalid_credentials`, `totp_required`"),
        (status = 429, body = ProblemBody), (status = 503, body = ProblemBody, description = "`busy`")
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
        totp,
        brand_id,
    } = body.0;
    let mut checks = Checks::default();
    let email = checks.line("/email", &email, 1, 320).to_lowercase();
    check_given(&mut checks, &password, totp.as_deref());
    let brand = brand_id.and_then(|id| checks.parse::<BrandId>("/brand_id", &id));
    checks.finish()?;
    let user = prove(&app, &request, email, password, totp).await?;
    let seats = app
        .store
        .system(move |tx| Box::pin(async move { accounts::memberships(tx, user).await }));
    let seat = seats
        .await?
        .into_iter()
        .find(|seat| brand.is_none_or(|brand| brand == seat.brand))
        .ok_or_else(|| Problem::new(Code::InvalidCredentials))?;
    let opening = Opening::new(&app, &request, user, &seat)?;
    let cause = trail::cause(&app, &request, ledger::Actor::Member(seat.member));
    let (audit, session) = (app.audit.clone(), opening.session.clone());
    app.store
        .brand(seat.brand, move |tx| {
            Box::pin(async move {
                accounts::open_session(tx.conn(), &session).await?;
                let line = trail::line("session.opened", session.member);
                audit.record(tx, &cause, line).await.map(drop)
            })
        })
        .await?;
    opening.answer(&app, &request).await
}

/// Checks what was given as password and code for what no one could have.
pub(super) fn check_given(checks: &mut Checks, password: &str, totp: Option<&str>) {
    if password.is_empty() || password.len() > 1024 {
        checks.fault("/password", "must have 1 to 1024 bytes");
    }
    if totp.is_some_and(|code| code.trim().is_empty() || code.len() > 64) {
        checks.fault("/totp", "must have 1 to 64 bytes");
    }
}

/// The person whose password, and code where the second factor is on, these are. An address that
/// nobody has costs the same work and answers alike.
pub(super) async fn prove(
    app: &App,
    request: &HttpRequest,
    email: String,
    password: String,
    totp: Option<String>,
) -> Result<UserId, Problem> {
    let attempt = limits::Try::at(app, request, &email).await?;
    let found = app
        .store
        .system(move |tx| Box::pin(async move { accounts::find_user(tx, &email).await }))
        .await?;
    let known_hash = found.as_ref().map(|user| user.password_hash.clone());
    let mut is_right = app.passwords.verify(password.clone(), known_hash).await?;
    if let Some(StoredUser {
        user_id,
        totp_secret: Some(sealed),
        ..
    }) = found.as_ref().filter(|_| is_right)
    {
        // Counted as a try: who has the password must not get free guesses at the code.
        let code = totp.ok_or_else(|| Problem::new(Code::TotpRequired))?;
        is_right = totp::spend(app, UserId(*user_id), sealed, &code).await?;
    }
    let user = found.as_ref().map(|user| UserId(user.user_id));
    let Some(stored) = found.filter(|_| is_right) else {
        attempt.failed(app).await?;
        if let Some(user) = user {
            trail::everywhere(app, request, user, trail::By::Stranger, "session.refused").await?;
        }
        return Err(Problem::new(Code::InvalidCredentials));
    };
    attempt.succeeded(app).await?;
    let user = UserId(stored.user_id);
    if Passwords::is_outdated(&stored.password_hash) {
        let new = app.passwords.hash(password).await?;
        app.store
            .system(move |tx| {
                Box::pin(async move {
                    accounts::set_password(tx.conn(), user, &stored.password_hash, &new).await
                })
            })
            .await?;
    }
    Ok(user)
}

/// A session to open, in the transaction of why it is.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) session: NewSession,
    token: String,
}

impl Opening {
    pub(super) fn new(
        app: &App,
        request: &HttpRequest,
        user: UserId,
        seat: &Membership,
    ) -> Result<Self, Problem> {
        let token = random()?;
        let session = NewSession {
            id: Uuid::now_v7(),
            user,
            brand: seat.brand,
            member: seat.member,
            refresh_hash: hash(&token),
            place: place::of(app, request),
            expires_at: Timestamp::now() + SignedDuration::from_secs(SESSION_SECONDS),
        };
        Ok(Self { session, token })
    }

    /// At the seat that was found for it.
    pub(super) fn seated(mut self, member: MemberId) -> Self {
        self.session.member = member;
        self
    }

    /// What the client gets once it is open: 201 and the cookies.
    pub(super) async fn answer(
        self,
        app: &App,
        request: &HttpRequest,
    ) -> Result<HttpResponse, Problem> {
        let NewSession {
            id,
            user,
            brand,
            member,
            ..
        } = self.session;
        let device = limits::remember(app, request, user).await?;
        let opened = show(app, id, user, brand, member, Timestamp::now()).await?;
        Ok(HttpResponse::Created()
            .append_header(("set-cookie", refresh_cookie(&self.token)))
            .append_header(("set-cookie", device))
            .json(opened))
    }
}

async fn show(
    app: &App,
    session: Uuid,
    user: UserId,
    brand: BrandId,
    member: MemberId,
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
    let (hashes, from) = ((hash(&presented), hash(&next)), place::of(&app, &request));
    let rotation = app
        .store
        .system(move |tx| {
            Box::pin(async move { accounts::rotate_session(tx, &hashes.0, &hashes.1, &from).await })
        })
        .await?;
    let session = match rotation {
        Rotation::Ok(session) => session,
        Rotation::Reused {
            session,
            brand,
            member,
        } => {
            tracing::warn!("a refresh token was used again; its session was ended");
            app.sessions.forget(session);
            let cause = trail::cause(&app, &request, ledger::Actor::System);
            let line = trail::line("session.token_reused", member);
            trail::in_brand(&app, brand, cause, line).await?;
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
    let Person { user, session, .. } = actor.person()?;
    let (audit, cause, member) = (app.audit.clone(), actor.cause(), actor.member);
    app.store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                accounts::end_session(tx.conn(), user, session).await?;
                let line = trail::line("session.closed", member);
                audit.record(tx, &cause, line).await.map(drop)
            })
        })
        .await?;
    app.sessions.forget(session);
    let gone = cookies::set(cookies::REFRESH, "", "Strict", 0);
    Ok(HttpResponse::NoContent()
        .insert_header(("set-cookie", gone))
        .finish())
}
