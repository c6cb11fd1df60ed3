//! A subscription as its customer sees it. Dates are civil dates in Asia/Seoul.

use chrono::{DateTime, NaiveDate, Utc};
use common::{
    domain::{
        calendar::seoul_date,
        subscription::{Subscription, SubscriptionStatus, has_access},
    },
    id::subscription_ref,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::PendingChangeView;

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
    pub(crate) fn of(it: &Subscription, now: DateTime<Utc>) -> Self {
        use SubscriptionStatus as S;
        let (next_billing_date, access_until) = match it.status {
            S::Incomplete | S::Active | S::PastDue => (Some(seoul_date(it.next_billing_date)), None),
            S::Suspended => (None, None),
            S::Canceled => (None, Some(it.access_until(now))),
        };
        let has_card = it.sealed_billing_key.is_some();
        Self {
            id: subscription_ref(it.id),
            plan: it.plan.clone(),
            billing_cycle: it.cycle.into(),
            next_billing_date,
            status: it.status.into(),
            amount: it.amount.get(),
            current_period_start: it.current_period_start,
            current_period_end: it.current_period_end,
            access_until,
            has_access: has_access(it, now),
            repair_until: it.repair_until.filter(|_| it.status == S::Incomplete),
            card: has_card.then(|| CardView { number: it.card_number.clone() }),
            next_action: next_action(it),
            pending_change: None,
        }
    }

    /// With what is pending for it.
    pub(crate) fn changing(self, pending_change: Option<PendingChangeView>) -> Self {
        Self { pending_change, ..self }
    }
}
