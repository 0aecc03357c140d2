//! Every route, on one page: method, path, what its caller must be allowed, handler.
//!
//! The gate (`auth::admit`) stands before each handler and reads the third column; a route without one
//! doesn't compile.

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

use crate::auth::{Access, admit};
use crate::{api, stream};

/// A documented route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    /// In lower case.
    pub(crate) verb: &'static str,
    /// The pattern.
    pub(crate) path: &'static str,
    /// What the caller must be allowed.
    pub(crate) access: Access,
}

macro_rules! access {
    (Public) => {
        Access::Public
    };
    (Person) => {
        Access::Person
    };
    ($permission:ident) => {
        Access::Needs(roost_domain::role::Permission::$permission)
    };
}

macro_rules! routes {
    ($($verb:ident $path:literal $access:ident => $($handler:ident)::+;)+) => {
        /// Every documented route.
        pub(crate) const ROUTES: &[Route] = &[$(Route {
            verb: stringify!($verb),
            path: $path,
            access: access!($access),
        },)+];

        /// Adds every route to an application.
        pub(crate) fn configure(config: &mut ServiceConfig) {
            $(
                let gate = from_fn(|request, next| admit(access!($access), request, next));
                config.service(
                    web::resource($path)
                        .guard(actix_web::guard::fn_guard(|context| {
                            context.head().method.as_str().eq_ignore_ascii_case(stringify!($verb))
                        }))
                        .wrap(gate)
                        .route(web::route().to($($handler)::+)),
                );
            )+
            // The first frame says who opens it.
            config.route("/v1/stream", web::get().to(stream::open));
        }

        #[derive(OpenApi)]
        #[openapi(
            info(title = "Roost", description = "A support inbox for direct messages."),
            paths($($($handler)::+,)+)
        )]
        pub(crate) struct Document;
    };
}

routes! {
    post   "/v1/signup"                             Public             => api::account::sign_up;
    get    "/v1/me"                                 Person             => api::account::me;
    post   "/v1/sessions"                           Public             => api::sessions::create;
    post   "/v1/sessions/refresh"                   Public             => api::sessions::refresh;
    delete "/v1/sessions/current"                   Person             => api::sessions::delete;
    put    "/v1/me/password"                        Person             => api::own_proof::change_password;
    post   "/v1/me/step-up"                         Person             => api::own_proof::step_up;
    post   "/v1/me/totp"                            Person             => api::own_proof::begin;
    put    "/v1/me/totp"                            Person             => api::own_proof::enable;
    delete "/v1/me/totp"                            Person             => api::own_proof::disable;
    post   "/v1/me/totp/recovery-codes"             Person             => api::own_proof::renew_codes;
    get    "/v1/me/sessions"                        Person             => api::own_sessions::list;
    delete "/v1/me/sessions"                        Person             => api::own_sessions::delete_others;
    delete "/v1/me/sessions/{id}"                   Person             => api::own_sessions::delete;
    post   "/v1/email-verifications"                Public             => api::verifications::verify_again;
    put    "/v1/email-verifications"                Public             => api::verifications::verify;
    post   "/v1/password-resets"                    Public             => api::verifications::ask_reset;
    put    "/v1/password-resets"                    Public             => api::verifications::reset;
    get    "/v1/invitations"                        MembersWrite       => api::invitations::list;
    post   "/v1/invitations"                        MembersWrite       => api::invitations::create;
    post   "/v1/invitations/accept"                 Public             => api::invitations::accept;
    delete "/v1/invitations/{id}"                   MembersWrite       => api::invitations::delete;
    post   "/v1/invitations/{id}/resend"            MembersWrite       => api::invitations::resend;
    get    "/v1/brand"                              SettingsRead       => api::brand::get;
    get    "/v1/members"                            SettingsRead       => api::members::list;
    get    "/v1/members/{id}"                       SettingsRead       => api::members::get;
    patch  "/v1/members/{id}"                       MembersWrite       => api::members::patch;
    put    "/v1/members/{id}/presence"              ConversationsRead  => api::members::put_presence;
    get    "/v1/teams"                              SettingsRead       => api::teams::list;
    post   "/v1/teams"                              TeamsWrite         => api::teams::create;
    get    "/v1/teams/{id}/queue"                   ConversationsRead  => api::teams::queue;
    post   "/v1/channels/x/connect"                 ChannelsWrite      => api::connect::begin;
    get    "/oauth/x/callback"                      Public             => api::connect::callback;
    get    "/v1/channels"                           SettingsRead       => api::channels::list;
    get    "/v1/channels/{id}"                      SettingsRead       => api::channels::get;
    patch  "/v1/channels/{id}"                      ChannelsWrite      => api::channels::patch;
    delete "/v1/channels/{id}"                      ChannelsWrite      => api::channels::delete;
    get    "/v1/channels/{id}/health"               SettingsRead       => api::channels::health;
    get    "/v1/conversations"                      ConversationsRead  => api::conversations::list;
    get    "/v1/conversations/{id}"                 ConversationsRead  => api::conversations::get;
    patch  "/v1/conversations/{id}"                 ConversationsWrite => api::conversations::patch;
    get    "/v1/conversations/{id}/messages"        ConversationsRead  => api::messages::list;
    post   "/v1/conversations/{id}/messages"        MessagesWrite      => api::messages::create;
    get    "/v1/conversations/{id}/assignment"      ConversationsRead  => api::assignment::get;
    put    "/v1/conversations/{id}/assignment"      ConversationsWrite => api::assignment::put;
    delete "/v1/conversations/{id}/assignment"      ConversationsWrite => api::assignment::delete;
    get    "/v1/conversations/{id}/assignments"     ConversationsRead  => api::assignment::list;
    get    "/v1/conversations/{id}/timeline"        ConversationsRead  => api::timeline::list;
    get    "/v1/conversations/{id}/sla"             ConversationsRead  => api::timeline::clocks;
    put    "/v1/conversations/{id}/read"            ConversationsRead  => api::signs::read;
    put    "/v1/conversations/{id}/typing"          MessagesWrite      => api::signs::typing;
    get    "/v1/messages/{id}"                      ConversationsRead  => api::messages::get;
    post   "/v1/messages/{id}/retry"                MessagesWrite      => api::messages::retry;
    post   "/v1/messages/{id}/cancel"               MessagesWrite      => api::messages::cancel;
    post   "/v1/messages/{id}/mark-sent"            MessagesWrite      => api::messages::mark_sent;
    get    "/v1/events"                             EventsRead         => api::feed::list;
    get    "/openapi.json"                          Public             => api::docs::openapi;
    get    "/docs/problems"                         Public             => api::docs::problems;
}
