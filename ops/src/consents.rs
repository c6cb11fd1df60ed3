//! `billing plans consents`: what each customer has answered to a new price, with totals.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, NaiveDate, Utc};
use common::domain::consent_report::Answer;
use common::domain::money::Won;
use common::id::subscription_ref;
use common::store::price_changes;
use common::store::price_changes::Answered;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::OpsError;
use crate::text::{Table, seoul_or_dash};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Consents {
    pub price_change: Uuid,
    pub subscriptions: Vec<ConsentLine>,
    /// How many of each answer; those that nobody has are left out.
    pub totals: BTreeMap<&'static str, usize>,
    /// At an old price without the change: not begun yet, suspended, or found by the next daily run.
    pub still_to_come: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsentLine {
    /// `sub_…`
    pub subscription: String,
    pub customer_email: String,
    pub old_amount: Won,
    pub new_amount: Won,
    pub effective_date: NaiveDate,
    /// `consented`, `asked`, `not_yet_asked`, `none_needed`, `own_change`, `applied`, `ended`, `canceled`, `withdrawn` or
    /// `replaced`.
    pub answer: String,
    pub asked_at: Option<DateTime<Utc>>,
    pub consented_at: Option<DateTime<Utc>>,
}

impl From<Answered> for ConsentLine {
    fn from(answer: Answered) -> Self {
        Self {
            subscription: subscription_ref(answer.subscription_id),
            customer_email: answer.customer_email,
            old_amount: answer.old,
            new_amount: answer.new,
            effective_date: answer.effective_on,
            answer: answer.answer.to_string(),
            asked_at: answer.asked_at,
            consented_at: answer.consented_at,
        }
    }
}

pub async fn report(conn: &mut PgConnection, id: Uuid) -> Result<Consents, OpsError> {
    let price = price_changes::find(conn, id).await?;
    let price = price.ok_or_else(|| OpsError::NotFound(format!("there is no price change {id}")))?;
    let answers = price_changes::answers(conn, id).await?;
    let mut totals = BTreeMap::<Answer, usize>::new();
    for answered in &answers {
        let count = totals.entry(answered.answer).or_default();
        *count = count.saturating_add(1);
    }
    let still_to_come = match (&price.withdrawal, price.closed_at) {
        (None, None) => {
            let amounts = price_changes::old_amounts(conn, &price).await?;
            price_changes::still_to_come(conn, &price, &amounts).await?
        }
        (Some(_), _) | (None, Some(_)) => 0,
    };
    Ok(Consents {
        price_change: id,
        subscriptions: answers.into_iter().map(ConsentLine::from).collect(),
        totals: totals.into_iter().map(|(answer, count)| (answer.into(), count)).collect(),
        still_to_come,
    })
}

impl fmt::Display for Consents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table =
            Table::new(&["SUBSCRIPTION", "E-MAIL", "OLD", "NEW", "FROM", "ANSWER", "ASKED", "CONSENTED"]);
        for answer in &self.subscriptions {
            table.row([
                answer.subscription.clone(),
                answer.customer_email.clone(),
                answer.old_amount.to_string(),
                answer.new_amount.to_string(),
                answer.effective_date.to_string(),
                answer.answer.replace('_', " "),
                seoul_or_dash(answer.asked_at),
                seoul_or_dash(answer.consented_at),
            ]);
        }
        write!(f, "{table}\n{} subscriptions", self.subscriptions.len())?;
        for (answer, count) in &self.totals {
            write!(f, ", {count} {}", answer.replace('_', " "))?;
        }
        if self.still_to_come > 0 {
            write!(f, "; {} still to come", self.still_to_come)?;
        }
        writeln!(f)
    }
}
