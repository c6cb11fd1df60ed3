//! Every combination of subscription, invoice and attempt, and the one thing to do about it.

use chrono::TimeDelta;

use super::*;
use crate::domain::calendar::{Cycle, seoul_midnight};
use crate::domain::money::Won;
use crate::domain::subscription::tests::subscription;

const STATUSES: [SubscriptionStatus; 5] = [
    SubscriptionStatus::Incomplete,
    SubscriptionStatus::Active,
    SubscriptionStatus::PastDue,
    SubscriptionStatus::Suspended,
    SubscriptionStatus::Canceled,
];

pub(super) fn due_day() -> DateTime<Utc> {
    seoul_midnight("2026-12-22".parse().unwrap()) + TimeDelta::hours(2)
}

pub(super) fn invoice(status: InvoiceStatus) -> Invoice {
    let period = Cycle::Monthly.period("2026-11-22".parse().unwrap(), 1).unwrap();
    Invoice {
        id: Uuid::nil(),
        subscription_id: Uuid::nil(),
        period,
        due_on: period.start,
        amount: Won::new(9_900).unwrap(),
        status,
        first_failed_at: None,
        next_attempt_at: None,
        held_since: None,
        released_at: None,
    }
}

pub(super) fn attempt(status: PaymentStatus, sent_at: Option<DateTime<Utc>>) -> Payment {
    Payment {
        id: Uuid::from_u128(7),
        user_id: Uuid::nil(),
        subscription_id: Uuid::nil(),
        invoice_id: Uuid::nil(),
        kind: PaymentKind::Renewal,
        attempt_no: 1,
        order_id: "AUTO_x_1_1".into(),
        payment_key: None,
        idempotency_key: Uuid::nil(),
        amount: Won::new(9_900).unwrap(),
        status,
        decline_kind: None,
        toss_code: None,
        toss_message: None,
        receipt_url: None,
        paid_at: None,
        created_at: due_day(),
        settled_at: None,
        sent_at,
        first_sent_at: sent_at,
        unknown_since: sent_at,
        review_since: None,
        not_found_count: 0,
        gateway_status: None,
        deposit_due_at: None,
        server_errors: 0,
        is_plain: false,
    }
}

fn declined(kind: DeclineKind) -> Payment {
    Payment {
        decline_kind: Some(kind),
        settled_at: Some(due_day()),
        ..attempt(PaymentStatus::Failed, Some(due_day()))
    }
}

fn decide_for(subscription: &Subscription, invoice: &Invoice, attempts: &[Payment]) -> Decision {
    let facts = Facts { subscription, invoice, attempts, skips: 0, charging_enabled: true, now: due_day() };
    decide(facts)
}

#[test]
fn only_a_due_invoice_of_a_living_subscription_is_charged() {
    use InvoiceStatus as I;
    for status in STATUSES {
        for invoice_status in [I::Open, I::Paid, I::Void, I::Uncollectible] {
            let decision = decide_for(&subscription(status), &invoice(invoice_status), &[]);
            let may_charge = invoice_status == I::Open
                && matches!(status, SubscriptionStatus::Active | SubscriptionStatus::PastDue);
            assert_eq!(decision == Decision::Charge, may_charge, "{status} {invoice_status}");
        }
    }
}

#[test]
fn a_payment_that_may_have_been_sent_is_looked_up_first() {
    for status in STATUSES {
        for open in [PaymentStatus::Pending, PaymentStatus::Unknown] {
            let attempts = [attempt(open, Some(due_day()))];
            let decision = decide_for(&subscription(status), &invoice(InvoiceStatus::Open), &attempts);
            assert_eq!(decision, Decision::LookUp(Uuid::from_u128(7)));
        }
    }
}

#[test]
fn an_unsent_attempt_is_sent_unless_the_customer_cancelled() {
    let attempts = [attempt(PaymentStatus::Pending, None)];
    let open = invoice(InvoiceStatus::Open);
    let decide_in = |status| decide_for(&subscription(status), &open, &attempts);
    assert_eq!(decide_in(SubscriptionStatus::Active), Decision::Send(Uuid::from_u128(7)));
    assert_eq!(decide_in(SubscriptionStatus::Canceled), Decision::Void);
}

#[test]
fn an_unsent_payment_is_not_sent_once_its_period_is_over() {
    let subscription = subscription(SubscriptionStatus::Active);
    let open = invoice(InvoiceStatus::Open);
    let after = |invoice: &Invoice, kind| {
        let attempts = [Payment { kind, ..attempt(PaymentStatus::Pending, None) }];
        let now = seoul_midnight(open.period.end);
        decide(Facts {
            subscription: &subscription,
            invoice,
            attempts: &attempts,
            skips: 0,
            charging_enabled: true,
            now,
        })
    };
    assert_eq!(after(&open, PaymentKind::Renewal), Decision::Hold);
    assert_eq!(after(&open, PaymentKind::NewCard), Decision::Send(Uuid::from_u128(7)));
    let released = Invoice { released_at: Some(due_day()), ..open.clone() };
    assert_eq!(after(&released, PaymentKind::Renewal), Decision::Send(Uuid::from_u128(7)));
}

#[test]
fn kill_switches_stop_new_money_but_never_a_look_up() {
    let subscription = subscription(SubscriptionStatus::Active);
    let open = invoice(InvoiceStatus::Open);
    let stopped = |attempts: &[Payment]| {
        decide(Facts {
            subscription: &subscription,
            invoice: &open,
            attempts,
            skips: 0,
            charging_enabled: false,
            now: due_day(),
        })
    };
    assert_eq!(stopped(&[]), Decision::Paused);
    assert_eq!(stopped(&[attempt(PaymentStatus::Pending, None)]), Decision::Paused);
    assert!(matches!(stopped(&[attempt(PaymentStatus::Unknown, Some(due_day()))]), Decision::LookUp(_)));
}

#[test]
fn a_hard_decline_waits_for_a_new_card() {
    let mut subscription = subscription(SubscriptionStatus::PastDue);
    let open = invoice(InvoiceStatus::Open);
    let attempts = [declined(DeclineKind::Hard)];
    assert_eq!(decide_for(&subscription, &open, &attempts), Decision::Skip(SkipReason::HardDecline));
    subscription.card_registered_at = Some(due_day() + TimeDelta::hours(1));
    assert_eq!(decide_for(&subscription, &open, &attempts), Decision::Charge);
}

#[test]
fn an_invoice_whose_period_is_over_waits_for_an_operator() {
    let subscription = subscription(SubscriptionStatus::PastDue);
    let open = invoice(InvoiceStatus::Open);
    let late = seoul_midnight(open.period.end);
    let facts = Facts {
        subscription: &subscription,
        invoice: &open,
        attempts: &[],
        skips: 0,
        charging_enabled: true,
        now: late,
    };
    assert_eq!(decide(facts), Decision::Hold);
}

#[test]
fn a_released_invoice_is_charged_though_its_period_is_over() {
    let subscription = subscription(SubscriptionStatus::Active);
    let mut released = invoice(InvoiceStatus::Open);
    released.released_at = Some(seoul_midnight(released.period.end));
    let facts = Facts {
        subscription: &subscription,
        invoice: &released,
        attempts: &[],
        skips: 0,
        charging_enabled: true,
        now: seoul_midnight(released.period.end) + TimeDelta::days(40),
    };
    assert_eq!(decide(facts), Decision::Charge);
}

#[test]
fn dunning_counts_declines_and_skips_only() {
    let withdrawn = attempt(PaymentStatus::Failed, None);
    let unknown = attempt(PaymentStatus::Unknown, Some(due_day()));
    let attempts = [declined(DeclineKind::Soft), withdrawn, unknown];
    assert_eq!(attempts_used(&attempts, 1), 2);
}

#[test]
fn money_that_lands_after_a_cancel_goes_back() {
    use AfterPaid::{Activate, Refund, Renew};
    let after: Vec<_> = STATUSES.map(after_paid).into();
    assert_eq!(after, [Activate, Renew, Renew, Renew, Refund]);
}

#[test]
fn a_declined_first_payment_begins_no_subscription() {
    let policy = Policy { retry_days: vec![3, 3] };
    let time = chrono::NaiveTime::from_hms_opt(2, 0, 0).unwrap();
    let after = |kind, status| after_decline(kind, status, false, &policy, 1, due_day(), time).unwrap();
    assert_eq!(after(PaymentKind::First, SubscriptionStatus::Incomplete), AfterDecline::NeverBegins);
    assert_eq!(after(PaymentKind::Renewal, SubscriptionStatus::Canceled), AfterDecline::Void);
    let retry = after(PaymentKind::Renewal, SubscriptionStatus::Active);
    assert_eq!(retry, AfterDecline::RetryAt(due_day() + TimeDelta::days(3)));
    let older = (PaymentKind::Renewal, SubscriptionStatus::Active);
    let older = after_decline(older.0, older.1, true, &policy, 1, due_day(), time).unwrap();
    assert_eq!(older, AfterDecline::HoldAgain);
}
