//! The browser's side: a stand-in for Toss's SDK and the payment window it opens.

mod deposits;
mod page;
mod sdk;
mod shop;
mod window;

use axum::Router;
use axum::routing::get;

use crate::script::Script;

pub(crate) fn routes() -> Router<Script> {
    Router::new()
        .route("/v2/standard", get(sdk::standard))
        .route("/sandbox/window", get(window::open).post(window::submit))
        .route("/sandbox/deposits", get(deposits::list).post(deposits::pay))
        .route("/checkout", get(shop::start))
        .route("/checkout/{*page}", get(shop::page))
}
