//! `POST /api/subscriptions/{id}/resume`: takes a cancel back while the paid period runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use common::commands::resume;
use common::commands::resume::ResumeSubscription;
use common::id::parse_subscription_ref;

use super::subscriptions::{SubscriptionAnswer, answer_subscription};
use crate::{app::App, caller::Customer, error::ApiError, problem::Problem};

/// Takes the cancel of one of the customer's subscriptions back. Nothing is charged before the next date.
#[utoipa::path(
    post, path = "/api/subscriptions/{id}/resume", tag = "subscriptions", security(("customer" = [])),
    params(("id" = String, Path, description = "`sub_…`, or the plain UUID")),
    responses(
        (status = 200, description = "Active again; `nextBillingDate` is as before the cancel", body = SubscriptionAnswer),
        (status = 401, description = "No valid token"),
        (status = 404, description = "No such subscription, or somebody else's"),
        (status = 409, description = "`not_canceled`, `period_ended` or `refund_in_progress`: nothing is written"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn resume_subscription(
    State(app): State<Arc<App>>,
    customer: Customer,
    Path(id): Path<String>,
) -> Result<Json<SubscriptionAnswer>, ApiError> {
    let subscription_id = parse_subscription_ref(&id).ok_or(Problem::NotFound)?;
    let actor = format!("customer:{}", customer.id);
    let request = ResumeSubscription { subscription_id, user_id: Some(customer.id), actor: &actor };
    let now = app.clock.now();
    app.transaction(async |tx| {
        let resumed = resume::resume_subscription(tx, request, now).await?;
        answer_subscription(tx, &resumed, now).await
    })
    .await
}
