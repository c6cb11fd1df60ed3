//! Everything that a charge of one invoice is decided by, locked and read in one round trip.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, de::Error};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::StoreError;
use crate::domain::{
    calendar::{Cycle, Period},
    invoice::{Invoice, InvoiceStatus},
    money::Won,
    payment::{DeclineKind, Payment, PaymentKind, PaymentStatus},
    subscription::{Subscription, SubscriptionStatus},
};

/// The facts, as they stand under the locks.
#[derive(Debug, Clone)]
pub struct ChargeFacts {
    pub subscription: Subscription,
    pub invoice: Invoice,
    /// In order.
    pub attempts: Vec<Payment>,
    /// Attempts of the dunning schedule on which the bank was not asked.
    pub skips: usize,
    pub charging_enabled: bool,
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
        subscription: row.subscription.into(),
        invoice: row.invoice.into(),
        attempts: row.attempts.into_iter().map(Payment::from).collect(),
        skips: row.skips,
        charging_enabled: row.charging_enabled,
    }))
}

/// The function's answer. The rows are as they are in their tables.
#[derive(Deserialize)]
struct FactsRow {
    subscription: SubscriptionRow,
    invoice: InvoiceRow,
    attempts: Vec<PaymentRow>,
    skips: usize,
    charging_enabled: bool,
    plan_name: Option<String>,
}

#[derive(Deserialize)]
struct SubscriptionRow {
    id: Uuid,
    user_id: Uuid,
    plan: String,
    #[serde(deserialize_with = "word")]
    billing_cycle: Cycle,
    billing_key: Option<String>,
    customer_key: String,
    card_number: Option<String>,
    card_registered_at: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "won")]
    amount: Won,
    #[serde(deserialize_with = "word")]
    status: SubscriptionStatus,
    customer_email: String,
    customer_name: String,
    anchor_on: NaiveDate,
    terms_since_period: u32,
    terms_since_month: u32,
    period_no: u32,
    current_period_start: NaiveDate,
    current_period_end: NaiveDate,
    next_billing_date: DateTime<Utc>,
    charging_paused_at: Option<DateTime<Utc>>,
    repair_until: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    activated_at: Option<DateTime<Utc>>,
    suspended_at: Option<DateTime<Utc>>,
    canceled_at: Option<DateTime<Utc>>,
    cancel_reason: Option<String>,
    ended_at: Option<DateTime<Utc>>,
}

impl From<SubscriptionRow> for Subscription {
    fn from(row: SubscriptionRow) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            plan: row.plan,
            cycle: row.billing_cycle,
            sealed_billing_key: row.billing_key,
            customer_key: row.customer_key,
            card_number: row.card_number,
            card_registered_at: row.card_registered_at,
            amount: row.amount,
            status: row.status,
            customer_email: row.customer_email,
            customer_name: row.customer_name,
            anchor_on: row.anchor_on,
            terms_since_period: row.terms_since_period,
            terms_since_month: row.terms_since_month,
            period_no: row.period_no,
            current_period_start: row.current_period_start,
            current_period_end: row.current_period_end,
            next_billing_date: row.next_billing_date,
            charging_paused_at: row.charging_paused_at,
            repair_until: row.repair_until,
            created_at: row.created_at,
            activated_at: row.activated_at,
            suspended_at: row.suspended_at,
            canceled_at: row.canceled_at,
            cancel_reason: row.cancel_reason,
            ended_at: row.ended_at,
        }
    }
}

#[derive(Deserialize)]
struct InvoiceRow {
    id: Uuid,
    subscription_id: Uuid,
    period_no: u32,
    period_start: NaiveDate,
    period_end: NaiveDate,
    due_on: NaiveDate,
    #[serde(deserialize_with = "won")]
    amount: Won,
    #[serde(deserialize_with = "word")]
    status: InvoiceStatus,
    first_failed_at: Option<DateTime<Utc>>,
    next_attempt_at: Option<DateTime<Utc>>,
    held_since: Option<DateTime<Utc>>,
    released_at: Option<DateTime<Utc>>,
}

impl From<InvoiceRow> for Invoice {
    fn from(row: InvoiceRow) -> Self {
        Self {
            id: row.id,
            subscription_id: row.subscription_id,
            period: Period { no: row.period_no, start: row.period_start, end: row.period_end },
            due_on: row.due_on,
            amount: row.amount,
            status: row.status,
            first_failed_at: row.first_failed_at,
            next_attempt_at: row.next_attempt_at,
            held_since: row.held_since,
            released_at: row.released_at,
        }
    }
}

#[derive(Deserialize)]
struct PaymentRow {
    id: Uuid,
    user_id: Uuid,
    subscription_id: Uuid,
    invoice_id: Uuid,
    #[serde(deserialize_with = "word")]
    kind: PaymentKind,
    attempt_no: i32,
    order_id: String,
    payment_key: Option<String>,
    idempotency_key: Uuid,
    #[serde(deserialize_with = "won")]
    amount: Won,
    #[serde(deserialize_with = "word")]
    status: PaymentStatus,
    #[serde(deserialize_with = "optional_word")]
    decline_kind: Option<DeclineKind>,
    toss_code: Option<String>,
    toss_message: Option<String>,
    receipt_url: Option<String>,
    paid_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    settled_at: Option<DateTime<Utc>>,
    sent_at: Option<DateTime<Utc>>,
    first_sent_at: Option<DateTime<Utc>>,
    unknown_since: Option<DateTime<Utc>>,
    review_since: Option<DateTime<Utc>>,
    not_found_count: i32,
    gateway_status: Option<String>,
    deposit_due_at: Option<DateTime<Utc>>,
    server_errors: i32,
    is_plain: bool,
}

impl From<PaymentRow> for Payment {
    fn from(row: PaymentRow) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            subscription_id: row.subscription_id,
            invoice_id: row.invoice_id,
            kind: row.kind,
            attempt_no: row.attempt_no,
            order_id: row.order_id,
            payment_key: row.payment_key,
            idempotency_key: row.idempotency_key,
            amount: row.amount,
            status: row.status,
            decline_kind: row.decline_kind,
            toss_code: row.toss_code,
            toss_message: row.toss_message,
            receipt_url: row.receipt_url,
            paid_at: row.paid_at,
            created_at: row.created_at,
            settled_at: row.settled_at,
            sent_at: row.sent_at,
            first_sent_at: row.first_sent_at,
            unknown_since: row.unknown_since,
            review_since: row.review_since,
            not_found_count: row.not_found_count,
            gateway_status: row.gateway_status,
            deposit_due_at: row.deposit_due_at,
            server_errors: row.server_errors,
            is_plain: row.is_plain,
        }
    }
}

/// A word of a closed list.
fn word<'de, D: Deserializer<'de>, T: FromStr>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a word that this version knows")))
}

fn optional_word<'de, D: Deserializer<'de>, T: FromStr>(from: D) -> Result<Option<T>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| D::Error::custom(format!("{text:?} is not a word that this version knows")))
}

fn won<'de, D: Deserializer<'de>>(from: D) -> Result<Won, D::Error> {
    Won::new(i64::deserialize(from)?).map_err(D::Error::custom)
}
