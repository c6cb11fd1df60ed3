//! Asks the gateway and puts its answer into the domain's words. No transaction is open here, and nothing cancels it.

use chrono::{TimeDelta, Utc};
use common::domain::outcome;
use common::domain::outcome::{NotSent, Outcome, Receipt, UnknownOutcome, VirtualAccount, WaitingPayment};
use common::domain::payment::{DeclineKind, Payment, PaymentKind};
use common::domain::subscription::Subscription;
use common::id::new_key;
use common::seal::SealError;
use secrecy::ExposeSecret;
use toss::{
    BillingKey, CancelOutcome, CancelRequest, ChargeOutcome, ChargeRequest, ConfirmRequest, Decline,
    GatewayPayment, GatewayPaymentStatus, IdempotencyKey, LookupOutcome, Reason, Why, WhyKind,
    outcome_of_lookup,
};

use super::match_payment::{
    is_another_payment, is_not_confirmed_yet, may_be_earlier_sending, was_refunded_before,
};
use crate::env::{Env, raise_alarm};
use crate::gateway::merchant::{is_ours, mismatch};
use crate::gateway::reads::{account_of, gateway_account_of};

/// Charges or confirms. `again`: the same order and key went out before, and the gateway did not know the order.
pub(crate) async fn charge(
    env: &Env,
    subscription: &Subscription,
    attempt: &Payment,
    plan_name: &str,
    again: bool,
) -> Outcome {
    let Ok(key) = IdempotencyKey::new(attempt.idempotency_key.to_string()) else {
        return our_mistake("the idempotency key is not one");
    };
    let answer = match attempt.kind {
        PaymentKind::First => {
            let Some(payment_key) = attempt.payment_key.clone() else {
                return our_mistake("a confirmation without a payment key");
            };
            let amount = i64::from(attempt.amount.get());
            let order_id = attempt.order_id.clone();
            env.toss.confirm(&ConfirmRequest { payment_key, order_id, amount }, &key).await
        }
        PaymentKind::Renewal | PaymentKind::NewCard => match open_key(env, subscription) {
            Ok(billing_key) => {
                let request = charge_request(subscription, attempt, plan_name);
                env.toss.charge(&billing_key, &request, &key).await
            }
            // Of an earlier sending this says nothing.
            Err(error) if again => return Outcome::Unknown(UnknownOutcome::of(error.to_string())),
            Err(error) => return our_mistake(&error.to_string()),
        },
    };
    let answer = if again { answer.of_resend() } else { answer };
    translate(env, subscription, attempt, answer).await
}

/// Asks what became of an attempt that was, or may have been, sent.
pub(crate) async fn look_up_outcome(env: &Env, subscription: &Subscription, attempt: &Payment) -> Outcome {
    let account = account_of(attempt.kind);
    match env.toss.payment_by_order_id(account, &attempt.order_id).await {
        LookupOutcome::Found(payment) if !is_another_payment(attempt, &payment) => {
            said_of(env, subscription, attempt, &payment).await
        }
        LookupOutcome::Found(_) | LookupOutcome::NotFound { .. } => match &attempt.payment_key {
            Some(payment_key) if attempt.kind == PaymentKind::First => {
                find_payment(env, subscription, attempt, payment_key).await
            }
            Some(_) | None => Outcome::NoSuchOrder,
        },
        LookupOutcome::Unavailable(why) => Outcome::Unknown(unanswered(why)),
    }
}

/// Closes the account that the buyer of a payment was to pay into. An account that was paid into meanwhile stays as it is:
/// Toss gives a deposit back only to a bank account that is named. The caller looks the payment up afterwards.
pub(crate) async fn close_account(env: &Env, attempt: &Payment, payment_key: &str) {
    let Ok(key) = IdempotencyKey::new(new_key().to_string()) else { return };
    let reason = "구독 신청이 취소되었습니다.".to_owned();
    let request = CancelRequest { reason, amount: None, refundable_amount: None };
    let answer = env.toss.cancel(account_of(attempt.kind), payment_key, &request, &key).await;
    env.rate_limiter.put_off(&env.pool, answer.retry_after()).await;
    match answer {
        CancelOutcome::Canceled(_) => {
            tracing::info!(payment.id = %attempt.id, "the virtual account was closed");
        }
        CancelOutcome::Refused(Decline { code, .. }) => {
            tracing::warn!(payment.id = %attempt.id, toss.code = %code, "the virtual account could not be closed");
        }
        CancelOutcome::NotSent(Reason { message, .. }) | CancelOutcome::Unknown(Why { message, .. }) => {
            tracing::warn!(payment.id = %attempt.id, message, "the virtual account is not known to be closed");
        }
    }
}

/// A browser may bring the key of a payment that was made for another order: that can never be confirmed for this one.
pub(super) async fn find_payment(
    env: &Env,
    subscription: &Subscription,
    attempt: &Payment,
    payment_key: &str,
) -> Outcome {
    match env.toss.payment_by_key(account_of(attempt.kind), payment_key).await {
        LookupOutcome::Found(payment) if payment.order_id != attempt.order_id => {
            Outcome::Declined(already("the payment key is that of another order", &payment))
        }
        LookupOutcome::Found(payment) => said_of(env, subscription, attempt, &payment).await,
        LookupOutcome::NotFound { .. } => Outcome::NoSuchOrder,
        LookupOutcome::Unavailable(why) => Outcome::Unknown(unanswered(why)),
    }
}

/// A question that was not answered says nothing about the sending that it asked about.
fn unanswered(why: Why) -> UnknownOutcome {
    UnknownOutcome { is_server_error: false, ..doubt(why) }
}

/// What the payment that was found says of the attempt.
async fn said_of(
    env: &Env,
    subscription: &Subscription,
    attempt: &Payment,
    found: &GatewayPayment,
) -> Outcome {
    if was_refunded_before(attempt, found) {
        return Outcome::Declined(already("the payment was made and given back before it came to us", found));
    }
    if may_be_earlier_sending(attempt, found, env.clock.now()) {
        return Outcome::Unknown(still_running(found));
    }
    if is_not_confirmed_yet(attempt, found) {
        return Outcome::NoSuchOrder;
    }
    let answer = outcome_of_lookup(found, &attempt.order_id, i64::from(attempt.amount.get()));
    translate(env, subscription, attempt, answer).await
}

fn already(message: &str, found: &GatewayPayment) -> outcome::Decline {
    outcome::Decline {
        kind: DeclineKind::Hard,
        code: "ALREADY_PROCESSED_PAYMENT".to_owned(),
        message: message.to_owned(),
        trace_id: found.trace_id.clone(),
    }
}

fn still_running(found: &GatewayPayment) -> UnknownOutcome {
    UnknownOutcome {
        code: found.failure.as_ref().map(|failure| failure.code.as_str().to_owned()),
        trace_id: found.trace_id.clone(),
        ..UnknownOutcome::of("the gateway shows the end of an earlier sending; this one may still be running")
    }
}

fn open_key(env: &Env, subscription: &Subscription) -> Result<BillingKey, SealError> {
    let sealed = subscription.sealed_billing_key.as_deref().unwrap_or_default();
    Ok(BillingKey::new(env.sealer.open(sealed, subscription.id)?))
}

fn charge_request(subscription: &Subscription, attempt: &Payment, plan_name: &str) -> ChargeRequest {
    let optional = |text: &str| as_toss_takes_it(text).filter(|_| !attempt.is_plain);
    ChargeRequest {
        customer_key: subscription.customer_key.clone(),
        amount: i64::from(attempt.amount.get()),
        order_id: attempt.order_id.clone(),
        order_name: order_name(plan_name, subscription),
        customer_email: optional(&subscription.customer_email),
        customer_name: optional(&subscription.customer_name),
    }
}

/// Toss takes an order name of at most 100 characters. The customer reads its beginning on the card statement.
fn order_name(plan_name: &str, subscription: &Subscription) -> String {
    format!("{plan_name} - {} 자동결제", subscription.cycle.korean()).chars().take(100).collect()
}

/// Toss refuses a charge whose name or address is longer than 100 characters; both may be left out
/// (docs.tosspayments.com/reference, `customerEmail`).
fn as_toss_takes_it(text: &str) -> Option<String> {
    (text.chars().count() <= 100).then(|| text.to_owned())
}

async fn translate(
    env: &Env,
    subscription: &Subscription,
    attempt: &Payment,
    answer: ChargeOutcome,
) -> Outcome {
    if let ChargeOutcome::Paid(payment) | ChargeOutcome::Waiting(payment) = &answer
        && !is_ours(env, gateway_account_of(attempt.kind), payment.merchant_id.as_deref()).await
    {
        return Outcome::Unknown(doubt(mismatch(payment.trace_id.clone())));
    }
    match answer {
        ChargeOutcome::Paid(payment) => Outcome::Paid(receipt(env, subscription, &payment)),
        ChargeOutcome::Waiting(payment) => Outcome::Waiting(waiting(env, &payment)),
        ChargeOutcome::Declined(refusal) => Outcome::Declined(outcome::Decline {
            kind: if refusal.hard { DeclineKind::Hard } else { DeclineKind::Soft },
            code: refusal.code.as_str().to_owned(),
            message: refusal.message,
            trace_id: refusal.trace_id,
        }),
        ChargeOutcome::NotSent(reason) => Outcome::NotSent(not_sent(reason)),
        ChargeOutcome::Unknown(why) => {
            if why.is_alarm() {
                raise_alarm("answer_mismatch");
                tracing::error!(message = why.message, "the gateway answered for another order or amount");
            }
            Outcome::Unknown(doubt(why))
        }
    }
}

fn receipt(env: &Env, subscription: &Subscription, payment: &GatewayPayment) -> Receipt {
    let card = payment.card.as_ref();
    let sealed = card.and_then(|card| card.billing_key.as_ref()).and_then(|key| {
        let sealed = env.sealer.seal(&secrecy::SecretString::from(key.expose()), subscription.id);
        // The money is captured all the same; the customer is asked for a card.
        sealed.inspect_err(|error| tracing::error!(%error, "a billing key could not be sealed")).ok()
    });
    Receipt {
        payment_key: payment.payment_key.clone(),
        paid_at: payment.approved_at.map_or_else(|| env.clock.now(), |at| at.with_timezone(&Utc)),
        method: method(payment),
        receipt_url: payment.receipt_url().map(str::to_owned),
        secret: payment.secret.as_ref().map(|secret| secret.expose_secret().to_owned()),
        trace_id: payment.trace_id.clone(),
        sealed_billing_key: sealed,
        card_number: card.and_then(|card| card.number.clone()),
    }
}

/// The guide's names for Toss's Korean ones; an unknown one is kept as it is.
fn method(payment: &GatewayPayment) -> String {
    match payment.method.as_deref() {
        Some("카드") | None => "card".to_owned(),
        Some("가상계좌") => "virtual_account".to_owned(),
        Some("간편결제") => "easy_pay".to_owned(),
        Some("계좌이체") => "transfer".to_owned(),
        Some("휴대폰") => "mobile_phone".to_owned(),
        Some(other) => other.chars().take(50).collect(),
    }
}

/// The gateway has the payment, and it has not ended.
fn waiting(env: &Env, payment: &GatewayPayment) -> WaitingPayment {
    let account = payment.virtual_account.as_ref();
    let account = account.filter(|_| payment.status == GatewayPaymentStatus::WaitingForDeposit);
    WaitingPayment {
        status: payment.status.as_str().chars().take(50).collect(),
        payment_key: payment.payment_key.clone(),
        account: account.map(|account| account_to_pay_into(env, account)),
        secret: payment.secret.as_ref().map(|secret| secret.expose_secret().to_owned()),
        trace_id: payment.trace_id.clone(),
    }
}

fn account_to_pay_into(env: &Env, account: &toss::VirtualAccount) -> VirtualAccount {
    let code = account.bank_code.as_deref();
    let bank = code.and_then(toss::korean_bank).or(account.bank.as_deref()).or(code).unwrap_or_default();
    let cut = |text: &str, longest| text.chars().take(longest).collect::<String>();
    VirtualAccount {
        bank: cut(bank, 50),
        account_number: cut(&account.account_number, 50),
        holder_name: cut(account.customer_name.as_deref().unwrap_or_default(), 100),
        // Toss always names the date. Its default is 168 hours.
        due_at: account.due_date.map_or_else(|| env.clock.now() + TimeDelta::hours(168), |due| due.to_utc()),
    }
}

pub(crate) fn not_sent(reason: Reason) -> NotSent {
    NotSent {
        needs_operator: reason.needs_operator(),
        gateway_works: reason.gateway_works(),
        retry_after: reason.retry_after(),
        code: reason.code.map(|code| code.as_str().to_owned()),
        message: reason.message,
        trace_id: reason.trace_id,
        key_is_burnt: reason.key_is_burnt,
    }
}

pub(crate) fn doubt(why: Why) -> UnknownOutcome {
    UnknownOutcome {
        is_technical: why.is_technical(),
        is_server_error: why.kind == WhyKind::ServerError,
        code: why.code.map(|code| code.as_str().to_owned()),
        message: format!("{:?}: {}", why.kind, why.message),
        trace_id: why.trace_id,
        retry_after: why.retry_after,
    }
}

fn our_mistake(message: &str) -> Outcome {
    Outcome::NotSent(NotSent {
        code: None,
        message: message.to_owned(),
        trace_id: None,
        key_is_burnt: false,
        needs_operator: true,
        gateway_works: None,
        retry_after: None,
    })
}
