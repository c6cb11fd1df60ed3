//! I6: every fact that has an e-mail is mailed once.

use std::collections::{BTreeMap, BTreeSet};

use common::domain::payment::PaymentStatus;
use uuid::Uuid;

use crate::ledgers::LedgerRow;
use crate::simulation::{Simulation, Violation};

/// Each fact has its e-mail.
pub(super) async fn facts_are_mailed(simulation: &Simulation<'_>, rows: &[LedgerRow]) -> Vec<Violation> {
    let keys: Vec<String> = sqlx::query_scalar("select unique_key from emails")
        .fetch_all(simulation.testbed.admin_pool())
        .await
        .unwrap();
    let keys: BTreeSet<String> = keys.into_iter().collect();
    let periods: Vec<(Uuid, i32)> = sqlx::query_as("select id, period_no from invoices")
        .fetch_all(simulation.testbed.admin_pool())
        .await
        .unwrap();
    let periods: BTreeMap<Uuid, i32> = periods.into_iter().collect();
    let mut expected = Vec::new();
    for LedgerRow { payment, name, is_captured_after_cancel, .. } in rows {
        let (subscription, period) = (payment.subscription_id.simple(), periods[&payment.invoice_id]);
        if payment.status == PaymentStatus::Completed && !is_captured_after_cancel {
            let key = format!("payment_succeeded:{subscription}:{period}:{}", payment.attempt_no);
            expected.push((key, format!("{name} is paid")));
        }
    }
    for (what, key) in other_facts(simulation).await {
        expected.push((key, what));
    }
    let missing = expected.into_iter().filter(|(key, _)| !has_email(&keys, key));
    missing.map(|(_, what)| format!("I6: {what} without an e-mail")).collect()
}

/// Whether an e-mail has this unique key. A `*` stands for a part that the check does not know.
fn has_email(keys: &BTreeSet<String>, key: &str) -> bool {
    keys.contains(key)
        || key.strip_suffix('*').is_some_and(|prefix| keys.iter().any(|key| key.starts_with(prefix)))
        || key.strip_prefix('*').is_some_and(|suffix| keys.iter().any(|key| key.ends_with(suffix)))
}

async fn other_facts(simulation: &Simulation<'_>) -> Vec<(String, String)> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select 'a refund was completed', '*:' || replace(id::text, '-', '')
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
         select 'a deposit was awaited', 'deposit_awaited:' || replace(subscription_id::text, '-', '') || '*'
           from payments join virtual_accounts account on account.payment_id = payments.id
          where status in ('completed', 'partially_refunded', 'refunded')
            and subscription_id in (select id from subscriptions where canceled_at is null)
         union all
         select 'a subscription was suspended', 'subscription_suspended:' || replace(subscription_id::text, '-', '') || '*'
           from subscription_events where what = 'subscription.suspended'
         union all
         select 'a subscription did not begin', 'subscription_not_begun:' || replace(subscription_id::text, '-', '') || '*'
           from subscription_events where what = 'subscription.never_began'
            and subscription_id in (select id from subscriptions where repair_until is not null)",
    )
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    rows
}

/// No e-mail waits, and each sent one arrived once. A second copy is allowed per worker killed while it mailed.
pub(super) async fn are_delivered_once(simulation: &Simulation<'_>) -> Vec<Violation> {
    let rows: Vec<(String, String, String, bool)> =
        sqlx::query_as("select message_id, status, unique_key, body_text = '' from emails")
            .fetch_all(simulation.testbed.admin_pool())
            .await
            .unwrap();
    let arrived = arrivals(simulation);
    let mut violations = Vec::new();
    let mut copies = 0;
    for (id, status, key, is_erased) in rows {
        let times = arrived.get(id.split('@').next().unwrap_or_default()).copied().unwrap_or_default();
        let kind = key.split(':').next().unwrap_or_default();
        match status.as_str() {
            "sent" if times == 0 => violations.push(format!("I6: a {kind} was sent and did not arrive")),
            "sent" => copies += times - 1,
            // The mail server had it already when its customer was erased.
            "dropped" if times > 0 && is_erased => copies += times - 1,
            "dropped" if times > 0 => copies += times,
            "dropped" => {}
            other => violations.push(format!("I6: a {kind} is still {other}")),
        }
    }
    if copies > simulation.deaths_while_mailing {
        violations.push(format!(
            "I6: {copies} duplicate e-mails after {} kills while mailing",
            simulation.deaths_while_mailing
        ));
    }
    violations
}

/// Counts the e-mails of each Message-ID in the mailbox.
fn arrivals(simulation: &Simulation<'_>) -> BTreeMap<String, usize> {
    let mut arrived = BTreeMap::new();
    for file in std::fs::read_dir(simulation.testbed.mails.path()).unwrap() {
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
