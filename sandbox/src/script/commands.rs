//! The commands of [`Script`].

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use serde_json::Value;
use url::Url;

use super::{CardRegistration, IssuedKey, Method, OpenPayment, Purchase, Script};
use crate::auth_keys::Registration;
use crate::cards::{GOOD_CARD, Outcome, digits, is_card_number};
use crate::faults::{Effect, Fault};
use crate::http::invalid_script;
use crate::ledger::{Ledger, LedgerQuery};
use crate::payments::{Opening, Origin, Payment, is_order_id};
use crate::refusal::Refusal;
use crate::state::SandboxState;
use crate::switches::Switches;
use crate::virtual_account::VirtualAccount;
use crate::webhooks::Webhook;

/// The longest pause a fault may make.
const MAX_PAUSE_MS: u64 = 60_000;

fn card_or_good(number: Option<String>) -> Result<String, Refusal> {
    let number = number.map_or_else(|| GOOD_CARD.to_owned(), |number| digits(&number));
    if is_card_number(&number) {
        Ok(number)
    } else {
        Err(invalid_script("cardNumber must have 13 to 19 digits"))
    }
}

impl Script {
    /// A buyer finishes the payment window: the payment is `IN_PROGRESS` and can be confirmed.
    pub fn pay(&self, purchase: Purchase) -> Result<OpenPayment, Refusal> {
        if !is_order_id(&purchase.order_id) {
            return Err(Refusal::of("INVALID_ORDER_ID"));
        }
        if purchase.amount <= 0 {
            return Err(invalid_script("amount must be positive"));
        }
        let card = card_or_good(purchase.card_number)?;
        let mut state = self.lock();
        let now = state.settle();
        let order_name = purchase.order_name.unwrap_or_else(|| "테스트 상품".to_owned());
        let opening = Opening {
            origin: Origin::Script,
            order_id: purchase.order_id.clone(),
            order_name,
            amount: purchase.amount,
            tax_free: 0,
            tax_exemption: 0,
            customer_key: purchase.customer_key,
            merchant_id: state.switches.merchant_id.clone(),
        };
        let mut payment = Payment::opened(opening, now);
        match purchase.method {
            Method::Card => payment.authenticate(card, now),
            Method::VirtualAccount => {
                let account = VirtualAccount::chosen(purchase.customer_name, purchase.valid_hours)?;
                payment.choose_virtual_account(account, now);
            }
        }
        let payment_key = payment.key.clone();
        state.payments.insert(payment);
        Ok(OpenPayment { payment_key, order_id: purchase.order_id, amount: purchase.amount })
    }

    /// A buyer registers a card: returns the one-time auth key.
    pub fn auth_key(&self, registration: CardRegistration) -> Result<String, Refusal> {
        let card_number = card_or_good(registration.card_number)?;
        let registration = Registration { customer_key: registration.customer_key, card_number };
        Ok(self.lock().auth_keys.create(registration))
    }

    /// Sets a fault and returns its number.
    pub fn fault(&self, fault: Fault) -> Result<u64, Refusal> {
        if fault.times == Some(0) {
            return Err(invalid_script("times must be at least 1, or null for all calls"));
        }
        if fault.probability.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Err(invalid_script("probability must be between 0 and 1"));
        }
        match &fault.effect {
            Effect::Delay { ms } | Effect::HangThenApprove { ms, .. } if *ms > MAX_PAUSE_MS => {
                Err(invalid_script("ms must be at most 60000"))
            }
            Effect::Error { status: Some(status), .. } if !(400..=599).contains(status) => {
                Err(invalid_script("status must be between 400 and 599"))
            }
            _ => Ok(self.lock().faults.add(fault)),
        }
    }

    /// False when there is no such fault (any more).
    pub fn remove_fault(&self, id: u64) -> bool {
        self.lock().faults.remove(id)
    }

    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// The faults that still have calls left, as JSON.
    pub fn faults(&self) -> Value {
        self.lock().faults.list()
    }

    pub fn set_card(&self, number: &str, outcome: Outcome) {
        self.lock().cards.set_number(number, outcome);
    }

    pub fn set_billing_key(&self, billing_key: &str, outcome: Outcome) {
        self.lock().cards.set_billing_key(billing_key, outcome);
    }

    pub fn set_customer(&self, customer_key: &str, outcome: Outcome) {
        self.lock().cards.set_customer(customer_key, outcome);
    }

    /// Every billing key that a customer was ever issued, the oldest first.
    pub fn billing_keys(&self, customer_key: &str) -> Vec<IssuedKey> {
        let owned = self.lock().billing.of_customer(customer_key);
        let shown = owned.into_iter().map(|key| IssuedKey {
            billing_key: key.key,
            card_number: key.card_number,
            is_deleted: key.removed,
        });
        shown.collect()
    }

    /// Counts money and requests.
    pub fn ledger(&self, query: &LedgerQuery) -> Ledger {
        self.lock().request_log.count(query)
    }

    /// The virtual time.
    pub fn now(&self) -> DateTime<Utc> {
        self.lock().clock.now()
    }

    /// Sets the virtual clock, which runs on from there. Going back undoes nothing.
    pub fn set_clock(&self, at: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
        if !(1..=9999).contains(&at.year()) {
            return Err(invalid_script("the year must be between 1 and 9999"));
        }
        let now = {
            let mut state = self.lock();
            state.clock.set(at);
            state.settle()
        };
        self.wake();
        Ok(now)
    }

    /// Sets the virtual clock, which stands still there: for tests that must not depend on how fast a machine is.
    pub fn stop_clock(&self, at: DateTime<Utc>) {
        {
            let mut state = self.lock();
            state.clock.stop(at);
            state.settle();
        }
        self.wake();
    }

    /// Moves the virtual clock; payments expire and webhooks are retried accordingly.
    pub fn advance(&self, by: TimeDelta) -> Result<DateTime<Utc>, Refusal> {
        let now = {
            let mut state = self.lock();
            if !state.clock.advance(by) {
                return Err(invalid_script("the year must be between 1 and 9999"));
            }
            state.settle()
        };
        self.wake();
        Ok(now)
    }

    pub fn switches(&self) -> Switches {
        self.lock().switches.clone()
    }

    pub fn set_switches(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.lock().switches);
    }

    /// Forgets everything and returns to the configuration it started with.
    pub fn reset(&self) {
        let mut state = self.lock();
        let epoch = state.epoch + 1;
        *state = SandboxState::new(self.config(), epoch);
    }

    /// The buyer pays into a virtual account, also after its due date. Takes the payment's key or its order id, and
    /// returns the Payment.
    pub fn deposit(&self, payment: &str) -> Result<Value, Refusal> {
        let answer = {
            let mut state = self.lock();
            let now = state.settle();
            let by_order = state.payments.by_order(payment).map(|found| found.key.clone());
            state.deposit(by_order.as_deref().unwrap_or(payment), now)?
        };
        self.wake();
        Ok(answer)
    }

    /// A refund done in Toss's dashboard, not through the API. Returns the Payment.
    pub fn cancel_in_dashboard(
        &self,
        payment_key: &str,
        amount: Option<i64>,
        reason: &str,
    ) -> Result<Value, Refusal> {
        let payment = {
            let mut state = self.lock();
            let now = state.settle();
            state.cancel(payment_key, amount, reason.to_owned(), now)?
        };
        self.wake();
        Ok(payment)
    }

    pub fn set_webhook_url(&self, url: Option<Url>) {
        self.lock().webhooks.url = url;
        self.wake();
    }

    pub fn webhooks(&self) -> Vec<Webhook> {
        self.lock().webhooks.list().to_vec()
    }

    /// Sends this body as a webhook, true or not. Returns its number.
    pub fn forge_webhook(&self, body: &str) -> u64 {
        let id = {
            let mut state = self.lock();
            let now = state.clock.now();
            state.webhooks.push(body.to_owned(), now, false)
        };
        self.wake();
        id
    }

    /// Sends a webhook once more, with the same transmission id. False for an unknown number.
    pub fn redeliver(&self, id: u64) -> bool {
        let known = {
            let mut state = self.lock();
            let now = state.clock.now();
            state.webhooks.redeliver(id, now)
        };
        self.wake();
        known
    }
}
