//! Checks single fields and names the one that is wrong. What passes fits the database and Toss.

use axum::http::HeaderMap;
use chrono::NaiveDate;
use common::{
    domain::{calendar::Cycle, ending::RefundPolicy, money::Won, payment::OUR_ORDERS},
    mail::is_address,
};

use crate::{body::Fields, error::ApiError, language::Text};

const MISSING: Text = Text { ko: "항목이 필요합니다", en: "is required" };
const NOT_TEXT: Text = Text { ko: "항목은 문자열이어야 합니다", en: "must be a string" };
const NOT_WON: Text = Text {
    ko: "항목은 1원 이상의 정수여야 합니다",
    en: "must be a whole number of won, 1 or more",
};

/// What a text may be. Lengths are in characters.
struct Rule {
    least: usize,
    most: usize,
    fits: fn(&str) -> bool,
    words: Text,
}

const PAYMENT_KEY: Rule = Rule {
    least: 1,
    most: 200,
    fits: is_printable,
    words: Text { ko: "항목은 1~200자여야 합니다", en: "must be 1 to 200 printable characters" },
};
/// Toss: 6 to 64 of `[A-Za-z0-9_-]` (docs.tosspayments.com/reference, `orderId`).
const ORDER_ID: Rule = Rule {
    least: 6,
    most: 64,
    fits: |text| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !text.starts_with(OUR_ORDERS)
    },
    words: Text {
        ko: "항목은 영문, 숫자, -, _ 6~64자여야 하며 AUTO_로 시작할 수 없습니다",
        en: "must be 6 to 64 characters of A-Z a-z 0-9 - _ and not begin with AUTO_",
    },
};
const EMAIL: Rule = Rule {
    least: 3,
    most: 254,
    fits: is_address,
    words: Text { ko: "항목은 이메일 주소여야 합니다", en: "must be an e-mail address" },
};
const NAME: Rule = Rule {
    least: 1,
    most: 100,
    fits: |text| is_printable(text) && !text.trim().is_empty(),
    words: Text { ko: "항목은 1~100자여야 합니다", en: "must be 1 to 100 printable characters" },
};
const PLAN: Rule = Rule {
    least: 1,
    most: 50,
    fits: is_printable,
    words: Text { ko: "은(는) 판매 중인 플랜이 아닙니다", en: "is not a plan on sale" },
};
const CYCLE: Rule = Rule {
    least: 1,
    most: 20,
    fits: |text| text.parse::<Cycle>().is_ok(),
    words: Text { ko: "항목은 monthly 또는 yearly여야 합니다", en: "must be monthly or yearly" },
};
/// Toss: 2 to 50 of these (docs.tosspayments.com/reference, `customerKey`).
const CUSTOMER_KEY: Rule = Rule {
    least: 2,
    most: 50,
    fits: |text| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=' | b'.' | b'@'))
    },
    words: Text {
        ko: "항목은 영문, 숫자, -, _, =, ., @ 2~50자여야 합니다",
        en: "must be 2 to 50 characters of A-Z a-z 0-9 - _ = . @",
    },
};
const REASON: Rule = Rule {
    least: 0,
    most: 500,
    fits: |text| text.chars().all(|one| !one.is_control() || matches!(one, '\n' | '\r' | '\t')),
    words: Text { ko: "항목은 500자 이하여야 합니다", en: "must be at most 500 characters" },
};

/// Toss: `cancelReason`, at most 200 characters.
const REFUND_REASON: Rule = Rule {
    least: 1,
    most: 200,
    fits: |text| is_printable(text) && !text.trim().is_empty(),
    words: Text { ko: "항목은 1~200자여야 합니다", en: "must be 1 to 200 printable characters" },
};
const REFUND_POLICY: Rule = Rule {
    least: 1,
    most: 20,
    fits: |text| text.parse::<RefundPolicy>().is_ok(),
    words: Text { ko: "항목은 pro_rata 또는 none이어야 합니다", en: "must be pro_rata or none" },
};
/// Several paragraphs at most, as they were shown.
const SHOWN_TEXT: Rule = Rule {
    least: 1,
    most: 4000,
    fits: |text| (REASON.fits)(text) && !text.trim().is_empty(),
    words: Text { ko: "항목은 1~4000자여야 합니다", en: "must be 1 to 4000 characters" },
};
const DATE: Rule = Rule {
    least: 10,
    most: 10,
    fits: |text| text.parse::<NaiveDate>().is_ok(),
    words: Text {
        ko: "항목은 2026-12-22 형식의 날짜여야 합니다", en: "must be a date like 2026-12-22"
    },
};
const NOT_OBJECT: Text = Text { ko: "항목은 객체여야 합니다", en: "must be an object" };
const IDEMPOTENCY_KEY: Rule = Rule {
    least: 1,
    most: 255,
    fits: |text| text.bytes().all(|byte| byte.is_ascii_graphic()),
    words: Text {
        ko: "헤더는 영문 1~255자여야 합니다", en: "must be 1 to 255 visible ASCII characters"
    },
};

const AUTH_KEY: Rule = Rule {
    least: 1,
    most: 300,
    fits: is_printable,
    words: Text { ko: "항목은 1~300자여야 합니다", en: "must be 1 to 300 printable characters" },
};

pub(crate) fn payment_key(fields: &Fields) -> Result<String, ApiError> {
    required(fields, "paymentKey", &PAYMENT_KEY)
}

pub(crate) fn order_id(fields: &Fields) -> Result<String, ApiError> {
    required(fields, "orderId", &ORDER_ID)
}

pub(crate) fn is_order_id(text: &str) -> bool {
    ORDER_ID.allows(text)
}

pub(crate) fn customer_email(fields: &Fields) -> Result<String, ApiError> {
    required(fields, "customerEmail", &EMAIL)
}

pub(crate) fn customer_name(fields: &Fields) -> Result<String, ApiError> {
    required(fields, "customerName", &NAME)
}

pub(crate) fn plan(fields: &Fields) -> Result<String, ApiError> {
    required(fields, "plan", &PLAN)
}

pub(crate) fn billing_cycle(fields: &Fields) -> Result<Cycle, ApiError> {
    let text = required(fields, "billingCycle", &CYCLE)?;
    text.parse().map_err(|_| ApiError::Invalid { field: "billingCycle", rule: CYCLE.words })
}

pub(crate) fn customer_key(fields: &Fields) -> Result<Option<String>, ApiError> {
    optional(fields, "customerKey", &CUSTOMER_KEY)
}

/// Of a card that is registered for a subscription: never left out.
pub(crate) fn own_customer_key(fields: &Fields) -> Result<String, ApiError> {
    required(fields, "customerKey", &CUSTOMER_KEY)
}

pub(crate) fn auth_key(fields: &Fields) -> Result<String, ApiError> {
    required(fields, "authKey", &AUTH_KEY)
}

/// Any text: an id that cannot be one is simply not found.
pub(crate) fn subscription_id(fields: &Fields) -> Result<String, ApiError> {
    text(fields, "subscriptionId")?.ok_or(ApiError::Invalid { field: "subscriptionId", rule: MISSING })
}

/// May be left out.
pub(crate) fn reason(fields: &Fields) -> Result<String, ApiError> {
    Ok(optional(fields, "reason", &REASON)?.unwrap_or_default())
}

/// A JSON integer of 1 or more: not `94800.0`, not `"94800"`, nothing rounded.
pub(crate) fn amount(fields: &Fields) -> Result<Won, ApiError> {
    let wrong = |rule| ApiError::Invalid { field: "amount", rule };
    let raw = fields.raw("amount").ok_or(wrong(MISSING))?;
    let won = serde_json::from_str::<i64>(raw).ok().and_then(|won| Won::new(won).ok());
    won.filter(|won| *won > Won::ZERO).ok_or(wrong(NOT_WON))
}

/// Exactly what the customer was shown.
pub(crate) fn shown_text(fields: &Fields) -> Result<String, ApiError> {
    required(fields, "text", &SHOWN_TEXT)
}

pub(crate) fn effective_date(fields: &Fields) -> Result<NaiveDate, ApiError> {
    let text = required(fields, "effectiveDate", &DATE)?;
    text.parse().map_err(|_| ApiError::Invalid { field: "effectiveDate", rule: DATE.words })
}

/// The fields of an object within the body; none when it was left out.
pub(crate) fn object(fields: &Fields, name: &'static str) -> Result<Option<Fields>, ApiError> {
    let Some(raw) = fields.raw(name) else { return Ok(None) };
    if !raw.starts_with('{') {
        return Err(ApiError::Invalid { field: name, rule: NOT_OBJECT });
    }
    Fields::parse(raw.as_bytes()).map(Some)
}

/// As [`amount`], where it is given.
pub(crate) fn optional_amount(fields: &Fields) -> Result<Option<Won>, ApiError> {
    fields.raw("amount").map(|_| amount(fields)).transpose()
}

pub(crate) fn refund_reason(fields: &Fields) -> Result<String, ApiError> {
    required(fields, "reason", &REFUND_REASON)
}

/// The share of the unused days when left out.
pub(crate) fn refund_policy(fields: &Fields) -> Result<RefundPolicy, ApiError> {
    let Some(text) = optional(fields, "refund", &REFUND_POLICY)? else { return Ok(RefundPolicy::ProRata) };
    text.parse().map_err(|_| ApiError::Invalid { field: "refund", rule: REFUND_POLICY.words })
}

/// The header's value; none when it was not sent.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let fitting = value.to_str().ok().filter(|key| IDEMPOTENCY_KEY.allows(key));
    let wrong = ApiError::Invalid { field: "Idempotency-Key", rule: IDEMPOTENCY_KEY.words };
    fitting.map(Some).ok_or(wrong)
}

fn required(fields: &Fields, name: &'static str, rule: &Rule) -> Result<String, ApiError> {
    optional(fields, name, rule)?.ok_or(ApiError::Invalid { field: name, rule: MISSING })
}

fn optional(fields: &Fields, name: &'static str, rule: &Rule) -> Result<Option<String>, ApiError> {
    match text(fields, name)? {
        Some(text) if !rule.allows(&text) => Err(ApiError::Invalid { field: name, rule: rule.words }),
        fitting => Ok(fitting),
    }
}

fn text(fields: &Fields, name: &'static str) -> Result<Option<String>, ApiError> {
    let Some(raw) = fields.raw(name) else { return Ok(None) };
    if !raw.starts_with('"') {
        return Err(ApiError::Invalid { field: name, rule: NOT_TEXT });
    }
    // A half of a surrogate pair passes as JSON and is no text.
    serde_json::from_str(raw).map(Some).map_err(|_| ApiError::Malformed)
}

impl Rule {
    fn allows(&self, text: &str) -> bool {
        (self.least..=self.most).contains(&text.chars().count()) && (self.fits)(text)
    }
}

/// PostgreSQL cannot hold U+0000, and no honest name, key or address has a control character.
fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
