//! The closed lists: what each error code of Toss means for each call.
//!
//! Toss publishes no such classification. A code is listed here only where its documented text leaves no doubt; any
//! other code leaves the outcome unknown. Sources: the per-endpoint error tables of docs.tosspayments.com, and
//! measurements with a test key for `ALREADY_REMOVED_BILLING_KEY`, `NOT_MATCHES_CUSTOMER_KEY`,
//! `NOT_SUPPORTED_CARD_TYPE`, `NOT_MATCHES_REFUNDABLE_AMOUNT` and `NOT_CANCELABLE_AMOUNT`.

use crate::{ReasonKind, WhyKind};

/// Which list applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Confirm,
    Issue,
    Charge,
    Cancel,
    Delete,
    Read,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Refused { hard: bool },
    NotSent(ReasonKind),
    Unknown(WhyKind),
}

const HARD: Option<Verdict> = Some(Verdict::Refused { hard: true });
const SOFT: Option<Verdict> = Some(Verdict::Refused { hard: false });
const OUR_MISTAKE: Option<Verdict> = Some(Verdict::NotSent(ReasonKind::OurMistake));

/// What a code means, whatever HTTP status it came with.
pub(crate) fn verdict(call: Call, code: &str) -> Verdict {
    let by_call = match call {
        Call::Confirm => confirm(code).or_else(|| payer(code)),
        Call::Issue => issue(code).or_else(|| payer(code)),
        Call::Charge => charge(code).or_else(|| payer(code)),
        Call::Cancel => cancel(code),
        Call::Delete => delete(code),
        Call::Read => read(code),
    };
    by_call.or_else(|| any_call(code)).unwrap_or(Verdict::Unknown(WhyKind::UnlistedCode))
}

/// Codes that mean the same wherever they come from.
fn any_call(code: &str) -> Option<Verdict> {
    match code {
        "IDEMPOTENT_REQUEST_PROCESSING" => Some(Verdict::Unknown(WhyKind::InFlight)),
        "FORBIDDEN_CONSECUTIVE_REQUEST" => Some(Verdict::Unknown(WhyKind::TooSoon)),
        "PROVIDER_ERROR" => Some(Verdict::Unknown(WhyKind::Provider)),
        "DUPLICATED_ORDER_ID"
        | "ALREADY_PROCESSED_PAYMENT"
        | "ALREADY_CANCELED_PAYMENT"
        | "ALREADY_REFUND_PAYMENT" => Some(Verdict::Unknown(WhyKind::AlreadyDone)),
        "MAINTAINED_METHOD" | "NOT_AVAILABLE_PAYMENT" | "NOT_AVAILABLE_BANK" => {
            Some(Verdict::NotSent(ReasonKind::Unavailable))
        }
        "UNAUTHORIZED_KEY" | "INCORRECT_BASIC_AUTH_FORMAT" | "INVALID_API_KEY" | "FORBIDDEN_REQUEST" => {
            Some(Verdict::NotSent(ReasonKind::CredentialsRefused))
        }
        "INVALID_REQUEST"
        | "INVALID_REQUIRED_PARAM"
        | "INVALID_IDEMPOTENCY_KEY"
        | "INVALID_TEST_CODE"
        | "INVALID_ORDER_ID"
        | "INVALID_ORDER_NAME"
        | "INVALID_EMAIL"
        | "INVALID_CUSTOMER_KEY"
        | "NOT_MATCHES_CUSTOMER_KEY"
        | "BELOW_MINIMUM_AMOUNT"
        | "NOT_SUPPORTED_METHOD"
        | "NOT_FOUND_TERMINAL_ID"
        | "INVALID_UNREGISTERED_SUBMALL"
        | "NOT_REGISTERED_BUSINESS" => OUR_MISTAKE,
        _ => None,
    }
}

/// The payer's bank, card or account said no.
fn payer(code: &str) -> Option<Verdict> {
    match code {
        "INVALID_STOPPED_CARD"
        | "INVALID_CARD_LOST_OR_STOLEN"
        | "INVALID_CARD_EXPIRATION"
        | "INVALID_CARD_NUMBER"
        | "NOT_SUPPORTED_CARD_TYPE"
        | "NOT_REGISTERED_CARD_COMPANY"
        | "EXCEED_MAX_AUTH_COUNT"
        | "INVALID_ACCOUNT_INFO_RE_REGISTER"
        | "REJECT_TOSSPAY_INVALID_ACCOUNT"
        | "RESTRICTED_TRANSFER_ACCOUNT" => HARD,
        "REJECT_CARD_PAYMENT"
        | "REJECT_ACCOUNT_PAYMENT"
        | "REJECT_CARD_COMPANY"
        | "INVALID_REJECT_CARD"
        | "EXCEED_MAX_DAILY_PAYMENT_COUNT"
        | "EXCEED_MAX_PAYMENT_AMOUNT"
        | "EXCEED_MAX_AMOUNT"
        | "EXCEED_MAX_MONTHLY_PAYMENT_AMOUNT"
        | "EXCEED_MAX_ONE_DAY_AMOUNT"
        | "EXCEED_MAX_ONE_DAY_WITHDRAW_AMOUNT"
        | "EXCEED_MAX_ONE_TIME_WITHDRAW_AMOUNT"
        | "FDS_ERROR" => SOFT,
        _ => None,
    }
}

fn is_installment_plan(code: &str) -> bool {
    matches!(
        code,
        "EXCEED_MAX_CARD_INSTALLMENT_PLAN"
            | "NOT_SUPPORTED_INSTALLMENT_PLAN_CARD_OR_MERCHANT"
            | "INVALID_CARD_INSTALLMENT_PLAN"
            | "NOT_SUPPORTED_MONTHLY_INSTALLMENT_PLAN"
    )
}

/// The billing key is ours to know, so a dead one is a hard refusal; instalments are never asked for.
fn charge(code: &str) -> Option<Verdict> {
    match code {
        "INVALID_BILL_KEY_REQUEST"
        | "ALREADY_REMOVED_BILLING_KEY"
        | "NOT_FOUND_BILLING"
        | "INVALID_BILLING_AUTH" => HARD,
        plan if is_installment_plan(plan) => OUR_MISTAKE,
        _ => None,
    }
}

/// The payment key, the amount and the instalments were chosen in the browser: what is wrong with them is refused to
/// the customer. Nothing was captured, and this payment key never will be.
fn confirm(code: &str) -> Option<Verdict> {
    match code {
        // A window that was opened with another client key makes a payment key that no secret key of ours confirms.
        "NOT_FOUND_PAYMENT"
        | "NOT_FOUND_PAYMENT_SESSION"
        | "INVALID_REQUEST"
        | "INVALID_AUTHORIZE_AUTH"
        | "INVALID_API_KEY" => HARD,
        "INVALID_PASSWORD" | "NOT_ALLOWED_POINT_USE" => SOFT,
        plan if is_installment_plan(plan) => SOFT,
        _ => None,
    }
}

/// The authKey and the customer key come from the browser, so a bad one is the customer's to repeat.
fn issue(code: &str) -> Option<Verdict> {
    match code {
        "NOT_FOUND_BILLING"
        | "INVALID_BILLING_AUTH"
        | "INVALID_BILL_KEY_REQUEST"
        | "INVALID_REQUEST"
        | "INVALID_API_KEY"
        | "INVALID_CUSTOMER_KEY"
        | "NOT_MATCHES_CUSTOMER_KEY"
        | "INVALID_CARD_PASSWORD"
        | "INVALID_CARD_IDENTITY"
        | "INVALID_BIRTH_DAY_FORMAT" => HARD,
        _ => None,
    }
}

fn cancel(code: &str) -> Option<Verdict> {
    match code {
        "NOT_MATCHES_REFUNDABLE_AMOUNT" => SOFT,
        "NOT_FOUND_PAYMENT"
        | "NOT_CANCELABLE_AMOUNT"
        | "NOT_CANCELABLE_PAYMENT"
        | "NOT_CANCELABLE_PAYMENT_FOR_DORMANT_USER"
        | "NOT_ALLOWED_PARTIAL_REFUND"
        | "NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT"
        | "EXCEED_CANCEL_AMOUNT_DISCOUNT_AMOUNT"
        | "EXCEED_CANCEL_LIMIT"
        | "EXCEED_MAX_REFUND_DUE"
        | "REFUND_REJECTED"
        | "FORBIDDEN_BANK_REFUND_REQUEST"
        | "INVALID_REFUND_ACCOUNT_INFO"
        | "INVALID_REFUND_ACCOUNT_NUMBER"
        | "INVALID_BANK" => HARD,
        _ => None,
    }
}

/// For a deletion, "no such key" is what was wanted.
fn delete(code: &str) -> Option<Verdict> {
    match code {
        "ALREADY_REMOVED_BILLING_KEY" | "NOT_FOUND_BILLING" | "INVALID_BILL_KEY_REQUEST" => HARD,
        _ => None,
    }
}

fn read(code: &str) -> Option<Verdict> {
    match code {
        "NOT_FOUND_PAYMENT" => HARD,
        "INVALID_PAGING_KEY" | "EXCEED_MAX_QUERY_LIMIT" | "INVALID_DATE" | "INVALID_ISO_DATE_FORMAT" => {
            OUR_MISTAKE
        }
        _ => None,
    }
}

/// The optional fields of a charge that this refusal may be about. They can be left out of the next request.
pub fn refused_optional_field(code: &str) -> Option<&'static str> {
    match code {
        "INVALID_EMAIL" | "INVALID_CUSTOMER_EMAIL" => Some("customerEmail"),
        "INVALID_CUSTOMER_NAME" => Some("customerName"),
        // Toss names no field: it may be one of these.
        "INVALID_REQUEST" | "INVALID_PARAMETER" => Some("customerEmail or customerName"),
        _ => None,
    }
}
