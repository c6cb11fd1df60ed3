//! Money that goes back: asked for by an operator, or by us for a charge that landed after a cancel.

use chrono::{DateTime, TimeDelta, Utc};
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::money::Won;
use super::payment::{KEY_LIFETIME, REVIEW_AFTER, SERVER_ERRORS_OF_A_KEY};
use crate::id::{new_id, new_key};

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
    /// How many sendings the gateway answered with 5xx.
    pub server_errors: i32,
}

impl Refund {
    /// Money that is to go back. It is not sent yet.
    pub fn new(
        payment_id: Uuid,
        amount: Won,
        reason: impl Into<String>,
        requested_by: impl Into<String>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id: new_id(now),
            payment_id,
            amount,
            reason: reason.into(),
            requested_by: requested_by.into(),
            idempotency_key: new_key(),
            status: RefundStatus::Pending,
            sent_at: None,
            first_sent_at: None,
            unknown_since: None,
            server_errors: 0,
        }
    }

    pub fn is_settled(&self) -> bool {
        match self.status {
            RefundStatus::Pending | RefundStatus::Unknown => false,
            RefundStatus::Completed | RefundStatus::Failed => true,
        }
    }

    /// What to do about a refund that was sent and that the gateway does not list.
    ///
    /// A second refund cannot be made by any of it: each request names the amount that must still be left.
    pub fn when_not_listed(&self, now: DateTime<Utc>) -> MissingRefund {
        let tried_for = self.first_sent_at.map_or(TimeDelta::zero(), |first| now - first);
        match self.server_errors {
            _ if tried_for >= KEY_LIFETIME => MissingRefund::GiveUp,
            ..SERVER_ERRORS_OF_A_KEY => MissingRefund::SendAgain,
            SERVER_ERRORS_OF_A_KEY => MissingRefund::SendWithFreshKey,
            // Nobody asked for it and nobody would ask again: it goes on for a day.
            _ if self.requested_by == "worker" && tried_for < REVIEW_AFTER => MissingRefund::SendWithFreshKey,
            _ => MissingRefund::GiveUp,
        }
    }
}

/// What follows when the gateway does not list a refund that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingRefund {
    SendAgain,
    /// The gateway may repeat its 5xx under the old key for as long as it keeps the key.
    SendWithFreshKey,
    /// Nothing went back: the refund has failed, and the next one is possible.
    GiveUp,
}

#[cfg(test)]
mod tests {
    use super::{MissingRefund::*, *};

    fn refund(server_errors: i32, requested_by: &str) -> Refund {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let new = Refund::new(Uuid::nil(), Won::ZERO, "why", requested_by, now);
        Refund { server_errors, first_sent_at: Some(now), ..new }
    }

    #[test]
    fn a_refund_that_fails_each_time_ends_with_the_third_5xx() {
        let soon = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::minutes(5);
        let actions = [0, 1, 2, 3].map(|errors| refund(errors, "operator:kim").when_not_listed(soon));
        assert_eq!(actions, [SendAgain, SendAgain, SendWithFreshKey, GiveUp]);
    }

    #[test]
    fn a_refund_that_nobody_asked_for_goes_on_for_a_day() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let own = refund(7, "worker");
        assert_eq!(own.when_not_listed(now + TimeDelta::hours(23)), MissingRefund::SendWithFreshKey);
        assert_eq!(own.when_not_listed(now + TimeDelta::hours(25)), MissingRefund::GiveUp);
    }
}
