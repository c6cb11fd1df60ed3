//! Typed client of the Toss Payments core API: every call ends in one of a few outcomes, never in a guess.
//!
//! A charge is *paid*, *declined*, *not sent*, *waiting* or *unknown* ([`ChargeOutcome`]); which it is, is decided in
//! one pure module, [`mod@outcome`], from Toss's error `code` and never from the HTTP status alone. Unknown is not a
//! failure: read the payment back by its order id ([`Toss::payment_by_order_id`], [`outcome_of_lookup`]), and only
//! when Toss does not know the order send the *same* order id and idempotency key again
//! ([`ChargeOutcome::of_resend`]), never after day 14 (Toss forgets a key after 15 days).
//!
//! Amounts are whole won. Times from Toss keep their offset (+09:00). The client reads no clock and retries nothing.
//! Dropping the future of a call that moves money leaves its outcome unknown: let it finish.

mod billing;
mod calls;
mod code;
mod config;
mod idempotency;
mod korean;
pub mod outcome;
mod payment;
mod reads;
mod reply;
mod request;
mod sandbox_clock;
mod secret;
mod transaction;
mod transport;
mod verdict;
mod wire;

pub use billing::Billing;
pub use code::Code;
pub use config::{ConfigError, TossConfig};
pub use idempotency::{IdempotencyKey, InvalidIdempotencyKey};
pub use korean::{korean_bank, korean_reason};
pub use outcome::{
    CancelOutcome, ChargeOutcome, Decline, DeleteOutcome, IssueOutcome, LookupOutcome, Reason, ReasonKind,
    Why, WhyKind, outcome_of_lookup,
};
pub use payment::{Cancel, Card, Failure, GatewayPayment, GatewayPaymentStatus, PaymentType, VirtualAccount};
pub use request::{CancelRequest, ChargeRequest, ConfirmRequest, IssueRequest, TransactionsQuery};
pub use sandbox_clock::SandboxClockError;
pub use secret::BillingKey;
pub use transaction::{Transaction, TransactionPage, TransactionPages};
pub use transport::{Account, Toss};
pub use verdict::refused_optional_field;
