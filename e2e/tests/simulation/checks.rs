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
    broken.extend(nothing_or_the_price(life, &lines));
    broken.extend(lines.iter().filter_map(ledgers_agree));
    broken.extend(lines.iter().filter_map(failures_are_declines));
    broken.extend(lines.iter().filter_map(nothing_is_left_open));
    broken.extend(nothing_after_a_cancel(life).await);
    broken.extend(everybody_is_charged_or_explained(life).await);
    broken.extend(refunds_have_ended(life).await);
    broken.extend(the_books_agree(life).await);
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

/// I1: what people wanted back is not theirs to keep either way, and never more than they wanted.
fn nothing_or_the_price(life: &Life<'_>, lines: &[Line]) -> Vec<Broken> {
    let mut periods: BTreeMap<Uuid, (i64, i64, &str)> = BTreeMap::new();
    let mut broken = Vec::new();
    for Line { ours, name, price, captured, refunded, given_back, .. } in lines {
        let sum = periods.entry(ours.invoice_id).or_insert((0, *price, name));
        sum.0 += captured - refunded;
        sum.1 -= given_back;
        let wished = life.wished.get(&ours.order_id).copied().unwrap_or_default();
        if *given_back > wished {
            broken.push(format!("I1: {given_back} won of {name} went back, people wanted {wished}"));
        }
    }
    let wrong = periods.into_values().filter(|(net, price, _)| *net != 0 && net != price);
    broken.extend(wrong.map(|(net, price, name)| {
        format!("I1: {net} won were kept for the period of {name}, {price} should be")
    }));
    broken
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
async fn nothing_after_a_cancel(life: &Life<'_>) -> Vec<Broken> {
    let late: Vec<String> = sqlx::query_scalar(
        "select order_id from payments payment
          where exists (select from remembered.farewells farewell
                         where farewell.subscription_id = payment.subscription_id and farewell.order_id is null)
            and not exists (select from remembered.farewells farewell where farewell.order_id = payment.order_id)",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    late.iter().map(|one| format!("I4: {} began after the cancel", watch::order(life, one))).collect()
}

/// The daily comparison has found everything out, every event has been dealt with, and nothing of it is left to explain.
async fn the_books_agree(life: &Life<'_>) -> Vec<Broken> {
    let open: Vec<(String, String)> = sqlx::query_as(
        "select 'I2: the comparison leaves a ' || kind, coalesce(order_id, reference)
           from reconciliation_breaks where resolved_at is null
         union all
         select 'an event is ' || state || coalesce(': ' || note, '') || ',', coalesce(event_type, '')
           from webhook_events_in
          where state = 'received' and received_at > $1 - interval '3 days'
             or state = 'failed' and note not like '%for a day now'",
    )
    .bind(life.bench.now())
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    open.into_iter().map(|(what, whose)| format!("{what} {}", watch::order(life, &whose))).collect()
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
          where refund.status not in ('completed', 'failed')
             or refund.status = 'failed' and refund.toss_code is null
                and refund.settled_at - refund.first_sent_at < interval '14 days'",
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
    for Line { ours, name, unwanted, .. } in lines {
        let (whose, period) = (ours.subscription_id.simple(), periods[&ours.invoice_id]);
        if ours.status == PaymentStatus::Completed && !unwanted {
            let key = format!("payment_succeeded:{whose}:{period}:{}", ours.attempt_no);
            wanted.push((key, format!("{name} is paid")));
        }
    }
    for (what, key) in told_facts(life).await {
        wanted.push((key, what));
    }
    let missing = wanted.into_iter().filter(|(key, _)| !fits(&letters, key));
    missing.map(|(_, what)| format!("I6: {what}, and no e-mail says so")).collect()
}

/// Some keys begin or end in what only the writer knew.
fn fits(letters: &BTreeSet<String>, key: &str) -> bool {
    letters.contains(key)
        || key.strip_suffix('*').is_some_and(|begin| letters.iter().any(|letter| letter.starts_with(begin)))
        || key.strip_prefix('*').is_some_and(|end| letters.iter().any(|letter| letter.ends_with(end)))
}

async fn told_facts(life: &Life<'_>) -> Vec<(String, String)> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select 'a refund went back', '*:' || replace(id::text, '-', '')
           from refunds where status = 'completed'
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
