//! The promises, checked when calm has returned and everything unfinished has had its time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use common::domain::attempt::{PaymentKind, PaymentStatus};
use uuid::Uuid;

use crate::{
    life::{Broken, Life},
    money::{self, Line},
    watch,
};

/// Everything that does not hold.
pub(crate) async fn all(life: &Life<'_>) -> Vec<Broken> {
    let lines = money::lines(life).await;
    let mut broken = Vec::new();
    broken.extend(nothing_or_the_price(&lines));
    broken.extend(lines.iter().filter_map(ledgers_agree));
    broken.extend(lines.iter().filter_map(failures_are_declines));
    broken.extend(lines.iter().filter_map(nothing_is_left_open));
    broken.extend(nothing_after_a_cancel(life, &lines));
    broken.extend(everybody_is_charged_or_explained(life).await);
    broken.extend(refunds_have_ended(life).await);
    broken.extend(facts_have_their_letters(life, &lines).await);
    broken.extend(letters_went_out_once(life).await);
    broken
}

fn is_captured(status: PaymentStatus) -> bool {
    match status {
        PaymentStatus::Completed | PaymentStatus::Refunded | PaymentStatus::PartiallyRefunded => true,
        PaymentStatus::Pending | PaymentStatus::Unknown | PaymentStatus::Failed => false,
    }
}

/// I1.
fn nothing_or_the_price(lines: &[Line]) -> Vec<Broken> {
    let mut periods: BTreeMap<Uuid, (i64, i64, &str)> = BTreeMap::new();
    for line in lines {
        let sum = periods.entry(line.ours.invoice_id).or_insert((0, line.price, &line.name));
        sum.0 += line.captured - line.refunded;
    }
    let wrong = periods.into_values().filter(|(net, price, _)| *net != 0 && net != price);
    wrong
        .map(|(net, price, name)| {
            format!("I1: {net} won were kept for the period of {name}, it costs {price}")
        })
        .collect()
}

/// I2.
fn ledgers_agree(line: &Line) -> Option<Broken> {
    let Line { ours, name, captured, refunded, refunded_by_us, .. } = line;
    let booked = if is_captured(ours.status) { i64::from(ours.amount.get()) } else { 0 };
    let agree = booked == *captured && refunded_by_us == refunded;
    (!agree).then(|| {
        format!(
            "I2: {name} is {} with {booked} − {refunded_by_us} won here, {captured} − {refunded} at the gateway",
            ours.status
        )
    })
}

/// I5, both ways. What a person has to look at is neither yet.
fn failures_are_declines(line: &Line) -> Option<Broken> {
    let Line { ours, name, status, .. } = line;
    if ours.kind != PaymentKind::Renewal || ours.review_since.is_some() {
        return None;
    }
    let (counted, declined) = (ours.decline_kind.is_some(), status.as_deref() == Some("ABORTED"));
    (counted != declined)
        .then(|| format!("I5: {name} counts as declined: {counted}; at the gateway it is {status:?}"))
}

/// I7, at the end: open are only unknowns in review that the gateway cannot tell anything about.
fn nothing_is_left_open(line: &Line) -> Option<Broken> {
    let open = line.ours.is_unfinished() && line.ours.review_since.is_none();
    open.then(|| format!("I7: {} is still {} and nobody looks at it", line.name, line.ours.status))
}

/// I4: what began after the cancel.
fn nothing_after_a_cancel(life: &Life<'_>, lines: &[Line]) -> Vec<Broken> {
    let farewells = life.farewells.lock().unwrap();
    let late = |line: &&Line| {
        let farewell = farewells.get(&line.ours.subscription_id);
        farewell.is_some_and(|farewell| !farewell.orders.contains(&line.ours.order_id))
    };
    lines.iter().filter(late).map(|line| format!("I4: {} began after the cancel", line.name)).collect()
}

/// I8.
async fn everybody_is_charged_or_explained(life: &Life<'_>) -> Vec<Broken> {
    let forgotten: Vec<(Uuid, String)> = sqlx::query_as(
        "select id, status from subscriptions subscription
          where not (status in ('canceled', 'suspended')
                  or status = 'active' and next_billing_date > $1
                  or status = 'past_due' and exists (
                        select from invoices where subscription_id = subscription.id and status = 'open'
                           and held_since is null and next_attempt_at > $1)
                  or exists (
                        select from payments where subscription_id = subscription.id
                           and status = 'unknown' and review_since is not null))",
    )
    .bind(life.bench.now())
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    let tell = |(id, status): (Uuid, String)| {
        format!("I8: {} is {status}, due, neither charged nor explained", watch::customer(life, id))
    };
    forgotten.into_iter().map(tell).collect()
}

async fn refunds_have_ended(life: &Life<'_>) -> Vec<Broken> {
    let open: Vec<(Uuid, String)> = sqlx::query_as(
        "select payment.subscription_id, refund.status
           from refunds refund join payments payment on payment.id = refund.payment_id
          where refund.status <> 'completed'",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    let tell =
        |(id, status): (Uuid, String)| format!("I2: a refund for {} is {status}", watch::customer(life, id));
    open.into_iter().map(tell).collect()
}

/// I6: one letter for each fact that has one.
async fn facts_have_their_letters(life: &Life<'_>, lines: &[Line]) -> Vec<Broken> {
    let letters: Vec<String> =
        sqlx::query_scalar("select unique_key from emails").fetch_all(life.bench.desk()).await.unwrap();
    let letters: BTreeSet<String> = letters.into_iter().collect();
    let periods: Vec<(Uuid, i32)> =
        sqlx::query_as("select id, period_no from invoices").fetch_all(life.bench.desk()).await.unwrap();
    let periods: BTreeMap<Uuid, i32> = periods.into_iter().collect();
    let mut wanted = Vec::new();
    for Line { ours, name, .. } in lines {
        let (whose, period) = (ours.subscription_id.simple(), periods[&ours.invoice_id]);
        if ours.status == PaymentStatus::Completed {
            let key = format!("payment_succeeded:{whose}:{period}:{}", ours.attempt_no);
            wanted.push((key, format!("{name} is paid")));
        }
    }
    for (what, key) in told_facts(life).await {
        wanted.push((key, what));
    }
    let missing = wanted.into_iter().filter(|(key, _)| !letters.contains(key) && !begins(&letters, key));
    missing.map(|(_, what)| format!("I6: {what}, and no e-mail says so")).collect()
}

/// Some keys end in what only the writer knew.
fn begins(letters: &BTreeSet<String>, key: &str) -> bool {
    key.strip_suffix('*').is_some_and(|prefix| letters.iter().any(|letter| letter.starts_with(prefix)))
}

async fn told_facts(life: &Life<'_>) -> Vec<(String, String)> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select 'a refund went back', 'payment_refunded:' || replace(payment.subscription_id::text, '-', '') || ':'
                || subscription.period_no || ':' || replace(refund.id::text, '-', '')
           from refunds refund join payments payment on payment.id = refund.payment_id
           join subscriptions subscription on subscription.id = payment.subscription_id
          where refund.status = 'completed'
         union all
         select 'a subscription was canceled', 'subscription_canceled:' || replace(id::text, '-', '') || '*'
           from subscriptions where status = 'canceled' and activated_at is not null
         union all
         select 'a subscription was suspended', 'subscription_suspended:' || replace(subscription_id::text, '-', '') || '*'
           from subscription_events where what = 'subscription.suspended'",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    rows
}

/// I6: nothing waits, what was sent arrived, and nothing arrived twice unless its sender died between sending and saying so.
async fn letters_went_out_once(life: &Life<'_>) -> Vec<Broken> {
    let rows: Vec<(String, String, String, Option<DateTime<Utc>>)> =
        sqlx::query_as("select message_id, status, unique_key, settled_at from emails")
            .fetch_all(life.bench.desk())
            .await
            .unwrap();
    let arrived = arrivals(life);
    let mut broken = Vec::new();
    let mut twice = 0;
    for (id, status, key, _) in rows {
        let times = arrived.get(id.split('@').next().unwrap_or_default()).copied().unwrap_or_default();
        let kind = key.split(':').next().unwrap_or_default();
        match status.as_str() {
            "sent" if times == 0 => broken.push(format!("I6: a {kind} was sent and did not arrive")),
            "sent" => twice += times - 1,
            "dropped" if times > 0 => twice += times,
            "dropped" => {}
            other => broken.push(format!("I6: a {kind} is {other} in the end")),
        }
    }
    if twice > life.mail_deaths {
        broken.push(format!("I6: {twice} copies too many, after {} deaths while mailing", life.mail_deaths));
    }
    broken
}

/// How often each Message-ID lies in the mailbox.
fn arrivals(life: &Life<'_>) -> BTreeMap<String, usize> {
    let mut arrived = BTreeMap::new();
    for file in std::fs::read_dir(life.bench.mails.path()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "eml") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let id = text.lines().find_map(|line| line.strip_prefix("Message-ID: <")).unwrap_or_default();
        let local = id.split('@').next().unwrap_or_default();
        *arrived.entry(local.to_owned()).or_default() += 1;
    }
    arrived
}
