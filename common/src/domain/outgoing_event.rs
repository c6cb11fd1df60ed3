//! Outgoing events: which ones follow from a change, and what they say to the merchant's application. They hold no name, no
//! address and no card.

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::outcome::Receipt;
use super::payment::{Payment, PaymentStatus};
use super::subscription::{Subscription, SubscriptionStatus};
use crate::id::{new_id, subscription_ref};

/// An event that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingEvent {
    pub id: Uuid,
    /// E.g. `payment.succeeded`.
    pub kind: &'static str,
    /// The fact: it never writes two events.
    pub unique_key: String,
    /// The bytes that are sent.
    pub body: String,
}

/// Money that moved, or did not.
#[derive(Debug, Clone)]
pub enum MoneyFact {
    /// A payment that was captured or declined.
    Payment(PaymentData),
    Refund(PaymentData, RefundData),
}

/// A change of a subscription, as its transaction is about to commit it.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub before: &'a Subscription,
    pub after: &'a Subscription,
    /// The entry of the audit log that records it, if one does.
    pub entry_id: Option<i64>,
    pub money: Option<&'a MoneyFact>,
}

/// The events that follow from a change, in the order in which they are delivered.
pub fn events_of(change: Change<'_>, now: DateTime<Utc>) -> Vec<OutgoingEvent> {
    let mut events = Events { subscription: change.after, now, written: Vec::new() };
    if let Some(money) = change.money {
        events.of_money(money);
    }
    if let Some(entry_id) = change.entry_id {
        events.of_status(change.before, entry_id);
    }
    events.written
}

/// The subscription as the API shows it, without what is personal.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionData<'a> {
    id: String,
    user_id: Uuid,
    plan: &'a str,
    billing_cycle: &'static str,
    amount: i32,
    status: &'static str,
    current_period_start: NaiveDate,
    current_period_end: NaiveDate,
    next_billing_date: Option<NaiveDate>,
    access_until: Option<NaiveDate>,
    has_payment_method: bool,
}

/// A payment as the API shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentData {
    pub id: Uuid,
    pub order_id: String,
    pub amount: i32,
    pub status: String,
    pub period_no: i32,
    pub payment_method: Option<String>,
    pub paid_at: Option<DateTime<Utc>>,
    pub receipt_url: Option<String>,
    pub failure: Option<FailureData>,
    pub created_at: DateTime<Utc>,
}

impl PaymentData {
    /// A payment as it is once this receipt is recorded.
    pub fn of_paid(payment: &Payment, period_no: u32, receipt: &Receipt) -> Self {
        Self {
            id: payment.id,
            order_id: payment.order_id.clone(),
            amount: payment.amount.get(),
            status: PaymentStatus::Completed.to_string(),
            period_no: i32::try_from(period_no).unwrap_or(i32::MAX),
            payment_method: Some(receipt.method.clone()),
            // As PostgreSQL keeps it.
            paid_at: Some(receipt.paid_at.trunc_subsecs(6)),
            receipt_url: receipt.receipt_url.clone(),
            failure: None,
            created_at: payment.created_at,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureData {
    pub code: Option<String>,
    pub message: Option<String>,
    /// The card will be declined again.
    pub is_final_for_card: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundData {
    pub id: Uuid,
    pub amount: i32,
    pub status: &'static str,
    pub refunded_at: DateTime<Utc>,
}

/// In this order, for people who read the bytes.
#[derive(Debug, Serialize)]
struct Body {
    r#type: &'static str,
    timestamp: DateTime<Utc>,
    data: Value,
}

struct Events<'a> {
    subscription: &'a Subscription,
    now: DateTime<Utc>,
    written: Vec<OutgoingEvent>,
}

impl Events<'_> {
    fn of_money(&mut self, money: &MoneyFact) {
        match money {
            MoneyFact::Payment(payment) => {
                let more = json!({ "payment": payment });
                let Some(failure) = &payment.failure else {
                    self.push("payment.succeeded", payment.id, more);
                    return;
                };
                self.push("payment.failed", payment.id, more);
                match self.subscription.status {
                    SubscriptionStatus::Incomplete => {
                        self.push_card_needed("first_payment_failed", payment.id);
                    }
                    SubscriptionStatus::Active | SubscriptionStatus::PastDue if failure.is_final_for_card => {
                        self.push_card_needed("card_refused", payment.id);
                    }
                    SubscriptionStatus::Active
                    | SubscriptionStatus::PastDue
                    | SubscriptionStatus::Suspended
                    | SubscriptionStatus::Canceled => {}
                }
            }
            MoneyFact::Refund(payment, refund) => {
                self.push("payment.refunded", refund.id, json!({ "payment": payment, "refund": refund }));
            }
        }
    }

    fn of_status(&mut self, before: &Subscription, entry_id: i64) {
        let after = self.subscription;
        // An end at once of one that was canceled before takes its access earlier, so it is told as canceled once more.
        let ended =
            before.ended_at.is_none() && after.ended_at.is_some() && after.ended_at > after.canceled_at;
        if before.status == after.status && !ended {
            return;
        }
        let kind = match (before.status, after.status) {
            (SubscriptionStatus::Incomplete, SubscriptionStatus::Active) => "subscription.activated",
            // Back from a cancel, a suspension or a failed charge: `previousStatus` names which.
            (_, SubscriptionStatus::Active) => "subscription.resumed",
            (_, SubscriptionStatus::PastDue) => "subscription.past_due",
            (_, SubscriptionStatus::Suspended) => "subscription.suspended",
            (_, SubscriptionStatus::Canceled) => "subscription.canceled",
            // The schema refuses a way back to incomplete.
            (_, SubscriptionStatus::Incomplete) => return,
        };
        self.push(kind, entry_id, json!({ "previousStatus": before.status.to_string() }));
        match after.status {
            SubscriptionStatus::Suspended => self.push_card_needed("suspended", entry_id),
            SubscriptionStatus::Active | SubscriptionStatus::PastDue
                if after.sealed_billing_key.is_none() =>
            {
                self.push_card_needed("no_card", entry_id);
            }
            SubscriptionStatus::Active
            | SubscriptionStatus::PastDue
            | SubscriptionStatus::Canceled
            | SubscriptionStatus::Incomplete => {}
        }
    }

    fn push_card_needed(&mut self, reason: &str, fact: impl std::fmt::Display) {
        self.push("payment_method.required", format!("{reason}:{fact}"), json!({ "reason": reason }));
    }

    fn push(&mut self, kind: &'static str, fact: impl std::fmt::Display, more: Value) {
        let mut data = json!({ "subscription": subscription_data(self.subscription) });
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        // PostgreSQL keeps microseconds: the event and the rows it tells of show the same instant.
        let body = Body { r#type: kind, timestamp: self.now.trunc_subsecs(6), data };
        self.written.push(OutgoingEvent {
            id: new_id(self.now),
            kind,
            unique_key: format!("{kind}:{fact}"),
            // A struct of plain values always serialises.
            body: serde_json::to_string(&body).unwrap_or_default(),
        });
    }
}

fn subscription_data(subscription: &Subscription) -> SubscriptionData<'_> {
    SubscriptionData {
        id: subscription_ref(subscription.id),
        user_id: subscription.user_id,
        plan: &subscription.plan,
        billing_cycle: subscription.cycle.into(),
        amount: subscription.amount.get(),
        status: subscription.status.into(),
        current_period_start: subscription.current_period_start,
        current_period_end: subscription.current_period_end,
        next_billing_date: subscription.next_billing_on(),
        access_until: subscription.access_ends_on(),
        has_payment_method: subscription.sealed_billing_key.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::subscription::tests::subscription;

    fn kinds(before: &Subscription, after: &Subscription) -> Vec<&'static str> {
        let change = Change { before, after, entry_id: Some(7), money: None };
        events_of(change, before.created_at).into_iter().map(|event| event.kind).collect()
    }

    #[test]
    fn each_change_of_status_has_its_event() {
        use SubscriptionStatus as S;
        for (before, after, expected) in [
            (S::Incomplete, S::Active, &["subscription.activated"][..]),
            (S::PastDue, S::Active, &["subscription.resumed"]),
            (S::Canceled, S::Active, &["subscription.resumed"]),
            (S::Active, S::PastDue, &["subscription.past_due"]),
            (S::PastDue, S::Suspended, &["subscription.suspended", "payment_method.required"]),
            (S::Active, S::Canceled, &["subscription.canceled"]),
            (S::Active, S::Active, &[]),
        ] {
            assert_eq!(kinds(&subscription(before), &subscription(after)), expected, "{before} to {after}");
        }
    }

    #[test]
    fn a_subscription_without_a_card_asks_for_one() {
        let before = subscription(SubscriptionStatus::Active);
        let after = Subscription { sealed_billing_key: None, ..subscription(SubscriptionStatus::PastDue) };
        assert_eq!(kinds(&before, &after), ["subscription.past_due", "payment_method.required"]);
    }

    #[test]
    fn an_end_after_a_cancel_is_told_as_canceled_again() {
        let canceled_at = Some(subscription(SubscriptionStatus::Active).created_at);
        let before = Subscription { canceled_at, ..subscription(SubscriptionStatus::Canceled) };
        let ended_at = canceled_at.map(|at| at + chrono::TimeDelta::days(1));
        let after = Subscription { ended_at, ..before.clone() };
        assert_eq!(kinds(&before, &after), ["subscription.canceled"]);
        assert_eq!(kinds(&after, &after), [""; 0]);
    }
}
