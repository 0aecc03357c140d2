//! The interface's own description.

use std::fmt::Write as _;

use actix_web::HttpResponse;

use crate::problem::Code;

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
            "<dt id={0}><code>{0}</code> ({1})</dt><dd>{2}.</dd>",
            code.as_str(),
            code.status(),
            code.title()
        )
        .ok();
    }
    page.push_str("</dl></html>");
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(page)
}
