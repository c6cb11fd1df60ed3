//! Problem documents (RFC 9457): what a failed request is told, in the caller's language.

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    error::{ApiError, Failure},
    language::{Language, Text},
    trace_id::TraceId,
};

const MEDIA_TYPE: &str = "application/problem+json";

/// `application/problem+json`, with what our frontends read besides.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    #[schema(example = "about:blank")]
    r#type: &'static str,
    #[schema(example = "Unprocessable Entity")]
    title: &'static str,
    #[schema(example = 422)]
    status: u16,
    /// Always false.
    success: bool,
    /// Stable; for programs.
    #[schema(example = "invalid_field")]
    code: &'static str,
    /// Korean or English by `Accept-Language`; for people.
    message: String,
    /// Which field is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "amount")]
    field: Option<&'static str>,
    /// Toss's own code, where Toss said no.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "REJECT_CARD_PAYMENT")]
    toss_code: Option<String>,
    /// The subscription that another card can still pay for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sub_0192f0c15c0070008000000000000001")]
    subscription_id: Option<String>,
    /// Also in the header `x-trace-id`, and in our logs.
    trace_id: String,
}

/// Gives every failed response its document, those that the framework made by itself included. Headers stay.
pub(crate) fn write(response: Response, language: Language, trace_id: &TraceId) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let failure = response.extensions().get::<Failure>().cloned();
    let Failure(error) = failure.unwrap_or_else(|| Failure::from_status(status));
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    Response::from_parts(parts, Json(Problem::of(&error, language, trace_id)).into_response().into_body())
}

impl Problem {
    fn of(error: &ApiError, language: Language, trace_id: &TraceId) -> Self {
        let status = error.status();
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            success: false,
            code: code(error),
            message: message(error, language),
            field: match error {
                ApiError::Invalid { field, .. } => Some(field),
                ApiError::AmountMismatch => Some("amount"),
                _ => None,
            },
            toss_code: match error {
                ApiError::Declined { code, .. }
                | ApiError::CardRefused { code, .. }
                | ApiError::RefundRefused { code, .. } => Some(code.clone()),
                ApiError::PaymentCanceled { code } => code.clone(),
                _ => None,
            },
            subscription_id: match error {
                ApiError::Declined { subscription, .. } | ApiError::CardRefused { subscription, .. } => {
                    subscription.clone()
                }
                _ => None,
            },
            trace_id: trace_id.as_str().to_owned(),
        }
    }
}

fn code(error: &ApiError) -> &'static str {
    match error {
        ApiError::Malformed => "malformed",
        ApiError::Unauthorized => "unauthorized",
        ApiError::NotFound => "not_found",
        ApiError::MethodNotAllowed => "method_not_allowed",
        ApiError::TooSlow => "request_timeout",
        ApiError::TooLarge => "too_large",
        ApiError::NotJson => "unsupported_media_type",
        ApiError::Invalid { .. } => "invalid_field",
        ApiError::AmountMismatch => "amount_mismatch",
        ApiError::OrderConflict => "order_conflict",
        ApiError::AlreadyCanceled => "already_canceled",
        ApiError::AlreadySubscribed => "already_subscribed",
        ApiError::AlreadyEnded => "already_ended",
        ApiError::NotCanceled => "not_canceled",
        ApiError::PeriodEnded => "period_ended",
        ApiError::Change(problem) => problem.code(),
        ApiError::RefundInProgress => "refund_in_progress",
        ApiError::NotRefundable => "not_refundable",
        ApiError::IdempotencyConflict => "idempotency_conflict",
        ApiError::RefundRefused { .. } => "refund_refused",
        ApiError::NotActive => "not_active",
        ApiError::RegistrationInProgress => "registration_in_progress",
        ApiError::AuthKeyUsed => "auth_key_used",
        ApiError::CardRefused { .. } => "card_refused",
        ApiError::Declined { .. } => "payment_declined",
        ApiError::PaymentCanceled { .. } => "payment_canceled",
        ApiError::TooManyRequests { .. } => "too_many_requests",
        ApiError::Unavailable(_) => "unavailable",
        ApiError::Internal(_) => "internal",
    }
}

fn message(error: &ApiError, language: Language) -> String {
    match (error, language) {
        (ApiError::Invalid { field, rule }, _) => format!("{field} {}.", rule.get(language)),
        // Toss words its refusals for customers, in Korean.
        (
            ApiError::Declined { message, .. }
            | ApiError::CardRefused { message, .. }
            | ApiError::RefundRefused { message, .. },
            Language::Korean,
        ) => message.clone(),
        (ApiError::Declined { code, .. }, Language::English) => format!("The payment was declined ({code})."),
        (ApiError::CardRefused { code, .. }, Language::English) => format!("The card was refused ({code})."),
        (ApiError::RefundRefused { code, .. }, Language::English) => {
            format!("The refund was refused ({code}).")
        }
        (other, _) => sentence(other).get(language).to_owned(),
    }
}

#[expect(clippy::too_many_lines, reason = "a table: one line for each error")]
fn sentence(error: &ApiError) -> Text {
    let (ko, en) = match error {
        ApiError::Malformed => ("요청 형식이 올바르지 않습니다.", "The request is malformed."),
        ApiError::Unauthorized => ("로그인이 필요합니다.", "A valid token is required."),
        ApiError::NotFound => ("찾을 수 없습니다.", "There is nothing here."),
        ApiError::MethodNotAllowed => ("허용되지 않는 요청입니다.", "The method is not allowed here."),
        ApiError::TooSlow => ("요청이 제시간에 도착하지 않았습니다.", "The request took too long to arrive."),
        ApiError::TooLarge => ("요청이 너무 큽니다.", "The request is too large."),
        ApiError::NotJson => ("JSON 형식으로 요청해 주세요.", "The body must be application/json."),
        ApiError::Invalid { rule, .. } => (rule.ko, rule.en),
        ApiError::AmountMismatch => {
            ("결제 금액이 플랜 가격과 다릅니다.", "The amount is not the plan's price.")
        }
        ApiError::OrderConflict => (
            "같은 주문 번호가 다른 내용으로 이미 접수되었습니다.",
            "The same order was received before with other content.",
        ),
        ApiError::AlreadyCanceled => ("이미 취소된 구독입니다.", "The subscription is canceled already."),
        ApiError::AlreadySubscribed => {
            ("이미 이용 중인 구독이 있습니다.", "The customer has a subscription already.")
        }
        ApiError::AlreadyEnded => ("이미 종료된 구독입니다.", "The subscription has ended already."),
        ApiError::NotCanceled => ("취소된 구독이 아닙니다.", "The subscription is not canceled."),
        ApiError::PeriodEnded => (
            "이용 기간이 끝나 구독을 되돌릴 수 없습니다. 새로 구독해 주세요.",
            "The paid period has ended: subscribe anew.",
        ),
        ApiError::Change(problem) => problem.sentence(),
        ApiError::RefundInProgress => {
            ("환불이 진행 중입니다. 잠시 후 다시 시도해 주세요.", "A refund is under way. Try again shortly.")
        }
        ApiError::NotRefundable => {
            ("환불할 수 있는 금액이 없는 결제입니다.", "The payment has nothing to give back.")
        }
        ApiError::IdempotencyConflict => (
            "같은 Idempotency-Key가 다른 내용으로 이미 사용되었습니다.",
            "The same Idempotency-Key was used before with other content.",
        ),
        ApiError::RefundRefused { .. } => ("환불이 거절되었습니다.", "The refund was refused."),
        ApiError::NotActive => (
            "첫 결제가 아직 완료되지 않았습니다. 잠시 후 다시 시도해 주세요.",
            "The first payment has not settled yet. Try again shortly.",
        ),
        ApiError::RegistrationInProgress => {
            ("다른 카드를 등록하는 중입니다.", "Another card is being registered.")
        }
        ApiError::AuthKeyUsed => (
            "이미 사용된 카드 등록 인증입니다. 다시 등록해 주세요.",
            "The authKey was used before: register again.",
        ),
        ApiError::CardRefused { .. } => ("카드를 등록할 수 없습니다.", "The card was refused."),
        ApiError::Declined { .. } => ("결제가 거절되었습니다.", "The payment was declined."),
        ApiError::PaymentCanceled { .. } => (
            "결제가 취소되었습니다. 청구된 금액은 없습니다.",
            "The payment was canceled. Nothing was charged.",
        ),
        ApiError::TooManyRequests { .. } => {
            ("요청이 너무 많습니다. 잠시 후 다시 시도해 주세요.", "Too many requests. Try again later.")
        }
        ApiError::Unavailable(_) => (
            "일시적으로 이용할 수 없습니다. 잠시 후 다시 시도해 주세요.",
            "The service is unavailable for the moment. Try again shortly.",
        ),
        ApiError::Internal(_) => {
            ("오류가 발생했습니다. 잠시 후 다시 시도해 주세요.", "Something went wrong. Try again later.")
        }
    };
    Text { ko, en }
}
