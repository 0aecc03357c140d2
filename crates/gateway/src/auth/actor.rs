//! Who asks: a person in a session, or a program with an API key.

use std::fmt;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use jiff::{SignedDuration, Timestamp};
use roost_domain::ids::{BrandId, MemberId, UserId};
use roost_domain::role::{Permission, Role};
use roost_service::RequestId;
use roost_store::api_keys::KeyGrant;
use roost_store::ledger::{self, Cause};
use roost_store::visibility::Visibility;
use uuid::Uuid;

use super::address;
use crate::app::App;
use crate::problem::{Code, Problem};

/// A person in a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) session: Uuid,
    /// When they last showed password or code.
    pub(crate) proven_at: Timestamp,
    /// Whether they have proven their mail address.
    pub(crate) email_verified: bool,
    /// The brand asks for a second factor and they have none: they may only set one up.
    pub(crate) lacks_two_factor: bool,
}

/// How long a proof is good for what matters most: 15 minutes.
const FRESH: SignedDuration = SignedDuration::from_secs(15 * 60);

/// By what somebody proved who they are.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// An access token.
    Person(Person),
    /// An API key.
    Key(Arc<KeyGrant>),
}

/// A seat in a brand, and who sits in it.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) brand: BrandId,
    pub(crate) member: MemberId,
    pub(crate) role: Role,
    pub(crate) who: Who,
}

impl Identity {
    /// As whom a token lets its bearer act.
    pub(crate) async fn of_token(app: &App, token: &str) -> Result<Self, Problem> {
        if token.starts_with("rk_") {
            let grant = app.keys.grant(token).await?;
            let grant = grant.ok_or_else(|| Problem::new(Code::Unauthenticated))?;
            return Ok(Self {
                brand: grant.brand,
                member: grant.member,
                role: grant.role,
                who: Who::Key(grant),
            });
        }
        let session = app.tokens.verify(token)?;
        let state = app.sessions.state(session).await?;
        let state = state
            .filter(|state| state.active)
            .ok_or_else(|| Problem::new(Code::SessionEnded))?;
        Ok(Self {
            brand: state.brand,
            member: state.member,
            role: state.role,
            who: Who::Person(Person {
                user: state.user,
                session,
                proven_at: state.proven_at,
                email_verified: state.email_verified,
                lacks_two_factor: state.lacks_two_factor,
            }),
        })
    }

    /// Whether role and scopes allow it.
    pub(crate) fn allows(&self, permission: Permission) -> bool {
        let in_scope = match &self.who {
            Who::Person(_) => true,
            Who::Key(grant) => grant.scopes.contains(&permission),
        };
        in_scope && self.role.allows(permission)
    }

    /// Refuses unless role and scopes allow it.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), Problem> {
        if self.allows(permission) {
            return Ok(());
        }
        let lacks = match &self.who {
            Who::Key(_) if self.role.allows(permission) => "The key lacks the scope",
            Who::Key(_) | Who::Person(_) => "The role lacks the permission",
        };
        Err(Problem::with(
            Code::Forbidden,
            format!("{lacks} {permission}"),
        ))
    }

    /// The person; programs are refused.
    pub(crate) fn person(&self) -> Result<Person, Problem> {
        match &self.who {
            Who::Person(person) => Ok(*person),
            Who::Key(_) => Err(Problem::with(
                Code::Forbidden,
                "Only a signed-in person can do this",
            )),
        }
    }

    /// Refuses a person who hasn't shown password or code for a while: a stolen session must not make
    /// keys or roles. A key's scopes were chosen by somebody who had.
    pub(crate) fn require_fresh(&self) -> Result<(), Problem> {
        match &self.who {
            Who::Person(person) if person.proven_at + FRESH < Timestamp::now() => {
                Err(Problem::new(Code::StepUpRequired))
            }
            Who::Person(_) | Who::Key(_) => Ok(()),
        }
    }

    /// Which conversations they see.
    pub(crate) fn visibility(&self) -> Visibility {
        let leads = self.role.allows(Permission::ConversationsLead);
        let mut visibility = Visibility {
            closed_teams_of: (!leads).then_some(self.member),
            ..Visibility::ALL
        };
        if let Who::Key(grant) = &self.who {
            if grant.teams.is_some() {
                // Who made the key named the teams, closed ones too.
                visibility.closed_teams_of = None;
            }
            visibility.teams.clone_from(&grant.teams);
            visibility.channels.clone_from(&grant.channels);
            visibility.sandbox_only = grant.is_test;
        }
        visibility
    }
}

/// The caller of a handler. Its route says in `routes` what it must be allowed; the gate has seen to it.
pub(crate) struct Actor {
    identity: Identity,
    pub(crate) request_id: String,
    pub(crate) address: Option<IpAddr>,
    pub(super) request: HttpRequest,
}

impl Actor {
    /// Why something changes: this member, in this request.
    pub(crate) fn cause(&self) -> Cause {
        let actor = match self.who {
            Who::Person(_) => ledger::Actor::Member(self.member),
            Who::Key(_) => ledger::Actor::Bot(self.member),
        };
        Cause::new(actor, Some(self.request_id.clone())).from_address(self.address)
    }
}

impl std::ops::Deref for Actor {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actor")
            .field("member", &self.member)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl FromRequest for Actor {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let identity = request.extensions().get::<Identity>().cloned();
        let trusted = request
            .app_data::<web::Data<App>>()
            .map(|app| app.config.public.trusted_proxies.as_slice())
            .unwrap_or_default();
        ready(
            identity
                .map(|identity| Self {
                    identity,
                    request_id: request_id(request),
                    address: address::of(request, trusted),
                    request: request.clone(),
                })
                .ok_or_else(|| Problem::caused(Code::Internal, "a public route wants an actor")),
        )
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
