//! A billing key that is said to be deleted: the card is marked for replacement and its owner told, and nothing is thrown
//! away, because the event carries no proof. The next charge tells.

use chrono::{DateTime, Utc};
use common::{
    domain::{
        calendar::seoul_date,
        subscription::{Subscription, SubscriptionStatus},
    },
    email,
    id::subscription_ref,
    outbox::{self, Fact},
    store::{
        doubtful_cards,
        events::{self, Entry},
        subscriptions,
    },
};
use secrecy::SecretString;
use sqlx::PgConnection;

use crate::{
    env::Env,
    error::SettleError,
    notifications::{next_terms, plan_name},
};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CardSuspicion {
    /// No card of ours is charged with this key (any more).
    NoCard,
    /// This many cards were known to be in doubt already, or are now.
    Cards(usize),
}

/// Marks the cards that are charged with this key. The caller commits.
pub(crate) async fn suspect_card(
    env: &Env,
    conn: &mut PgConnection,
    billing_key: &SecretString,
    now: DateTime<Utc>,
) -> Result<CardSuspicion, SettleError> {
    let fingerprints = env.sealer.fingerprints(billing_key);
    let found = doubtful_cards::of_fingerprints(conn, &fingerprints).await?;
    for id in &found {
        let Some(subscription) = subscriptions::lock(conn, *id).await? else { continue };
        if doubtful_cards::suspect(conn, *id, &fingerprints, now).await? {
            let why = "Toss says that the billing key is deleted; the next charge tells";
            let entry = Entry { actor: "toss", what: "card.in_doubt", why };
            events::append(conn, &subscription, entry, now).await?;
            tracing::warn!(subscription.id = %subscription_ref(*id), "the billing key is said to be deleted");
            tell(env, conn, &subscription, now).await?;
        }
    }
    Ok(if found.is_empty() { CardSuspicion::NoCard } else { CardSuspicion::Cards(found.len()) })
}

/// Once per registered card, and only whom a charge awaits.
async fn tell(
    env: &Env,
    conn: &mut PgConnection,
    subscription: &Subscription,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    match subscription.status {
        SubscriptionStatus::Active | SubscriptionStatus::PastDue | SubscriptionStatus::Suspended => {}
        SubscriptionStatus::Incomplete | SubscriptionStatus::Canceled => return Ok(()),
    }
    let next_date = seoul_date(subscription.next_billing_date.max(now));
    let terms = next_terms(conn, subscription, next_date).await?;
    let plan = plan_name(conn, &terms.plan).await?;
    let rendered = email::card_replacement(
        &env.brand,
        &email::CardReplacement {
            customer_name: &subscription.customer_name,
            plan_name: &plan,
            cycle: terms.cycle,
            amount: terms.amount,
            next_date,
            card_number: subscription.card_number.as_deref(),
            subscription_ref: &subscription_ref(subscription.id),
        },
    )?;
    let registered = subscription.card_registered_at.unwrap_or(subscription.created_at);
    let step = format!("deleted-{}", registered.timestamp_micros());
    // Not by period: the same card is told of once, however long it is kept.
    let fact = Fact { kind: "card_needed", period_no: 0, step: &step };
    outbox::post(conn, subscription, fact, &rendered, None, now).await?;
    Ok(())
}
