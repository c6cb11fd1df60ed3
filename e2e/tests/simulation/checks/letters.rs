//! I6: everybody was told once, and of everything.

use std::collections::{BTreeMap, BTreeSet};

use common::domain::payment::PaymentStatus;
use uuid::Uuid;

use crate::{
    life::{Broken, Life},
    money::Line,
};

/// I6: one letter for each fact that has one.
pub(super) async fn facts_have_theirs(life: &Life<'_>, lines: &[Line]) -> Vec<Broken> {
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
         select 'a subscription was canceled', case event.actor when 'worker' then 'subscription_lapsed:'
                    else 'subscription_canceled:' end || replace(subscription_id::text, '-', '') || '*'
           from subscription_events event join subscriptions subscription on subscription.id = subscription_id
          where what = 'subscription.canceled' and activated_at is not null
         union all
         select 'a subscription was ended', 'subscription_ended:' || replace(subscription_id::text, '-', '') || '*'
           from subscription_events event join subscriptions subscription on subscription.id = subscription_id
          where what = 'subscription.ended' and activated_at is not null
         union all
         select 'a subscription was suspended', 'subscription_suspended:' || replace(subscription_id::text, '-', '') || '*'
           from subscription_events where what = 'subscription.suspended'
         union all
         select 'a subscription did not begin', 'subscription_not_begun:' || replace(subscription_id::text, '-', '') || '*'
           from subscription_events where what = 'subscription.never_began'
            and subscription_id in (select id from subscriptions where repair_until is not null)",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    rows
}

/// I6: nothing waits, what was sent arrived, and nothing arrived twice unless its sender died between sending and saying so.
pub(super) async fn went_out_once(life: &Life<'_>) -> Vec<Broken> {
    let rows: Vec<(String, String, String, bool)> =
        sqlx::query_as("select message_id, status, unique_key, body_text = '' from emails")
            .fetch_all(life.bench.desk())
            .await
            .unwrap();
    let arrived = arrivals(life);
    let mut broken = Vec::new();
    let mut twice = 0;
    for (id, status, key, is_erased) in rows {
        let times = arrived.get(id.split('@').next().unwrap_or_default()).copied().unwrap_or_default();
        let kind = key.split(':').next().unwrap_or_default();
        match status.as_str() {
            "sent" if times == 0 => broken.push(format!("I6: a {kind} was sent and did not arrive")),
            "sent" => twice += times - 1,
            // It was with the mail server when its customer was erased.
            "dropped" if times > 0 && is_erased => twice += times - 1,
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
