//! `billing subscription show`: the whole story of one subscription. Never its billing key.

use chrono::{DateTime, NaiveDate, Utc};
use common::{
    domain::{
        money::Won,
        subscription::{Subscription, has_access},
    },
    id::{parse_subscription_ref, subscription_ref},
    store::{
        events::{self, Event},
        story::{self, CardLine, ChangeLine, EmailLine, InvoiceLine, PaymentLine, RefundLine},
        subscriptions,
    },
};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    OpsError,
    jobs::{self, JobView, JobsWanted},
};

/// More than a year of daily jobs.
const JOBS_SHOWN: u16 = 500;

/// Everything first to last.
#[derive(Debug, Serialize)]
pub struct Story {
    pub subscription: SubscriptionView,
    pub invoices: Vec<InvoiceLine>,
    pub payments: Vec<PaymentLine>,
    pub refunds: Vec<RefundLine>,
    pub cards: Vec<CardLine>,
    /// Of plan, cycle or price, pending and past, with the consents.
    pub changes: Vec<ChangeLine>,
    pub emails: Vec<EmailLine>,
    pub jobs: Vec<JobView>,
    pub events: Vec<Event>,
}

/// Civil dates are Seoul's; `current_period_end` is the first day that is not paid for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionView {
    /// `sub_…`
    pub id: String,
    pub user_id: Uuid,
    pub plan: String,
    pub billing_cycle: String,
    pub amount: Won,
    pub status: String,
    pub has_access: bool,
    pub customer_email: String,
    pub customer_name: String,
    /// "sealed, key id k1", or none.
    pub billing_key: Option<String>,
    pub card_number: Option<String>,
    pub card_registered_at: Option<DateTime<Utc>>,
    pub anchor_on: NaiveDate,
    pub period_no: u32,
    pub current_period_start: NaiveDate,
    pub current_period_end: NaiveDate,
    pub next_billing_date: DateTime<Utc>,
    pub charging_paused_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub activated_at: Option<DateTime<Utc>>,
    pub suspended_at: Option<DateTime<Utc>>,
    pub canceled_at: Option<DateTime<Utc>>,
    pub cancel_reason: Option<String>,
    pub ended_at: Option<DateTime<Utc>>,
}

pub async fn show(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<Story, OpsError> {
    let subscription = subscriptions::find(conn, id).await?.ok_or_else(|| not_found(id))?;
    let wanted = JobsWanted { subscription: Some(id), limit: JOBS_SHOWN, ..JobsWanted::default() };
    let mut jobs = jobs::list(conn, &wanted).await?.0;
    jobs.reverse();
    Ok(Story {
        subscription: view(subscription, now),
        invoices: story::invoices(conn, id).await?,
        payments: story::payments(conn, id).await?,
        refunds: story::refunds(conn, id).await?,
        cards: story::cards(conn, id).await?,
        changes: story::plan_changes(conn, id).await?,
        emails: story::emails(conn, id).await?,
        jobs,
        events: events::of_subscription(conn, id).await?,
    })
}

/// Reads `sub_<uuid without dashes>` or a plain UUID.
pub fn parse_id(text: &str) -> Result<Uuid, String> {
    parse_subscription_ref(text).ok_or_else(|| "write sub_ and 32 hexadecimal digits, or a UUID".to_owned())
}

pub(crate) fn not_found(id: Uuid) -> OpsError {
    OpsError::NotFound(format!("there is no subscription {}", subscription_ref(id)))
}

fn view(it: Subscription, now: DateTime<Utc>) -> SubscriptionView {
    SubscriptionView {
        id: subscription_ref(it.id),
        has_access: has_access(&it, now),
        billing_key: it.sealed_billing_key.as_deref().map(sealed_under),
        user_id: it.user_id,
        plan: it.plan,
        billing_cycle: it.cycle.to_string(),
        amount: it.amount,
        status: it.status.to_string(),
        customer_email: it.customer_email,
        customer_name: it.customer_name,
        card_number: it.card_number,
        card_registered_at: it.card_registered_at,
        anchor_on: it.anchor_on,
        period_no: it.period_no,
        current_period_start: it.current_period_start,
        current_period_end: it.current_period_end,
        next_billing_date: it.next_billing_date,
        charging_paused_at: it.charging_paused_at,
        created_at: it.created_at,
        activated_at: it.activated_at,
        suspended_at: it.suspended_at,
        canceled_at: it.canceled_at,
        cancel_reason: it.cancel_reason,
        ended_at: it.ended_at,
    }
}

/// A sealed key begins with the id of the key that sealed it; anything else is not shown at all.
fn sealed_under(sealed: &str) -> String {
    let id = sealed.split_once(':').map_or("unknown", |(id, _)| id);
    format!("sealed, key id {id}")
}
