//! Every state a subscription can be in on the day of a change, and every consent it can have.

use proptest::prelude::*;

use super::*;
use crate::domain::{calendar::seoul_midnight, subscription::tests::subscription};

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn won(amount: i64) -> Won {
    Won::new(amount).unwrap()
}

fn change(from: i64, to: i64, consent: Option<Consent>) -> PlanChange {
    PlanChange {
        id: Uuid::nil(),
        subscription_id: Uuid::nil(),
        price_change_id: None,
        from: Terms { plan: "personal".into(), cycle: Cycle::Monthly, amount: won(from) },
        to: Terms { plan: "pro".into(), cycle: Cycle::Monthly, amount: won(to) },
        effective_no: 1,
        effective_on: date("2026-12-22"),
        requested_by: "customer:test".into(),
        consent,
    }
}

fn given(amount: i64, at: &str) -> Consent {
    Consent { amount: won(amount), given_at: DateTime::parse_from_rfc3339(at).unwrap().to_utc() }
}

#[test]
fn a_change_comes_with_the_first_period_not_yet_billed() {
    let active = subscription(SubscriptionStatus::Active);
    let on = |subscription: &Subscription, billed, today: &str| {
        takes_effect(subscription, "pro", subscription.cycle, billed, date(today))
    };
    assert_eq!(on(&active, 0, "2026-12-21").unwrap().start, date("2026-12-22"));
    // Its day has come, and the daily run may be looking at it: too late for this one.
    assert_eq!(on(&active, 0, "2026-12-22").unwrap().start, date("2027-01-22"));
    // Billed, whatever became of that charge.
    assert_eq!(on(&active, 1, "2026-12-22").unwrap().start, date("2027-01-22"));
    let past_due = subscription(SubscriptionStatus::PastDue);
    assert_eq!(on(&past_due, 1, "2026-12-25").unwrap().start, date("2027-01-22"));
    // Nothing ran for months.
    assert_eq!(on(&active, 0, "2027-03-01").unwrap().no, 4);
}

#[test]
fn what_is_not_running_or_is_so_already_cannot_be_changed() {
    use SubscriptionStatus as S;
    let refused =
        |status| takes_effect(&subscription(status), "pro", Cycle::Monthly, 0, date("2026-12-01")).err();
    let seen = [S::Incomplete, S::Active, S::PastDue, S::Suspended, S::Canceled].map(refused);
    let (begun, suspended, canceled) =
        (ChangeRefused::NotBegun, ChangeRefused::Suspended, ChangeRefused::Canceled);
    assert_eq!(seen, [Some(begun), None, None, Some(suspended), Some(canceled)]);
    let active = subscription(S::Active);
    let same = takes_effect(&active, "personal", Cycle::Monthly, 0, date("2026-12-01"));
    assert_eq!(same, Err(ChangeRefused::Unchanged));
    assert!(takes_effect(&active, "personal", Cycle::Yearly, 0, date("2026-12-01")).is_ok());
}

#[test]
fn a_consent_counts_for_its_amount_in_its_thirty_days() {
    let up_with = |consent| change(9_900, 19_900, Some(consent)).is_agreed();
    assert!(!change(9_900, 19_900, None).is_agreed());
    assert!(!up_with(given(19_900, "2026-11-21T23:59:59+09:00")));
    assert!(up_with(given(19_900, "2026-11-22T00:00:00+09:00")));
    assert!(up_with(given(19_900, "2026-12-21T23:59:59+09:00")));
    assert!(!up_with(given(19_900, "2026-12-22T00:00:00+09:00")));
    assert!(!up_with(given(19_800, "2026-12-01T00:00:00+09:00")));
    assert!(!up_with(given(20_000, "2026-12-01T00:00:00+09:00")));
    assert!(change(9_900, 9_900, None).is_agreed() && change(19_900, 9_900, None).is_agreed());
}

#[test]
fn a_consent_is_taken_only_to_this_change_and_in_time() {
    let up = change(9_900, 19_900, None);
    let on = |day: &str| consent(&up, won(19_900), date("2026-12-22"), date(day));
    assert_eq!(on("2026-11-21"), Err(ConsentRefused::TooEarly(date("2026-11-22"))));
    assert_eq!((on("2026-11-22"), on("2026-12-21")), (Ok(()), Ok(())));
    assert_eq!(on("2026-12-22"), Err(ConsentRefused::TooLate));
    let other = consent(&up, won(9_900), date("2026-12-22"), date("2026-12-01"));
    assert_eq!(other, Err(ConsentRefused::OtherAmount));
    let other = consent(&up, won(19_900), date("2027-01-22"), date("2026-12-01"));
    assert_eq!(other, Err(ConsentRefused::OtherDate));
    let down = change(19_900, 9_900, None);
    let none = consent(&down, won(9_900), date("2026-12-22"), date("2026-12-01"));
    assert_eq!(none, Err(ConsentRefused::NotNeeded));
}

#[test]
fn the_customers_change_comes_before_a_price_of_that_day() {
    let request = change(9_900, 19_900, None);
    let price = PlanChange { price_change_id: Some(Uuid::nil()), ..change(9_900, 11_900, None) };
    assert_eq!(next_change(&[price.clone(), request.clone()]), Some(&request));
    let sooner = PlanChange { effective_on: date("2026-12-21"), ..price };
    assert_eq!(next_change(&[request, sooner.clone()]), Some(&sooner));
    assert_eq!(next_change(&[]), None);
}

#[test]
fn a_retry_keeps_its_amount_and_the_next_charge_is_todays() {
    let active = subscription(SubscriptionStatus::Active);
    let on = |subscription: &Subscription, change: PlanChange, day: &str| {
        terms_on(subscription, &[change], date(day))
    };
    let (up, down) = (change(9_900, 19_900, None), change(9_900, 7_900, None));
    let agreed = change(9_900, 19_900, Some(given(19_900, "2026-12-01T00:00:00+09:00")));
    let present = Terms { plan: "personal".into(), cycle: Cycle::Monthly, amount: won(9_900) };
    assert_eq!(on(&active, up.clone(), "2026-12-21"), NextTerms::Agreed(present.clone()));
    assert_eq!(on(&active, up.clone(), "2026-12-22"), NextTerms::AwaitsConsent(up.to.clone()));
    assert_eq!(on(&active, agreed.clone(), "2026-12-22"), NextTerms::Agreed(agreed.to));
    assert_eq!(on(&active, down.clone(), "2026-12-22"), NextTerms::Agreed(down.to));
    let past_due = subscription(SubscriptionStatus::PastDue);
    assert_eq!(on(&past_due, up, "2026-12-28"), NextTerms::Agreed(present));
}

fn statuses() -> impl Strategy<Value = SubscriptionStatus> {
    use SubscriptionStatus as S;
    prop::sample::select(vec![S::Incomplete, S::Active, S::PastDue, S::Suspended, S::Canceled])
}

proptest! {
    /// Nobody is ever moved to more than they were shown in the last thirty days, and nobody is ended without need.
    #[test]
    fn more_is_charged_only_with_a_fresh_consent_to_exactly_that(
        from in 100i64..40_000, to in 100i64..40_000, status in statuses(), today_after in -40i64..40,
        consent in prop::option::of((prop::bool::weighted(0.8), 100i64..40_000, -45 * 24 * 60i64..5 * 24 * 60)),
    ) {
        let due = seoul_midnight(date("2026-12-22"));
        let consent = consent.map(|(same, other, minutes)| Consent {
            amount: won(if same { to } else { other }),
            given_at: due + chrono::TimeDelta::minutes(minutes),
        });
        let change = change(from, to, consent);
        let today = seoul_date(due + chrono::TimeDelta::days(today_after));
        let fresh = consent.is_some_and(|consent| {
            let before = due - consent.given_at;
            consent.amount.get() == i32::try_from(to).unwrap()
                && before > chrono::TimeDelta::zero() && before <= chrono::TimeDelta::days(30)
        });
        let seen = at_renewal(&change, status, today);
        let lives = !matches!(status, SubscriptionStatus::Incomplete | SubscriptionStatus::Canceled);
        let is_due = lives && today_after >= 0;
        prop_assert_eq!(seen == AtRenewal::Apply, is_due && (to <= from || fresh));
        prop_assert_eq!(seen == AtRenewal::End, is_due && to > from && !fresh);
        prop_assert_eq!(seen == AtRenewal::Lapse, !lives && today_after >= 0);
    }
}
