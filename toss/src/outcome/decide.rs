//! From the reply of one call to its outcome.

use super::{
    CancelOutcome, ChargeOutcome, Decline, DeleteOutcome, IssueOutcome, Reason, ReasonKind, Why, WhyKind,
};
use crate::reply::{Answer, ErrorBody, Loss, NotSent, Reply};
use crate::verdict::{Call, Verdict, verdict};
use crate::{
    Billing, CancelRequest, ChargeRequest, ConfirmRequest, GatewayPayment, GatewayPaymentStatus, Transaction,
    TransactionPage,
};

/// Every end but success.
#[derive(Debug)]
pub(super) enum NotDone {
    Refused(Decline),
    NotSent(Reason),
    Unknown(Why),
}

impl From<NotDone> for ChargeOutcome {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::Refused(refusal) => Self::Declined(refusal),
            NotDone::NotSent(reason) => Self::NotSent(reason),
            NotDone::Unknown(why) => Self::Unknown(why),
        }
    }
}

pub(crate) fn charge(reply: Reply, asked: &ChargeRequest) -> ChargeOutcome {
    paid(Call::Charge, reply, |payment| taken(payment, &asked.order_id, asked.amount))
}

pub(crate) fn confirm(reply: Reply, asked: &ConfirmRequest) -> ChargeOutcome {
    paid(Call::Confirm, reply, |payment| {
        same("paymentKey", &payment.payment_key, &asked.payment_key)?;
        taken(payment, &asked.order_id, asked.amount)
    })
}

fn paid(
    call: Call,
    reply: Reply,
    check: impl FnOnce(&GatewayPayment) -> Result<(), String>,
) -> ChargeOutcome {
    match success(call, reply).and_then(|answer| payment(&answer, check)) {
        Ok(payment) if payment.status.is_open() => ChargeOutcome::Waiting(Box::new(payment)),
        Ok(payment) => ChargeOutcome::Paid(Box::new(payment)),
        Err(not_done) => not_done.into(),
    }
}

pub(crate) fn issue(reply: Reply, customer_key: &str) -> IssueOutcome {
    let issued = success(Call::Issue, reply).and_then(|answer| {
        let billing: Billing = answer.decode().map_err(|at| undecodable(&answer, &at))?;
        if billing.customer_key != customer_key {
            // Not named: a customer key charges together with its billing key.
            return Err(mismatch(&answer, "customerKey is another than asked for".to_owned()));
        }
        Ok(Billing { trace_id: answer.trace_id, ..billing })
    });
    match issued {
        Ok(billing) => IssueOutcome::Issued(Box::new(billing)),
        Err(NotDone::Refused(refusal)) => IssueOutcome::Refused(refusal),
        Err(NotDone::NotSent(reason)) => IssueOutcome::NotSent(reason),
        Err(NotDone::Unknown(why)) => IssueOutcome::Unknown(why),
    }
}

pub(crate) fn cancel(reply: Reply, payment_key: &str, asked: &CancelRequest) -> CancelOutcome {
    let canceled = success(Call::Cancel, reply).and_then(|answer| {
        payment(&answer, |payment| {
            same("paymentKey", &payment.payment_key, payment_key)?;
            given_back(payment, asked.amount)
        })
    });
    match canceled {
        Ok(payment) => CancelOutcome::Canceled(Box::new(payment)),
        Err(NotDone::Refused(refusal)) => CancelOutcome::Refused(refusal),
        Err(NotDone::NotSent(reason)) => CancelOutcome::NotSent(reason),
        Err(NotDone::Unknown(why)) => CancelOutcome::Unknown(why),
    }
}

/// Toss answers a deletion with an empty body.
pub(crate) fn delete(reply: Reply) -> DeleteOutcome {
    match success(Call::Delete, reply) {
        Ok(Answer { trace_id, .. }) | Err(NotDone::Refused(Decline { trace_id, .. })) => {
            DeleteOutcome::Gone { trace_id }
        }
        Err(NotDone::NotSent(reason)) => DeleteOutcome::NotSent(reason),
        Err(NotDone::Unknown(why)) => DeleteOutcome::Unknown(why),
    }
}

pub(crate) fn transactions(reply: Reply) -> Result<TransactionPage, Why> {
    let page = success(Call::Read, reply).and_then(|answer| {
        let transactions: Vec<Transaction> = answer.decode().map_err(|at| undecodable(&answer, &at))?;
        Ok(TransactionPage { transactions, trace_id: answer.trace_id })
    });
    page.map_err(unanswered)
}

/// For a call that only reads, every end but success is a question left open.
pub(super) fn unanswered(not_done: NotDone) -> Why {
    match not_done {
        NotDone::NotSent(reason) => reason.into(),
        NotDone::Unknown(why) => why,
        NotDone::Refused(Decline { code, message, http_status, trace_id, hard: _ }) => Why {
            kind: WhyKind::UnlistedCode,
            code: Some(code),
            message,
            http_status: Some(http_status),
            trace_id,
            retry_after: None,
        },
    }
}

/// The answer, if it is a 200; else what its absence or its code means for `call`.
pub(super) fn success(call: Call, reply: Reply) -> Result<Answer, NotDone> {
    let answer = match reply {
        Reply::Answered(answer) => answer,
        Reply::NotSent(not_sent) => return Err(NotDone::NotSent(reason_of(not_sent))),
        Reply::Lost { loss, message, http_status, trace_id } => {
            let kind = match loss {
                Loss::Timeout => WhyKind::Timeout,
                Loss::CutLine => WhyKind::CutLine,
                Loss::TooLong => WhyKind::Undecodable,
            };
            let (code, retry_after) = (None, None);
            return Err(NotDone::Unknown(Why { kind, code, message, http_status, trace_id, retry_after }));
        }
    };
    match answer.http_status {
        200 => Ok(answer),
        429 => Err(NotDone::NotSent(rate_limited(answer))),
        400..=499 => Err(match answer.error() {
            Some(body) => by_code(call, answer, body),
            None => undecodable(&answer, "no error code"),
        }),
        500..=599 => Err(unknown(&answer, WhyKind::ServerError, String::new())),
        _ => Err(undecodable(&answer, "an unexpected HTTP status")),
    }
}

fn by_code(call: Call, answer: Answer, body: ErrorBody) -> NotDone {
    let ErrorBody { code, message } = body;
    let Answer { http_status, trace_id, retry_after, .. } = answer;
    match verdict(call, code.as_str()) {
        Verdict::Refused { hard } => NotDone::Refused(Decline { code, message, hard, http_status, trace_id }),
        Verdict::Unknown(kind) => NotDone::Unknown(Why {
            kind,
            code: Some(code),
            message,
            http_status: Some(http_status),
            trace_id,
            retry_after,
        }),
        Verdict::NotSent(kind) => NotDone::NotSent(Reason {
            kind,
            key_is_burnt: true,
            code: Some(code),
            message,
            http_status: Some(http_status),
            trace_id,
        }),
    }
}

fn reason_of(not_sent: NotSent) -> Reason {
    let (kind, message) = match not_sent {
        NotSent::Unreachable(message) => (ReasonKind::Unavailable, message),
        NotSent::Malformed(message) => (ReasonKind::OurMistake, message),
    };
    Reason { kind, code: None, message, http_status: None, trace_id: None, key_is_burnt: false }
}

/// Whatever the body says: the limiter stands before everything that could have moved money.
fn rate_limited(answer: Answer) -> Reason {
    let (code, message) = said(&answer);
    let kind = ReasonKind::RateLimited { retry_after: answer.retry_after };
    let http_status = Some(answer.http_status);
    Reason { kind, code, message, http_status, trace_id: answer.trace_id, key_is_burnt: false }
}

pub(super) fn payment(
    answer: &Answer,
    check: impl FnOnce(&GatewayPayment) -> Result<(), String>,
) -> Result<GatewayPayment, NotDone> {
    let mut payment: GatewayPayment = answer.decode().map_err(|at| undecodable(answer, &at))?;
    check(&payment).map_err(|what| mismatch(answer, what))?;
    payment.trace_id.clone_from(&answer.trace_id);
    Ok(payment)
}

fn taken(payment: &GatewayPayment, order_id: &str, amount: i64) -> Result<(), String> {
    same("orderId", &payment.order_id, order_id)?;
    if !payment.status.is_open() {
        same("status", payment.status.as_str(), GatewayPaymentStatus::Done.as_str())?;
    }
    same_money(payment, amount)
}

pub(super) fn same_money(payment: &GatewayPayment, amount: i64) -> Result<(), String> {
    if payment.total_amount != amount {
        return Err(format!("totalAmount is {}, asked for {amount}", payment.total_amount));
    }
    same("currency", payment.currency.as_deref().unwrap_or("KRW"), "KRW")
}

/// Toss repeats the stored answer for a repeated key, so the last cancel shown is the one asked for.
fn given_back(payment: &GatewayPayment, amount: Option<i64>) -> Result<(), String> {
    if !matches!(payment.status, GatewayPaymentStatus::Canceled | GatewayPaymentStatus::PartialCanceled) {
        return Err(format!("status is {}", payment.status.as_str()));
    }
    let last = payment.cancels.last().map(|cancel| cancel.cancel_amount);
    match amount {
        Some(amount) if last != Some(amount) => {
            Err(format!("the last cancel is {last:?}, asked for {amount}"))
        }
        None if payment.balance_amount != Some(0) => {
            Err(format!("the balance is {:?}", payment.balance_amount))
        }
        Some(_) | None => Ok(()),
    }
}

pub(super) fn same(field: &str, got: &str, asked: &str) -> Result<(), String> {
    if got == asked { Ok(()) } else { Err(format!("{field} is {got}, asked for {asked}")) }
}

fn mismatch(answer: &Answer, what: String) -> NotDone {
    unknown(answer, WhyKind::Mismatch, what)
}

fn undecodable(answer: &Answer, at: &str) -> NotDone {
    unknown(answer, WhyKind::Undecodable, format!("HTTP {} that is not Toss's: {at}", answer.http_status))
}

/// Unknown with what the answer said; `message` where it said nothing.
fn unknown(answer: &Answer, kind: WhyKind, message: String) -> NotDone {
    let (code, said) = said(answer);
    let message = if message.is_empty() { said } else { message };
    let (http_status, trace_id) = (Some(answer.http_status), answer.trace_id.clone());
    NotDone::Unknown(Why { kind, code, message, http_status, trace_id, retry_after: answer.retry_after })
}

fn said(answer: &Answer) -> (Option<crate::Code>, String) {
    answer.error().map_or((None, String::new()), |body| (Some(body.code), body.message))
}
