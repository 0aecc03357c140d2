//! Every route, on one page.
//!
//! A handler says by its `Actor<…>` argument what its caller must be allowed; one without is open to
//! the world and stands in [`PUBLIC_ROUTES`]. A test walks both lists.

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::{api, stream};

macro_rules! routes {
    ($($verb:ident $path:literal => $($handler:ident)::+;)+) => {
        /// Method and path of every documented route.
        pub(crate) const ROUTES: &[(&str, &str)] = &[$((stringify!($verb), $path),)+];

        fn documented(config: &mut ServiceConfig) {
            $(config.route($path, web::$verb().to($($handler)::+));)+
        }

        #[derive(OpenApi)]
        #[openapi(
            info(title = "Roost", description = "A support inbox for direct messages."),
            paths($($($handler)::+,)+),
            security(("bearer" = []))
        )]
        struct Document;
    };
}

routes! {
    post   "/v1/signup"                          => api::account::sign_up;
    get    "/v1/me"                              => api::account::me;
    post   "/v1/sessions"                        => api::sessions::create;
    post   "/v1/sessions/refresh"                => api::sessions::refresh;
    delete "/v1/sessions/current"                => api::sessions::delete;
    get    "/v1/brand"                           => api::brand::get;
    get    "/v1/members"                         => api::members::list;
    get    "/v1/members/{id}"                    => api::members::get;
    patch  "/v1/members/{id}"                    => api::members::patch;
    put    "/v1/members/{id}/presence"           => api::members::put_presence;
    get    "/v1/teams"                           => api::teams::list;
    post   "/v1/teams"                           => api::teams::create;
    get    "/v1/teams/{id}/queue"                => api::teams::queue;
    post   "/v1/channels/x/connect"              => api::connect::begin;
    get    "/oauth/x/callback"                   => api::connect::callback;
    get    "/v1/channels"                        => api::channels::list;
    get    "/v1/channels/{id}"                   => api::channels::get;
    patch  "/v1/channels/{id}"                   => api::channels::patch;
    delete "/v1/channels/{id}"                   => api::channels::delete;
    get    "/v1/channels/{id}/health"            => api::channels::health;
    get    "/v1/conversations"                   => api::conversations::list;
    get    "/v1/conversations/{id}"              => api::conversations::get;
    patch  "/v1/conversations/{id}"              => api::conversations::patch;
    get    "/v1/conversations/{id}/messages"     => api::messages::list;
    post   "/v1/conversations/{id}/messages"     => api::messages::create;
    get    "/v1/conversations/{id}/assignment"   => api::assignment::get;
    put    "/v1/conversations/{id}/assignment"   => api::assignment::put;
    delete "/v1/conversations/{id}/assignment"   => api::assignment::delete;
    get    "/v1/conversations/{id}/assignments"  => api::assignment::list;
    get    "/v1/conversations/{id}/timeline"     => api::timeline::list;
    get    "/v1/conversations/{id}/sla"          => api::timeline::clocks;
    put    "/v1/conversations/{id}/read"         => api::signs::read;
    put    "/v1/conversations/{id}/typing"       => api::signs::typing;
    get    "/v1/messages/{id}"                   => api::messages::get;
    post   "/v1/messages/{id}/retry"             => api::messages::retry;
    post   "/v1/messages/{id}/cancel"            => api::messages::cancel;
    post   "/v1/messages/{id}/mark-sent"         => api::messages::mark_sent;
    get    "/v1/events"                          => api::feed::list;
    get    "/openapi.json"                       => api::docs::openapi;
    get    "/docs/problems"                      => api::docs::problems;
}

/// Who asks is no matter here, or is said otherwise than by a token in the head.
pub const PUBLIC_ROUTES: &[(&str, &str)] = &[
    ("post", "/v1/signup"),
    ("post", "/v1/sessions"),
    ("post", "/v1/sessions/refresh"),
    ("get", "/oauth/x/callback"),
    ("get", "/openapi.json"),
    ("get", "/docs/problems"),
];

/// Adds every route to an application.
pub(crate) fn configure(config: &mut ServiceConfig) {
    documented(config);
    // The first frame says who opens it.
    config.route("/v1/stream", web::get().to(stream::open));
}

/// The OpenAPI document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document
}
