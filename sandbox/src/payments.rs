//! Payments and their statuses: READY → `IN_PROGRESS` → (`WAITING_FOR_DEPOSIT` →) DONE | ABORTED | EXPIRED → CANCELED |
//! `PARTIAL_CANCELED`.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::ids;
use crate::keys::KeyKind;
use crate::refusal::Refusal;
use crate::switches::OverdueDeposit;
use crate::virtual_account::VirtualAccount;

/// From opening the window to the buyer's authentication.
const TO_AUTHENTICATE: TimeDelta = TimeDelta::minutes(30);
/// From authentication to the confirm call.
const TO_CONFIRM: TimeDelta = TimeDelta::minutes(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ready,
    InProgress,
    WaitingForDeposit,
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
            Self::WaitingForDeposit => "WAITING_FOR_DEPOSIT",
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

    /// True while time alone can end the payment.
    fn has_deadline(self) -> bool {
        matches!(self, Self::Ready | Self::InProgress | Self::WaitingForDeposit)
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
    /// The merchant whose keys opened it: `mId`.
    pub(crate) merchant_id: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) key: String,
    pub(crate) opening: Opening,
    pub(crate) status: Status,
    pub(crate) balance: i64,
    pub(crate) requested_at: DateTime<Utc>,
    /// When READY, `IN_PROGRESS` or `WAITING_FOR_DEPOSIT` ends by itself.
    pub(crate) deadline: DateTime<Utc>,
    pub(crate) approved_at: Option<DateTime<Utc>>,
    pub(crate) card_number: Option<String>,
    pub(crate) virtual_account: Option<VirtualAccount>,
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
            virtual_account: None,
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

    /// The buyer finished the window and chose to pay into an account.
    pub(crate) fn choose_virtual_account(&mut self, account: VirtualAccount, now: DateTime<Utc>) {
        self.status = Status::InProgress;
        self.virtual_account = Some(account);
        self.deadline = now + TO_CONFIRM;
    }

    /// The confirm of a virtual account: the account is open, the money is still to come.
    pub(crate) fn await_deposit(&mut self, now: DateTime<Utc>) {
        let Some(account) = &mut self.virtual_account else { return };
        let due_at = now + account.valid_for;
        account.due_at = Some(due_at);
        self.deadline = due_at;
        self.status = Status::WaitingForDeposit;
        self.last_transaction_key = Some(ids::transaction_key());
    }

    /// A bank may report a deposit after the due date, so an overdue account still takes one.
    pub(crate) fn takes_deposit(&self) -> bool {
        let is_overdue = self.virtual_account.as_ref().is_some_and(|account| account.is_expired);
        self.status == Status::WaitingForDeposit || (is_overdue && self.approved_at.is_none())
    }

    /// The bank reports the money. An account that had ended already is paid all the same.
    pub(crate) fn receive_deposit(&mut self, now: DateTime<Utc>) -> String {
        self.balance = self.opening.amount;
        self.failure = None;
        self.cancels.clear();
        self.approve(now)
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

    fn expire(&mut self, overdue_deposit: OverdueDeposit, now: DateTime<Utc>) {
        if let Some(account) = self.virtual_account.as_mut().filter(|account| account.due_at.is_some()) {
            account.is_expired = true;
            match overdue_deposit {
                OverdueDeposit::Expired => {}
                OverdueDeposit::Canceled => return self.cancel_waiting("입금 기한 만료".to_owned(), now),
                OverdueDeposit::Waiting => return,
            }
        }
        self.status = Status::Expired;
        let message = "결제가 만료되었습니다. 다시 시도해주세요.";
        self.failure = Some(Refusal::new(400, "EXPIRED_PAYMENT", message));
    }

    /// Ends a virtual account before its deposit: no money moved, so none goes back.
    pub(crate) fn cancel_waiting(&mut self, reason: String, now: DateTime<Utc>) {
        let amount = self.opening.amount;
        self.cancel(amount, reason, now);
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

/// 6 to 64 letters, digits, `-` and `_`.
pub(crate) fn is_order_id(text: &str) -> bool {
    (6..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
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
        if payment.status.has_deadline() {
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

    /// The approved payment of an order, else the one that waits for its deposit, else its latest one.
    pub(crate) fn by_order(&self, order_id: &str) -> Option<&Payment> {
        self.of_order(order_id)
            .find(|payment| payment.status.was_approved())
            .or_else(|| self.of_order(order_id).find(|payment| payment.status == Status::WaitingForDeposit))
            .or_else(|| self.of_order(order_id).next_back())
    }

    /// Virtual accounts that a deposit may still reach, the oldest first.
    pub(crate) fn awaiting_deposit(&self) -> Vec<&Payment> {
        let mut waiting: Vec<&Payment> =
            self.by_key.values().filter(|payment| payment.takes_deposit()).collect();
        waiting.sort_by(|a, b| (a.requested_at, &a.key).cmp(&(b.requested_at, &b.key)));
        waiting
    }

    pub(crate) fn order_is_taken(&self, order_id: &str) -> bool {
        let is_taken = |status: Status| status.was_approved() || status == Status::WaitingForDeposit;
        self.of_order(order_id).any(|payment| is_taken(payment.status))
    }

    /// Expires what is overdue and returns the keys.
    pub(crate) fn expire_overdue(
        &mut self,
        overdue_deposit: OverdueDeposit,
        now: DateTime<Utc>,
    ) -> Vec<String> {
        let mut expired = Vec::new();
        let by_key = &mut self.by_key;
        self.open.retain(|key| {
            let Some(payment) = by_key.get_mut(key) else { return false };
            if !payment.status.has_deadline() {
                return false;
            }
            if now < payment.deadline {
                return true;
            }
            payment.expire(overdue_deposit, now);
            expired.push(key.clone());
            false
        });
        expired
    }
}
