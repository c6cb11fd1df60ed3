//! Whether to move money for an invoice now, and what follows from the answer. No caller decides this for itself.

use chrono::{DateTime, NaiveTime, Utc};
use uuid::Uuid;

use super::calendar::{OutOfCalendar, seoul_date, seoul_midnight};
use super::dunning::{NextStep, Policy};
use super::invoice::{Invoice, InvoiceStatus};
use super::payment::{DeclineKind, Payment, PaymentKind, PaymentStatus};
use super::subscription::{Subscription, SubscriptionStatus};

/// Everything on record that the decision rests on, read under the subscription's and the invoice's lock.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub subscription: &'a Subscription,
    pub invoice: &'a Invoice,
    pub attempts: &'a [Payment],
    /// Attempts of the dunning schedule that were passed without asking the bank.
    pub skips: usize,
    /// The operators' global kill switch.
    pub charging_enabled: bool,
    pub now: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    HardDecline,
    NoPaymentMethod,
}

impl SkipReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HardDecline => "hard_decline",
            Self::NoPaymentMethod => "no_payment_method",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Record a new attempt, then call.
    Charge,
    /// An attempt is on record that certainly was not sent: send it.
    Send(Uuid),
    /// An attempt was sent, or may have been: ask what became of it.
    LookUp(Uuid),
    /// This attempt of the dunning schedule passes without asking the bank.
    Skip(SkipReason),
    /// The subscription ended and nothing is in flight: the invoice is void, an unsent attempt withdrawn.
    Void,
    /// Its period is over (nothing ran, or the gateway was away, for long): leave it to an operator, withdraw an unsent
    /// attempt, charge the current period instead.
    Hold,
    /// Not before this instant.
    NotYet(DateTime<Utc>),
    /// An operator has stopped charging, here or everywhere.
    Paused,
    /// There is nothing left to do, for this reason.
    Nothing(&'static str),
}

impl Decision {
    /// Whether the gateway is asked, so that it takes a turn.
    pub fn asks_gateway(&self) -> bool {
        match self {
            Self::Charge | Self::Send(_) | Self::LookUp(_) => true,
            Self::Skip(_) | Self::Void | Self::Hold | Self::NotYet(_) | Self::Paused | Self::Nothing(_) => {
                false
            }
        }
    }
}

/// What to do about an invoice of an existing subscription, now.
pub fn decide(facts: Facts<'_>) -> Decision {
    use InvoiceStatus as I;
    use SubscriptionStatus as S;
    let Facts { subscription, invoice, .. } = facts;
    if let Some(open) = facts.attempts.iter().find(|attempt| attempt.is_unfinished()) {
        return decide_unfinished(facts, open);
    }
    match (invoice.status, subscription.status) {
        (I::Paid, _) => Decision::Nothing("the invoice is paid"),
        (I::Void, _) => Decision::Nothing("the invoice is void"),
        (I::Uncollectible, _) => Decision::Nothing("every try is used up; a new card brings it back"),
        (I::Open, S::Canceled) => Decision::Void,
        (I::Open, S::Incomplete) => Decision::Nothing("the first payment is made by its confirmation"),
        (I::Open, S::Suspended) => Decision::Nothing("the subscription is suspended"),
        (I::Open, S::Active | S::PastDue) => decide_due(facts),
    }
}

fn decide_unfinished(facts: Facts<'_>, open: &Payment) -> Decision {
    match (open.sent_at, facts.subscription.status) {
        (Some(_), _) => Decision::LookUp(open.id),
        (None, SubscriptionStatus::Canceled) => Decision::Void,
        (None, _) if is_paused(facts) => Decision::Paused,
        // A new card pays what its owner wants paid.
        (None, _) if open.kind == PaymentKind::Renewal && is_over(facts) => Decision::Hold,
        (None, _) => Decision::Send(open.id),
    }
}

/// Its period has passed without a charge, and no operator has said that it is to be charged all the same.
fn is_over(facts: Facts<'_>) -> bool {
    seoul_date(facts.now) >= facts.invoice.period.end && facts.invoice.released_at.is_none()
}

fn is_paused(facts: Facts<'_>) -> bool {
    !facts.charging_enabled || facts.subscription.charging_paused_at.is_some()
}

fn decide_due(facts: Facts<'_>) -> Decision {
    let Facts { subscription, invoice, now, .. } = facts;
    let due_at = invoice.next_attempt_at.unwrap_or_else(|| seoul_midnight(invoice.due_on));
    if invoice.held_since.is_some() {
        return Decision::Nothing("an older period after an outage: waits for an operator");
    }
    if now < due_at {
        return Decision::NotYet(due_at);
    }
    if is_paused(facts) {
        return Decision::Paused;
    }
    if is_over(facts) {
        return Decision::Hold;
    }
    if subscription.sealed_billing_key.is_none() {
        return Decision::Skip(SkipReason::NoPaymentMethod);
    }
    match last_hard_decline(facts.attempts) {
        Some(at) if !subscription.has_new_card_since(at) => Decision::Skip(SkipReason::HardDecline),
        Some(_) | None => Decision::Charge,
    }
}

fn last_hard_decline(attempts: &[Payment]) -> Option<DateTime<Utc>> {
    attempts
        .iter()
        .filter(|attempt| attempt.kind != PaymentKind::NewCard)
        .filter(|attempt| attempt.decline_kind == Some(DeclineKind::Hard))
        .filter_map(|attempt| attempt.settled_at)
        .max()
}

/// Attempts of the dunning schedule that have gone without money: declines on record and steps passed. There is no counter.
/// A decline of a new card, offered between two steps, is none: it brings no suspension nearer.
pub fn attempts_used(attempts: &[Payment], skips: usize) -> usize {
    let declines = attempts
        .iter()
        .filter(|attempt| attempt.kind != PaymentKind::NewCard)
        .filter(|attempt| attempt.status == PaymentStatus::Failed && attempt.decline_kind.is_some())
        .count();
    declines.saturating_add(skips)
}

/// What follows when the gateway has said that it knows no such order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFoundAction {
    /// It may still be on its way, or may not be sent now.
    AskAgain,
    /// The same order and key once more.
    SendAgain,
    GiveUp(Lost),
}

/// What becomes of an attempt that never arrived, and may not be sent any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The subscription was canceled meanwhile: nothing is owed.
    Void,
    /// Nobody could say so in time, or its period has passed: its invoice waits for an operator.
    Hold,
    /// What it was for is settled without it: by the dunning schedule, another card, or the deadline.
    Withdraw,
    /// It was the buyer's confirmation: the subscription never begins.
    NeverBegins,
}

/// `asked` is the attempt with this answer counted in.
pub fn after_not_found(facts: Facts<'_>, asked: &Payment) -> NotFoundAction {
    let now = facts.now;
    let never_received = asked.never_received(now);
    let is_late = asked.is_for_review(now) || (asked.kind == PaymentKind::Renewal && is_over(facts));
    match facts.subscription.status {
        SubscriptionStatus::Canceled if never_received => NotFoundAction::GiveUp(Lost::Void),
        SubscriptionStatus::Canceled => NotFoundAction::AskAgain,
        status if is_late && never_received => NotFoundAction::GiveUp(lost(asked.kind, status)),
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::Active
        | SubscriptionStatus::PastDue
        | SubscriptionStatus::Suspended => {
            let may_be_sent = !is_late && !is_paused(facts) && asked.may_resend(now);
            if may_be_sent { NotFoundAction::SendAgain } else { NotFoundAction::AskAgain }
        }
    }
}

/// What becomes of an attempt that is given up.
pub fn lost(kind: PaymentKind, status: SubscriptionStatus) -> Lost {
    use SubscriptionStatus as S;
    match (kind, status) {
        (PaymentKind::First, S::Incomplete) => Lost::NeverBegins,
        (PaymentKind::Renewal, S::Active | S::PastDue | S::Suspended) => Lost::Hold,
        (PaymentKind::First | PaymentKind::NewCard, S::Active | S::PastDue | S::Suspended)
        | (PaymentKind::Renewal | PaymentKind::NewCard, S::Incomplete) => Lost::Withdraw,
        (_, S::Canceled) => Lost::Void,
    }
}

/// What captured money does to the subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterPaid {
    Activate,
    Renew,
    /// The customer cancelled while the charge was in flight: the money goes back.
    Refund,
}

pub fn after_paid(status: SubscriptionStatus) -> AfterPaid {
    match status {
        SubscriptionStatus::Incomplete => AfterPaid::Activate,
        SubscriptionStatus::Active | SubscriptionStatus::PastDue | SubscriptionStatus::Suspended => {
            AfterPaid::Renew
        }
        SubscriptionStatus::Canceled => AfterPaid::Refund,
    }
}

/// What a step without money (a decline, or a step passed) does to the subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterDecline {
    /// The first payment failed: the subscription never begins.
    NeverBegins,
    RetryAt(DateTime<Utc>),
    Suspend,
    /// It ended meanwhile; nothing is owed.
    Void,
    /// It is suspended already and stays so.
    StaySuspended,
    /// An older period that an operator had charged: it waits for an operator again, the running period stands.
    HoldAgain,
}

/// `attempts_used` counts the step that has just gone without money. `is_older`: the invoice's period came before the
/// one that is paid for.
pub fn after_decline(
    kind: PaymentKind,
    status: SubscriptionStatus,
    is_older: bool,
    policy: &Policy,
    attempts_used: usize,
    now: DateTime<Utc>,
    charge_time: NaiveTime,
) -> Result<AfterDecline, OutOfCalendar> {
    use SubscriptionStatus as S;
    Ok(match (kind, status) {
        (_, S::Canceled) | (PaymentKind::First, S::Active | S::PastDue | S::Suspended) => AfterDecline::Void,
        (_, S::Incomplete) => AfterDecline::NeverBegins,
        (PaymentKind::Renewal | PaymentKind::NewCard, S::Active | S::PastDue | S::Suspended) if is_older => {
            AfterDecline::HoldAgain
        }
        (PaymentKind::Renewal | PaymentKind::NewCard, S::Suspended) => AfterDecline::StaySuspended,
        (PaymentKind::Renewal | PaymentKind::NewCard, S::Active | S::PastDue) => {
            match policy.after(attempts_used, now, charge_time)? {
                NextStep::RetryAt(at) => AfterDecline::RetryAt(at),
                NextStep::Suspend => AfterDecline::Suspend,
            }
        }
    })
}

#[cfg(test)]
#[path = "charge_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "miss_tests.rs"]
mod miss_tests;
