//! Lines about a person in the audit logs of their brands.

use actix_web::HttpRequest;
use roost_domain::ids::{BrandId, MemberId, UserId};
use roost_store::accounts;
use roost_store::audit::Entry;
use roost_store::ledger::{self, Cause};

use super::{actor, address};
use crate::app::App;
use crate::problem::Problem;

/// Brands that are told of one act, at most: what a stranger does at the door costs only so much.
const MOST_BRANDS: usize = 5;

/// Who acts: nobody is signed in, so it is the person themselves or a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// They have proven who they are.
    Themselves,
    /// They haven't.
    Stranger,
}

/// Why something changes in a request without a session.
pub(crate) fn cause(app: &App, request: &HttpRequest, actor: ledger::Actor) -> Cause {
    let from = address::of(request, &app.config.public.trusted_proxies);
    Cause::new(actor, Some(actor::request_id(request))).from_address(from)
}

/// A line whose target is a member.
pub(crate) fn line(action: &'static str, member: MemberId) -> Entry {
    Entry {
        action,
        target_type: "member",
        target: Some(member.0),
        ..Entry::default()
    }
}

/// Writes a line into the logs of the brands where a person has a seat.
pub(crate) async fn everywhere(
    app: &App,
    request: &HttpRequest,
    user: UserId,
    by: By,
    action: &'static str,
) -> Result<(), Problem> {
    let seats = app
        .store
        .system(move |tx| Box::pin(async move { accounts::memberships(tx, user).await }))
        .await?;
    for seat in seats.into_iter().take(MOST_BRANDS) {
        let actor = match by {
            By::Themselves => ledger::Actor::Member(seat.member),
            By::Stranger => ledger::Actor::System,
        };
        let cause = cause(app, request, actor);
        in_brand(app, seat.brand, cause, line(action, seat.member)).await?;
    }
    Ok(())
}

/// Writes a line into the log of one brand.
pub(crate) async fn in_brand(
    app: &App,
    brand: BrandId,
    cause: Cause,
    entry: Entry,
) -> Result<(), Problem> {
    let audit = app.audit.clone();
    app.store
        .brand(brand, move |tx| {
            Box::pin(async move { audit.record(tx, &cause, entry).await.map(drop) })
        })
        .await?;
    Ok(())
}
