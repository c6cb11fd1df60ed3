//! The daily run that tells customers three days ahead what will be charged, and when.

use apalis::prelude::Data;
use chrono::TimeDelta;
use common::domain::calendar::{days_after, seoul_date, seoul_midnight};
use common::domain::plan_change::{NextTerms, Terms, terms_on};
use common::domain::renewal_notice::{Announcement, announcement};
use common::domain::subscription::Subscription;
use common::email::{RenderError, RenderedEmail};
use common::id::subscription_ref;
use common::jobs::SendRenewalNotices;
use common::outbox::Fact;
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::{gate, plan_changes, plans, scan, subscriptions};
use common::{email, outbox};
use sqlx::PgConnection;
use uuid::Uuid;

use super::batches::{Worked, come_back, held, later, work_through};
use super::consent_requests::ask_for_consents;
use super::price_changes::roll_out_prices;
use crate::env::{Env, Tx};
use crate::error::SettleError;
use crate::gateway::health;

const DAYS_AHEAD: u32 = 3;
const BATCH: i64 = 500;
const LOOK_AGAIN_AFTER: TimeDelta = TimeDelta::minutes(10);

/// Once per subscription and period; a notice whose date has come is not sent late.
pub(crate) async fn send_renewal_notices(
    job: SendRenewalNotices,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let status = gate::read(&mut *env.pool.acquire().await?).await?;
    if let Some(finish) = health::bound_elsewhere(&env, &status, now) {
        return Ok(Ran::Finish(finish));
    }
    // No notice announces a charge that will not happen. It is sent when charging is switched on again in time.
    if !status.charging_enabled {
        let reason = "charging is stopped by an operator: no notice of a charge is sent".into();
        return Ok(Ran::Finish(Finish::Snooze { reason, run_at: now + LOOK_AGAIN_AFTER }));
    }
    let today = seoul_date(now).max(job.date);
    let is_daily_run = job.subscription_id.is_none();
    let mut locked = if is_daily_run { roll_out_prices(&env).await? } else { 0 };
    let from = seoul_midnight(today);
    let until = seoul_midnight(days_after(today, DAYS_AHEAD)?);
    let (mut last, mut all) = (Uuid::nil(), Worked::default());
    loop {
        let mut conn = env.pool.acquire().await?;
        let batch = scan::unnoticed_batch(&mut conn, from, until, job.subscription_id, last, BATCH).await?;
        drop(conn);
        let Some(end) = batch.last() else { break };
        last = *end;
        all.add(work_through(&env, WHAT, batch, |tx, ids| notify_all(&env, tx, ids)).await?);
    }
    come_back(&env, WHAT, &mut all, |tx, ids| notify_all(&env, tx, ids)).await?;
    let consents = if is_daily_run { ask_for_consents(&env, today).await? } else { Worked::default() };
    let (written, asked) = (all.done, consents.done);
    let failed = all.failed.saturating_add(consents.failed);
    locked = locked.saturating_add(all.locked.len()).saturating_add(consents.locked.len());
    tracing::info!(job.id = lease.id(), written, asked, locked, failed, "renewal notices");
    if let Some(later) = later(&env, locked) {
        return Ok(later);
    }
    let told = format!("{written} notices written, {asked} consents asked for");
    Ok(Ran::Finish(Finish::Done(Some(told))))
}

const WHAT: &str = "write renewal notices";

async fn notify_all(env: &Env, mut tx: Tx, ids: Vec<Uuid>) -> Result<(Tx, Worked<Uuid>), SettleError> {
    let free = subscriptions::free_to_refer_to(&mut tx, &ids).await?;
    let mut written = Worked::default();
    for id in &free {
        if let Some(subscription) = subscriptions::find(&mut tx, *id).await? {
            let is_new = notify(env, &mut tx, &subscription).await?;
            written.done = written.done.saturating_add(usize::from(is_new));
        }
    }
    written.locked = held(ids, &free);
    Ok((tx, written))
}

async fn notify(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
) -> Result<bool, SettleError> {
    let pending = plan_changes::pending_of(conn, &[subscription.id]).await?;
    match announcement(subscription, &pending, true) {
        Announcement::Send => {}
        Announcement::Wait | Announcement::Drop => return Ok(false),
    }
    let terms = match terms_on(subscription, &pending, seoul_date(subscription.next_billing_date)) {
        NextTerms::Agreed(terms) => terms,
        // Another mail asks for the consent.
        NextTerms::AwaitsConsent(_) => return Ok(false),
    };
    let plan = plans::name_of(conn, &terms.plan).await?;
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
