//! What a brand may use and what it has used.

use actix_web::{HttpResponse, web};
use roost_store::{StoreError, usage};

use crate::app::App;
use crate::auth::Actor;
use crate::problem::Problem;
use crate::wire::usage::UsageView;

/// The brand's limits and how much of them is used.
#[utoipa::path(
    get, path = "/v1/usage", tag = "brand",
    responses((status = 200, body = UsageView))
)]
pub(crate) async fn get(app: web::Data<App>, actor: Actor) -> Result<HttpResponse, Problem> {
    let defaults = app.quotas.defaults;
    let (limits, used) = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                let limits = usage::limits(tx, &defaults).await?;
                Ok::<_, StoreError>((limits, usage::usage(tx).await?))
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(UsageView::new(limits, used)))
}
