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
            // The document as a page, with its own scripts and styles.
            config.route("/docs", web::get().to(api::docs::to_page));
            config.route("/docs/{file:[a-z0-9.-]*}", web::get().to(api::docs::page));
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
    patch  "/v1/brand"                              BrandWrite         => api::brand::patch;
    get    "/v1/usage"                              SettingsRead       => api::usage::get;
    get    "/v1/members"                            SettingsRead       => api::members::list;
    get    "/v1/members/{id}"                       SettingsRead       => api::members::get;
    patch  "/v1/members/{id}"                       MembersWrite       => api::members::patch;
    delete "/v1/members/{id}"                       MembersWrite       => api::members::delete;
    put    "/v1/members/{id}/presence"              ConversationsRead  => api::members::put_presence;
    get    "/v1/api-keys"                           ApiKeysWrite       => api::api_keys::list;
    post   "/v1/api-keys"                           ApiKeysWrite       => api::api_keys::create;
    get    "/v1/api-keys/{id}"                      ApiKeysWrite       => api::api_keys::get;
    patch  "/v1/api-keys/{id}"                      ApiKeysWrite       => api::api_keys::patch;
    delete "/v1/api-keys/{id}"                      ApiKeysWrite       => api::api_keys::delete;
    post   "/v1/api-keys/{id}/rotate"               ApiKeysWrite       => api::api_keys::rotate;
    get    "/v1/audit-log"                          AuditRead          => api::audit::list;
    get    "/v1/audit-log/{id}"                     AuditRead          => api::audit::get;
    get    "/v1/teams"                              SettingsRead       => api::teams::list;
    post   "/v1/teams"                              TeamsWrite         => api::teams::create;
    get    "/v1/teams/{id}"                         SettingsRead       => api::teams::get;
    patch  "/v1/teams/{id}"                         TeamsWrite         => api::teams::patch;
    delete "/v1/teams/{id}"                         TeamsWrite         => api::teams::delete;
    get    "/v1/skills"                             SettingsRead       => api::skills::list;
    post   "/v1/skills"                             SettingsWrite      => api::skills::create;
    get    "/v1/skills/{id}"                        SettingsRead       => api::skills::get;
    patch  "/v1/skills/{id}"                        SettingsWrite      => api::skills::patch;
    delete "/v1/skills/{id}"                        SettingsWrite      => api::skills::delete;
    get    "/v1/teams/{id}/queue"                   ConversationsRead  => api::teams::queue;
    get    "/v1/labels"                             SettingsRead       => api::labels::list;
    post   "/v1/labels"                             SettingsWrite      => api::labels::create;
    get    "/v1/labels/{id}"                        SettingsRead       => api::labels::get;
    patch  "/v1/labels/{id}"                        SettingsWrite      => api::labels::patch;
    delete "/v1/labels/{id}"                        SettingsWrite      => api::labels::delete;
    get    "/v1/attribute-definitions"              SettingsRead       => api::attributes::list;
    post   "/v1/attribute-definitions"              SettingsWrite      => api::attributes::create;
    get    "/v1/attribute-definitions/{id}"         SettingsRead       => api::attributes::get;
    patch  "/v1/attribute-definitions/{id}"         SettingsWrite      => api::attributes::patch;
    delete "/v1/attribute-definitions/{id}"         SettingsWrite      => api::attributes::delete;
    get    "/v1/calendars"                          SettingsRead       => api::calendars::list;
    post   "/v1/calendars"                          SlaWrite           => api::calendars::create;
    get    "/v1/calendars/{id}"                     SettingsRead       => api::calendars::get;
    patch  "/v1/calendars/{id}"                     SlaWrite           => api::calendars::patch;
    delete "/v1/calendars/{id}"                     SlaWrite           => api::calendars::delete;
    post   "/v1/calendars/{id}/holidays"            SlaWrite           => api::calendars::import;
    get    "/v1/calendars/{id}/preview"             SettingsRead       => api::calendars::preview;
    get    "/v1/calendars/{id}/versions"            SettingsRead       => api::calendars::versions;
    get    "/v1/sla-policies"                       SettingsRead       => api::sla_policies::list;
    post   "/v1/sla-policies"                       SlaWrite           => api::sla_policies::create;
    put    "/v1/sla-policies/order"                 SlaWrite           => api::sla_policies::put_order;
    post   "/v1/sla-policies/preview"               SlaWrite           => api::sla_policies::preview;
    get    "/v1/sla-policies/{id}"                  SettingsRead       => api::sla_policies::get;
    patch  "/v1/sla-policies/{id}"                  SlaWrite           => api::sla_policies::patch;
    delete "/v1/sla-policies/{id}"                  SlaWrite           => api::sla_policies::delete;
    get    "/v1/sla-policies/{id}/versions"         SettingsRead       => api::sla_policies::versions;
    post   "/v1/sla-policies/{id}/reapply"          SlaWrite           => api::sla_policies::reapply;
    get    "/v1/sla-policies/{id}/reapplies"        SettingsRead       => api::sla_policies::reapplies;
    get    "/v1/canned-replies"                     SettingsRead       => api::canned_replies::list;
    post   "/v1/canned-replies"                     SettingsWrite      => api::canned_replies::create;
    get    "/v1/canned-replies/{id}"                SettingsRead       => api::canned_replies::get;
    patch  "/v1/canned-replies/{id}"                SettingsWrite      => api::canned_replies::patch;
    delete "/v1/canned-replies/{id}"                SettingsWrite      => api::canned_replies::delete;
    post   "/v1/canned-replies/{id}/render"         ConversationsRead  => api::canned_replies::render;
    post   "/v1/channels/x/connect"                 ChannelsWrite      => api::connect::begin;
    post   "/v1/channels/sandbox"                   ChannelsWrite      => api::sandbox::create;
    post   "/v1/channels/{id}/sandbox-messages"     MessagesWrite      => api::sandbox::write;
    get    "/oauth/x/callback"                      Public             => api::connect::callback;
    get    "/v1/channels"                           SettingsRead       => api::channels::list;
    get    "/v1/channels/{id}"                      SettingsRead       => api::channels::get;
    patch  "/v1/channels/{id}"                      ChannelsWrite      => api::channels::patch;
    delete "/v1/channels/{id}"                      ChannelsWrite      => api::channels::delete;
    get    "/v1/channels/{id}/health"               SettingsRead       => api::channels::health;
    get    "/v1/channels/{id}/budget"               SettingsRead       => api::channels::budget;
    get    "/v1/channels/{id}/capabilities"         SettingsRead       => api::channels::capabilities;
    get    "/v1/x-apps"                             SettingsRead       => api::x_apps::list;
    post   "/v1/x-apps"                             ChannelsWrite      => api::x_apps::create;
    get    "/v1/x-apps/{id}"                        SettingsRead       => api::x_apps::get;
    patch  "/v1/x-apps/{id}"                        ChannelsWrite      => api::x_apps::patch;
    delete "/v1/x-apps/{id}"                        ChannelsWrite      => api::x_apps::delete;
    post   "/v1/x-apps/{id}/verify"                 ChannelsWrite      => api::x_apps::verify;
    get    "/v1/conversations"                      ConversationsRead  => api::conversations::list;
    post   "/v1/conversations"                       MessagesWrite      => api::start::create;
    post   "/v1/conversations/bulk"                 ConversationsWrite => api::changes::bulk;
    get    "/v1/conversations/counts"               ConversationsRead  => api::counts::get;
    get    "/v1/conversations/{id}"                 ConversationsRead  => api::conversations::get;
    patch  "/v1/conversations/{id}"                 ConversationsWrite => api::changes::patch;
    post   "/v1/conversations/{id}/undo"             ConversationsWrite => api::undo::undo;
    post   "/v1/conversations/{id}/no-reply-needed"  ConversationsWrite => api::undo::no_reply_needed;
    get    "/v1/conversations/{id}/messages"        ConversationsRead  => api::messages::list;
    post   "/v1/conversations/{id}/messages"        MessagesWrite      => api::messages::create;
    get    "/v1/conversations/{id}/assignment"      ConversationsRead  => api::assignment::get;
    put    "/v1/conversations/{id}/assignment"      ConversationsWrite => api::assignment::put;
    delete "/v1/conversations/{id}/assignment"      ConversationsWrite => api::assignment::delete;
    get    "/v1/conversations/{id}/assignments"     ConversationsRead  => api::assignment::list;
    get    "/v1/conversations/{id}/timeline"        ConversationsRead  => api::timeline::list;
    get    "/v1/conversations/{id}/sla"             ConversationsRead  => api::timeline::clocks;
    get    "/v1/contacts"                           ContactsRead       => api::contacts::list;
    get    "/v1/contacts/{id}"                      ContactsRead       => api::contacts::get;
    patch  "/v1/contacts/{id}"                      ContactsWrite      => api::contacts::patch;
    get    "/v1/contacts/{id}/conversations"        ConversationsRead  => api::contacts::conversations;
    put    "/v1/contacts/{id}/block"                ContactsBlock      => api::contact_acts::block;
    delete "/v1/contacts/{id}/block"                ContactsBlock      => api::contact_acts::unblock;
    put    "/v1/contacts/{id}/erasure"              ContactsErase      => api::contact_acts::erase;
    post   "/v1/contact-merges"                     ContactsWrite      => api::contact_merges::create;
    get    "/v1/contact-merges/{id}"                ContactsRead       => api::contact_merges::get;
    delete "/v1/contact-merges/{id}"                ContactsWrite      => api::contact_merges::delete;
    put    "/v1/conversations/{id}/read"            ConversationsRead  => api::signs::read;
    put    "/v1/conversations/{id}/viewing"         ConversationsRead  => api::signs::viewing;
    put    "/v1/conversations/{id}/typing"          MessagesWrite      => api::signs::typing;
    get    "/v1/messages/{id}"                      ConversationsRead  => api::messages::get;
    post   "/v1/messages/{id}/retry"                MessagesWrite      => api::messages::retry;
    post   "/v1/messages/{id}/cancel"               MessagesWrite      => api::messages::cancel;
    post   "/v1/messages/{id}/mark-sent"            MessagesWrite      => api::messages::mark_sent;
    get    "/v1/saved-filters"                      ConversationsRead  => api::saved_filters::list;
    post   "/v1/saved-filters"                      ConversationsRead  => api::saved_filters::create;
    get    "/v1/saved-filters/{id}"                 ConversationsRead  => api::saved_filters::get;
    patch  "/v1/saved-filters/{id}"                 ConversationsRead  => api::saved_filters::patch;
    delete "/v1/saved-filters/{id}"                 ConversationsRead  => api::saved_filters::delete;
    get    "/v1/events"                             EventsRead         => api::feed::list;
    get    "/v1/reports/sla"                        ReportsRead        => api::reports::sla;
    get    "/v1/sla-excuses"                        ReportsRead        => api::sla_excuses::list;
    post   "/v1/sla-excuses"                        SlaExcusesWrite    => api::sla_excuses::create;
    delete "/v1/sla-excuses/{id}"                   SlaExcusesWrite    => api::sla_excuses::delete;
    get    "/openapi.json"                          Public             => api::docs::openapi;
    get    "/docs/problems"                         Public             => api::docs::problems;
}
