//! The pages: the phone, the overview, and the approval between two legs of OAuth. No page loads
//! anything from elsewhere.

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::ServiceConfig;

use crate::accounts::Account;
use crate::call::{Answer, Call, now, resource};

const PHONE: &str = include_str!("web/phone.html");
const OVERVIEW: &str = include_str!("web/overview.html");
const STYLE: &str = include_str!("web/style.css");

pub(crate) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(resource("/").route(now(Method::GET, phone)))
        .service(resource("/overview").route(now(Method::GET, overview)))
        .service(resource("/style.css").route(now(Method::GET, style)));
}

fn phone(_: &Call) -> Answer {
    Ok(html(PHONE.to_owned()))
}

fn overview(_: &Call) -> Answer {
    Ok(html(OVERVIEW.to_owned()))
}

fn style(_: &Call) -> Answer {
    Ok(HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .body(STYLE))
}

/// A page that nothing from elsewhere can get into.
pub(crate) fn html(page: String) -> HttpResponse {
    const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; \
                          style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", POLICY))
        .insert_header(("cache-control", "no-store"))
        .body(page)
}

/// Which account gives the app access?
pub(crate) fn approval(app: &str, token: &str, accounts: &[&Account]) -> String {
    let choices: String = accounts
        .iter()
        .enumerate()
        .map(|(index, account)| {
            let checked = if index == 0 { " checked" } else { "" };
            format!(
                r#"<label class="choice"><input type="radio" name="account_id" value="{}"{checked}>
                <span class="avatar">{}</span><span><b>{}</b><small>@{}</small></span></label>"#,
                account.id,
                escape(&account.name.chars().take(1).collect::<String>()),
                escape(&account.name),
                escape(&account.handle),
            )
        })
        .collect();
    let disabled = if accounts.is_empty() { " disabled" } else { "" };
    let body = format!(
        r#"<h1>Authorize {app} to access your account?</h1>
        <p>{app} will be able to read and send Direct Messages of the account you choose.</p>
        <form method="post"><input type="hidden" name="oauth_token" value="{token}">{choices}
        <div class="actions"><button class="primary" name="action" value="approve"{disabled}>Authorize app</button>
        <button name="action" value="deny">Cancel</button></div></form>
        <p class="fine">This is the simulator's stand-in for the platform's page.</p>"#,
        app = escape(app),
        token = escape(token),
    );
    frame("Authorize", &body)
}

/// A page that says one thing.
pub(crate) fn notice(title: &str, text: &str) -> String {
    frame(
        title,
        &format!(
            "<h1>{}</h1><p class=\"big\">{}</p>",
            escape(title),
            escape(text)
        ),
    )
}

/// A page around a body.
pub(crate) fn frame(title: &str, body: &str) -> String {
    format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1"><title>{}</title>
        <link rel="stylesheet" href="/style.css"></head><body class="center"><main class="card">{body}</main></body></html>"#,
        escape(title)
    )
}

/// Text as HTML shows it.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let page = notice("<b>", "\"><script>");
        assert!(!page.contains("<script>") && !page.contains("<h1><b>"));
    }
}
