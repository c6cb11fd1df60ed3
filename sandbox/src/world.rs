//! Everything the sandbox remembers, and the few changes that touch more than one part of it.

use chrono::{DateTime, Utc};

use crate::auth_keys::AuthKeys;
use crate::billing::BillingKeys;
use crate::cards::Cards;
use crate::clock::Clock;
use crate::config::Config;
use crate::faults::Faults;
use crate::idempotency::Idempotency;
use crate::ledger::{Book, Entry, EntryKind};
use crate::limiter::Limiter;
use crate::payment_json;
use crate::payments::{Origin, Payments, Status};
use crate::switches::Switches;
use crate::webhooks::Webhooks;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) switches: Switches,
    pub(crate) cards: Cards,
    pub(crate) payments: Payments,
    pub(crate) billing: BillingKeys,
    pub(crate) auth_keys: AuthKeys,
    pub(crate) idempotency: Idempotency,
    pub(crate) faults: Faults,
    pub(crate) book: Book,
    pub(crate) webhooks: Webhooks,
    pub(crate) limiter: Limiter,
    /// Counts resets, so that a call that began before one does not write after it.
    pub(crate) epoch: u64,
}

impl World {
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
            book: Book::default(),
            webhooks,
            limiter: Limiter::default(),
            epoch,
        }
    }

    /// Catches up with the clock: overdue payments expire. Returns the time.
    pub(crate) fn settle(&mut self) -> DateTime<Utc> {
        let now = self.clock.now();
        for key in self.payments.expire_overdue(now) {
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
        self.book.entries.push(Entry {
            kind,
            amount,
            order_id: payment.opening.order_id.clone(),
            payment_key: payment_key.to_owned(),
            transaction_key,
            customer_key: payment.opening.customer_key.clone(),
            billing: payment.opening.origin == Origin::BillingKey,
            status: payment.status.name().to_owned(),
            at,
        });
    }

    /// `PAYMENT_STATUS_CHANGED`: never for a billing approval or decline, for a billing cancel by switch.
    pub(crate) fn announce(&mut self, payment_key: &str, now: DateTime<Utc>) {
        let Some(payment) = self.payments.get(payment_key) else { return };
        let cancel = matches!(payment.status, Status::Canceled | Status::PartialCanceled);
        let billing = payment.opening.origin == Origin::BillingKey;
        if billing && !(cancel && self.switches.billing_cancel_webhook) {
            return;
        }
        let data = payment_json::payment(payment);
        self.webhooks.event("PAYMENT_STATUS_CHANGED", &data, now, self.switches.hold_webhooks);
    }
}
