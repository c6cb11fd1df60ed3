//! `GET /api/plans`: what is sold, and for how much.

use std::sync::Arc;

use axum::{Json, extract::State};
use common::{domain::plan::Plan, store::plans};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, error::ApiError};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanView {
    /// What `plan` says in a confirmation.
    #[schema(example = "personal")]
    code: String,
    #[schema(example = "퍼스널")]
    name: String,
    /// Won per month.
    #[schema(example = 9900)]
    monthly_amount: i32,
    /// Won per year.
    #[schema(example = 94800)]
    yearly_amount: i32,
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> Self {
        Self {
            code: plan.code,
            name: plan.name,
            monthly_amount: plan.monthly.get(),
            yearly_amount: plan.yearly.get(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanList {
    success: bool,
    plans: Vec<PlanView>,
}

/// Plans with their prices in won.
#[utoipa::path(get, path = "/api/plans", tag = "plans", responses((status = 200, description = "What is sold now", body = PlanList)))]
pub(crate) async fn list_plans(State(app): State<Arc<App>>) -> Result<Json<PlanList>, ApiError> {
    let mut conn = app.pool.acquire().await?;
    let plans = plans::list(&mut conn).await?;
    Ok(Json(PlanList { success: true, plans: plans.into_iter().map(PlanView::from).collect() }))
}
