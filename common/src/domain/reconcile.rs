//! A day of the gateway's books against ours, both ways. Every difference is a discrepancy of a named kind; nothing is repaired here.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::{payment::PaymentStatus, refund::RefundStatus};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum DiscrepancyKind {
    /// The gateway took money that we know nothing of.
    UnknownCapture,
    /// It took money, we say that it was refused.
    CaptureKnownAsFailed,
    /// It took money, we do not know yet. Ends by itself.
    CaptureKnownAsUnfinished,
    AmountDiffers,
    /// We say captured, it lists nothing.
    MissingAtToss,
    /// It gave money back that we had not booked.
    UnknownRefund,
    /// We say given back, it lists nothing.
    RefundMissingAtToss,
    RefundAmountDiffers,
}

impl DiscrepancyKind {
    /// Whether a person must hear of it at once: somebody's money is taken and nobody here answers for it.
    pub fn is_alarm(self) -> bool {
        match self {
            Self::UnknownCapture | Self::CaptureKnownAsFailed => true,
            Self::CaptureKnownAsUnfinished
            | Self::AmountDiffers
            | Self::MissingAtToss
            | Self::UnknownRefund
            | Self::RefundMissingAtToss
            | Self::RefundAmountDiffers => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    Capture,
    Refund,
}

/// A row of the gateway's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theirs {
    pub movement: Movement,
    pub transaction_key: String,
    pub payment_key: String,
    pub order_id: String,
    /// Whole won, without sign.
    pub amount: i64,
    /// None: the gateway did not say; it counts as of the day that was asked for.
    pub at: Option<DateTime<Utc>>,
}

/// An attempt of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OurPayment {
    pub id: Uuid,
    pub order_id: String,
    pub payment_key: Option<String>,
    pub amount: i64,
    pub status: PaymentStatus,
}

/// A refund of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OurRefund {
    pub id: Uuid,
    pub payment_id: Uuid,
    pub order_id: String,
    pub payment_key: Option<String>,
    pub transaction_key: Option<String>,
    pub amount: i64,
    pub status: RefundStatus,
}

/// Both books, as far as one day needs them.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// The day from its first instant to the one after its last.
    pub day: (DateTime<Utc>, DateTime<Utc>),
    /// All that was listed, hours before and after the day included: clocks differ.
    pub theirs: Vec<Theirs>,
    /// What we said had been captured on the day, read before the gateway was asked.
    pub captured: Vec<OurPayment>,
    /// What we said had gone back on the day, read before the gateway was asked.
    pub refunded: Vec<OurRefund>,
    /// Our attempts under the orders listed, read after the gateway was asked.
    pub payments: Vec<OurPayment>,
    /// Our refunds of the payments listed, read after the gateway was asked.
    pub refunds: Vec<OurRefund>,
}

/// A difference. `reference` tells it from others of its kind on its day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    pub kind: DiscrepancyKind,
    pub reference: String,
    pub order_id: Option<String>,
    pub payment_key: Option<String>,
    pub transaction_key: Option<String>,
    pub payment_id: Option<Uuid>,
    pub refund_id: Option<Uuid>,
    pub our_amount: Option<i64>,
    pub their_amount: Option<i64>,
}

impl Books {
    /// The gateway's rows of the day itself.
    pub fn of_the_day(&self, movement: Movement) -> impl Iterator<Item = &Theirs> {
        let (from, until) = self.day;
        let is_of_day = move |row: &&Theirs| row.at.is_none_or(|at| from <= at && at < until);
        self.theirs.iter().filter(move |row| row.movement == movement).filter(is_of_day)
    }

    /// Every difference, theirs first.
    pub fn discrepancies(&self) -> Vec<Discrepancy> {
        let mut discrepancies = self.their_captures();
        discrepancies.extend(self.their_refunds());
        discrepancies.extend(self.missing_captures());
        discrepancies.extend(self.missing_refunds());
        discrepancies
    }

    fn their_captures(&self) -> Vec<Discrepancy> {
        let ours: HashMap<&str, &OurPayment> =
            self.payments.iter().map(|payment| (payment.order_id.as_str(), payment)).collect();
        let judged = self.of_the_day(Movement::Capture).filter_map(|row| {
            let payment = ours.get(row.order_id.as_str()).copied();
            let kind = judge_capture(row, payment)?;
            Some(Discrepancy {
                payment_id: payment.map(|payment| payment.id),
                our_amount: payment.map(|payment| payment.amount),
                ..Discrepancy::of_theirs(kind, row)
            })
        });
        judged.collect()
    }

    fn their_refunds(&self) -> Vec<Discrepancy> {
        let named: HashMap<&str, &OurRefund> = self
            .refunds
            .iter()
            .filter_map(|refund| Some((refund.transaction_key.as_deref()?, refund)))
            .collect();
        let payments: HashMap<&str, &OurPayment> = self
            .payments
            .iter()
            .filter_map(|payment| Some((payment.payment_key.as_deref()?, payment)))
            .collect();
        let mut nameless: Vec<&OurRefund> =
            self.refunds.iter().filter(|refund| refund.is_nameless()).collect();
        let mut discrepancies = Vec::new();
        for row in self.of_the_day(Movement::Refund) {
            let refund = named.get(row.transaction_key.as_str()).copied();
            let kind = match refund {
                Some(refund) if refund.amount == row.amount => continue,
                Some(_) => DiscrepancyKind::RefundAmountDiffers,
                None if take(&mut nameless, row) => continue,
                None => DiscrepancyKind::UnknownRefund,
            };
            discrepancies.push(Discrepancy {
                payment_id: payments.get(row.payment_key.as_str()).map(|payment| payment.id),
                refund_id: refund.map(|refund| refund.id),
                our_amount: refund.map(|refund| refund.amount),
                ..Discrepancy::of_theirs(kind, row)
            });
        }
        discrepancies
    }

    fn missing_captures(&self) -> impl Iterator<Item = Discrepancy> {
        let listed: HashSet<(&str, Option<&str>)> = self
            .theirs
            .iter()
            .filter(|row| row.movement == Movement::Capture)
            .map(|row| (row.order_id.as_str(), Some(row.payment_key.as_str())))
            .collect();
        let missing = |payment: &&OurPayment| {
            !listed.contains(&(payment.order_id.as_str(), payment.payment_key.as_deref()))
        };
        self.captured.iter().filter(missing).map(Discrepancy::of_payment).collect::<Vec<_>>().into_iter()
    }

    fn missing_refunds(&self) -> impl Iterator<Item = Discrepancy> {
        let rows = || self.theirs.iter().filter(|row| row.movement == Movement::Refund);
        let listed: HashSet<&str> = rows().map(|row| row.transaction_key.as_str()).collect();
        let alike: HashSet<(&str, i64)> = rows().map(|row| (row.payment_key.as_str(), row.amount)).collect();
        let missing = |refund: &&OurRefund| match (&refund.transaction_key, &refund.payment_key) {
            (Some(key), _) => !listed.contains(key.as_str()),
            (None, Some(payment_key)) => !alike.contains(&(payment_key.as_str(), refund.amount)),
            (None, None) => true,
        };
        self.refunded.iter().filter(missing).map(Discrepancy::of_refund).collect::<Vec<_>>().into_iter()
    }
}

/// What is wrong with a capture of the gateway's, if anything is.
fn judge_capture(row: &Theirs, payment: Option<&OurPayment>) -> Option<DiscrepancyKind> {
    let Some(payment) = payment else { return Some(DiscrepancyKind::UnknownCapture) };
    match payment.status {
        PaymentStatus::Failed => Some(DiscrepancyKind::CaptureKnownAsFailed),
        PaymentStatus::Pending | PaymentStatus::Unknown => Some(DiscrepancyKind::CaptureKnownAsUnfinished),
        PaymentStatus::Completed | PaymentStatus::Refunded | PaymentStatus::PartiallyRefunded => {
            if payment.payment_key.as_deref() != Some(row.payment_key.as_str()) {
                // Under an order of ours, but not the payment that we have: taken a second time.
                Some(DiscrepancyKind::UnknownCapture)
            } else if payment.amount == row.amount {
                None
            } else {
                Some(DiscrepancyKind::AmountDiffers)
            }
        }
    }
}

/// A refund whose name the gateway did not tell us is recognised by payment and amount, each once.
fn take(nameless: &mut Vec<&OurRefund>, row: &Theirs) -> bool {
    let place = nameless.iter().position(|refund| {
        refund.payment_key.as_deref() == Some(row.payment_key.as_str()) && refund.amount == row.amount
    });
    place.map(|place| nameless.swap_remove(place)).is_some()
}

impl OurRefund {
    fn is_nameless(&self) -> bool {
        self.transaction_key.is_none() && self.status == RefundStatus::Completed
    }
}

impl Discrepancy {
    fn of_theirs(kind: DiscrepancyKind, row: &Theirs) -> Self {
        Self {
            kind,
            reference: row.transaction_key.clone(),
            order_id: Some(row.order_id.clone()),
            payment_key: Some(row.payment_key.clone()),
            transaction_key: Some(row.transaction_key.clone()),
            payment_id: None,
            refund_id: None,
            our_amount: None,
            their_amount: Some(row.amount),
        }
    }

    fn of_payment(payment: &OurPayment) -> Self {
        Self {
            kind: DiscrepancyKind::MissingAtToss,
            reference: payment.order_id.clone(),
            order_id: Some(payment.order_id.clone()),
            payment_key: payment.payment_key.clone(),
            transaction_key: None,
            payment_id: Some(payment.id),
            refund_id: None,
            our_amount: Some(payment.amount),
            their_amount: None,
        }
    }

    fn of_refund(refund: &OurRefund) -> Self {
        Self {
            kind: DiscrepancyKind::RefundMissingAtToss,
            reference: refund.id.to_string(),
            order_id: Some(refund.order_id.clone()),
            payment_key: refund.payment_key.clone(),
            transaction_key: refund.transaction_key.clone(),
            payment_id: Some(refund.payment_id),
            refund_id: Some(refund.id),
            our_amount: Some(refund.amount),
            their_amount: None,
        }
    }
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
