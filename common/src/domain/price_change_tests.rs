//! Which prices may not be announced or withdrawn.

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

#[test]
fn a_higher_price_needs_notice_and_a_lower_one_does_not() {
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
