//! Money that goes back: asked for by an operator, or by us for a charge that landed after a cancel.

use chrono::{DateTime, Utc};
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::money::Won;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RefundStatus {
    Pending,
    Unknown,
    Completed,
    Failed,
}

/// A row of `refunds`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub id: Uuid,
    pub payment_id: Uuid,
    pub amount: Won,
    /// Told to the gateway, 1–200 characters.
    pub reason: String,
    pub requested_by: String,
    pub idempotency_key: Uuid,
    pub status: RefundStatus,
    pub sent_at: Option<DateTime<Utc>>,
    pub first_sent_at: Option<DateTime<Utc>>,
    pub unknown_since: Option<DateTime<Utc>>,
}
