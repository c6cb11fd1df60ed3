//! Everything the sandbox remembers, and the changes that touch more than one part of it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::auth_keys::AuthKeys;
use crate::billing::BillingKeys;
use crate::cards::Cards;
use crate::clock::{Clock, event_stamp};
use crate::config::Config;
use crate::faults::Faults;
use crate::idempotency::Idempotency;
use crate::ledger::{Entry, EntryKind, RequestLog};
use crate::limiter::Limiter;
use crate::payment_json;
use crate::payments::{Origin, Payment, Payments, Status};
use crate::refusal::Refusal;
use crate::switches::Switches;
use crate::virtual_account::RefundAccount;
use crate::webhooks::Webhooks;

#[derive(Debug)]
pub(crate) struct SandboxState {
    pub(crate) clock: Clock,
    pub(crate) switches: Switches,
    pub(crate) cards: Cards,
    pub(crate) payments: Payments,
    pub(crate) billing: BillingKeys,
    pub(crate) auth_keys: AuthKeys,
    pub(crate) idempotency: Idempotency,
    pub(crate) faults: Faults,
    pub(crate) request_log: RequestLog,
    pub(crate) webhooks: Webhooks,
    pub(crate) limiter: Limiter,
    /// Counts resets, so that a call that began before one does not write after it.
    pub(crate) epoch: u64,
}

impl SandboxState {
    pub(crate) fn new(config: &Config, epoch: u64) -> Self {
        let mut webhooks = Webhooks::default();
        webhooks.url.clone_from(&config.webhook_url);
        Self {
            clock: Clock::starting_at(config.start),
            switches: Switches::default(),
            cards: Cards::default(),
            payments: Payments::default(),
            billing: BillingKeys::default(),
            auth_keys: AuthKeys::default(),
            idempotency: Idempotency::default(),
            faults: Faults::default(),
            request_log: RequestLog::default(),
            webhooks,
            limiter: Limiter::default(),
            epoch,
        }
    }

    /// Catches up with the clock: overdue payments expire. Returns the time.
    pub(crate) fn settle(&mut self) -> DateTime<Utc> {
        let now = self.clock.now();
        for key in self.payments.expire_overdue(self.switches.overdue_deposit, now) {
            self.announce(&key, now);
        }
        now
    }

    /// Writes money that moved into the ledger; `amount` is positive both ways.
    pub(crate) fn record(
        &mut self,
        kind: EntryKind,
        payment_key: &str,
        transaction_key: String,
        amount: i64,
        at: DateTime<Utc>,
    ) {
        let Some(payment) = self.payments.get(payment_key) else { return };
        self.request_log.entries.push(Entry {
            kind,
            amount,
            order_id: payment.opening.order_id.clone(),
            payment_key: payment_key.to_owned(),
            transaction_key,
            customer_key: payment.opening.customer_key.clone(),
            method: if payment.virtual_account.is_some() { "가상계좌" } else { "카드" },
            billing: payment.opening.origin == Origin::BillingKey,
            status: payment.status.name().to_owned(),
            at,
        });
    }

    /// The bank reports that the buyer paid into a virtual account.
    pub(crate) fn deposit(&mut self, payment_key: &str, now: DateTime<Utc>) -> Result<Value, Refusal> {
        let payment = self.payments.get_mut(payment_key).ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))?;
        if payment.virtual_account.is_none() {
            return Err(Refusal::new(400, "INVALID_SCRIPT", "the payment has no virtual account"));
        }
        if !payment.takes_deposit() {
            let message = format!("a payment that is {} takes no deposit", payment.status.name());
            return Err(Refusal::new(400, "INVALID_SCRIPT", &message));
        }
        let transaction = payment.receive_deposit(now);
        let (answer, amount) = (payment_json::payment(payment), payment.opening.amount);
        self.record(EntryKind::Capture, payment_key, transaction, amount, now);
        self.announce(payment_key, now);
        Ok(answer)
    }

    /// No amount means all that is left. The codes are the measured ones: after one full cancel 400
    /// `ALREADY_CANCELED_PAYMENT`, after the rest of a partial one 403 `NOT_CANCELABLE_AMOUNT`.
    pub(crate) fn cancel(
        &mut self,
        payment_key: &str,
        amount: Option<i64>,
        reason: String,
        now: DateTime<Utc>,
    ) -> Result<Value, Refusal> {
        if !(1..=200).contains(&reason.chars().count()) || amount.is_some_and(|amount| amount <= 0) {
            return Err(Refusal::of("INVALID_REQUEST"));
        }
        let payment = self.payments.get_mut(payment_key).ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))?;
        match payment.status {
            Status::Done | Status::PartialCanceled => {}
            Status::WaitingForDeposit => {
                return self.cancel_before_deposit(payment_key, amount, reason, now);
            }
            Status::Canceled => return Err(Refusal::of("ALREADY_CANCELED_PAYMENT")),
            Status::Ready | Status::InProgress | Status::Aborted | Status::Expired => {
                return Err(Refusal::of("NOT_CANCELABLE_PAYMENT"));
            }
        }
        let amount = amount.unwrap_or(payment.balance);
        if amount > payment.balance || amount == 0 {
            return Err(Refusal::of("NOT_CANCELABLE_AMOUNT"));
        }
        let transaction = payment.cancel(amount, reason, now);
        let answer = payment_json::payment(payment);
        self.record(EntryKind::Refund, payment_key, transaction, amount, now);
        self.announce(payment_key, now);
        Ok(answer)
    }

    /// Notes where a canceled deposit went. Returns the payment as it is then.
    pub(crate) fn set_refund_account(
        &mut self,
        payment_key: &str,
        refund_account: RefundAccount,
    ) -> Result<Value, Refusal> {
        let payment = self.payments.get_mut(payment_key).ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))?;
        if let Some(account) = &mut payment.virtual_account {
            account.refund_account = Some(refund_account);
        }
        Ok(payment_json::payment(payment))
    }

    /// Closes a virtual account that nobody has paid into; only as a whole.
    fn cancel_before_deposit(
        &mut self,
        payment_key: &str,
        amount: Option<i64>,
        reason: String,
        now: DateTime<Utc>,
    ) -> Result<Value, Refusal> {
        let payment = self.payments.get_mut(payment_key).ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))?;
        if amount.is_some_and(|amount| amount != payment.balance) {
            return Err(Refusal::of("NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT"));
        }
        payment.cancel_waiting(reason, now);
        let answer = payment_json::payment(payment);
        self.announce(payment_key, now);
        Ok(answer)
    }

    /// Tells the merchant of a payment's new status: a virtual account by its own callback, the rest by
    /// `PAYMENT_STATUS_CHANGED`: never for a billing approval or decline, for a billing cancel by switch.
    pub(crate) fn announce(&mut self, payment_key: &str, now: DateTime<Utc>) {
        let Some(payment) = self.payments.get(payment_key) else { return };
        let cancel = matches!(payment.status, Status::Canceled | Status::PartialCanceled);
        let billing = payment.opening.origin == Origin::BillingKey;
        if billing && !(cancel && self.switches.billing_cancel_webhook) {
            return;
        }
        let is_account = payment.virtual_account.as_ref().is_some_and(|account| account.due_at.is_some());
        match payment.status {
            Status::WaitingForDeposit => return,
            Status::Done | Status::Canceled | Status::PartialCanceled if is_account => {
                let callback = deposit_callback(payment, now);
                self.webhooks.push(callback.to_string(), now, self.switches.hold_webhooks);
                return;
            }
            _ => {}
        }
        let data = payment_json::payment(payment);
        self.webhooks.event("PAYMENT_STATUS_CHANGED", &data, now, self.switches.hold_webhooks);
    }
}

/// Toss's `DEPOSIT_CALLBACK` is flat and names no event type.
fn deposit_callback(payment: &Payment, now: DateTime<Utc>) -> Value {
    json!({
        "createdAt": event_stamp(now),
        "secret": payment.secret,
        "status": payment.status.name(),
        "transactionKey": payment.last_transaction_key,
        "orderId": payment.opening.order_id,
    })
}
