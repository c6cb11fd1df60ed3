//! Ending a subscription at once: cancel, end of access and the refund of what was not used, in one commit.
//!
//! Takes the same lock as the charge job, so a charge that has not been recorded yet will not be made; one that is in
//! flight is given back in full when it lands, and has no part in the share that goes back here.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::cancel::close_invoices;
use super::refund;
use super::refund::{RefundError, request_refund};
use crate::domain::calendar::seoul_date;
use crate::domain::ending::{EndRefused, Ending, RefundPolicy, end, pro_rata, unused_days};
use crate::domain::money::Won;
use crate::domain::subscription::{Subscription, SubscriptionStatus};
use crate::email::{Brand, RenderError};
use crate::id::subscription_ref;
use crate::outbox::{Fact, OutboxError};
use crate::store::events::Entry;
use crate::store::refunds::Requested;
use crate::store::{StoreError, events, payments, plans, refunds, subscriptions};
use crate::{email, outbox};

#[derive(Debug, thiserror::Error)]
pub enum EndError {
    #[error("there is no such subscription")]
    NotFound,
    #[error(transparent)]
    Refused(#[from] EndRefused),
    #[error("the key was used before with other content")]
    KeyTaken,
    #[error(transparent)]
    Refund(#[from] RefundError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// Which subscription, and who says so.
#[derive(Debug, Clone, Copy)]
pub struct EndSubscription<'a> {
    pub subscription_id: Uuid,
    pub policy: RefundPolicy,
    /// Told to the gateway and, with a refund, to the customer: 1–200 characters.
    pub reason: &'a str,
    /// The same request twice is one end, with a key or without.
    pub key: Option<&'a str>,
    pub actor: &'a str,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub subscription: Subscription,
    pub ending: Ending,
    /// None: nothing was left to give back, or nothing was to go back.
    pub refund: Option<Requested>,
}

/// Ends it, or finds how the same request ended it before. The caller commits.
pub async fn end_subscription(
    conn: &mut PgConnection,
    brand: &Brand,
    request: EndSubscription<'_>,
    now: DateTime<Utc>,
) -> Result<Ended, EndError> {
    let before = subscriptions::lock(conn, request.subscription_id).await?.ok_or(EndError::NotFound)?;
    if let Some(known) = subscriptions::find_ending(conn, before.id).await? {
        return match (is_same(&known, request), known.request_key.as_deref() == request.key) {
            (true, _) => answer(conn, known).await,
            (false, true) if request.key.is_some() => Err(EndError::KeyTaken),
            (false, _) => Err(EndRefused::AlreadyEnded.into()),
        };
    }
    end(&before, now)?;
    let ending = Ending {
        subscription_id: before.id,
        request_key: request.key.map(str::to_owned),
        policy: request.policy,
        reason: request.reason.to_owned(),
        requested_by: request.actor.to_owned(),
        unused: unused_days(&before, seoul_date(now)),
        refund_id: None,
    };
    let refund = give_back_unused(conn, &before, &ending, request, now).await?;
    let ending = Ending { refund_id: refund.as_ref().map(|refund| refund.id), ..ending };
    if before.status != SubscriptionStatus::Canceled {
        subscriptions::cancel(conn, before.id, request.reason, now).await?;
    }
    subscriptions::mark_ended(conn, before.id, now).await?;
    subscriptions::insert_ending(conn, &ending, now).await?;
    close_invoices(conn, before.id, now).await?;
    let entry = Entry { actor: request.actor, what: "subscription.ended", why: request.reason };
    events::append(conn, &before, entry, now).await?;
    if before.activated_at.is_some() {
        tell(conn, brand, &before, &ending, refund.as_ref().map(|refund| refund.amount), now).await?;
    }
    tracing::info!(subscription.id = %subscription_ref(before.id), actor = request.actor, "subscription ended at once");
    answer(conn, ending).await
}

fn is_same(known: &Ending, request: EndSubscription<'_>) -> bool {
    known.policy == request.policy && known.reason == request.reason
}

async fn answer(conn: &mut PgConnection, ending: Ending) -> Result<Ended, EndError> {
    let subscription = subscriptions::find(conn, ending.subscription_id).await?.ok_or(EndError::NotFound)?;
    let refund = match ending.refund_id {
        Some(id) => refunds::find(conn, id).await?,
        None => None,
    };
    Ok(Ended { subscription, ending, refund })
}

/// Of what the running period's payment still holds: what has gone back before has no share in it.
async fn give_back_unused(
    conn: &mut PgConnection,
    subscription: &Subscription,
    ending: &Ending,
    request: EndSubscription<'_>,
    now: DateTime<Utc>,
) -> Result<Option<Requested>, EndError> {
    match request.policy {
        RefundPolicy::None => return Ok(None),
        RefundPolicy::ProRata => {}
    }
    let Some(payment) = payments::paid_for(conn, subscription.id, subscription.period_no).await? else {
        return Ok(None);
    };
    let asked = refunds::made_or_under_way(conn, payment.id).await?;
    let left = payment.amount.less(asked.amount).unwrap_or(Won::ZERO);
    let share = pro_rata(left, ending.unused);
    if share == Won::ZERO {
        return Ok(None);
    }
    let request = refund::RefundRequest {
        payment_id: payment.id,
        amount: Some(share),
        reason: request.reason,
        // A subscription is ended once, and this is the only refund of it.
        key: None,
        actor: request.actor,
    };
    Ok(Some(request_refund(conn, request, now).await?))
}

async fn tell(
    conn: &mut PgConnection,
    brand: &Brand,
    subscription: &Subscription,
    ending: &Ending,
    refund: Option<Won>,
    now: DateTime<Utc>,
) -> Result<(), EndError> {
    let plan_name = plans::name_of(conn, &subscription.plan).await?;
    let rendered = email::subscription_ended(
        brand,
        &email::SubscriptionEnded {
            customer_name: &subscription.customer_name,
            plan_name: &plan_name,
            ended_on: seoul_date(now),
            refund,
            unused: ending.unused,
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    let fact = Fact { kind: "subscription_ended", period_no: subscription.period_no, step: "0" };
    outbox::post(conn, subscription, fact, &rendered, None, now).await?;
    Ok(())
}
