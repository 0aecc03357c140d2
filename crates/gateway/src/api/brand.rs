//! The brand.

use actix_web::{HttpResponse, web};
use roost_store::brands;

use crate::app::App;
use crate::auth::Actor;
use crate::problem::{Problem, ProblemBody};
use crate::wire::brand::BrandView;

/// The brand that the session acts in.
#[utoipa::path(
    get, path = "/v1/brand", tag = "brand",
    responses((status = 200, body = BrandView), (status = 401, body = ProblemBody))
)]
pub(crate) async fn get(app: web::Data<App>, actor: Actor) -> Result<HttpResponse, Problem> {
    let found = app
        .store
        .brand(actor.brand, |tx| Box::pin(brands::find(tx)))
        .await?;
    let brand = found.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(BrandView::new(actor.brand, brand)))
}
