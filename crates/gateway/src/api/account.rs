//! Sign-up, and who I am.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::tz::TimeZone;
use roost_domain::ids::{BrandId, MemberId, UserId};
use roost_store::accounts::links::{self, Purpose};
use roost_store::accounts::{self, Membership, NewAccount};
use roost_store::ledger::Actor;
use roost_store::{BrandTx, StoreError, brands, mails, members};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::sessions::{Opened, Opening};
use crate::app::App;
use crate::auth::refresh::{hash, random};
use crate::auth::{self, check_new, limits, trail};
use crate::input::{Body, Checks};
use crate::mail::Letter;
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::brand::BrandView;
use crate::wire::member::MemberView;

/// A person and the brand they bring.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignUp {
    #[schema(min_length = 1, max_length = 200, example = "Harbor")]
    brand_name: String,
    #[schema(min_length = 1, max_length = 200, example = "Olivia Harbor")]
    full_name: String,
    #[schema(min_length = 3, max_length = 320, example = "olivia@harbor.example")]
    email: String,
    /// 12 to 128 characters, none that everybody tries first.
    #[schema(min_length = 12, max_length = 128, example = "correct horse battery")]
    password: String,
    /// An IANA name, such as `Europe/Berlin`.
    #[schema(max_length = 100, example = "Europe/Berlin")]
    time_zone: String,
}

impl SignUp {
    fn check(self) -> Result<(NewAccount, String), Problem> {
        let mut checks = Checks::default();
        let brand_name = checks.line("/brand_name", &self.brand_name, 1, 200);
        let full_name = checks.line("/full_name", &self.full_name, 1, 200);
        let email = checks.line("/email", &self.email, 3, 320).to_lowercase();
        if !is_address(&email) {
            checks.fault("/email", "must be an e-mail address");
        }
        let about = [email.as_str(), &full_name, &brand_name];
        check_new(&mut checks, "/password", &self.password, &about);
        if self.time_zone.len() > 100 || TimeZone::get(&self.time_zone).is_err() {
            checks.fault("/time_zone", "must be an IANA name, such as Europe/Berlin");
        }
        checks.finish()?;
        let account = NewAccount {
            user: UserId(Uuid::now_v7()),
            member: MemberId(Uuid::now_v7()),
            brand_name,
            full_name,
            email,
            password_hash: String::new(),
            time_zone: self.time_zone,
        };
        Ok((account, self.password))
    }
}

pub(super) fn is_address(email: &str) -> bool {
    let Some((name, domain)) = email.rsplit_once('@') else {
        return false;
    };
    let is_plain = !email.chars().any(|c| c.is_whitespace() || c.is_control());
    is_plain
        && !name.is_empty()
        && !domain.is_empty()
        && !name.contains('@')
        && !domain.starts_with('.')
}

/// Signs up: a person, their brand, its owner, a default team and an SLA policy. A mail asks to prove
/// the address.
#[utoipa::path(
    post, path = "/v1/signup", tag = "account", request_body = SignUp, security(()),
    responses(
        (status = 201, body = Opened, description = "Signed up and in; the refresh token is in a cookie"),
        (status = 400, body = ProblemBody), (status = 409, body = ProblemBody, description = "`email_taken`"),
        (status = 429, body = ProblemBody), (status = 503, body = ProblemBody, description = "`busy`")
    )
)]
pub(crate) async fn sign_up(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<SignUp>,
) -> Result<HttpResponse, Problem> {
    let (account, password) = body.0.check()?;
    limits::sign_up(&app, &request).await?;
    let account = NewAccount {
        password_hash: app.passwords.hash(password).await?,
        ..account
    };
    let seat = Membership {
        brand: BrandId(Uuid::now_v7()),
        member: account.member,
        brand_name: account.brand_name.clone(),
    };
    let opening = Opening::new(&app, &request, account.user, &seat)?;
    let token = random()?;
    let letter = Letter::verification(&app.config.public.url, &account.email, &token);
    let (mail, link) = (letter.seal(&app.sealer)?, hash(&token));
    let cause = trail::cause(&app, &request, Actor::Member(account.member));
    let (audit, new, session) = (app.audit.clone(), account.clone(), opening.session.clone());
    let created = app.store.brand(seat.brand, move |tx| {
        Box::pin(async move {
            let (user, email) = (new.user, new.email.clone());
            if accounts::sign_up(tx, &new, cause.request_id.clone())
                .await?
                .is_none()
            {
                return Ok::<_, StoreError>(false);
            }
            links::put(tx.conn(), &link, Purpose::Verification, user, &email).await?;
            mails::put(tx.conn(), &mail).await?;
            accounts::open_session(tx.conn(), &session).await?;
            audit
                .record(tx, &cause, trail::line("brand.signed_up", new.member))
                .await?;
            Ok(true)
        })
    });
    if !created.await? {
        tell_owner_of(&app, account.email).await?;
        return Err(Problem::at(
            Code::EmailTaken,
            "/email",
            "has an account already",
        ));
    }
    app.hint_relay();
    app.hint_mail();
    opening.answer(&app, &request).await
}

/// Tells whoever has this address that somebody tried to sign up with it; once an hour at most.
async fn tell_owner_of(app: &App, email: String) -> Result<(), Problem> {
    let mail = Letter::has_account(&app.config.public.url, &email).seal(&app.sealer)?;
    let unused = hash(&random()?);
    app.store
        .system(move |tx| {
            Box::pin(async move {
                if let Some(user) = accounts::find_user(tx, &email).await? {
                    let user = UserId(user.user_id);
                    if links::put(tx.conn(), &unused, Purpose::Notice, user, &email).await? {
                        mails::put(tx.conn(), &mail).await?;
                    }
                }
                Ok::<_, StoreError>(())
            })
        })
        .await?;
    app.hint_mail();
    Ok(())
}

/// The signed-in person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeView {
    id: String,
    /// Of the account; in lower case.
    email: String,
    /// Without it nobody can be invited.
    email_verified: bool,
    two_factor: TwoFactorView,
    member: MemberView,
    brand: BrandView,
    /// Every brand in which the person has a seat.
    memberships: Vec<MembershipView>,
}

/// The person's second factor.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TwoFactorView {
    enabled: bool,
    /// The brand asks for one and the person has none: everything else answers `two_factor_required`.
    missing: bool,
    recovery_codes_left: i64,
}

/// A seat in a brand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MembershipView {
    brand_id: String,
    brand_name: String,
    member_id: String,
}

impl From<Membership> for MembershipView {
    fn from(seat: Membership) -> Self {
        Self {
            brand_id: seat.brand.to_string(),
            brand_name: seat.brand_name,
            member_id: seat.member.to_string(),
        }
    }
}

/// Who I am, and where I have seats.
#[utoipa::path(
    get, path = "/v1/me", tag = "account",
    responses((status = 200, body = MeView), (status = 401, body = ProblemBody))
)]
pub(crate) async fn me(app: web::Data<App>, actor: auth::Actor) -> Result<HttpResponse, Problem> {
    let member = actor.member;
    let (member, brand) = app
        .store
        .brand(actor.brand, move |tx| Box::pin(seat(tx, member)))
        .await?;
    let auth::Person {
        user,
        lacks_two_factor,
        ..
    } = actor.person()?;
    let found = app.store.system(move |tx| {
        Box::pin(async move {
            let seats = accounts::memberships(tx, user).await?;
            Ok::<_, StoreError>((accounts::find(tx.conn(), user).await?, seats))
        })
    });
    let (person, seats) = found.await?;
    let person = person.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(MeView {
        id: user.to_string(),
        email: person.email,
        email_verified: person.email_verified,
        two_factor: TwoFactorView {
            enabled: person.totp_enabled,
            missing: lacks_two_factor,
            recovery_codes_left: person.recovery_codes_left,
        },
        member,
        brand,
        memberships: seats.into_iter().map(Into::into).collect(),
    }))
}

/// A member and their brand, as they are shown.
pub(super) async fn seat(
    tx: &mut BrandTx,
    member: MemberId,
) -> Result<(MemberView, BrandView), Problem> {
    let brand = brands::find(tx).await?.ok_or_else(Problem::not_found)?;
    let member = members::find(tx, member)
        .await?
        .ok_or_else(Problem::not_found)?;
    Ok((member.into(), BrandView::new(tx.brand(), brand)))
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn only_what_looks_like_an_address_is_one() {
        for good in ["a@b", "first.last+tag@sub.example.org"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a b@c", "a@b@c", "a@.c"] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
