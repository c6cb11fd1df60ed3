//! Whom a new price reaches when, and what may not be announced or taken back.

use proptest::prelude::*;

use super::*;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn won(amount: i64) -> Won {
    Won::new(amount).unwrap()
}

fn price(old: i64, new: i64, from: &str) -> PriceChange {
    PriceChange {
        id: Uuid::nil(),
        plan: "personal".into(),
        cycle: Cycle::Monthly,
        old: won(old),
        new: won(new),
        effective_from: date(from),
        reprices_plan: true,
        follows: None,
        requested_by: "operator:test".into(),
        reason: "costs".into(),
        created_at: DateTime::UNIX_EPOCH,
        closed_at: None,
        withdrawal: None,
    }
}

fn monthly() -> BillingSchedule {
    BillingSchedule::since(date("2026-11-22"), Cycle::Monthly)
}

#[test]
fn it_comes_with_the_first_renewal_on_its_date_or_later_that_has_neither_begun_nor_been_billed() {
    let reaches = |from: &str, last_no, today: &str| {
        price(9_900, 12_900, from).reaches(monthly(), last_no, won(9_900), date(today)).unwrap().start
    };
    assert_eq!(reaches("2027-02-01", 0, "2026-12-01"), date("2027-02-22"));
    assert_eq!(reaches("2027-02-22", 0, "2026-12-01"), date("2027-02-22"));
    assert_eq!(reaches("2027-02-23", 0, "2026-12-01"), date("2027-03-22"));
    // Long in force: the next renewal but one that is being collected.
    assert_eq!(reaches("2027-02-22", 5, "2027-04-10"), date("2027-05-22"));
    assert_eq!(reaches("2027-02-22", 0, "2027-05-01"), date("2027-05-22"));
}

#[test]
fn who_comes_late_has_seven_days_to_answer_and_nothing_to_answer_to_a_lower_price() {
    let late = |new, today: &str| {
        price(9_900, new, "2027-02-01").reaches(monthly(), 2, won(9_900), date(today)).unwrap().start
    };
    assert_eq!(late(12_900, "2027-02-15"), date("2027-02-22"));
    assert_eq!(late(12_900, "2027-02-16"), date("2027-03-22"));
    assert_eq!(late(7_900, "2027-02-21"), date("2027-02-22"));
    assert_eq!(late(7_900, "2027-02-22"), date("2027-03-22"));
}

#[test]
fn what_is_not_charged_at_present_follows_later() {
    use SubscriptionStatus as S;
    let seen = [S::Incomplete, S::Active, S::PastDue, S::Suspended, S::Canceled].map(follows_now);
    assert_eq!(seen, [false, true, true, false, false]);
}

#[test]
fn a_higher_price_leaves_time_to_ask_and_a_lower_one_may_come_at_once() {
    let today = date("2026-12-01");
    let on = |old, new, lowest, from: &str| announce(won(old), won(new), won(lowest), date(from), today);
    let (soon, first) = (date("2026-12-31"), date("2027-01-01"));
    assert_eq!(on(9_900, 12_900, 9_900, "2026-12-31"), Err(AnnouncementRefused::TooSoon(soon, first)));
    assert_eq!(on(9_900, 12_900, 9_900, "2027-01-01"), Ok(()));
    assert_eq!(on(12_900, 9_900, 12_900, "2026-12-01"), Ok(()));
    // Cheaper than the price, but dearer than what some still pay.
    assert_eq!(on(12_900, 10_900, 9_900, "2026-12-31"), Err(AnnouncementRefused::TooSoon(soon, first)));
    let past = Err(AnnouncementRefused::Past(date("2026-11-30"), today));
    assert_eq!(on(12_900, 9_900, 12_900, "2026-11-30"), past);
    assert_eq!(on(9_900, 9_900, 9_900, "2027-02-01"), Err(AnnouncementRefused::Unchanged(won(9_900))));
}

#[test]
fn only_what_is_still_to_come_is_taken_back() {
    let open = price(9_900, 12_900, "2027-02-01");
    assert_eq!(withdraw(&open, date("2027-01-31")), Ok(()));
    assert_eq!(withdraw(&open, date("2027-02-01")), Err(WithdrawalRefused::InForce(date("2027-02-01"))));
    let followed = PriceChange { closed_at: Some(DateTime::UNIX_EPOCH), ..open.clone() };
    assert_eq!(withdraw(&followed, date("2027-01-31")), Err(WithdrawalRefused::Followed));
    let by = Withdrawal { at: DateTime::UNIX_EPOCH, by: "operator:test".into(), reason: "wrong".into() };
    let withdrawn = PriceChange { withdrawal: Some(by), ..followed };
    assert_eq!(withdraw(&withdrawn, date("2027-01-31")), Err(WithdrawalRefused::AlreadyWithdrawn));
}

proptest! {
    #[test]
    fn nobody_is_reached_before_its_date_in_a_period_that_has_begun_or_without_time_to_answer(
        anchor in 0u64..400, last_no in 0u32..20, today in 0u64..900, from in 0u64..900, new in 100i64..20_000,
    ) {
        let day = |no| date("2026-11-22") + Days::new(no);
        let rhythm = BillingSchedule::since(day(anchor), Cycle::Monthly);
        let change = price(9_900, new, &day(from).to_string());
        let period = change.reaches(rhythm, last_no, won(9_900), day(today)).unwrap();
        prop_assert!(period.start >= day(from) && period.start > day(today) && period.no > last_no);
        let answer = if new > 9_900 { MIN_DAYS_TO_ANSWER } else { 1 };
        prop_assert!(period.start >= day(today + answer));
        // And not a period later than that asks for.
        let before = rhythm.period(period.no - 1).unwrap();
        prop_assert!(period.no == last_no + 1 || before.start < day(from).max(day(today + answer)));
    }
}
