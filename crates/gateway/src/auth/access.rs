//! The gate before every handler: who asks, whether they may, and how often.
//!
//! It stands in front of the route rather than in the handler, so that a handler can't forget it.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, web};
use roost_domain::role::Permission;

use super::actor::{Identity, Who};
use super::{limits, origin, write};
use crate::app::App;
use crate::problem::{Code, Problem};

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: who asks is no matter here, or is said otherwise than by a token in the head.
    Public,
    /// A signed-in person, of any role; no API key.
    Person,
    /// A member or key that may do this.
    Needs(Permission),
}

/// Lets a request through to its handler, with its [`Identity`]; or answers why not.
///
/// # Errors
/// None of its own: a refusal is an answer.
pub(crate) async fn admit(
    access: Access,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut tally = limits::Tally::default();
    let verdict = judge(access, request.request(), &mut tally).await;
    let mut response = match verdict {
        Ok(identity) => {
            if let Some(identity) = identity {
                request.extensions_mut().insert(identity);
            }
            next.call(request).await?.map_into_boxed_body()
        }
        Err(problem) => ServiceResponse::from_err(problem, request.into_parts().0),
    };
    tally.show(response.headers_mut());
    Ok(response)
}

async fn judge(
    access: Access,
    request: &HttpRequest,
    tally: &mut limits::Tally,
) -> Result<Option<Identity>, Problem> {
    let app = request
        .app_data::<web::Data<App>>()
        .ok_or_else(|| Problem::caused(Code::Internal, "the application's state is missing"))?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        origin::check(request, app)?;
    }
    if access == Access::Public {
        tally.address(app, request).await?;
        return Ok(None);
    }
    let identity = match authenticate(app, request).await {
        Ok(identity) => identity,
        Err(problem) => {
            // Who tries out tokens is slowed down like any stranger.
            tally.address(app, request).await?;
            return Err(problem);
        }
    };
    tally.member(app, &identity).await?;
    if let Who::Person(person) = &identity.who
        && person.lacks_two_factor
        && !is_about_oneself(request.path())
    {
        return Err(Problem::new(Code::TwoFactorRequired));
    }
    match access {
        Access::Public => {}
        Access::Person => {
            identity.person()?;
        }
        Access::Needs(permission) => identity.require(permission)?,
    }
    write::key_of(request)?;
    Ok(Some(identity))
}

/// What stays open to members whose brand asks for a second factor until they have one.
fn is_about_oneself(path: &str) -> bool {
    ["/v1/me", "/v1/sessions"].iter().any(|open| {
        let rest = path.strip_prefix(open);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

async fn authenticate(app: &App, request: &HttpRequest) -> Result<Identity, Problem> {
    let token = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty())
        .ok_or_else(|| Problem::new(Code::Unauthenticated))?;
    Identity::of_token(app, token).await
}
