//! What follows from each answer "no such order": asked again, sent again, or given up.

use chrono::TimeDelta;

use super::tests::{attempt, due_day, invoice};
use super::*;
use crate::domain::calendar::seoul_midnight;
use crate::domain::subscription::tests::subscription;

/// What follows from "no such order", the fourth one, so long after the only sending.
fn action(kind: PaymentKind, status: SubscriptionStatus, enabled: bool, after: TimeDelta) -> NotFoundAction {
    let (subscription, invoice) = (subscription(status), invoice(InvoiceStatus::Open));
    let asked = Payment { kind, not_found_count: 4, ..attempt(PaymentStatus::Unknown, Some(due_day())) };
    let now = due_day() + after;
    let attempts = std::slice::from_ref(&asked);
    let facts = Facts {
        subscription: &subscription,
        invoice: &invoice,
        attempts,
        skips: 0,
        charging_enabled: enabled,
        now,
    };
    after_not_found(facts, &asked)
}

#[test]
fn what_never_arrived_is_sent_again_within_a_day_only() {
    use PaymentKind as K;
    use SubscriptionStatus as S;
    let (soon, late) = (TimeDelta::minutes(11), TimeDelta::hours(25));
    for kind in [K::First, K::Renewal, K::NewCard] {
        for status in [S::Incomplete, S::Active, S::PastDue, S::Suspended] {
            assert_eq!(action(kind, status, true, soon), NotFoundAction::SendAgain, "{kind} {status}");
            assert_eq!(action(kind, status, false, soon), NotFoundAction::AskAgain, "{kind} {status}");
            let given_up = match (kind, status) {
                (K::First, S::Incomplete) => Lost::NeverBegins,
                (K::Renewal, S::Active | S::PastDue | S::Suspended) => Lost::Hold,
                _ => Lost::Withdraw,
            };
            for enabled in [true, false] {
                assert_eq!(
                    action(kind, status, enabled, late),
                    NotFoundAction::GiveUp(given_up),
                    "{kind} {status}"
                );
            }
        }
        assert_eq!(action(kind, S::Canceled, true, soon), NotFoundAction::AskAgain);
        assert_eq!(action(kind, S::Canceled, true, late), NotFoundAction::GiveUp(Lost::Void));
    }
}

#[test]
fn a_period_that_is_over_is_not_charged_by_sending_again() {
    let over = TimeDelta::days(31);
    assert_eq!(
        action(PaymentKind::Renewal, SubscriptionStatus::Active, true, over),
        NotFoundAction::GiveUp(Lost::Hold)
    );
    // Nor where it was sent minutes before its end, and nobody has been called yet.
    let (subscription, invoice) = (subscription(SubscriptionStatus::Active), invoice(InvoiceStatus::Open));
    let end = seoul_midnight(invoice.period.end);
    let sent = end - TimeDelta::minutes(1);
    let asked = Payment { not_found_count: 4, ..attempt(PaymentStatus::Unknown, Some(sent)) };
    let attempts = std::slice::from_ref(&asked);
    let at = |now| {
        let (subscription, invoice) = (&subscription, &invoice);
        let facts = Facts { subscription, invoice, attempts, skips: 0, charging_enabled: true, now };
        after_not_found(facts, &asked)
    };
    assert_eq!(at(sent + TimeDelta::minutes(11)), NotFoundAction::AskAgain);
    assert_eq!(at(sent + TimeDelta::hours(7)), NotFoundAction::GiveUp(Lost::Hold));
}

/// Toss keeps an idempotency key for 15 days: after that the same order could be charged anew.
#[test]
fn nothing_is_sent_again_after_day_14() {
    let day = |days| due_day() + TimeDelta::days(days);
    let sent_today = |now| Payment {
        not_found_count: 2,
        sent_at: Some(now - TimeDelta::minutes(11)),
        unknown_since: Some(now - TimeDelta::minutes(11)),
        ..attempt(PaymentStatus::Unknown, Some(due_day()))
    };
    assert!(sent_today(day(13)).may_resend(day(13)));
    assert!(!sent_today(day(14)).may_resend(day(14)));
}

/// The database keeps microseconds, a clock may tell more.
#[test]
fn an_answer_is_told_from_one_to_an_earlier_sending() {
    let first = attempt(PaymentStatus::Pending, None).as_sent(due_day() + TimeDelta::nanoseconds(1_700));
    let kept = Payment { sent_at: Some(due_day() + TimeDelta::microseconds(1)), ..first.clone() };
    assert!(first.is_same_sending(&kept));
    let again = kept.as_sent(due_day() + TimeDelta::minutes(11));
    assert!(!first.is_same_sending(&again));
    assert_eq!(again.first_sent_at, kept.first_sent_at);
}

#[test]
fn three_answers_are_too_few_to_give_up() {
    let late = due_day() + TimeDelta::hours(25);
    let sent = attempt(PaymentStatus::Unknown, Some(due_day()));
    let thrice = (0..3).fold(sent.clone(), |asked, _| asked.with_not_found(late));
    assert!(!thrice.never_received(late));
    assert!(thrice.with_not_found(late).never_received(late));
    let soon = |minutes| sent.with_not_found(due_day() + TimeDelta::minutes(minutes)).not_found_count;
    assert_eq!((soon(9), soon(10)), (0, 1));
}
