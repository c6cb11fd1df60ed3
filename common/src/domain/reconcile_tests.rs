//! Every kind of difference between the gateway's books and ours, and none where there is none.

use chrono::TimeDelta;

use super::*;

fn noon() -> DateTime<Utc> {
    "2026-12-22T03:00:00Z".parse().unwrap()
}

fn capture(order: &str, amount: i64) -> Theirs {
    Theirs {
        movement: Movement::Capture,
        transaction_key: format!("t-{order}"),
        payment_key: format!("p-{order}"),
        order_id: order.to_owned(),
        amount,
        at: Some(noon()),
    }
}

fn cancel(order: &str, key: &str, amount: i64) -> Theirs {
    Theirs { movement: Movement::Refund, transaction_key: key.to_owned(), ..capture(order, amount) }
}

fn payment(order: &str, amount: i64, status: PaymentStatus) -> OurPayment {
    OurPayment {
        id: Uuid::new_v5(&Uuid::NAMESPACE_OID, order.as_bytes()),
        order_id: order.to_owned(),
        payment_key: Some(format!("p-{order}")),
        amount,
        status,
    }
}

fn refund(order: &str, key: Option<&str>, amount: i64) -> OurRefund {
    OurRefund {
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, order.as_bytes()),
        payment_id: payment(order, 0, PaymentStatus::Completed).id,
        order_id: order.to_owned(),
        payment_key: Some(format!("p-{order}")),
        transaction_key: key.map(str::to_owned),
        amount,
        status: RefundStatus::Completed,
    }
}

/// Both books of a day on which we know these payments and refunds, and say that those captured happened on it.
fn books(theirs: Vec<Theirs>, payments: Vec<OurPayment>, refunds: Vec<OurRefund>) -> Books {
    let is_captured = |payment: &&OurPayment| match payment.status {
        PaymentStatus::Completed | PaymentStatus::Refunded | PaymentStatus::PartiallyRefunded => true,
        PaymentStatus::Pending | PaymentStatus::Unknown | PaymentStatus::Failed => false,
    };
    Books {
        day: (noon() - TimeDelta::hours(12), noon() + TimeDelta::hours(12)),
        theirs,
        captured: payments.iter().filter(is_captured).cloned().collect(),
        refunded: refunds.clone(),
        payments,
        refunds,
    }
}

fn kinds(books: &Books) -> Vec<DiscrepancyKind> {
    books.discrepancies().into_iter().map(|found| found.kind).collect()
}

#[test]
fn books_that_agree_have_no_breaks() {
    let theirs = vec![capture("A", 9_900), capture("B", 9_900), cancel("B", "r-B", 3_000)];
    let payments = vec![
        payment("A", 9_900, PaymentStatus::Completed),
        payment("B", 9_900, PaymentStatus::PartiallyRefunded),
    ];
    let ours = books(theirs, payments, vec![refund("B", Some("r-B"), 3_000)]);
    assert_eq!(ours.discrepancies(), []);
}

#[test]
fn each_way_to_be_wrong_about_a_capture_has_its_kind() {
    use PaymentStatus as S;
    for (status, amount, kind) in [
        (S::Failed, 9_900, DiscrepancyKind::CaptureKnownAsFailed),
        (S::Pending, 9_900, DiscrepancyKind::CaptureKnownAsUnfinished),
        (S::Unknown, 9_900, DiscrepancyKind::CaptureKnownAsUnfinished),
        (S::Completed, 9_000, DiscrepancyKind::AmountDiffers),
    ] {
        let ours = books(vec![capture("A", 9_900)], vec![payment("A", amount, status)], vec![]);
        assert_eq!(kinds(&ours), [kind], "{status}");
        let found = ours.discrepancies().remove(0);
        assert_eq!((found.our_amount, found.their_amount), (Some(amount), Some(9_900)));
    }
    assert_eq!(kinds(&books(vec![capture("A", 9_900)], vec![], vec![])), [DiscrepancyKind::UnknownCapture]);
}

#[test]
fn an_order_captured_twice_is_an_unknown_capture() {
    let second =
        Theirs { transaction_key: "t2".to_owned(), payment_key: "p2".to_owned(), ..capture("A", 9_900) };
    let ours =
        books(vec![capture("A", 9_900), second], vec![payment("A", 9_900, PaymentStatus::Completed)], vec![]);
    let discrepancies = ours.discrepancies();
    assert_eq!(discrepancies.len(), 1);
    assert_eq!(
        (discrepancies[0].kind, discrepancies[0].reference.as_str()),
        (DiscrepancyKind::UnknownCapture, "t2")
    );
}

#[test]
fn what_the_gateway_does_not_list_is_missing_there() {
    let payments = vec![payment("A", 9_900, PaymentStatus::Refunded)];
    let ours = books(vec![], payments, vec![refund("A", Some("r-A"), 9_900)]);
    assert_eq!(kinds(&ours), [DiscrepancyKind::MissingAtToss, DiscrepancyKind::RefundMissingAtToss]);
}

#[test]
fn each_way_to_be_wrong_about_a_refund_has_its_kind() {
    let paid = || vec![payment("A", 9_900, PaymentStatus::PartiallyRefunded)];
    let theirs = || vec![capture("A", 9_900), cancel("A", "r-A", 3_000)];
    let other_amount = books(theirs(), paid(), vec![refund("A", Some("r-A"), 2_000)]);
    assert_eq!(kinds(&other_amount), [DiscrepancyKind::RefundAmountDiffers]);
    let unknown = books(theirs(), paid(), vec![]);
    assert_eq!(kinds(&unknown), [DiscrepancyKind::UnknownRefund]);
    assert_eq!(unknown.discrepancies()[0].payment_id, Some(paid()[0].id));
}

#[test]
fn an_unnamed_refund_is_known_by_payment_and_amount_once() {
    let paid = vec![payment("A", 9_900, PaymentStatus::PartiallyRefunded)];
    let theirs = vec![capture("A", 9_900), cancel("A", "r-1", 3_000), cancel("A", "r-2", 3_000)];
    let ours = books(theirs, paid, vec![refund("A", None, 3_000)]);
    let discrepancies = ours.discrepancies();
    assert_eq!(discrepancies.len(), 1);
    assert_eq!(
        (discrepancies[0].kind, discrepancies[0].reference.as_str()),
        (DiscrepancyKind::UnknownRefund, "r-2")
    );
}

#[test]
fn what_happened_around_midnight_is_judged_on_its_own_day() {
    let just_after = Theirs { at: Some(noon() + TimeDelta::hours(12)), ..capture("A", 9_900) };
    let ours = books(vec![just_after.clone()], vec![payment("A", 9_900, PaymentStatus::Completed)], vec![]);
    assert_eq!(ours.discrepancies(), [], "our clock says before midnight, theirs after");
    let unknown = books(vec![just_after.clone()], vec![], vec![]);
    assert_eq!(unknown.discrepancies(), [], "it is the next day's");
    let timeless = Theirs { at: None, ..just_after };
    assert_eq!(kinds(&books(vec![timeless], vec![], vec![])), [DiscrepancyKind::UnknownCapture]);
}

#[test]
fn only_money_that_nobody_here_answers_for_raises_an_alarm() {
    use DiscrepancyKind as K;
    let all = [
        K::UnknownCapture,
        K::CaptureKnownAsFailed,
        K::CaptureKnownAsUnfinished,
        K::AmountDiffers,
        K::MissingAtToss,
        K::UnknownRefund,
        K::RefundMissingAtToss,
        K::RefundAmountDiffers,
    ];
    let alarming: Vec<_> = all.into_iter().filter(|kind| kind.is_alarm()).collect();
    assert_eq!(alarming, [K::UnknownCapture, K::CaptureKnownAsFailed]);
    assert_eq!(K::MissingAtToss.to_string(), "missing_at_toss");
}
