//! Cancelling: no charge begins after it was answered; access runs to the end of what is paid.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::wake_payment::wake_payment;
use crate::domain::invoice::InvoiceStatus;
use crate::domain::payment::{Payment, PaymentKind};
use crate::domain::subscription::{CancelRefused, Subscription, cancel, has_access};
use crate::email::{Brand, RenderError};
use crate::id::subscription_ref;
use crate::outbox::{Fact, OutboxError};
use crate::store::events::Entry;
use crate::store::{StoreError, events, invoices, payments, plans, subscriptions};
use crate::{email, outbox};

#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    #[error("there is no such subscription")]
    NotFound,
    #[error(transparent)]
    Refused(#[from] CancelRefused),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// Who cancels, and why, in their own words.
#[derive(Debug, Clone, Copy)]
pub struct CancelSubscription<'a> {
    pub subscription_id: Uuid,
    /// Only this user's subscription is found; none for an operator.
    pub user_id: Option<Uuid>,
    pub actor: &'a str,
    pub reason: &'a str,
}

/// Cancels and answers the subscription as it is then.
///
/// Takes the same lock as the charge job: a charge that has not been recorded yet will not be made, and one that is in
/// flight is refunded when it lands.
pub async fn cancel_subscription(
    conn: &mut PgConnection,
    brand: &Brand,
    request: CancelSubscription<'_>,
    now: DateTime<Utc>,
) -> Result<Subscription, CancelError> {
    let found = subscriptions::lock(conn, request.subscription_id).await?;
    let before = found
        .filter(|subscription| request.user_id.is_none_or(|user| subscription.user_id == user))
        .ok_or(CancelError::NotFound)?;
    cancel(&before)?;
    end(conn, &before, request.actor, request.reason, now).await?;
    let after = subscriptions::find(conn, before.id).await?.ok_or(CancelError::NotFound)?;
    if before.activated_at.is_some() {
        tell(conn, brand, &after, now).await?;
    }
    tracing::info!(subscription.id = %subscription_ref(after.id), actor = request.actor, "subscription canceled");
    Ok(after)
}

/// The subscription is canceled, whoever decided it: nothing is charged from here on. Tells nobody.
pub(super) async fn end(
    conn: &mut PgConnection,
    before: &Subscription,
    actor: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    subscriptions::cancel(conn, before.id, reason, now).await?;
    close_invoices(conn, before.id, now).await?;
    let entry = Entry { actor, what: "subscription.canceled", why: reason };
    events::append(conn, before, entry, now).await
}

/// Nothing is owed any more, except where money may be on its way: that invoice waits for its answer.
pub async fn close_invoices(
    conn: &mut PgConnection,
    subscription_id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for invoice in invoices::unsettled_of(conn, subscription_id).await? {
        let attempts = payments::of_invoice(conn, invoice.id).await?;
        match attempts.iter().find(|attempt| attempt.is_unfinished()) {
            Some(open) if may_be_on_its_way(open) => {
                // Its buyer may hold an account that is to be closed before they pay into it.
                if open.deposit_due_at.is_some() {
                    wake_payment(conn, open, "the cancel", now).await?;
                }
                continue;
            }
            Some(unsent) => payments::withdraw(conn, unsent.id, "canceled before it was sent", now).await?,
            None => {}
        }
        invoices::close(conn, invoice.id, InvoiceStatus::Void, now).await?;
    }
    Ok(())
}

/// A first payment is the customer's own order: it is left to its job, which gives the money back if it was captured.
fn may_be_on_its_way(open: &Payment) -> bool {
    match open.kind {
        PaymentKind::First => true,
        PaymentKind::Renewal | PaymentKind::NewCard => open.sent_at.is_some(),
    }
}

async fn tell(
    conn: &mut PgConnection,
    brand: &Brand,
    subscription: &Subscription,
    now: DateTime<Utc>,
) -> Result<(), CancelError> {
    let plan_name = plans::name_of(conn, &subscription.plan).await?;
    let rendered = email::subscription_canceled(
        brand,
        &email::SubscriptionCanceled {
            customer_name: &subscription.customer_name,
            plan_name: &plan_name,
            access_until: subscription.current_period_end,
            has_access: has_access(subscription, now),
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    let fact = Fact {
        kind: "subscription_canceled",
        period_no: subscription.period_no,
        step: &now.timestamp().to_string(),
    };
    outbox::post(conn, subscription, fact, &rendered, None, now).await?;
    Ok(())
}
