//! Reads, under lock, everything that a decision about an invoice rests on.

use chrono::{DateTime, Utc};
use common::{
    domain::{
        calendar::seoul_date,
        charge::{self, AfterMiss, Decision},
        invoice::Invoice,
        payment::Payment,
        subscription::Subscription,
    },
    store::{StoreError, dunning, invoices, payments, settings, subscriptions},
};
use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Clone)]
pub(super) struct Locked {
    pub(super) subscription: Subscription,
    pub(super) invoice: Invoice,
    pub(super) attempts: Vec<Payment>,
    pub(super) skips: usize,
    charging_enabled: bool,
}

impl Locked {
    /// Locks the subscription, then the invoice: always in this order, as cancelling does.
    pub(super) async fn read(
        conn: &mut PgConnection,
        subscription_id: Uuid,
        invoice_id: Uuid,
    ) -> Result<Option<Self>, StoreError> {
        let Some(subscription) = subscriptions::lock(conn, subscription_id).await? else { return Ok(None) };
        let Some(invoice) = invoices::lock(conn, invoice_id).await? else { return Ok(None) };
        let attempts = payments::of_invoice(conn, invoice_id).await?;
        let skips = dunning::count_skips(conn, invoice_id).await?;
        let charging_enabled = settings::charging_enabled(conn).await?;
        Ok(Some(Self { subscription, invoice, attempts, skips, charging_enabled }))
    }

    /// Whether its period came before the one that is paid for, or is over while a later one is being collected: paid or
    /// not, it moves the subscription nowhere.
    pub(super) async fn is_older(
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
    pub(super) fn with(&self, invoice: Invoice) -> Self {
        Self { invoice, ..self.clone() }
    }

    pub(super) fn decide(&self, now: DateTime<Utc>) -> Decision {
        charge::decide(self.facts(now))
    }

    /// `asked`: the attempt, with one more answer "no such order" counted in.
    pub(super) fn after_miss(&self, asked: &Payment, now: DateTime<Utc>) -> AfterMiss {
        charge::after_miss(self.facts(now), asked)
    }

    fn facts(&self, now: DateTime<Utc>) -> charge::Facts<'_> {
        charge::Facts {
            subscription: &self.subscription,
            invoice: &self.invoice,
            attempts: &self.attempts,
            skips: self.skips,
            charging_enabled: self.charging_enabled,
            now,
        }
    }

    pub(super) fn attempt(&self, id: Uuid) -> Option<&Payment> {
        self.attempts.iter().find(|attempt| attempt.id == id)
    }
}
