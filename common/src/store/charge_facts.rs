//! Everything that a charge of one invoice is decided by, locked and read in one round trip.

use serde::Deserialize;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{StoreError, gate::GatewayStatus, invoices::InvoiceRow};
use crate::domain::{invoice::Invoice, payment::Payment, subscription::Subscription};

/// The facts, as they stand under the locks.
#[derive(Debug, Clone)]
pub struct ChargeFacts {
    pub subscription: Subscription,
    pub invoice: Invoice,
    /// In order.
    pub attempts: Vec<Payment>,
    /// Attempts of the dunning schedule on which the bank was not asked.
    pub skips: usize,
    pub gateway: GatewayStatus,
    pub plan_name: String,
}

/// Locks the subscription, then the invoice: always in this order, as cancelling does. `None` where either does not exist.
pub async fn lock(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    invoice_id: Uuid,
) -> Result<Option<ChargeFacts>, StoreError> {
    let facts = sqlx::query_scalar!(
        r#"select lock_charge_facts($1, $2) as "facts: Json<FactsRow>""#,
        subscription_id,
        invoice_id
    )
    .fetch_one(conn)
    .await?;
    Ok(facts.map(|Json(row)| ChargeFacts {
        plan_name: row.plan_name.unwrap_or_else(|| row.subscription.plan.clone()),
        subscription: row.subscription,
        invoice: row.invoice.into(),
        attempts: row.attempts,
        skips: row.skips,
        gateway: row.gateway,
    }))
}

/// The function's answer. The rows are as they are in their tables.
#[derive(Deserialize)]
struct FactsRow {
    subscription: Subscription,
    invoice: InvoiceRow,
    attempts: Vec<Payment>,
    skips: usize,
    gateway: GatewayStatus,
    plan_name: Option<String>,
}
