//! One attempt to take money: its name at the gateway, its states, and how a lost answer is hunted down.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::invoice::Invoice;
use super::money::Won;
use super::subscription::Subscription;
use crate::id::{new_id, new_key};

/// Toss keeps an idempotency key for 15 days; one day of margin (docs.tosspayments.com/reference/using-api/authorization).
pub const KEY_LIFETIME: TimeDelta = TimeDelta::days(14);
/// After this long without an answer a person looks at it; no automatic re-send from then on.
pub const REVIEW_AFTER: TimeDelta = TimeDelta::hours(24);
/// A charge may still be running for 60 s; only well after that does "no such order" mean anything.
pub const RESEND_AFTER: TimeDelta = TimeDelta::minutes(10);
/// A confirmation can only be repeated while the buyer's authentication lives (10 minutes), so it may not wait that long.
pub const RECONFIRM_AFTER: TimeDelta = TimeDelta::seconds(75);
/// How often the gateway must have said "no such order" before the attempt is sent again.
pub const MISSES_BEFORE_RESEND: i32 = 2;

/// How often it must have said so before the attempt is given up for good. One such answer may be wrong; so many, an hour
/// apart, are not.
pub const MISSES_BEFORE_GIVING_UP: i32 = 4;

/// An order that the gateway does not know this long after its sending never arrived: after a cancel, or when a person has
/// it, nothing is sent again.
pub const NEVER_ARRIVED_AFTER: TimeDelta = TimeDelta::hours(6);

/// A bank may report a deposit late; an account that is open this long after its due date is closed.
pub const DEPOSIT_GRACE: TimeDelta = TimeDelta::hours(3);

/// From this many 5xx answers on, a request that the gateway does not know takes a fresh idempotency key.
///
/// Whether Toss binds a 5xx to the key is not documented. The order id still keeps one order from being paid twice.
pub const SERVER_ERRORS_OF_A_KEY: i32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PaymentStatus {
    Pending,
    Unknown,
    Completed,
    Failed,
    Refunded,
    PartiallyRefunded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PaymentKind {
    /// Authenticated by the buyer in the payment window; we confirm it.
    First,
    /// Charged by us with the billing key.
    Renewal,
    /// Charged by us with the key of a new card, which it proves. No attempt of the dunning schedule.
    NewCard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DeclineKind {
    Soft,
    /// Final for this card: asking again without a new one is pointless.
    Hard,
}

/// A row of `payments`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Payment {
    pub id: Uuid,
    pub user_id: Uuid,
    pub subscription_id: Uuid,
    pub invoice_id: Uuid,
    pub kind: PaymentKind,
    pub attempt_no: i32,
    pub order_id: String,
    pub payment_key: Option<String>,
    pub idempotency_key: Uuid,
    pub amount: Won,
    pub status: PaymentStatus,
    pub decline_kind: Option<DeclineKind>,
    pub toss_code: Option<String>,
    pub toss_message: Option<String>,
    pub receipt_url: Option<String>,
    pub paid_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
    /// When the request last left, or may have left. None: it certainly has not.
    pub sent_at: Option<DateTime<Utc>>,
    pub first_sent_at: Option<DateTime<Utc>>,
    pub unknown_since: Option<DateTime<Utc>>,
    pub review_since: Option<DateTime<Utc>>,
    pub not_found_count: i32,
    /// The status that the gateway shows of a payment that it has accepted and not ended.
    pub gateway_status: Option<String>,
    /// Until when the buyer may pay into the payment's account; none where no deposit is awaited.
    pub deposit_due_at: Option<DateTime<Utc>>,
    /// How many sendings the gateway answered with 5xx.
    pub server_errors: i32,
    /// The gateway refused an optional field: the next request leaves all of them out.
    pub is_plain: bool,
}

impl Payment {
    /// The next payment that collects an invoice by billing key. It is not sent yet.
    pub fn charge_of(
        subscription: &Subscription,
        invoice: &Invoice,
        kind: PaymentKind,
        earlier: usize,
        now: DateTime<Utc>,
    ) -> Self {
        let attempt_no = i32::try_from(earlier).unwrap_or(i32::MAX).saturating_add(1);
        let order_id = renewal_order_id(subscription.id, invoice.period.no, attempt_no);
        Self { kind, attempt_no, ..Self::unsent(subscription, invoice, order_id, now) }
    }

    /// The payment that the buyer made in the payment window under this order. It is not confirmed yet.
    pub fn first(
        subscription: &Subscription,
        invoice: &Invoice,
        order_id: String,
        payment_key: String,
        now: DateTime<Utc>,
    ) -> Self {
        Self { payment_key: Some(payment_key), ..Self::unsent(subscription, invoice, order_id, now) }
    }

    fn unsent(subscription: &Subscription, invoice: &Invoice, order_id: String, now: DateTime<Utc>) -> Self {
        Self {
            id: new_id(now),
            user_id: subscription.user_id,
            subscription_id: subscription.id,
            invoice_id: invoice.id,
            kind: PaymentKind::First,
            attempt_no: 1,
            order_id,
            payment_key: None,
            idempotency_key: new_key(),
            amount: invoice.amount,
            status: PaymentStatus::Pending,
            decline_kind: None,
            toss_code: None,
            toss_message: None,
            receipt_url: None,
            paid_at: None,
            created_at: now,
            settled_at: None,
            sent_at: None,
            first_sent_at: None,
            unknown_since: None,
            review_since: None,
            not_found_count: 0,
            gateway_status: None,
            deposit_due_at: None,
            server_errors: 0,
            is_plain: false,
        }
    }

    pub fn is_unfinished(&self) -> bool {
        match self.status {
            PaymentStatus::Pending | PaymentStatus::Unknown => true,
            PaymentStatus::Completed
            | PaymentStatus::Failed
            | PaymentStatus::Refunded
            | PaymentStatus::PartiallyRefunded => false,
        }
    }

    /// As it is when it leaves now: an answer to this sending is told from one to an earlier.
    #[must_use]
    pub fn as_sent(&self, now: DateTime<Utc>) -> Self {
        Self { sent_at: Some(now), first_sent_at: self.first_sent_at.or(Some(now)), ..self.clone() }
    }

    /// Whether this is the sending that is on record; the database keeps microseconds.
    pub fn is_same_sending(&self, on_record: &Self) -> bool {
        let micros = |attempt: &Self| attempt.sent_at.map(|at| at.timestamp_micros());
        micros(self) == micros(on_record)
    }

    /// Whether the same order and key may be sent once more after the gateway said "no such order"
    /// (this answer counted in `not_found_count`).
    pub fn may_resend(&self, now: DateTime<Utc>) -> bool {
        let (Some(sent), Some(first)) = (self.sent_at, self.first_sent_at) else {
            return true;
        };
        self.not_found_count >= MISSES_BEFORE_RESEND
            && now - sent >= self.may_run_for()
            && now - first < KEY_LIFETIME
            && !self.is_for_review(now)
    }

    /// Whether "no such order" means anything: not while the call may still be running.
    pub fn not_found_counts(&self, now: DateTime<Utc>) -> bool {
        self.sent_at.is_none_or(|sent| now - sent >= self.may_run_for())
    }

    /// With one more answer "no such order", where it counts.
    #[must_use]
    pub fn with_not_found(&self, now: DateTime<Utc>) -> Self {
        let not_found_count = self.not_found_count.saturating_add(i32::from(self.not_found_counts(now)));
        Self { not_found_count, ..self.clone() }
    }

    /// How long its call may still be on its way.
    pub fn may_run_for(&self) -> TimeDelta {
        match self.kind {
            PaymentKind::First => RECONFIRM_AFTER,
            PaymentKind::Renewal | PaymentKind::NewCard => RESEND_AFTER,
        }
    }

    /// Whether it is certain that the sending never arrived (the answer "no such order" counted in `not_found_count`).
    pub fn never_received(&self, now: DateTime<Utc>) -> bool {
        self.not_found_count >= MISSES_BEFORE_GIVING_UP
            && self.sent_at.is_none_or(|sent| now - sent >= NEVER_ARRIVED_AFTER)
    }

    /// Whether a person has to look at it. A deposit that may still come needs nobody.
    pub fn is_for_review(&self, now: DateTime<Utc>) -> bool {
        let waits_since = self.deposit_due_at.or(self.unknown_since);
        self.review_since.is_some() || waits_since.is_some_and(|since| now - since >= REVIEW_AFTER)
    }

    /// Whether the account has been due for so long that the gateway should have ended it.
    pub fn is_deposit_overdue(&self, now: DateTime<Utc>) -> bool {
        self.deposit_due_at.is_some_and(|due| now - due >= DEPOSIT_GRACE)
    }

    /// Whether the idempotency key may repeat a 5xx for as long as the gateway keeps it. The first may have been bad luck.
    pub fn needs_fresh_key(&self) -> bool {
        self.server_errors >= SERVER_ERRORS_OF_A_KEY
    }

    /// When to ask again about a payment that the gateway has not ended. Its webhook makes this sooner.
    fn next_deposit_check(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let due = self.deposit_due_at?;
        let hourly = now + TimeDelta::hours(1);
        // A minute later the gateway has ended it, too.
        let at_its_end = due + TimeDelta::minutes(1);
        Some(if now < at_its_end { hourly.min(at_its_end) } else { hourly })
    }

    /// When to ask the gateway again about an answer that did not come: soon at first, hourly later, daily once a person
    /// has it and the gateway has not begun to say that it knows no such order.
    pub fn next_lookup(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if let Some(check) = self.next_deposit_check(now) {
            return check;
        }
        let waited = self.unknown_since.map_or(TimeDelta::zero(), |since| now - since);
        let is_about_to_end = self.not_found_count > 0 && !self.never_received(now);
        let pause = if self.is_for_review(now) && !is_about_to_end {
            TimeDelta::days(1)
        } else if waited < TimeDelta::minutes(1) {
            TimeDelta::seconds(20)
        } else if waited < TimeDelta::minutes(15) {
            TimeDelta::minutes(1)
        } else if waited < TimeDelta::hours(2) {
            TimeDelta::minutes(10)
        } else {
            TimeDelta::hours(1)
        };
        now + pause
    }
}

/// What the order ids that we make begin with. Nobody else may use one: it would stand in the way of a renewal.
pub const OUR_ORDERS: &str = "AUTO_";

/// The order id of a renewal: the same (subscription, period, attempt) always has the same name at the gateway.
///
/// Toss allows 6–64 characters of `[A-Za-z0-9_-]`; this is at most 5 + 32 + 1 + 10 + 1 + 10 = 59.
pub fn renewal_order_id(subscription_id: Uuid, period_no: u32, attempt_no: i32) -> String {
    format!("{OUR_ORDERS}{}_{period_no}_{attempt_no}", subscription_id.simple())
}
