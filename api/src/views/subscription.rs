//! A subscription as its customer sees it, with what changes at a coming renewal. Dates are civil dates in Asia/Seoul.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use common::commands::consent::wording;
use common::domain::plan_change::{PlanChange, next_change};
use common::domain::subscription::{Subscription, SubscriptionStatus, has_access};
use common::id::subscription_ref;
use common::store::{StoreError, plan_changes, plans};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriptionView {
    #[schema(example = "sub_0192f0c15c0070008000000000000001")]
    id: String,
    #[schema(example = "personal")]
    plan: String,
    /// `monthly` or `yearly`.
    #[schema(example = "yearly")]
    billing_cycle: &'static str,
    /// When the card is charged next, also the next try after a decline; null when it will not be.
    next_billing_date: Option<NaiveDate>,
    /// `incomplete`, `active`, `past_due`, `suspended` or `canceled`.
    #[schema(example = "active")]
    status: &'static str,
    /// Won per period, as agreed to.
    #[schema(example = 94800)]
    amount: i32,
    current_period_start: NaiveDate,
    /// First day that is not paid for.
    current_period_end: NaiveDate,
    /// Only when canceled: the first day without access.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_until: Option<NaiveDate>,
    has_access: bool,
    /// Only when incomplete: until then a card may pay the first period.
    #[serde(skip_serializing_if = "Option::is_none")]
    repair_until: Option<DateTime<Utc>>,
    /// The card that is charged; null when none is registered.
    card: Option<CardView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<NextAction>,
    /// What it becomes at a coming renewal; left out when nothing is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_change: Option<PendingChangeView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CardView {
    /// Masked by Toss.
    #[schema(example = "43301234****123*")]
    number: Option<String>,
}

/// What the customer has to do for the subscription to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NextAction {
    /// It is paid, but no card is kept for the next period.
    RegisterPaymentMethod,
    /// It is canceled, and what is paid for still runs: taking the cancel back costs nothing.
    Resume,
}

pub(crate) fn next_action(subscription: &Subscription) -> Option<NextAction> {
    match subscription.status {
        SubscriptionStatus::Active | SubscriptionStatus::PastDue | SubscriptionStatus::Suspended => {
            subscription.sealed_billing_key.is_none().then_some(NextAction::RegisterPaymentMethod)
        }
        SubscriptionStatus::Incomplete | SubscriptionStatus::Canceled => None,
    }
}

impl SubscriptionView {
    pub(crate) fn new(subscription: &Subscription, now: DateTime<Utc>) -> Self {
        let has_card = subscription.sealed_billing_key.is_some();
        Self {
            id: subscription_ref(subscription.id),
            plan: subscription.plan.clone(),
            billing_cycle: subscription.cycle.into(),
            next_billing_date: subscription.next_billing_on(),
            status: subscription.status.into(),
            amount: subscription.amount.get(),
            current_period_start: subscription.current_period_start,
            current_period_end: subscription.current_period_end,
            access_until: subscription.access_ends_on(),
            has_access: has_access(subscription, now),
            repair_until: subscription
                .repair_until
                .filter(|_| subscription.status == SubscriptionStatus::Incomplete),
            card: has_card.then(|| CardView { number: subscription.card_number.clone() }),
            next_action: next_action(subscription),
            pending_change: None,
        }
    }

    /// With what is pending for it.
    pub(crate) fn with_pending(self, pending_change: Option<PendingChangeView>) -> Self {
        Self { pending_change, ..self }
    }
}

/// Only while it is to come: afterwards the subscription itself says it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PendingChangeView {
    #[schema(example = "pro")]
    plan: String,
    /// `monthly` or `yearly`.
    #[schema(example = "monthly")]
    billing_cycle: &'static str,
    /// The renewal from which it holds.
    effective_date: NaiveDate,
    /// Won per period until then.
    #[schema(example = 9900)]
    old_amount: i32,
    /// Won per period from then on.
    #[schema(example = 19900)]
    new_amount: i32,
    /// Whether the customer asked for it, and can take it back; else it is the plan's new price.
    can_undo: bool,
    /// Without it the subscription ends on `effectiveDate`, and nothing more is charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<ConsentView>,
}

/// The consent that a higher amount needs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConsentView {
    /// Null until it is given.
    given_at: Option<DateTime<Utc>>,
    /// The first day on which it can be given; the last is the day before `effectiveDate`.
    open_from: NaiveDate,
    /// Words that say all that has to be said. What was shown comes back with the consent.
    text: String,
}

impl PendingChangeView {
    /// What comes next for each of the subscriptions that goes on and changes.
    pub(crate) async fn of(
        conn: &mut PgConnection,
        subscriptions: &[Subscription],
    ) -> Result<HashMap<Uuid, Self>, StoreError> {
        let ids: Vec<Uuid> = subscriptions.iter().map(|subscription| subscription.id).collect();
        let pending = plan_changes::pending_of(conn, &ids).await?;
        if pending.is_empty() {
            return Ok(HashMap::new());
        }
        let plans = plans::list(conn).await?;
        let name = |code: &str| plans.iter().find(|plan| plan.code == code).map(|plan| plan.name.as_str());
        let continuing = subscriptions.iter().filter(|subscription| subscription.canceled_at.is_none());
        let views = continuing.filter_map(|subscription| {
            let changes: Vec<PlanChange> =
                pending.iter().filter(|change| change.subscription_id == subscription.id).cloned().collect();
            let change = next_change(&changes)?;
            let plan_name = name(&change.to.plan).unwrap_or(&change.to.plan);
            Some((subscription.id, Self::new(change, plan_name, subscription.card_number.as_deref())))
        });
        Ok(views.collect())
    }

    fn new(change: &PlanChange, plan_name: &str, card_number: Option<&str>) -> Self {
        Self {
            plan: change.to.plan.clone(),
            billing_cycle: change.to.cycle.into(),
            effective_date: change.effective_on,
            old_amount: change.from.amount.get(),
            new_amount: change.to.amount.get(),
            can_undo: change.price_change_id.is_none(),
            consent: change.needs_consent().then(|| ConsentView {
                given_at: change.consent.map(|consent| consent.given_at),
                open_from: change.consent_from(),
                text: wording(change, plan_name, card_number),
            }),
        }
    }
}
