//! The interface's own description.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::{HttpResponse, web};
use utoipa_swagger_ui::Config;

use crate::problem::{Code, Problem};

/// What the page may load: files of ours. It sets styles on its own elements.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

static PAGE: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from("/openapi.json")
        .display_operation_id(false)
        .default_models_expand_depth(0)
        .persist_authorization(false)
        .validator_url("none");
    Arc::new(config)
});

/// The OpenAPI document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "docs", security(()),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"))
)]
pub(crate) async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(crate::openapi::openapi_json())
}

/// What each code of a problem means.
#[utoipa::path(
    get, path = "/docs/problems", tag = "docs", security(()),
    responses((status = 200, description = "A page", content_type = "text/html"))
)]
pub(crate) async fn problems() -> HttpResponse {
    let mut page = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Problems</title><h1>Problems</h1><dl>",
    );
    for code in Code::ALL {
        // Writing to a string can't fail.
        write!(
            page,
            "<dt id={0}><code>{0}</code> ({1})</dt><dd>{2}. {3}</dd>",
            code.as_str(),
            code.status(),
            code.title(),
            code.help()
        )
        .ok();
    }
    page.push_str("</dl></html>");
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(page)
}

/// The page's files are named relative to a folder.
pub(crate) async fn to_page() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .finish()
}

/// The document as a page: Swagger UI, from files that the program holds.
pub(crate) async fn page(file: web::Path<String>) -> Result<HttpResponse, Problem> {
    let found = utoipa_swagger_ui::serve(&file, PAGE.clone())
        .map_err(|error| Problem::caused(Code::Internal, error))?;
    let file = found.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok()
        .content_type(file.content_type)
        .insert_header((CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .insert_header((CACHE_CONTROL, "public, max-age=3600"))
        .body(file.bytes.into_owned()))
}
