//! The customer's yes to a higher amount: what was shown, when, and from where, kept with the very change it is for.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::change_plan::{ChangeError, ChangePlan, in_words, note, own, pending_change};
use crate::domain::calendar::{Cycle, korean_date, seoul_date};
use crate::domain::money::Won;
use crate::domain::plan_change::{ConsentRefused, PlanChange, consent};
use crate::domain::subscription::Subscription;
use crate::id::new_id;
use crate::jobs;
use crate::jobs::SendRenewalNotices;
use crate::store::consents::Evidence;
use crate::store::{StoreError, consents};

#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    #[error("there is no such subscription")]
    NotFound,
    #[error("nothing is pending that could be consented to")]
    NothingPending,
    #[error(transparent)]
    Refused(#[from] ConsentRefused),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the customer saw when they agreed.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    pub text: &'a str,
    pub amount: Won,
    /// The civil date in Seoul from which it is charged.
    pub effective_on: NaiveDate,
    pub ip: Option<&'a str>,
    pub forwarded_for: Option<&'a str>,
    pub user_agent: Option<&'a str>,
}

/// Records the consent; one that is on record already stands. The caller commits.
pub async fn give_consent(
    conn: &mut PgConnection,
    request: ChangePlan<'_>,
    shown: Shown<'_>,
    now: DateTime<Utc>,
) -> Result<Subscription, ConsentError> {
    let subscription = own(conn, request).await.map_err(|error| match error {
        ChangeError::Store(error) => ConsentError::Store(error),
        ChangeError::NotFound
        | ChangeError::UnknownPlan(_)
        | ChangeError::NothingPending
        | ChangeError::Refused(_) => ConsentError::NotFound,
    })?;
    let change = pending_change(conn, subscription.id).await?.ok_or(ConsentError::NothingPending)?;
    consent(&change, shown.amount, shown.effective_on, seoul_date(now))?;
    let evidence = Evidence {
        shown_text: shown.text,
        given_by: request.actor,
        card_number: subscription.card_number.as_deref(),
        ip: shown.ip,
        forwarded_for: shown.forwarded_for,
        user_agent: shown.user_agent,
    };
    if consents::insert(conn, new_id(now), &change, evidence, now).await? {
        note(conn, &subscription, request.actor, "consent.given", &in_words(&change), now).await?;
        let notice = SendRenewalNotices::about(subscription.id, now);
        jobs::enqueue(conn, &notice, now, now).await.map_err(StoreError::from)?;
    }
    Ok(subscription)
}

/// What a customer should be shown before they agree: date, amounts, payment method, and how to leave instead.
pub fn wording(change: &PlanChange, plan_name: &str, card_number: Option<&str>) -> String {
    let PlanChange { from, to, .. } = change;
    let date = korean_date(change.effective_on);
    let card = card_number.map(|number| format!("({number})")).unwrap_or_default();
    let every = match to.cycle {
        Cycle::Monthly => "매월",
        Cycle::Yearly => "매년",
    };
    format!(
        "{date}부터 {plan_name} 플랜 {} 요금이 {}에서 {}으로 변경되고, 같은 날 등록된 카드{card}로 {}이 결제되며 이후 {every} \
         같은 금액이 자동 결제되는 것에 동의합니다. 변경 전날까지 구독 관리 페이지에서 언제든지 해지할 수 있고, 해지하면 변경된 \
         요금은 결제되지 않으며 이미 결제한 기간이 끝날 때까지 이용할 수 있습니다. 동의하지 않으면 변경된 요금은 결제되지 않고 \
         구독은 {date} 0시에 종료됩니다.",
        to.cycle.korean(),
        from.amount,
        to.amount,
        to.amount,
    )
}
