//! Settings for what Toss does not document, or documents and does differently from the guide.

use serde::{Deserialize, Serialize};

/// How a declined billing charge reads back by its order id (Toss does not say).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailedChargeLookup {
    /// 404 `NOT_FOUND_PAYMENT`.
    NotFound,
    /// 200 with status `ABORTED` and the `failure`.
    Aborted,
}

/// How a virtual account reads whose due date passed without a deposit (Toss does not say).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverdueDeposit {
    /// Status `EXPIRED`, told by `PAYMENT_STATUS_CHANGED`.
    Expired,
    /// Status `CANCELED`, told by the deposit callback.
    Canceled,
    /// Still `WAITING_FOR_DEPOSIT`, with `virtualAccount.expired`; nothing is told.
    Waiting,
}

/// Every switch; scripting may change any of them at any time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch, named in the scripting API"
)]
pub struct Switches {
    /// A confirm answer carries `card.billingKey`. The guide expects it; the real Toss does not send it.
    pub confirm_billing_key: bool,
    pub failed_charge_lookup: FailedChargeLookup,
    pub overdue_deposit: OverdueDeposit,
    /// A 5xx answer is bound to its idempotency key, too.
    pub bind_server_errors: bool,
    /// Cancelling a billing payment sends `PAYMENT_STATUS_CHANGED`.
    pub billing_cancel_webhook: bool,
    /// Webhooks wait until they are redelivered by hand, so that a test can choose the order.
    pub hold_webhooks: bool,
    /// 100 requests a minute per secret and operation, then 429.
    pub rate_limit: bool,
    /// A widget's payment is confirmed with the widget secret only, the API window's with the API secret only; and each
    /// is read and cancelled with a secret of its own pair only.
    pub strict_key_pairs: bool,
    /// Answers with 429 or 5xx carry this `Retry-After`, in seconds.
    pub retry_after_secs: Option<u32>,
    /// The code for an auth key that is unknown or used up.
    pub auth_key_refusal: String,
    /// The rows of cancels in `GET /v1/transactions` have negative amounts.
    pub negative_cancel_rows: bool,
    /// The `mId` of payments and billing keys from now on: which merchant the keys belong to.
    pub merchant_id: String,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            confirm_billing_key: true,
            failed_charge_lookup: FailedChargeLookup::NotFound,
            overdue_deposit: OverdueDeposit::Expired,
            bind_server_errors: false,
            billing_cancel_webhook: true,
            hold_webhooks: false,
            rate_limit: false,
            strict_key_pairs: false,
            retry_after_secs: None,
            auth_key_refusal: "NOT_FOUND_BILLING".to_owned(),
            negative_cancel_rows: false,
            merchant_id: "tosssandbox".to_owned(),
        }
    }
}
