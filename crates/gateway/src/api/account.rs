//! Sign-up, and who I am.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::tz::TimeZone;
use roost_domain::ids::{BrandId, MemberId, UserId};
use roost_store::accounts::{self, Membership, NewAccount};
use roost_store::{BrandTx, brands, members};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::sessions::{Opened, open_session};
use crate::app::App;
use crate::auth::{Actor, limits};
use crate::input::{Body, Checks};
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::brand::BrandView;
use crate::wire::member::MemberView;

/// A person and the brand they bring.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignUp {
    brand_name: String,
    full_name: String,
    email: String,
    /// 12 to 128 characters.
    password: String,
    /// An IANA name, such as `Europe/Berlin`.
    time_zone: String,
}

/// Passwords that everybody tries first.
const COMMON: [&str; 12] = [
    "password1234",
    "passwordpassword",
    "123456789012",
    "1234567890123",
    "qwertyuiop12",
    "qwertyuiopas",
    "iloveyou1234",
    "administrator",
    "letmeinletmein",
    "welcome12345",
    "111111111111",
    "changemenow1",
];

impl SignUp {
    fn check(self) -> Result<(NewAccount, String), Problem> {
        let mut checks = Checks::default();
        let brand_name = checks.line("/brand_name", &self.brand_name, 1, 200);
        let full_name = checks.line("/full_name", &self.full_name, 1, 200);
        let email = checks.line("/email", &self.email, 3, 320).to_lowercase();
        if !is_address(&email) {
            checks.fault("/email", "must be an e-mail address");
        }
        let length = self.password.chars().count();
        if !(12..=128).contains(&length) {
            checks.fault("/password", "must have 12 to 128 characters");
        } else if COMMON.contains(&self.password.to_lowercase().as_str())
            || self.password.to_lowercase() == email
            || self.password.chars().all(|c| self.password.starts_with(c))
        {
            checks.fault("/password", "is too easy to guess");
        }
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

fn is_address(email: &str) -> bool {
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

/// Signs up: a person, their brand, its owner, a default team and an SLA policy.
#[utoipa::path(
    post, path = "/v1/signup", tag = "account", request_body = SignUp, security(()),
    responses(
        (status = 201, body = Opened, description = "Signed up and in; the refresh token is in a cookie"),
        (status = 400, body = ProblemBody), (status = 409, body = ProblemBody, description = "email_taken"),
        (status = 429, body = ProblemBody)
    )
)]
pub(crate) async fn sign_up(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<SignUp>,
) -> Result<HttpResponse, Problem> {
    let (account, password) = body.0.check()?;
    limits::sign_in(&app, &request, &account.email).await?;
    let account = NewAccount {
        password_hash: app.passwords.hash(password).await?,
        ..account
    };
    let brand = BrandId(Uuid::now_v7());
    let request_id = Some(crate::auth::request_id(&request));
    let new = account.clone();
    let created = app
        .store
        .brand(brand, move |tx| {
            Box::pin(async move { accounts::sign_up(tx, &new, request_id).await })
        })
        .await?;
    if created.is_none() {
        return Err(Problem::at(
            Code::EmailTaken,
            "/email",
            "has an account already",
        ));
    }
    app.hint_relay();
    let seat = Membership {
        brand,
        member: account.member,
        brand_name: account.brand_name,
    };
    let (opened, cookie) = open_session(&app, account.user, &seat).await?;
    Ok(HttpResponse::Created()
        .insert_header(("set-cookie", cookie))
        .json(opened))
}

/// The signed-in person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeView {
    id: String,
    member: MemberView,
    brand: BrandView,
    /// Every brand in which the person has a seat.
    memberships: Vec<MembershipView>,
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
pub(crate) async fn me(app: web::Data<App>, actor: Actor) -> Result<HttpResponse, Problem> {
    let member = actor.member;
    let (member, brand) = app
        .store
        .brand(actor.brand, move |tx| Box::pin(seat(tx, member)))
        .await?;
    let user = actor.person()?.user;
    let seats = app
        .store
        .system(move |tx| Box::pin(async move { accounts::memberships(tx, user).await }));
    Ok(HttpResponse::Ok().json(MeView {
        id: user.to_string(),
        member,
        brand,
        memberships: seats.await?.into_iter().map(Into::into).collect(),
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
