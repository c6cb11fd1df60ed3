//! `GET /api/subscriptions/{id}/payments`: what was paid, tried and refunded, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use common::domain::payment::Payment;
use common::store::payments;
use serde::Serialize;
use utoipa::ToSchema;

use super::subscriptions::find_own;
use crate::{app::App, caller::Customer, error::ApiError, page::Page, views::PaymentView};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentPage {
    success: bool,
    payments: Vec<PaymentView>,
    /// For `?cursor=`; null on the last page.
    next_cursor: Option<String>,
}

/// A subscription's payments, newest first, those in flight included.
#[utoipa::path(
    get, path = "/api/subscriptions/{id}/payments", tag = "subscriptions", security(("customer" = [])),
    params(("id" = String, Path, description = "`sub_…`, or the plain UUID"), Page),
    responses(
        (status = 200, description = "A page of them, newest first", body = PaymentPage),
        (status = 401, description = "No valid token"),
        (status = 404, description = "No such subscription, or somebody else's"),
        (status = 422, description = "`invalid_field`: limit or cursor"),
        (status = 503, description = "The database is away"),
    )
)]
pub(crate) async fn list_payments(
    State(app): State<Arc<App>>,
    customer: Customer,
    Path(id): Path<String>,
    page: Page,
) -> Result<Json<PaymentPage>, ApiError> {
    let mut conn = app.pool.acquire().await?;
    let subscription = find_own(&mut conn, &customer, &id).await?;
    let mut rows =
        payments::page_of_subscription(&mut conn, subscription.id, page.cursor, page.rows()).await?;
    let next_cursor = page.paginate(&mut rows, |row| (row.created_at, row.id));
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let mut methods = payments::methods_of(&mut conn, &ids).await?;
    let view = |row: Payment| {
        let method = methods.remove(&row.id);
        PaymentView::new(row, method)
    };
    Ok(Json(PaymentPage { success: true, payments: rows.into_iter().map(view).collect(), next_cursor }))
}
