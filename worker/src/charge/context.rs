//! Reads, under lock, everything that a decision about an invoice rests on.

use chrono::{DateTime, Utc};
use common::domain::calendar::seoul_date;
use common::domain::charge;
use common::domain::charge::{Decision, NotFoundAction};
use common::domain::invoice::Invoice;
use common::domain::payment::{Payment, PaymentKind};
use common::domain::subscription::Subscription;
use common::store::charge_facts::ChargeFacts;
use common::store::gate::GatewayStatus;
use common::store::{StoreError, charge_facts, invoices};
use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Clone)]
pub(crate) struct ChargeContext {
    pub(crate) subscription: Subscription,
    pub(crate) invoice: Invoice,
    pub(crate) attempts: Vec<Payment>,
    pub(crate) skips: usize,
    pub(crate) plan_name: String,
    pub(crate) gateway: GatewayStatus,
}

impl ChargeContext {
    /// Locks the subscription, then the invoice: always in this order, as cancelling does.
    pub(crate) async fn read(
        conn: &mut PgConnection,
        subscription_id: Uuid,
        invoice_id: Uuid,
    ) -> Result<Option<Self>, StoreError> {
        let Some(facts) = charge_facts::lock(conn, subscription_id, invoice_id).await? else {
            return Ok(None);
        };
        let ChargeFacts { subscription, invoice, attempts, skips, gateway, plan_name } = facts;
        Ok(Some(Self { subscription, invoice, attempts, skips, plan_name, gateway }))
    }

    /// Whether its period came before the one that is paid for, or is over while a later one is being collected: paid or
    /// not, it moves the subscription nowhere.
    pub(crate) async fn is_older(
        &self,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let Self { subscription, invoice, .. } = self;
        if invoice.period.no <= subscription.period_no {
            return Ok(true);
        }
        let is_over = seoul_date(now) >= invoice.period.end;
        Ok(is_over && invoices::has_later(conn, subscription.id, invoice.period.no).await?)
    }

    /// The same, with the invoice as it has just become.
    pub(crate) fn with(&self, invoice: Invoice) -> Self {
        Self { invoice, ..self.clone() }
    }

    pub(crate) fn decide(&self, now: DateTime<Utc>) -> Decision {
        charge::decide(self.facts(now))
    }

    /// `asked`: the attempt, with one more answer "no such order" counted in.
    pub(crate) fn after_not_found(&self, asked: &Payment, now: DateTime<Utc>) -> NotFoundAction {
        charge::after_not_found(self.facts(now), asked)
    }

    fn facts(&self, now: DateTime<Utc>) -> charge::Facts<'_> {
        charge::Facts {
            subscription: &self.subscription,
            invoice: &self.invoice,
            attempts: &self.attempts,
            skips: self.skips,
            charging_enabled: self.gateway.charging_enabled,
            now,
        }
    }

    /// The next payment of the invoice, as it is when its request leaves.
    pub(crate) fn next_payment(&self, kind: PaymentKind, now: DateTime<Utc>) -> Payment {
        Payment::charge_of(&self.subscription, &self.invoice, kind, self.attempts.len(), now).as_sent(now)
    }

    pub(crate) fn attempt(&self, id: Uuid) -> Option<&Payment> {
        self.attempts.iter().find(|attempt| attempt.id == id)
    }
}
