//! Where a subscription of another system takes its place here, so that nothing is charged twice and no day is lost.

use chrono::{Datelike, Months, NaiveDate};
use strum::{Display, EnumString};

use super::calendar::{Cycle, OutOfCalendar, Period};
use super::money::Won;
use super::plan::Plan;
use super::subscription::SubscriptionStatus;

/// How many periods back an anchor may lie: enough for 29 February across 2100.
const LONGEST_WAY_BACK: u32 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum SourceStatus {
    Active,
    PastDue,
    Suspended,
    Canceled,
}

/// What the rule rests on. Dates are civil dates in Seoul.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    pub status: SourceStatus,
    pub cycle: Cycle,
    pub next_on: NaiveDate,
    pub created_on: Option<NaiveDate>,
    /// Day of the month that was agreed, if the source knows it.
    pub anchor_day: Option<u32>,
}

/// When the other system stops and this one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handover {
    /// The last date that the other system charges.
    pub first_charge_after: NaiveDate,
    pub today: NaiveDate,
}

/// The place of a subscription in its sequence of periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    pub status: SubscriptionStatus,
    pub anchor_on: NaiveDate,
    /// The period that is paid for; its end is the next billing date.
    pub paid: Period,
    /// Its date in the source, where that counts as charged there.
    pub moved_from: Option<NaiveDate>,
    /// No period that begins on or before this date is ever billed here.
    pub charged_elsewhere_until: NaiveDate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Bring(Placement),
    /// It was canceled and what was paid for is over: nothing to bring, its billing key least of all.
    LeaveOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "is past due on {0}, which --first-charge-after covers: whether it was paid must be settled there first"
    )]
    OwedThere(NaiveDate),
    #[error("lies more than one period before --first-charge-after: {0} was not charged there either")]
    LongUnpaid(NaiveDate),
    #[error("does not lead to the next billing date {0}")]
    AnchorDoesNotFit(NaiveDate),
    #[error(transparent)]
    OutOfCalendar(#[from] OutOfCalendar),
}

impl Refusal {
    /// The column of the source that is to be looked at.
    pub fn field(self) -> &'static str {
        match self {
            Self::OwedThere(_) => "status",
            Self::AnchorDoesNotFit(_) => "anchor_day",
            Self::LongUnpaid(_) | Self::OutOfCalendar(_) => "next_billing_date",
        }
    }
}

/// What becomes of a subscription of the source.
///
/// An active one whose date is not after the handover counts as charged there for that date and is due one period
/// later. One that is past due there becomes active here: its next try is an ordinary charge, with the whole dunning schedule.
/// Suspended and canceled ones keep their date: nothing was charged for it, and nothing is unless the customer returns.
pub fn judge(source: Source, handover: Handover) -> Result<Verdict, Refusal> {
    use SourceStatus as S;
    use SubscriptionStatus as Here;
    let is_covered = source.next_on <= handover.first_charge_after;
    match source.status {
        S::Active if is_covered => moved(source, handover).map(Verdict::Bring),
        S::PastDue if is_covered => Err(Refusal::OwedThere(source.next_on)),
        S::Active | S::PastDue => placed(source, Here::Active, handover).map(Verdict::Bring),
        S::Suspended => placed(source, Here::Suspended, handover).map(Verdict::Bring),
        S::Canceled if source.next_on <= handover.today => Ok(Verdict::LeaveOut),
        S::Canceled => placed(source, Here::Canceled, handover).map(Verdict::Bring),
    }
}

fn placed(source: Source, status: SubscriptionStatus, handover: Handover) -> Result<Placement, Refusal> {
    let (anchor_on, next_no) = anchor(source)?;
    let paid = source.cycle.period(anchor_on, next_no.saturating_sub(1))?;
    let before = source.next_on.pred_opt().ok_or(OutOfCalendar)?;
    let charged_elsewhere_until = handover.first_charge_after.min(before);
    Ok(Placement { status, anchor_on, paid, moved_from: None, charged_elsewhere_until })
}

fn moved(source: Source, handover: Handover) -> Result<Placement, Refusal> {
    let (anchor_on, next_no) = anchor(source)?;
    let paid = source.cycle.period(anchor_on, next_no)?;
    if paid.end <= handover.first_charge_after {
        return Err(Refusal::LongUnpaid(paid.end));
    }
    Ok(Placement {
        status: SubscriptionStatus::Active,
        anchor_on,
        paid,
        moved_from: Some(source.next_on),
        charged_elsewhere_until: handover.first_charge_after,
    })
}

/// The anchor, and the number of the period that begins on the next date: counted from the agreed day, else from the
/// day it was created on if that leads to the next date (31 Jan → 28 Feb), else from the next date's own day.
fn anchor(source: Source) -> Result<(NaiveDate, u32), Refusal> {
    let Source { cycle, next_on, created_on, anchor_day, .. } = source;
    let from_day = |day| way_back(cycle, next_on, day);
    match anchor_day {
        Some(day) => from_day(day).ok_or(Refusal::AnchorDoesNotFit(next_on)),
        None => created_on
            .and_then(|created_on| from_day(created_on.day()))
            .or_else(|| from_day(next_on.day()))
            .ok_or(Refusal::OutOfCalendar(OutOfCalendar)),
    }
}

fn way_back(cycle: Cycle, next_on: NaiveDate, day: u32) -> Option<(NaiveDate, u32)> {
    (1..=LONGEST_WAY_BACK).find_map(|periods| {
        let months = Months::new(periods.checked_mul(cycle.months())?);
        let anchor = next_on.checked_sub_months(months)?.with_day(day)?;
        (cycle.period_start(anchor, periods) == Ok(next_on)).then_some((anchor, periods))
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongAmount {
    #[error("{0} is below what a card can be charged")]
    TooSmall(Won),
    #[error("{agreed} is more than the plan's price of {price}")]
    AbovePrice { agreed: Won, price: Won },
    #[error("{0} is the plan's price for the other billing cycle")]
    OfOtherCycle(Won),
}

/// The agreed amount is kept where it is the plan's price or less; more is never charged on a file's word alone.
pub fn agreed_amount(plan: &Plan, cycle: Cycle, agreed: Won) -> Result<Won, WrongAmount> {
    let price = plan.price(cycle);
    let other = match cycle {
        Cycle::Monthly => plan.yearly,
        Cycle::Yearly => plan.monthly,
    };
    match agreed {
        _ if agreed == price => Ok(agreed),
        _ if agreed < Won::MIN_CHARGE => Err(WrongAmount::TooSmall(agreed)),
        _ if agreed == other => Err(WrongAmount::OfOtherCycle(agreed)),
        _ if agreed > price => Err(WrongAmount::AbovePrice { agreed, price }),
        _ => Ok(agreed),
    }
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
