//! Payments and their life: READY → `IN_PROGRESS` → DONE | ABORTED | EXPIRED → CANCELED | `PARTIAL_CANCELED`.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::ids;
use crate::keys::KeyKind;
use crate::refusal::Refusal;

/// From opening the window to the buyer's authentication.
const TO_AUTHENTICATE: TimeDelta = TimeDelta::minutes(30);
/// From authentication to the confirm call.
const TO_CONFIRM: TimeDelta = TimeDelta::minutes(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ready,
    InProgress,
    Done,
    Canceled,
    PartialCanceled,
    Aborted,
    Expired,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::InProgress => "IN_PROGRESS",
            Self::Done => "DONE",
            Self::Canceled => "CANCELED",
            Self::PartialCanceled => "PARTIAL_CANCELED",
            Self::Aborted => "ABORTED",
            Self::Expired => "EXPIRED",
        }
    }

    pub(crate) fn was_approved(self) -> bool {
        matches!(self, Self::Done | Self::Canceled | Self::PartialCanceled)
    }
}

/// Where the buyer paid. Toss wants the secret of the same pair at the confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Widget,
    ApiWindow,
    /// Made by a script: either secret confirms it.
    Script,
    BillingKey,
}

#[derive(Debug, Clone)]
pub(crate) struct Cancel {
    pub(crate) amount: i64,
    pub(crate) reason: String,
    pub(crate) refundable: i64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) transaction_key: String,
}

/// What a new payment is made from.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) origin: Origin,
    pub(crate) order_id: String,
    pub(crate) order_name: String,
    pub(crate) amount: i64,
    pub(crate) tax_free: i64,
    pub(crate) tax_exemption: i64,
    pub(crate) customer_key: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) key: String,
    pub(crate) opening: Opening,
    pub(crate) status: Status,
    pub(crate) balance: i64,
    pub(crate) requested_at: DateTime<Utc>,
    /// When READY or `IN_PROGRESS` ends in EXPIRED.
    pub(crate) deadline: DateTime<Utc>,
    pub(crate) approved_at: Option<DateTime<Utc>>,
    pub(crate) card_number: Option<String>,
    pub(crate) approve_no: String,
    pub(crate) secret: String,
    /// Whose secret confirmed it, where that is not told by its origin.
    pub(crate) confirmed_with: Option<KeyKind>,
    /// The key made by a confirm, where the switch says so; shown as `card.billingKey`.
    pub(crate) shown_billing_key: Option<String>,
    pub(crate) last_transaction_key: Option<String>,
    pub(crate) cancels: Vec<Cancel>,
    pub(crate) failure: Option<Refusal>,
}

impl Payment {
    /// The buyer opened the payment window.
    pub(crate) fn opened(opening: Opening, now: DateTime<Utc>) -> Self {
        Self {
            key: ids::payment_key(now),
            balance: opening.amount,
            opening,
            status: Status::Ready,
            requested_at: now,
            deadline: now + TO_AUTHENTICATE,
            approved_at: None,
            card_number: None,
            approve_no: ids::approve_no(),
            secret: ids::payment_secret(),
            confirmed_with: None,
            shown_billing_key: None,
            last_transaction_key: None,
            cancels: Vec::new(),
            failure: None,
        }
    }

    /// The one pair of keys that this payment belongs to, as far as that is known yet.
    pub(crate) fn owner(&self) -> Option<KeyKind> {
        match self.opening.origin {
            Origin::Widget => Some(KeyKind::Widget),
            Origin::ApiWindow | Origin::BillingKey => Some(KeyKind::Api),
            Origin::Script => self.confirmed_with,
        }
    }

    /// The buyer finished the payment window; the merchant has ten minutes to confirm.
    pub(crate) fn authenticate(&mut self, card_number: String, now: DateTime<Utc>) {
        self.status = Status::InProgress;
        self.card_number = Some(card_number);
        self.deadline = now + TO_CONFIRM;
    }

    pub(crate) fn approve(&mut self, now: DateTime<Utc>) -> String {
        let transaction = ids::transaction_key();
        self.status = Status::Done;
        self.approved_at = Some(now);
        self.last_transaction_key = Some(transaction.clone());
        transaction
    }

    pub(crate) fn abort(&mut self, failure: Refusal) {
        self.status = Status::Aborted;
        self.failure = Some(failure);
    }

    fn expire(&mut self) {
        self.status = Status::Expired;
        let message = "결제가 만료되었습니다. 다시 시도해주세요.";
        self.failure = Some(Refusal::new(400, "EXPIRED_PAYMENT", message));
    }

    /// One full cancel ends `CANCELED`; the rest after a partial one stays `PARTIAL_CANCELED` (measured at Toss).
    pub(crate) fn cancel(&mut self, amount: i64, reason: String, now: DateTime<Utc>) -> String {
        let transaction = ids::transaction_key();
        let whole = amount == self.opening.amount;
        self.balance -= amount;
        self.status = if whole { Status::Canceled } else { Status::PartialCanceled };
        self.last_transaction_key = Some(transaction.clone());
        let refundable = self.balance;
        self.cancels.push(Cancel {
            amount,
            reason,
            refundable,
            at: now,
            transaction_key: transaction.clone(),
        });
        transaction
    }
}

/// All payments, found by key or by order.
#[derive(Debug, Default)]
pub(crate) struct Payments {
    by_key: HashMap<String, Payment>,
    /// Oldest first: an order may have several windows, at most one of them approved.
    by_order: HashMap<String, Vec<String>>,
    open: Vec<String>,
}

impl Payments {
    pub(crate) fn insert(&mut self, payment: Payment) {
        let key = payment.key.clone();
        self.by_order.entry(payment.opening.order_id.clone()).or_default().push(key.clone());
        if matches!(payment.status, Status::Ready | Status::InProgress) {
            self.open.push(key.clone());
        }
        self.by_key.insert(key, payment);
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Payment> {
        self.by_key.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Payment> {
        self.by_key.get_mut(key)
    }

    fn of_order<'a>(&'a self, order_id: &str) -> impl DoubleEndedIterator<Item = &'a Payment> + use<'a> {
        let keys = self.by_order.get(order_id).map(Vec::as_slice).unwrap_or_default();
        keys.iter().filter_map(|key| self.by_key.get(key))
    }

    /// The approved payment of an order, else its latest one.
    pub(crate) fn by_order(&self, order_id: &str) -> Option<&Payment> {
        self.of_order(order_id)
            .find(|payment| payment.status.was_approved())
            .or_else(|| self.of_order(order_id).next_back())
    }

    pub(crate) fn order_is_taken(&self, order_id: &str) -> bool {
        self.of_order(order_id).any(|payment| payment.status.was_approved())
    }

    /// Expires what is overdue and returns the keys.
    pub(crate) fn expire_overdue(&mut self, now: DateTime<Utc>) -> Vec<String> {
        let mut expired = Vec::new();
        let by_key = &mut self.by_key;
        self.open.retain(|key| {
            let Some(payment) = by_key.get_mut(key) else { return false };
            if !matches!(payment.status, Status::Ready | Status::InProgress) {
                return false;
            }
            if now < payment.deadline {
                return true;
            }
            payment.expire();
            expired.push(key.clone());
            false
        });
        expired
    }
}
