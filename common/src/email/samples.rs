//! Mails with realistic data, for the tests.

use chrono::NaiveDate;
use url::Url;

use super::*;
use crate::domain::{calendar::Cycle, ending::Unused, money::Won};

const SUB: &str = "sub_0199f0c2b7e87a3c9d1e5f60718293a4";
pub(super) const CARD_PAGE: &str =
    "https://zipcheck.example/billing/payment-method?subscription=sub_0199f0c2b7e87a3c9d1e5f60718293a4";
pub(super) const SUBSCRIPTION_PAGE: &str =
    "https://zipcheck.example/billing/subscriptions/sub_0199f0c2b7e87a3c9d1e5f60718293a4";
pub(super) const RECEIPT: &str =
    "https://dashboard.tosspayments.com/receipt/redirection?transactionId=tviva20261222020004hH8Fq&ref=PX";

pub(super) fn brand() -> Brand {
    Brand { name: "집체크".into(), public_url: Url::parse("https://zipcheck.example").unwrap() }
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn won(amount: i64) -> Won {
    Won::new(amount).unwrap()
}

pub(super) fn succeeded(customer_name: &str) -> PaymentSucceeded<'_> {
    PaymentSucceeded {
        customer_name,
        plan_name: "퍼스널",
        cycle: Cycle::Yearly,
        amount: won(94_800),
        paid_on: date("2026-12-22"),
        card_number: Some("43300000****000*"),
        next_date: Some(date("2027-12-22")),
        receipt_url: Some(RECEIPT),
        subscription_ref: SUB,
    }
}

pub(super) fn failed(customer_name: &str) -> PaymentFailed<'_> {
    PaymentFailed {
        customer_name,
        plan_name: "프로",
        cycle: Cycle::Monthly,
        amount: won(19_900),
        reason: "카드 잔액이 부족합니다.",
        card_is_dead: false,
        retry_on: date("2026-12-25"),
        subscription_ref: SUB,
    }
}

pub(super) fn failed_for_good(customer_name: &str) -> PaymentFailed<'_> {
    PaymentFailed { reason: "정지된 카드입니다.", card_is_dead: true, ..failed(customer_name) }
}

pub(super) fn suspended(customer_name: &str) -> SubscriptionSuspended<'_> {
    SubscriptionSuspended {
        customer_name,
        plan_name: "프로",
        cycle: Cycle::Monthly,
        amount: won(19_900),
        cause: SuspensionCause::Declined(3),
        suspended_on: date("2026-12-28"),
        subscription_ref: SUB,
    }
}

pub(super) fn renewing(customer_name: &str) -> RenewalNotice<'_> {
    RenewalNotice {
        customer_name,
        plan_name: "퍼스널",
        cycle: Cycle::Yearly,
        amount: won(94_800),
        renews_on: date("2027-01-01"),
        card_number: Some("43300000****000*"),
        subscription_ref: SUB,
    }
}

pub(super) fn canceled(customer_name: &str) -> SubscriptionCanceled<'_> {
    SubscriptionCanceled {
        customer_name,
        plan_name: "퍼스널",
        access_until: date("2026-12-22"),
        has_access: true,
        subscription_ref: SUB,
    }
}

pub(super) fn without_card(customer_name: &str) -> CardNeeded<'_> {
    CardNeeded {
        customer_name,
        plan_name: "퍼스널",
        cycle: Cycle::Monthly,
        amount: won(9_900),
        next_date: date("2026-12-22"),
        subscription_ref: SUB,
    }
}

pub(super) fn not_begun_yet(customer_name: &str) -> FirstPaymentFailed<'_> {
    FirstPaymentFailed {
        customer_name,
        plan_name: "퍼스널",
        cycle: Cycle::Monthly,
        amount: won(9_900),
        reason: "카드 잔액이 부족합니다.",
        repair_until: "2026-12-22T14:05:30Z".parse().unwrap(),
        subscription_ref: SUB,
    }
}

pub(super) fn ended(customer_name: &str) -> SubscriptionEnded<'_> {
    SubscriptionEnded {
        customer_name,
        plan_name: "퍼스널",
        ended_on: date("2026-12-22"),
        refund: Some(won(4_620)),
        unused: Unused { days: 14, of: 30 },
        subscription_ref: SUB,
    }
}

pub(super) fn by_deposit(customer_name: &str) -> DepositAwaited<'_> {
    DepositAwaited {
        customer_name,
        plan_name: "퍼스널",
        cycle: Cycle::Yearly,
        amount: won(94_800),
        bank: "우리은행",
        account_number: "X6505636518308",
        holder_name: "홍길동",
        due_at: "2026-12-29T14:59:59Z".parse().unwrap(),
        subscription_ref: SUB,
    }
}

pub(super) fn not_begun(customer_name: &str) -> SubscriptionNotBegun<'_> {
    SubscriptionNotBegun {
        customer_name,
        plan_name: "퍼스널",
        cycle: Cycle::Monthly,
        amount: won(9_900),
        subscription_ref: SUB,
    }
}

pub(super) fn refunded(customer_name: &str) -> PaymentRefunded<'_> {
    PaymentRefunded {
        customer_name,
        plan_name: "퍼스널",
        amount: won(94_800),
        refunded_on: date("2026-12-23"),
        extent: RefundExtent::Whole,
        reason: Some("구독 취소 후 결제된 금액"),
        subscription_ref: SUB,
    }
}

pub(super) fn dearer(customer_name: &str) -> ConsentRequest<'_> {
    ConsentRequest {
        customer_name,
        old_plan: "퍼스널",
        old_cycle: Cycle::Monthly,
        old_amount: won(9_900),
        new_plan: "퍼스널",
        new_cycle: Cycle::Monthly,
        new_amount: won(11_900),
        effective_on: date("2027-02-01"),
        is_requested: false,
        card_number: Some("43300000****000*"),
        subscription_ref: SUB,
    }
}

pub(super) fn requested(customer_name: &str) -> ConsentRequest<'_> {
    ConsentRequest {
        new_plan: "프로", new_amount: won(19_900), is_requested: true, ..dearer(customer_name)
    }
}

pub(super) fn lapsed(customer_name: &str) -> SubscriptionLapsed<'_> {
    SubscriptionLapsed {
        customer_name,
        plan_name: "퍼스널",
        old_amount: won(9_900),
        new_amount: won(11_900),
        ended_on: date("2027-02-01"),
        subscription_ref: SUB,
    }
}

/// Each mail there is, in each wording it has.
pub(super) fn every_email(brand: &Brand, name: &str) -> Vec<(&'static str, RenderedEmail)> {
    let cardless =
        PaymentSucceeded { next_date: None, card_number: None, receipt_url: None, ..succeeded(name) };
    let without_access = SubscriptionCanceled { has_access: false, ..canceled(name) };
    let without_refund = SubscriptionEnded { refund: None, ..ended(name) };
    let in_part =
        PaymentRefunded { amount: won(30_000), extent: RefundExtent::Part, reason: None, ..refunded(name) };
    let the_rest = PaymentRefunded { amount: won(64_800), extent: RefundExtent::Rest, ..refunded(name) };
    let for_a_dead_card = SubscriptionSuspended { cause: SuspensionCause::CardIsDead, ..suspended(name) };
    let for_want_of_a_card = SubscriptionSuspended { cause: SuspensionCause::NoCard, ..suspended(name) };
    [
        ("payment_succeeded", payment_succeeded(brand, &succeeded(name))),
        ("payment_succeeded_without_card", payment_succeeded(brand, &cardless)),
        ("payment_failed", payment_failed(brand, &failed(name))),
        ("payment_failed_card_is_dead", payment_failed(brand, &failed_for_good(name))),
        ("subscription_suspended", subscription_suspended(brand, &suspended(name))),
        ("subscription_suspended_dead_card", subscription_suspended(brand, &for_a_dead_card)),
        ("subscription_suspended_no_card", subscription_suspended(brand, &for_want_of_a_card)),
        ("renewal_notice", renewal_notice(brand, &renewing(name))),
        ("subscription_canceled", subscription_canceled(brand, &canceled(name))),
        ("subscription_canceled_without_access", subscription_canceled(brand, &without_access)),
        ("card_needed", card_needed(brand, &without_card(name))),
        ("first_payment_failed", first_payment_failed(brand, &not_begun_yet(name))),
        ("subscription_ended", subscription_ended(brand, &ended(name))),
        ("subscription_ended_without_refund", subscription_ended(brand, &without_refund)),
        ("deposit_awaited", deposit_awaited(brand, &by_deposit(name))),
        ("subscription_not_begun", subscription_not_begun(brand, &not_begun(name))),
        ("payment_refunded", payment_refunded(brand, &refunded(name))),
        ("payment_refunded_in_part", payment_refunded(brand, &in_part)),
        ("payment_refunded_the_rest", payment_refunded(brand, &the_rest)),
        ("consent_request", consent_request(brand, &dearer(name))),
        ("consent_request_by_customer", consent_request(brand, &requested(name))),
        ("subscription_lapsed", subscription_lapsed(brand, &lapsed(name))),
    ]
    .map(|(kind, mail)| (kind, mail.unwrap()))
    .into()
}
