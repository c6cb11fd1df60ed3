//! Whether a payment that was found under an attempt's order is the one that the attempt made. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use common::domain::payment::{Payment, PaymentKind};
use toss::{GatewayPayment, GatewayPaymentStatus};

/// Toss's clock and ours.
const CLOCKS_DIFFER_BY: TimeDelta = TimeDelta::seconds(5);

/// Two windows may have been opened for one order: only the payment that the customer confirmed is asked about.
pub(super) fn is_another_payment(attempt: &Payment, found: &GatewayPayment) -> bool {
    attempt.kind == PaymentKind::First
        && attempt.payment_key.as_ref().is_some_and(|key| *key != found.payment_key)
}

/// An order that was sent again after "not sent" may still be shown with the end of the earlier sending, while the
/// later one runs: such an end is believed when the later one can no longer be running.
pub(super) fn may_be_earlier_sending(attempt: &Payment, found: &GatewayPayment, now: DateTime<Utc>) -> bool {
    let has_ended = matches!(found.status, GatewayPaymentStatus::Aborted | GatewayPaymentStatus::Expired);
    let (Some(sent), Some(first)) = (attempt.sent_at, attempt.first_sent_at) else { return false };
    let is_of_this_sending = found.requested_at.is_some_and(|at| at.to_utc() >= sent - CLOCKS_DIFFER_BY);
    attempt.kind != PaymentKind::First
        && has_ended
        && sent != first
        && !is_of_this_sending
        && now - sent < attempt.may_run_for()
}

/// The order of a confirmation exists before it is confirmed: not approved yet is not sent yet, unless Toss has answered a
/// confirmation with such a status.
pub(super) fn is_not_confirmed_yet(attempt: &Payment, found: &GatewayPayment) -> bool {
    let is_open = matches!(found.status, GatewayPaymentStatus::Ready | GatewayPaymentStatus::InProgress);
    attempt.kind == PaymentKind::First && is_open && attempt.gateway_status.is_none()
}

/// A payment of the shop's own, say, that a browser brings although nothing is held for it any more.
pub(super) fn was_refunded_before(attempt: &Payment, found: &GatewayPayment) -> bool {
    let approved_before =
        found.approved_at.is_some_and(|at| at.to_utc() < attempt.created_at - CLOCKS_DIFFER_BY);
    attempt.kind == PaymentKind::First && found.balance_amount == Some(0) && approved_before
}

#[cfg(test)]
mod tests {
    use common::domain::{money::Won, payment::PaymentStatus as Status};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(&format!("2026-12-22T{text}+09:00")).unwrap().to_utc()
    }

    /// Sent at 02:00:00 at first, and last at `sent`.
    fn attempt(kind: PaymentKind, sent: &str) -> Payment {
        Payment {
            id: Uuid::nil(),
            user_id: Uuid::nil(),
            subscription_id: Uuid::nil(),
            invoice_id: Uuid::nil(),
            kind,
            attempt_no: 1,
            order_id: "AUTO_1".to_owned(),
            payment_key: Some("ours".to_owned()),
            idempotency_key: Uuid::nil(),
            amount: Won::new(9_900).unwrap(),
            status: Status::Unknown,
            decline_kind: None,
            toss_code: None,
            toss_message: None,
            receipt_url: None,
            paid_at: None,
            created_at: at("02:00:00"),
            settled_at: None,
            sent_at: Some(at(sent)),
            first_sent_at: Some(at("02:00:00")),
            unknown_since: None,
            review_since: None,
            not_found_count: 0,
            gateway_status: None,
            deposit_due_at: None,
            server_errors: 0,
            is_plain: false,
        }
    }

    fn found(status: &str, requested: &str, balance: i64) -> GatewayPayment {
        serde_json::from_value(json!({
            "paymentKey": "ours", "orderId": "AUTO_1", "status": status, "totalAmount": 9_900, "balanceAmount": balance,
            "requestedAt": format!("2026-12-22T{requested}+09:00"), "approvedAt": format!("2026-12-22T{requested}+09:00"),
        }))
        .unwrap()
    }

    #[test]
    fn an_earlier_sendings_end_is_not_that_of_one_still_running() {
        let again = attempt(PaymentKind::Renewal, "02:01:00");
        let soon = at("02:01:20");
        assert!(may_be_earlier_sending(&again, &found("ABORTED", "02:00:00", 0), soon));
        assert!(
            !may_be_earlier_sending(&again, &found("ABORTED", "02:01:00", 0), soon),
            "it is of the later one"
        );
        assert!(!may_be_earlier_sending(&again, &found("DONE", "02:00:00", 9_900), soon), "money is money");
        assert!(
            !may_be_earlier_sending(&again, &found("ABORTED", "02:00:00", 0), at("02:11:00")),
            "nothing runs any more"
        );
        let once = attempt(PaymentKind::Renewal, "02:00:00");
        assert!(
            !may_be_earlier_sending(&once, &found("ABORTED", "01:59:50", 0), soon),
            "there was no earlier one"
        );
    }

    #[test]
    fn only_the_payment_that_was_confirmed_is_asked_about() {
        let first = attempt(PaymentKind::First, "02:00:00");
        let mut other = found("ABORTED", "02:00:00", 0);
        "another".clone_into(&mut other.payment_key);
        assert!(is_another_payment(&first, &other));
        assert!(!is_another_payment(&first, &found("ABORTED", "02:00:00", 0)));
        assert!(!is_another_payment(&attempt(PaymentKind::Renewal, "02:00:00"), &other));
    }

    #[test]
    fn an_accepted_payment_in_progress_is_not_confirmed_again() {
        let first = attempt(PaymentKind::First, "02:00:00");
        let running = found("IN_PROGRESS", "02:00:00", 9_900);
        assert!(is_not_confirmed_yet(&first, &running));
        let accepted = Payment { gateway_status: Some("IN_PROGRESS".to_owned()), ..first.clone() };
        assert!(!is_not_confirmed_yet(&accepted, &running));
        assert!(!is_not_confirmed_yet(&first, &found("WAITING_FOR_DEPOSIT", "02:00:00", 9_900)));
    }

    #[test]
    fn what_was_given_back_before_it_came_to_us_pays_nothing() {
        let first = attempt(PaymentKind::First, "02:00:00");
        assert!(was_refunded_before(&first, &found("CANCELED", "01:00:00", 0)));
        assert!(
            !was_refunded_before(&first, &found("CANCELED", "02:00:01", 0)),
            "that is a refund of ours to book"
        );
        assert!(
            !was_refunded_before(&first, &found("DONE", "01:00:00", 9_900)),
            "the page confirmed it itself"
        );
    }
}
