//! `billing subscription end`: ends a subscription at once; the share of the days that were not used goes back.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use common::{
    commands::{
        end::{EndError, Ended, Wish, end_subscription},
        refund::RefundError,
    },
    domain::{ending::RefundPolicy, money::Won},
    email::Brand,
    id::subscription_ref,
    outbox::OutboxError,
};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    OpsError, arguments,
    error::{given_reason, no_subscription},
};

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
    /// The customer reads it in the e-mail about the refund; at most 200 characters
    #[arg(long)]
    pub reason: String,
}

fn refund_policy(text: &str) -> Result<RefundPolicy, String> {
    text.replace('-', "_").parse().map_err(|_| "pro-rata or none".to_owned())
}

/// Toss: `cancelReason`.
const MAX_REASON: usize = 200;

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
    brand: &Brand,
    request: &EndRequest,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<EndedSubscription, OpsError> {
    let EndRequest { id, refund: policy, ref reason } = *request;
    let reason = given_reason(reason)?;
    if reason.chars().count() > MAX_REASON || reason.chars().any(char::is_control) {
        return Err(OpsError::Usage(format!("the reason is one line of at most {MAX_REASON} characters")));
    }
    let wish = Wish { subscription_id: id, policy, reason, key: None, actor };
    let mut tx = conn.begin().await?;
    let ended = end_subscription(&mut tx, brand, wish, now).await.map_err(|error| why(error, id))?;
    tx.commit().await?;
    Ok(view(&ended, now))
}

fn why(error: EndError, id: Uuid) -> OpsError {
    match error {
        EndError::NotFound => no_subscription(id),
        EndError::Store(error)
        | EndError::Outbox(OutboxError::Store(error))
        | EndError::Refund(RefundError::Store(error)) => error.into(),
        EndError::Outbox(OutboxError::Queue(error)) | EndError::Refund(RefundError::Queue(error)) => {
            error.into()
        }
        refused @ (EndError::Refused(_)
        | EndError::KeyTaken
        | EndError::Render(_)
        | EndError::Refund(
            RefundError::NotFound
            | RefundError::NotRefundable
            | RefundError::TooMuch(_)
            | RefundError::InProgress
            | RefundError::KeyTaken,
        )) => OpsError::Refused(format!("{} was not ended: {refused}", subscription_ref(id))),
    }
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
