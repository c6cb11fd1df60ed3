//! The place of an imported subscription: never a date that was charged elsewhere, always on the agreed day.

use proptest::prelude::*;

use super::*;
use crate::domain::calendar::days_after;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn source(status: SourceStatus, next_on: &str, created_on: &str) -> Source {
    let created_on = Some(date(created_on));
    Source { status, cycle: Cycle::Monthly, next_on: date(next_on), created_on, anchor_day: None }
}

/// The other system charged up to 25 November 2026; today is the 26th.
fn handover() -> Handover {
    Handover { first_charge_after: date("2026-11-25"), today: date("2026-11-26") }
}

fn brought(source: Source) -> Placement {
    match judge(source, handover()).unwrap() {
        Verdict::Bring(placement) => placement,
        Verdict::LeaveOut => panic!("{source:?} was left out"),
    }
}

#[test]
fn an_import_of_the_31st_stays_on_the_31st() {
    let placement = brought(source(SourceStatus::Active, "2027-02-28", "2026-10-31"));
    assert_eq!(placement.anchor_on, date("2027-01-31"));
    let after = Cycle::Monthly.period_start(placement.anchor_on, placement.paid.no + 2).unwrap();
    assert_eq!((placement.paid.end, after), (date("2027-02-28"), date("2027-03-31")));
}

#[test]
fn a_date_that_drifted_by_thirty_days_is_kept_as_it_is() {
    let placement = brought(source(SourceStatus::Active, "2026-12-21", "2026-05-25"));
    let after = Cycle::Monthly.period_start(placement.anchor_on, placement.paid.no + 2).unwrap();
    assert_eq!((placement.paid.end, after), (date("2026-12-21"), date("2027-01-21")));
}

#[test]
fn a_yearly_one_of_a_29th_of_february_finds_its_leap_year() {
    let leap = Source { cycle: Cycle::Yearly, ..source(SourceStatus::Active, "2027-02-28", "2024-02-29") };
    assert_eq!(brought(leap).anchor_on, date("2024-02-29"));
}

#[test]
fn an_agreed_day_that_does_not_lead_to_the_next_date_is_refused() {
    let said =
        |day| Source { anchor_day: Some(day), ..source(SourceStatus::Active, "2027-02-28", "2026-10-05") };
    assert_eq!(brought(said(30)).anchor_on, date("2027-01-30"));
    assert_eq!(judge(said(5), handover()), Err(Refusal::AnchorDoesNotFit(date("2027-02-28"))));
    assert_eq!(judge(said(32), handover()).unwrap_err().field(), "anchor_day");
}

#[test]
fn a_date_the_other_system_may_have_charged_counts_as_charged() {
    let covered = brought(source(SourceStatus::Active, "2026-11-25", "2026-09-25"));
    assert_eq!((covered.paid.end, covered.moved_from), (date("2026-12-25"), Some(date("2026-11-25"))));
    assert_eq!(covered.charged_elsewhere_until, date("2026-11-25"));
    let next_day = brought(source(SourceStatus::Active, "2026-11-26", "2026-09-26"));
    assert_eq!((next_day.paid.end, next_day.moved_from), (date("2026-11-26"), None));
}

#[test]
fn a_subscription_not_charged_for_a_period_is_refused() {
    let stale = source(SourceStatus::Active, "2026-10-25", "2026-09-25");
    assert_eq!(judge(stale, handover()), Err(Refusal::LongUnpaid(date("2026-11-25"))));
}

#[test]
fn an_uncertain_debt_is_settled_at_the_other_system_first() {
    let owed = source(SourceStatus::PastDue, "2026-11-25", "2026-09-22");
    assert_eq!(judge(owed, handover()).unwrap_err().field(), "status");
    let later = brought(source(SourceStatus::PastDue, "2026-11-28", "2026-09-22"));
    assert_eq!((later.status, later.paid.end), (SubscriptionStatus::Active, date("2026-11-28")));
}

#[test]
fn suspended_and_canceled_keep_their_date_and_ended_are_left() {
    let suspended = brought(source(SourceStatus::Suspended, "2026-09-25", "2026-05-25"));
    assert_eq!((suspended.status, suspended.paid.end), (SubscriptionStatus::Suspended, date("2026-09-25")));
    assert_eq!(suspended.charged_elsewhere_until, date("2026-09-24"));
    let canceled = brought(source(SourceStatus::Canceled, "2026-11-27", "2026-05-27"));
    assert_eq!((canceled.status, canceled.paid.end), (SubscriptionStatus::Canceled, date("2026-11-27")));
    let ended = source(SourceStatus::Canceled, "2026-11-26", "2026-05-26");
    assert_eq!(judge(ended, handover()), Ok(Verdict::LeaveOut));
}

#[test]
fn the_agreed_amount_is_kept_unless_it_exceeds_the_price() {
    let won = |amount| Won::new(amount).unwrap();
    let plan = Plan {
        code: "personal".into(),
        name: "퍼스널".into(),
        monthly: won(9_900),
        yearly: won(94_800),
        may_be_held_beside_others: false,
    };
    let agreed = |cycle, amount| agreed_amount(&plan, cycle, won(amount));
    assert_eq!(agreed(Cycle::Monthly, 9_900), Ok(won(9_900)));
    assert_eq!(agreed(Cycle::Monthly, 7_900), Ok(won(7_900)));
    assert_eq!(agreed(Cycle::Monthly, 94_800), Err(WrongAmount::OfOtherCycle(won(94_800))));
    assert_eq!(agreed(Cycle::Yearly, 9_900), Err(WrongAmount::OfOtherCycle(won(9_900))));
    assert!(matches!(agreed(Cycle::Monthly, 9_901), Err(WrongAmount::AbovePrice { .. })));
    assert_eq!(agreed(Cycle::Monthly, 99), Err(WrongAmount::TooSmall(won(99))));
}

proptest! {
    #[test]
    fn nothing_is_ever_due_on_a_date_that_was_charged_elsewhere(
        status in prop_oneof![Just(SourceStatus::Active), Just(SourceStatus::PastDue)],
        yearly: bool, next in 0u32..3_000, age in 1u32..3_000, until in 0u32..3_000, day in proptest::option::of(1u32..32),
    ) {
        let cycle = if yearly { Cycle::Yearly } else { Cycle::Monthly };
        let next_on = days_after(date("2022-01-01"), next).unwrap();
        let created_on = next_on.checked_sub_days(chrono::Days::new(age.into()));
        let handover = Handover {
            first_charge_after: days_after(date("2022-01-01"), until).unwrap(),
            today: date("2026-11-26"),
        };
        let source = Source { status, cycle, next_on, created_on, anchor_day: day };
        if let Ok(Verdict::Bring(placement)) = judge(source, handover) {
            let due_on = cycle.period_start(placement.anchor_on, placement.paid.no + 1).unwrap();
            prop_assert_eq!(due_on, placement.paid.end);
            prop_assert!(due_on > handover.first_charge_after);
            prop_assert!(due_on > placement.charged_elsewhere_until);
            prop_assert_eq!(placement.moved_from.is_none(), due_on == next_on);
        }
    }
}
