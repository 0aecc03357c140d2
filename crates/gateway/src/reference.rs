//! Pages of the API's documentation that are made from the code, so that they can't drift from it.

use std::fmt::Write as _;

use roost_domain::role::{Permission, Role};

use crate::auth::Access;
use crate::openapi::openapi_json;
use crate::problem::Code;
use crate::routes::ROUTES;

/// The pages: file name and content.
#[must_use]
pub fn reference() -> [(&'static str, String); 3] {
    [
        ("openapi.json", openapi_json() + "\n"),
        ("errors.md", errors()),
        ("permissions.md", permissions()),
    ]
}

/// Every code of a problem, what it means and what helps.
fn errors() -> String {
    let mut page = String::from(
        "# Errors\n\n\
         Every error is `application/problem+json` (RFC 9457). Decide by `code`: it is stable. `retryable` says whether the\n\
         same request may succeed later. `request_id` is what support needs.\n",
    );
    for code in Code::ALL {
        // Writing to a string can't fail.
        write!(
            page,
            "\n## {code}\n\n{}. {}.\n\n{}\n",
            code.status(),
            code.title(),
            code.help()
        )
        .ok();
    }
    page
}

/// Who may do what, as the routes ask for it.
fn permissions() -> String {
    let mut page = String::from(
        "# Permissions\n\n\
         A member has every permission of their role; an API key has those of its scopes that its role has too.\n\n| Permission |",
    );
    for role in Role::ALL {
        write!(page, " {role} |").ok();
    }
    page.push_str("\n|---|---|---|---|---|---|\n");
    for permission in Permission::ALL {
        write!(page, "| `{permission}` |").ok();
        for role in Role::ALL {
            let mark = if role.allows(*permission) { "yes" } else { "" };
            write!(page, " {mark} |").ok();
        }
        page.push('\n');
    }
    for permission in Permission::ALL {
        write!(page, "\n## {permission}\n\n{}\n\n", permission.describe()).ok();
        list(&mut page, Access::Needs(*permission));
    }
    page.push_str("\n## Persons only\n\nAny role; no API key.\n\n");
    list(&mut page, Access::Person);
    page.push_str("\n## Public\n\nWithout a token.\n\n");
    list(&mut page, Access::Public);
    page
}

fn list(page: &mut String, access: Access) {
    for route in ROUTES.iter().filter(|route| route.access == access) {
        writeln!(page, "- {} {}", route.verb.to_uppercase(), route.path).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_committed_pages_are_what_the_code_says() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api");
        for (name, page) in super::reference() {
            let committed = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            assert!(
                committed == page,
                "docs/api/{name} is old: run `cargo run -- openapi --write docs/api`"
            );
        }
    }
}
