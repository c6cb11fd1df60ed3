//! `billing payments`: those in review and what became of them, look-ups at once, and refunds.

use std::fmt;

use clap::Subcommand;
use common::domain::action::Action;
use common::domain::money::Won;
use common::domain::validated::PaymentKey;
use common::id::subscription_ref;
use common::store::payment_claims;
use common::store::payment_claims::PaymentInReview;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::action::{ActionDone, ActionOptions};
use crate::session::Session;
use crate::text::{Table, seoul, won};
use crate::{OpsError, arguments};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Have a worker ask Toss now what became of an unknown payment
    #[command(after_help = "Example:\n  billing payments look-up 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5")]
    LookUp {
        id: Uuid,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// The payments that need review, oldest first
    #[command(after_help = "Example:\n  billing payments review")]
    Review,
    /// Say that a payment in review was paid; it counts only when Toss confirms the payment key
    #[command(after_help = "Example:
  billing payments claim-paid 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --payment-key tviva2027 --reason '고객 영수증 확인'")]
    ClaimPaid {
        id: Uuid,
        /// Toss's key, as its dashboard or the customer's receipt shows it
        #[arg(long, value_name = "KEY", value_parser = payment_key)]
        payment_key: String,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// Say that a payment in review was not paid; where Toss cannot tell, another operator has to agree
    #[command(after_help = "Example:
  billing payments claim-not-paid 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --reason 'not in Toss dashboard'")]
    ClaimNotPaid {
        id: Uuid,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// Agree, as another operator, that a payment in review was not paid
    #[command(after_help = "Example:
  billing payments agree-not-paid 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --as lee@example.com --reason 'checked, too'")]
    AgreeNotPaid {
        id: Uuid,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// Give money back: all that is left, or a part
    ///
    /// Toss and the customer read the reason: at most 200 characters.
    #[command(after_help = "Examples:
  billing payments refund 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --reason '고객 요청' --dry-run
  billing payments refund 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --amount 4000 --reason '고객 요청'")]
    Refund {
        id: Uuid,
        /// Won; all that is left when left out
        #[arg(long, value_name = "WON", value_parser = arguments::won)]
        amount: Option<Won>,
        #[command(flatten)]
        options: ActionOptions,
    },
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut connection, now) = session.connect_now().await?;
        let (conn, acting) = (&mut connection, session.acting(now)?);
        let (action, options, default) = match self {
            Self::LookUp { id, options } => {
                (Action::LookUpPayment(id), options, Some("looked up by an operator"))
            }
            Self::Review => return session.print(&review(conn).await?),
            Self::ClaimPaid { id, payment_key, options } => {
                (Action::ClaimPaid { payment_id: id, payment_key }, options, None)
            }
            Self::ClaimNotPaid { id, options } => (Action::ClaimNotPaid(id), options, None),
            Self::AgreeNotPaid { id, options } => (Action::AgreeNotPaid(id), options, None),
            Self::Refund { id, amount, options } => {
                (Action::RefundPayment { payment_id: id, amount }, options, None)
            }
        };
        if options.dry_run {
            return session.print(&acting.preview(conn, &action).await?);
        }
        session.print(&ActionDone(acting.perform(conn, &action, &options.reason(default)?).await?))
    }
}

fn payment_key(text: &str) -> Result<String, String> {
    PaymentKey::try_from(text.to_owned()).map(String::from).map_err(|rule| rule.en.to_owned())
}

/// More than two people settle by hand.
const MAX_IN_REVIEW: i64 = 1_000;

/// Oldest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct InReview(pub Vec<PaymentInReview>);

pub async fn review(conn: &mut PgConnection) -> Result<InReview, OpsError> {
    Ok(InReview(payment_claims::payments_in_review(conn, MAX_IN_REVIEW).await?))
}

impl fmt::Display for InReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table =
            Table::new(&["PAYMENT", "SUBSCRIPTION", "ORDER", "WON", "SINCE (SEOUL)", "CLAIM", "TOSS"]);
        for payment in &self.0 {
            let claim = payment.claim.as_deref().map_or_else(
                || "-".to_owned(),
                |claim| {
                    let state = payment.claim_state.as_deref().unwrap_or_default();
                    format!("{claim} {state} by {}", payment.proposed_by.as_deref().unwrap_or_default())
                },
            );
            table.row([
                payment.payment_id.to_string(),
                subscription_ref(payment.subscription_id),
                payment.order_id.clone(),
                won(i64::from(payment.amount)),
                seoul(payment.review_since),
                claim,
                payment.message.clone().unwrap_or_default(),
            ]);
        }
        write!(f, "{table}")
    }
}
