//! `billing subscription show`: everything on record about one subscription on one screen. Never its billing key.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use common::domain::calendar::seoul_date;
use common::domain::money::Won;
use common::domain::subscription::{Subscription, has_access};
use common::id::subscription_ref;
use common::store::events::Event;
use common::store::subscription_history::{
    CardLine, ChangeLine, EmailLine, InvoiceLine, PaymentLine, RefundLine,
};
use common::store::{events, subscription_history, subscriptions};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::no_subscription;
use crate::jobs::{JobList, JobView, JobsWanted};
use crate::text::{Table, or_dash, plain, seoul, seoul_or_dash};
use crate::{OpsError, jobs};

/// More than a year of daily jobs.
const JOBS_SHOWN: u16 = 500;

/// Everything first to last.
#[derive(Debug, Serialize)]
pub struct SubscriptionHistory {
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

pub async fn show(
    conn: &mut PgConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<SubscriptionHistory, OpsError> {
    let subscription = subscriptions::find(conn, id).await?.ok_or_else(|| no_subscription(id))?;
    let wanted = JobsWanted { subscription: Some(id), limit: JOBS_SHOWN, ..JobsWanted::default() };
    let mut jobs = jobs::list(conn, &wanted).await?.0;
    jobs.reverse();
    Ok(SubscriptionHistory {
        subscription: view(subscription, now),
        invoices: subscription_history::invoices(conn, id).await?,
        payments: subscription_history::payments(conn, id).await?,
        refunds: subscription_history::refunds(conn, id).await?,
        cards: subscription_history::cards(conn, id).await?,
        changes: subscription_history::plan_changes(conn, id).await?,
        emails: subscription_history::emails(conn, id).await?,
        jobs,
        events: events::of_subscription(conn, id).await?,
    })
}

fn view(subscription: Subscription, now: DateTime<Utc>) -> SubscriptionView {
    SubscriptionView {
        id: subscription_ref(subscription.id),
        has_access: has_access(&subscription, now),
        billing_key: subscription.sealed_billing_key.as_deref().map(sealed_under),
        user_id: subscription.user_id,
        plan: subscription.plan,
        billing_cycle: subscription.cycle.to_string(),
        amount: subscription.amount,
        status: subscription.status.to_string(),
        customer_email: subscription.customer_email,
        customer_name: subscription.customer_name,
        card_number: subscription.card_number,
        card_registered_at: subscription.card_registered_at,
        anchor_on: subscription.anchor_on,
        period_no: subscription.period_no,
        current_period_start: subscription.current_period_start,
        current_period_end: subscription.current_period_end,
        next_billing_date: subscription.next_billing_date,
        charging_paused_at: subscription.charging_paused_at,
        created_at: subscription.created_at,
        activated_at: subscription.activated_at,
        suspended_at: subscription.suspended_at,
        canceled_at: subscription.canceled_at,
        cancel_reason: subscription.cancel_reason,
        ended_at: subscription.ended_at,
    }
}

/// A sealed key begins with the id of the key that sealed it; anything else is not shown at all.
fn sealed_under(sealed: &str) -> String {
    let id = sealed.split_once(':').map_or("unknown", |(id, _)| id);
    format!("sealed, key id {id}")
}

impl fmt::Display for SubscriptionHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_head(f, &self.subscription)?;
        let sections = [
            ("INVOICES", invoices(&self.invoices)),
            ("PAYMENTS", payments(&self.payments)),
            ("REFUNDS", refunds(&self.refunds)),
            ("CARDS", cards(&self.cards)),
            ("CHANGES", changes(&self.changes)),
            ("CONSENTS", consents(&self.changes)),
            ("E-MAILS", emails(&self.emails)),
        ];
        for (title, table) in sections {
            write!(f, "\n{title}\n{table}")?;
        }
        write!(f, "\nJOBS\n{}", JobList::table(&self.jobs))?;
        write!(f, "\nEVENTS\n{}", events(&self.events))
    }
}

fn write_head(f: &mut fmt::Formatter<'_>, view: &SubscriptionView) -> fmt::Result {
    let access = if view.has_access { "has access" } else { "no access" };
    let card = view.card_number.as_deref().unwrap_or("-");
    let key = view.billing_key.as_deref().unwrap_or("none");
    let lines = [
        ("subscription", view.id.clone()),
        ("status", format!("{}, {access}", view.status)),
        ("customer", format!("{} <{}>, user {}", view.customer_name, view.customer_email, view.user_id)),
        ("plan", format!("{}, {}, {}", view.plan, view.billing_cycle, view.amount)),
        ("card", format!("{card}, registered {}", seoul_or_dash(view.card_registered_at))),
        ("billing key", key.to_owned()),
        (
            "period",
            format!("{}: {} to {}", view.period_no, view.current_period_start, view.current_period_end),
        ),
        ("next charge", format!("{} (anchor {})", seoul_date(view.next_billing_date), view.anchor_on)),
        ("created", format!("{} (all times in Seoul)", seoul(view.created_at))),
    ];
    for (name, text) in lines {
        writeln!(f, "{name:<14}{}", plain(&text))?;
    }
    let moments = [
        ("activated", view.activated_at),
        ("suspended", view.suspended_at),
        ("canceled", view.canceled_at),
        ("ended", view.ended_at),
        ("PAUSED", view.charging_paused_at),
    ];
    for (name, at) in moments {
        if let Some(at) = at {
            writeln!(f, "{name:<14}{}", seoul(at))?;
        }
    }
    view.cancel_reason.iter().try_for_each(|why| writeln!(f, "{:<14}{}", "reason", plain(why)))
}

fn invoices(lines: &[InvoiceLine]) -> Table {
    let mut table = Table::new(&["INVOICE", "PERIOD", "FROM", "TO", "WON", "STATUS", "PAID", "NEXT TRY"]);
    for line in lines {
        let held = match (line.held_since, line.released_at) {
            (Some(_), _) => " (held)",
            (None, Some(_)) => " (released)",
            (None, None) => "",
        };
        table.row([
            line.id.to_string(),
            line.period_no.to_string(),
            line.period_start.to_string(),
            line.period_end.to_string(),
            line.amount.to_string(),
            format!("{}{held}", line.status),
            seoul_or_dash(line.paid_at),
            seoul_or_dash(line.next_attempt_at),
        ]);
    }
    table
}

fn payments(lines: &[PaymentLine]) -> Table {
    let heads = &[
        "PAYMENT",
        "PERIOD",
        "TRY",
        "WON",
        "STATUS",
        "SENT",
        "SETTLED",
        "TOSS CODE",
        "TRACE",
        "ORDER",
        "MESSAGE",
    ];
    let mut table = Table::new(heads);
    for line in lines {
        let review = if line.review_since.is_some() { " (FOR REVIEW)" } else { "" };
        let decline = line.decline_kind.as_ref().map(|kind| format!(" ({kind})")).unwrap_or_default();
        table.row([
            line.id.to_string(),
            line.period_no.to_string(),
            format!("{} {}", line.kind, line.attempt_no),
            line.amount.to_string(),
            format!("{}{decline}{review}", line.status),
            seoul_or_dash(line.sent_at),
            seoul_or_dash(line.settled_at),
            or_dash(line.toss_code.as_deref()),
            or_dash(line.toss_trace_id.as_deref()),
            line.order_id.clone(),
            line.toss_message.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn refunds(lines: &[RefundLine]) -> Table {
    let mut table = Table::new(&[
        "REFUND",
        "OF PAYMENT",
        "WON",
        "STATUS",
        "ASKED",
        "SETTLED",
        "BY",
        "TOSS CODE",
        "REASON",
    ]);
    for line in lines {
        table.row([
            line.id.to_string(),
            line.payment_id.to_string(),
            line.amount.to_string(),
            line.status.clone(),
            seoul(line.created_at),
            seoul_or_dash(line.settled_at),
            line.requested_by.clone(),
            or_dash(line.toss_code.as_deref()),
            line.reason.clone(),
        ]);
    }
    table
}

fn cards(lines: &[CardLine]) -> Table {
    let mut table =
        Table::new(&["REGISTERED", "CARD", "STATUS", "SETTLED", "PAYMENT", "TOSS CODE", "MESSAGE"]);
    for line in lines {
        table.row([
            seoul(line.created_at),
            or_dash(line.card_number.as_deref()),
            line.status.clone(),
            seoul_or_dash(line.settled_at),
            line.payment_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            or_dash(line.toss_code.as_deref()),
            line.toss_message.clone().unwrap_or_default(),
        ]);
    }
    table
}

/// Of plan, cycle or price.
fn changes(lines: &[ChangeLine]) -> Table {
    let mut table =
        Table::new(&["ASKED", "BY", "FROM", "WON", "TO", "WON", "ON", "STATUS", "SETTLED", "PRICE CHANGE"]);
    for line in lines {
        table.row([
            seoul(line.created_at),
            line.requested_by.clone(),
            format!("{} {}", line.from_plan, line.from_cycle),
            line.from_amount.to_string(),
            format!("{} {}", line.to_plan, line.to_cycle),
            line.to_amount.to_string(),
            line.effective_on.to_string(),
            line.status.clone(),
            seoul_or_dash(line.settled_at),
            line.price_change_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
        ]);
    }
    table
}

fn consents(lines: &[ChangeLine]) -> Table {
    let mut table = Table::new(&["GIVEN", "BY", "ADDRESS", "FROM", "WON", "SHOWN"]);
    for line in lines.iter().filter(|line| line.consented_at.is_some()) {
        table.row([
            seoul_or_dash(line.consented_at),
            or_dash(line.consented_by.as_deref()),
            or_dash(line.consented_from.as_deref()),
            line.effective_on.to_string(),
            line.to_amount.to_string(),
            or_dash(line.consented_to.as_deref()),
        ]);
    }
    table
}

fn emails(lines: &[EmailLine]) -> Table {
    let mut table = Table::new(&["WRITTEN", "KIND", "STATUS", "SETTLED", "TO", "SUBJECT", "ERROR"]);
    for line in lines {
        table.row([
            seoul(line.created_at),
            line.kind.clone(),
            line.status.clone(),
            seoul_or_dash(line.settled_at),
            line.to_address.clone(),
            line.subject.clone(),
            line.last_error.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn events(lines: &[Event]) -> Table {
    let mut table = Table::new(&["AT", "WHO", "WHAT", "STATUS", "WHY"]);
    for line in lines {
        let (before, after) = (status_in(&line.before), status_in(&line.after));
        let status = if before == after { after.to_owned() } else { format!("{before} → {after}") };
        table.row([seoul(line.at), line.actor.clone(), line.what.clone(), status, line.why.clone()]);
    }
    table
}

fn status_in(snapshot: &Value) -> &str {
    snapshot.get("status").and_then(Value::as_str).unwrap_or("-")
}
