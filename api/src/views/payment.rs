//! A payment as its customer sees it, and a refund as an operator does.

use chrono::{DateTime, Utc};
use common::domain::payment::{Payment, PaymentStatus};
use common::store::refunds::Requested;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentView {
    id: Uuid,
    #[schema(example = "ORDER_1729657033847")]
    order_id: String,
    /// Won.
    #[schema(example = 94800)]
    amount: i32,
    /// Final: `completed`, `failed`, `refunded`, `partially_refunded`. Before: `pending`, `unknown`.
    #[schema(example = "completed")]
    status: &'static str,
    /// `card`, `easy_pay`, `transfer`, `virtual_account`, `mobile_phone`; another one as Toss calls it.
    #[schema(example = "card")]
    payment_method: Option<String>,
    paid_at: Option<DateTime<Utc>>,
    /// Toss's receipt.
    receipt_url: Option<String>,
    /// Only when failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
    created_at: DateTime<Utc>,
}

/// Why a payment failed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FailureView {
    /// Toss's code, or `payment_canceled` for a payment that was withdrawn before the bank was asked.
    #[schema(example = "REJECT_CARD_PAYMENT")]
    code: String,
    /// In Korean, for the customer.
    message: String,
}

impl PaymentView {
    pub(crate) fn new(payment: Payment, payment_method: Option<String>) -> Self {
        Self {
            id: payment.id,
            amount: payment.amount.get(),
            status: payment.status.into(),
            payment_method,
            paid_at: payment.paid_at,
            failure: failure(&payment),
            receipt_url: payment.receipt_url,
            created_at: payment.created_at,
            order_id: payment.order_id,
        }
    }
}

/// Only a decline has words of Toss's for the customer; other reasons on record are ours.
fn failure(payment: &Payment) -> Option<FailureView> {
    let is_decline = payment.decline_kind.is_some();
    (payment.status == PaymentStatus::Failed).then(|| FailureView {
        code: payment.toss_code.clone().unwrap_or_else(|| "payment_canceled".to_owned()),
        message: payment
            .toss_message
            .clone()
            .filter(|_| is_decline)
            .unwrap_or_else(|| "결제가 취소되었습니다.".to_owned()),
    })
}

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
    pub(crate) fn new(refund: Requested) -> Self {
        Self {
            id: refund.id,
            payment_id: refund.payment_id,
            amount: refund.amount.get(),
            status: refund.status.into(),
            reason: refund.reason,
        }
    }
}
