//! What a subscription becomes at a coming renewal, and what it still needs for that.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use common::{
    commands::consent::wording,
    domain::{
        plan_change::{PlanChange, next_change},
        subscription::Subscription,
    },
    store::{StoreError, plan_changes, plans},
};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

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
        let ids: Vec<Uuid> = subscriptions.iter().map(|it| it.id).collect();
        let pending = plan_changes::pending_of(conn, &ids).await?;
        if pending.is_empty() {
            return Ok(HashMap::new());
        }
        let plans = plans::list(conn).await?;
        let name = |code: &str| plans.iter().find(|plan| plan.code == code).map(|plan| plan.name.as_str());
        let going_on = subscriptions.iter().filter(|it| it.canceled_at.is_none());
        let views = going_on.filter_map(|it| {
            let of_it: Vec<PlanChange> =
                pending.iter().filter(|change| change.subscription_id == it.id).cloned().collect();
            let change = next_change(&of_it)?;
            let plan_name = name(&change.to.plan).unwrap_or(&change.to.plan);
            Some((it.id, Self::new(change, plan_name, it.card_number.as_deref())))
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
