//! The daily run that tells customers three days ahead what will be charged, and when.

use apalis::prelude::Data;
use common::queue::{Finish, JobError, Lease, Ran};
use common::{
    domain::{
        calendar::{days_after, seoul_date, seoul_midnight},
        plan_change::{NextTerms, Terms, terms_on},
        subscription::{Subscription, SubscriptionStatus},
    },
    email::{self, RenderError, RenderedEmail},
    id::subscription_ref,
    jobs::SendRenewalNotices,
    outbox::{self, Fact},
    store::{plan_changes, scan, subscriptions},
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{consent_requests::ask_for_consents, price_changes::roll_out_prices};
use crate::{env::Env, notifications};

const DAYS_AHEAD: u32 = 3;
const BATCH: i64 = 500;

/// Once per subscription and period; a notice whose date has come is not sent late.
pub(crate) async fn send_renewal_notices(
    job: SendRenewalNotices,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    let today = seoul_date(env.clock.now()).max(job.date);
    roll_out_prices(&env).await?;
    let from = seoul_midnight(today);
    let until = seoul_midnight(days_after(today, DAYS_AHEAD)?);
    let (mut last, mut written) = (Uuid::nil(), 0_usize);
    loop {
        let mut tx = env.pool.begin().await?;
        let batch = scan::unnoticed_batch(&mut tx, from, until, last, BATCH).await?;
        let Some(end) = batch.last() else { break };
        last = *end;
        for id in &batch {
            if let Some(subscription) = subscriptions::find(&mut tx, *id).await? {
                written = written.saturating_add(usize::from(notify(&env, &mut tx, &subscription).await?));
            }
        }
        tx.commit().await?;
    }
    let asked = ask_for_consents(&env, today).await?;
    tracing::info!(job.id = lease.id(), written, asked, "renewal notices");
    let told = format!("{written} notices written, {asked} consents asked for");
    Ok(Ran::Finish(Finish::Done(Some(told))))
}

async fn notify(env: &Env, conn: &mut PgConnection, subscription: &Subscription) -> Result<bool, JobError> {
    if subscription.status != SubscriptionStatus::Active {
        return Ok(false);
    }
    let pending = plan_changes::pending_of(conn, &[subscription.id]).await?;
    let terms = match terms_on(subscription, &pending, seoul_date(subscription.next_billing_date)) {
        NextTerms::Agreed(terms) => terms,
        // Another mail asks for the consent.
        NextTerms::AwaitsConsent(_) => return Ok(false),
    };
    let plan = notifications::plan_name(conn, &terms.plan).await?;
    let (kind, rendered) = match subscription.sealed_billing_key {
        Some(_) => ("renewal_notice", announce(env, subscription, &terms, &plan)?),
        // Nothing can be charged yet: the same three days are left to register a card.
        None => ("card_reminder", ask_for_card(env, subscription, &terms, &plan)?),
    };
    let period_no = subscription.period_no.saturating_add(1);
    let fact = Fact { kind, period_no, step: "0" };
    let before = Some(subscription.next_billing_date);
    Ok(outbox::post(conn, subscription, fact, &rendered, before, env.clock.now()).await?)
}

fn announce(
    env: &Env,
    subscription: &Subscription,
    terms: &Terms,
    plan: &str,
) -> Result<RenderedEmail, RenderError> {
    let notice = email::RenewalNotice {
        customer_name: &subscription.customer_name,
        plan_name: plan,
        cycle: terms.cycle,
        amount: terms.amount,
        renews_on: seoul_date(subscription.next_billing_date),
        card_number: subscription.card_number.as_deref(),
        subscription_ref: &subscription_ref(subscription.id),
    };
    email::renewal_notice(&env.brand, &notice)
}

fn ask_for_card(
    env: &Env,
    subscription: &Subscription,
    terms: &Terms,
    plan: &str,
) -> Result<RenderedEmail, RenderError> {
    let reminder = email::CardNeeded {
        customer_name: &subscription.customer_name,
        plan_name: plan,
        cycle: terms.cycle,
        amount: terms.amount,
        next_date: seoul_date(subscription.next_billing_date),
        subscription_ref: &subscription_ref(subscription.id),
    };
    email::card_needed(&env.brand, &reminder)
}
