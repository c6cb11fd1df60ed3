//! What a call to the gateway came to: five outcomes, and for a look-up a sixth, "no such order".

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::payment::DeclineKind;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The money moved, and the answer names our order and amount.
    Paid(Receipt),
    /// The bank said no. Counts toward suspension.
    Declined(Decline),
    /// It never reached the bank: maintenance, rate limit, our mistake. Counts nothing, mails nobody.
    NotSent(NotSent),
    /// The gateway has the payment, and it has not ended: a deposit is awaited, or the bank is still at work.
    Waiting(WaitingPayment),
    /// Nobody knows: a timeout, a 5xx, a cut line. Never a failure.
    Unknown(UnknownOutcome),
    /// A look-up only: the gateway knows no such order, or one that has not been approved.
    NoSuchOrder,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub payment_key: String,
    pub paid_at: DateTime<Utc>,
    pub method: String,
    pub receipt_url: Option<String>,
    /// Compared with the secret of later webhooks.
    pub secret: Option<String>,
    pub trace_id: Option<String>,
    /// Sealed already; present when the gateway handed out a billing key with the payment.
    pub sealed_billing_key: Option<String>,
    /// Masked by the gateway, e.g. `43301234****123*`.
    pub card_number: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    pub kind: DeclineKind,
    pub code: String,
    pub message: String,
    pub trace_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSent {
    pub code: Option<String>,
    pub message: String,
    pub trace_id: Option<String>,
    /// The gateway replays this refusal for 15 days under the same idempotency key: the next try needs a new one.
    pub key_is_burnt: bool,
    /// Only a person can mend it (credentials, contract, our own request).
    pub needs_operator: bool,
    /// How long the gateway asks us to wait.
    pub retry_after: Option<Duration>,
    /// What it says about the gateway: one that names what is wrong with this request works. None: it was not asked.
    pub gateway_works: Option<bool>,
}

/// A payment that the gateway has accepted and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingPayment {
    /// As the gateway writes it, e.g. `WAITING_FOR_DEPOSIT`.
    pub status: String,
    pub payment_key: String,
    /// The account that the buyer pays into, where that is what is waited for.
    pub account: Option<VirtualAccount>,
    /// Compared with the secret of later webhooks.
    pub secret: Option<String>,
    pub trace_id: Option<String>,
}

/// A bank account made for one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAccount {
    /// In Korean, for people.
    pub bank: String,
    pub account_number: String,
    pub holder_name: String,
    pub due_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownOutcome {
    /// No sensible answer came: says that the gateway does not work.
    pub is_technical: bool,
    /// The gateway answered 5xx, which it may repeat for as long as it keeps the idempotency key.
    pub is_server_error: bool,
    pub code: Option<String>,
    pub message: String,
    pub trace_id: Option<String>,
    /// How long the gateway asks us to wait.
    pub retry_after: Option<Duration>,
}

impl UnknownOutcome {
    /// One of our own, which says nothing about whether the gateway works.
    pub fn of(message: impl Into<String>) -> Self {
        Self {
            is_technical: false,
            is_server_error: false,
            code: None,
            message: message.into(),
            trace_id: None,
            retry_after: None,
        }
    }
}
