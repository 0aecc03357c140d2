//! Authority as an extractor: a handler without one is open to the world, and looks it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use roost_domain::ids::{BrandId, MemberId, UserId};
use roost_domain::role::{Permission, Role};
use roost_service::RequestId;
use roost_store::ledger::{self, Cause};
use uuid::Uuid;

use crate::app::App;
use crate::problem::{Code, Problem};

/// What a handler needs its caller to be allowed.
pub(crate) trait Needs: 'static {
    /// The permission.
    const PERMISSION: Permission;
}

macro_rules! needs {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) enum $name {}

        impl Needs for $name {
            const PERMISSION: Permission = Permission::$name;
        }
    )+};
}

needs! {
    /// To read.
    Read;
    /// To write to customers and change conversations.
    Reply;
    /// To change what belongs to the brand.
    Administer;
}

/// A signed-in member who may do what `P` says.
pub(crate) struct Actor<P> {
    pub(crate) brand: BrandId,
    pub(crate) member: MemberId,
    pub(crate) user: UserId,
    pub(crate) role: Role,
    pub(crate) session: Uuid,
    pub(crate) request_id: String,
    needs: PhantomData<P>,
}

impl<P> Actor<P> {
    /// Why something changes: this member, in this request.
    pub(crate) fn cause(&self) -> Cause {
        Cause::new(
            ledger::Actor::Member(self.member),
            Some(self.request_id.clone()),
        )
    }

    /// Refuses unless the role allows more than the handler as a whole needs.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), Problem> {
        if self.role.allows(permission) {
            Ok(())
        } else {
            Err(Problem::new(Code::Forbidden))
        }
    }
}

impl<P> fmt::Debug for Actor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actor")
            .field("member", &self.member)
            .field("role", &self.role)
            .finish()
    }
}

impl<P: Needs> FromRequest for Actor<P> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let app = request.app_data::<web::Data<App>>().ok_or_else(|| {
                Problem::caused(Code::Internal, "the application's state is missing")
            })?;
            let token = request
                .headers()
                .get(AUTHORIZATION)
                .and_then(|value| value.to_str().ok())
                .and_then(|value| value.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, token)| token.trim())
                .ok_or_else(|| Problem::new(Code::Unauthenticated))?;
            let session = app.tokens.verify(token)?;
            let state = app
                .sessions
                .state(session)
                .await?
                .filter(|state| state.active);
            let state = state.ok_or_else(|| Problem::new(Code::SessionEnded))?;
            let actor = Self {
                brand: state.brand,
                member: state.member,
                user: state.user,
                role: state.role,
                session,
                request_id: request_id(&request),
                needs: PhantomData,
            };
            actor.require(P::PERMISSION)?;
            Ok(actor)
        })
    }
}

/// The id that the edge gave the request.
pub(crate) fn request_id(request: &HttpRequest) -> String {
    request
        .extensions()
        .get::<RequestId>()
        .map(ToString::to_string)
        .unwrap_or_default()
}
