//! A refund as an operator sees it.

use common::store::refund_requests::Requested;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefundView {
    id: Uuid,
    payment_id: Uuid,
    /// Won.
    #[schema(example = 9900)]
    amount: i32,
    /// Final: `completed`, `failed`. Before: `pending`, `unknown`.
    #[schema(example = "completed")]
    status: &'static str,
    reason: String,
}

impl RefundView {
    pub(crate) fn of(refund: Requested) -> Self {
        Self {
            id: refund.id,
            payment_id: refund.payment_id,
            amount: refund.amount.get(),
            status: refund.status.into(),
            reason: refund.reason,
        }
    }
}
