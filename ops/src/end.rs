//! `billing subscription end`: ends a subscription at once; the share of the days that were not used goes back.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use common::commands::end::Ended;
use common::domain::action::Action;
use common::domain::ending::RefundPolicy;
use common::domain::money::Won;
use common::id::subscription_ref;
use common::store::{refunds, subscriptions};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::action::{Acting, ActionOptions};
use crate::error::no_subscription;
use crate::{OpsError, arguments};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  billing subscription end sub_0192f0c1a2b37c4d8e5f60718293a4b5 --reason '고객 요청'
  billing subscription end sub_0192f0c1a2b37c4d8e5f60718293a4b5 --refund none --reason '약관 위반'")]
pub struct EndRequest {
    /// sub_… or a UUID
    #[arg(value_parser = arguments::subscription_id)]
    pub id: Uuid,
    /// pro-rata or none
    #[arg(long, default_value = "pro-rata", value_parser = refund_policy)]
    pub refund: RefundPolicy,
    /// The customer reads the reason in the e-mail about the refund: at most 200 characters
    #[command(flatten)]
    pub options: ActionOptions,
}

impl EndRequest {
    pub fn action(&self) -> Action {
        Action::EndSubscription { subscription_id: self.id, policy: self.refund }
    }
}

fn refund_policy(text: &str) -> Result<RefundPolicy, String> {
    text.replace('-', "_").parse().map_err(|_| "pro-rata or none".to_owned())
}

/// How it ended. Civil dates are Seoul's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedSubscription {
    /// `sub_…`
    pub subscription: String,
    pub status: String,
    /// First day without access.
    pub access_until: NaiveDate,
    /// Days of the period after the one on which it ended; and all of its days.
    pub unused_days: u32,
    pub period_days: u32,
    /// None: nothing goes back.
    pub refund: Option<RefundOfRest>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundOfRest {
    pub id: Uuid,
    pub amount: Won,
    pub status: String,
}

/// The same again is one end, one refund and the same answer.
pub async fn end(
    conn: &mut PgConnection,
    request: &EndRequest,
    acting: &Acting,
) -> Result<EndedSubscription, OpsError> {
    let reason = request.options.reason(None)?;
    acting.perform(conn, &request.action(), &reason).await?;
    let not_found = || no_subscription(request.id);
    let subscription = subscriptions::find(conn, request.id).await?.ok_or_else(not_found)?;
    let ending = subscriptions::find_ending(conn, request.id).await?.ok_or_else(not_found)?;
    let refund = match ending.refund_id {
        Some(id) => refunds::find(conn, id).await?,
        None => None,
    };
    Ok(view(&Ended { subscription, ending, refund }, acting.now))
}

fn view(ended: &Ended, now: DateTime<Utc>) -> EndedSubscription {
    let Ended { subscription, ending, refund } = ended;
    EndedSubscription {
        subscription: subscription_ref(subscription.id),
        status: subscription.status.to_string(),
        access_until: subscription.access_until(now),
        unused_days: ending.unused.days,
        period_days: ending.unused.of,
        refund: refund.as_ref().map(|refund| RefundOfRest {
            id: refund.id,
            amount: refund.amount,
            status: refund.status.to_string(),
        }),
    }
}

impl fmt::Display for EndedSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ended on {}: no access, no further charge", self.subscription, self.access_until)?;
        let days = format!("{} of {} days were not used", self.unused_days, self.period_days);
        match &self.refund {
            Some(refund) => {
                writeln!(f, "{days}: {} goes back (refund {}, {})", refund.amount, refund.id, refund.status)
            }
            None => writeln!(f, "{days}: nothing goes back"),
        }
    }
}
