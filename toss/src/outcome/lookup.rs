//! From a payment read back to what became of the call that made it.

use super::decide::{NotDone, payment, same, same_money, success, unanswered};
use super::{ChargeOutcome, Decline, LookupOutcome, Reason, ReasonKind, Why, WhyKind};
use crate::reply::Reply;
use crate::verdict::{Call, Verdict, verdict};
use crate::{Code, GatewayPayment, GatewayPaymentStatus, PaymentType};

/// The one payment that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    OrderId(&'a str),
    PaymentKey(&'a str),
}

pub(crate) fn lookup(reply: Reply, wanted: Wanted<'_>) -> LookupOutcome {
    let found = success(Call::Read, reply).and_then(|answer| {
        payment(&answer, |payment| match wanted {
            Wanted::OrderId(id) => same("orderId", &payment.order_id, id),
            Wanted::PaymentKey(key) => same("paymentKey", &payment.payment_key, key),
        })
    });
    match found {
        Ok(payment) => LookupOutcome::Found(Box::new(payment)),
        // Only NOT_FOUND_PAYMENT is listed as a refusal of a read.
        Err(NotDone::Refused(Decline { trace_id, .. })) => LookupOutcome::NotFound { trace_id },
        Err(not_done) => LookupOutcome::Unavailable(unanswered(not_done)),
    }
}

/// What became of the charge or confirmation that asked for `amount` whole won under `order_id`.
///
/// Captured payments are [`ChargeOutcome::Paid`] even when cancelled since: `cancels` and `balance_amount` tell.
/// `ABORTED` and `EXPIRED` took no money and never will: declined where the failure's code is one of the bank's, else
/// not sent. Anything else has not ended.
pub fn outcome_of_lookup(payment: &GatewayPayment, order_id: &str, amount: i64) -> ChargeOutcome {
    if let Err(what) = same("orderId", &payment.order_id, order_id) {
        return ChargeOutcome::Unknown(why(payment, WhyKind::Mismatch, what));
    }
    if payment.ended_before_its_deposit() {
        return ChargeOutcome::Declined(not_deposited(payment));
    }
    match &payment.status {
        GatewayPaymentStatus::Done
        | GatewayPaymentStatus::PartialCanceled
        | GatewayPaymentStatus::Canceled => match same_money(payment, amount) {
            Ok(()) => ChargeOutcome::Paid(Box::new(payment.clone())),
            Err(what) => ChargeOutcome::Unknown(why(payment, WhyKind::Mismatch, what)),
        },
        GatewayPaymentStatus::Expired if payment.virtual_account.is_some() => {
            ChargeOutcome::Declined(not_deposited(payment))
        }
        GatewayPaymentStatus::Aborted | GatewayPaymentStatus::Expired => ended_without_money(payment),
        GatewayPaymentStatus::Ready
        | GatewayPaymentStatus::InProgress
        | GatewayPaymentStatus::WaitingForDeposit
        | GatewayPaymentStatus::Other(_) => match same_money(payment, amount) {
            Ok(()) => ChargeOutcome::Waiting(Box::new(payment.clone())),
            Err(what) => ChargeOutcome::Unknown(why(payment, WhyKind::Mismatch, what)),
        },
    }
}

/// The buyer did not pay into the account while it was open.
fn not_deposited(payment: &GatewayPayment) -> Decline {
    Decline {
        code: Code::new("DEPOSIT_NOT_MADE"),
        message: "입금 기한까지 입금이 확인되지 않았습니다.".to_owned(),
        hard: true,
        http_status: 200,
        trace_id: payment.trace_id.clone(),
    }
}

/// The status says that no money moved. Only a code on a closed list says that the bank refused: any other leaves the
/// reason open, and that the customer was declined may not be concluded from it.
fn ended_without_money(payment: &GatewayPayment) -> ChargeOutcome {
    let call = if payment.kind == Some(PaymentType::Normal) { Call::Confirm } else { Call::Charge };
    let (code, message) = match &payment.failure {
        Some(failure) => (failure.code.clone(), failure.message.clone()),
        None => (Code::new(payment.status.as_str()), String::new()),
    };
    let trace_id = payment.trace_id.clone();
    let declined = |hard, code| Decline {
        code,
        message: message.clone(),
        hard,
        http_status: 200,
        trace_id: trace_id.clone(),
    };
    // The buyer's time ran out: this payment can never be confirmed.
    if payment.status == GatewayPaymentStatus::Expired {
        return ChargeOutcome::Declined(declined(true, code));
    }
    let kind = match verdict(call, code.as_str()) {
        Verdict::Refused { hard } => return ChargeOutcome::Declined(declined(hard, code)),
        Verdict::NotSent(kind) => kind,
        Verdict::Unknown(WhyKind::Provider) => ReasonKind::Unavailable,
        Verdict::Unknown(_) if is_fault_of_the_system(&code) => ReasonKind::Unavailable,
        Verdict::Unknown(_) => ReasonKind::OurMistake,
    };
    let (code, http_status, key_is_burnt) = (Some(code), Some(200), true);
    ChargeOutcome::NotSent(Reason { kind, code, message, http_status, trace_id, key_is_burnt })
}

/// The codes Toss documents with HTTP 500 for charges and confirmations: nobody's bank said no.
fn is_fault_of_the_system(code: &Code) -> bool {
    matches!(
        code.as_str(),
        "FAILED_INTERNAL_SYSTEM_PROCESSING"
            | "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING"
            | "FAILED_CARD_COMPANY_RESPONSE"
            | "FAILED_DB_PROCESSING"
            | "FAILED_BILLING_AUTO_CANCEL"
            | "COMMON_ERROR"
            | "UNKNOWN_ERROR"
            | "UNKNOWN_PAYMENT_ERROR"
            | "CARD_PROCESSING_ERROR"
    )
}

fn why(payment: &GatewayPayment, kind: WhyKind, message: String) -> Why {
    let code = payment.failure.as_ref().map(|failure| failure.code.clone());
    let trace_id = payment.trace_id.clone();
    Why { kind, code, message, http_status: Some(200), trace_id, retry_after: None }
}
