//! A plan as it is sold.

use common::domain::plan::Plan;
use serde::Serialize;
use utoipa::ToSchema;

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
