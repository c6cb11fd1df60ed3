//! Every problem that a request can meet: one table of status, stable code, and sentence in both languages.

use axum::http::StatusCode;

/// What went wrong, by its stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    Malformed,
    Unauthorized,
    Forbidden,
    PaymentDeclined,
    CardRefused,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    AlreadySubscribed,
    OrderConflict,
    AlreadyCanceled,
    AlreadyEnded,
    NotCanceled,
    PeriodEnded,
    NotBegun,
    Suspended,
    PlanUnchanged,
    NoPendingChange,
    ConsentNotNeeded,
    ConsentTooEarly,
    ConsentTooLate,
    RefundInProgress,
    RefundNeedsBankAccount,
    NotRefundable,
    RefundRefused,
    IdempotencyConflict,
    NotActive,
    RegistrationInProgress,
    AuthKeyUsed,
    PaymentCanceled,
    TooLarge,
    UnsupportedMediaType,
    InvalidField,
    AmountMismatch,
    TooManyRequests,
    Internal,
    Unavailable,
}

/// One row of the table.
pub(crate) struct Row {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) ko: &'static str,
    pub(crate) en: &'static str,
}

const fn row(status: StatusCode, code: &'static str, ko: &'static str, en: &'static str) -> Row {
    Row { status, code, ko, en }
}

impl Problem {
    #[expect(clippy::too_many_lines, reason = "a table: one row for each problem")]
    #[rustfmt::skip]
    pub(crate) const fn row(self) -> Row {
        use StatusCode as S;
        match self {
            Self::Malformed => row(S::BAD_REQUEST, "malformed",
                "요청 형식이 올바르지 않습니다.", "The request is malformed."),
            Self::Unauthorized => row(S::UNAUTHORIZED, "unauthorized",
                "로그인이 필요합니다.", "A valid token is required."),
            Self::Forbidden => row(S::FORBIDDEN, "forbidden",
                "이 작업을 할 권한이 없습니다.", "Your role does not allow this."),
            Self::PaymentDeclined => row(S::PAYMENT_REQUIRED, "payment_declined",
                "결제가 거절되었습니다.", "The payment was declined."),
            Self::CardRefused => row(S::PAYMENT_REQUIRED, "card_refused",
                "카드를 등록할 수 없습니다.", "The card was refused."),
            Self::NotFound => row(S::NOT_FOUND, "not_found",
                "찾을 수 없습니다.", "There is nothing here."),
            Self::MethodNotAllowed => row(S::METHOD_NOT_ALLOWED, "method_not_allowed",
                "허용되지 않는 요청입니다.", "The method is not allowed here."),
            Self::RequestTimeout => row(S::REQUEST_TIMEOUT, "request_timeout",
                "요청이 제시간에 도착하지 않았습니다.", "The request took too long to arrive."),
            Self::AlreadySubscribed => row(S::CONFLICT, "already_subscribed",
                "이미 이용 중인 구독이 있습니다. 결제된 금액은 없습니다.",
                "There is a subscription already. Nothing was charged."),
            Self::OrderConflict => row(S::CONFLICT, "order_conflict",
                "같은 주문 번호가 다른 내용으로 이미 접수되었습니다.",
                "The same order was received before with other content."),
            Self::AlreadyCanceled => row(S::CONFLICT, "already_canceled",
                "이미 취소된 구독입니다.", "The subscription is canceled already."),
            Self::AlreadyEnded => row(S::CONFLICT, "already_ended",
                "이미 종료된 구독입니다.", "The subscription has ended already."),
            Self::NotCanceled => row(S::CONFLICT, "not_canceled",
                "취소된 구독이 아닙니다.", "The subscription is not canceled."),
            Self::PeriodEnded => row(S::CONFLICT, "period_ended",
                "이용 기간이 끝나 구독을 되돌릴 수 없습니다. 새로 구독해 주세요.",
                "The paid period has ended: subscribe anew."),
            Self::NotBegun => row(S::CONFLICT, "not_begun",
                "아직 시작되지 않은 구독입니다.", "The subscription has not begun."),
            Self::Suspended => row(S::CONFLICT, "suspended",
                "일시정지된 구독입니다. 먼저 결제 카드를 등록해 주세요.",
                "The subscription is suspended: register a card first."),
            Self::PlanUnchanged => row(S::CONFLICT, "plan_unchanged",
                "이미 이용 중인 플랜입니다.", "This is what the subscription is already."),
            Self::NoPendingChange => row(S::CONFLICT, "no_pending_change",
                "예정된 변경이 없습니다.", "No change is pending."),
            Self::ConsentNotNeeded => row(S::CONFLICT, "consent_not_needed",
                "동의가 필요하지 않은 변경입니다.", "The change needs no consent."),
            Self::ConsentTooEarly => row(S::CONFLICT, "consent_too_early",
                "동의는 변경일 30일 전부터 하실 수 있습니다.", "A consent counts from 30 days before the change on."),
            Self::ConsentTooLate => row(S::CONFLICT, "consent_too_late",
                "동의 기한이 지났습니다.", "The day of the change has come: it is too late to consent."),
            Self::RefundNeedsBankAccount => row(S::CONFLICT, "refund_needs_bank_account",
                "가상계좌 결제의 환불에는 고객의 은행 계좌가 필요합니다. 토스페이먼츠 상점관리자에서 환불해 주세요. 환불 내역은 자동으로 반영됩니다.",
                "A deposit is refunded to a bank account: make the refund in Toss's dashboard. It is booked here by itself."),
            Self::RefundInProgress => row(S::CONFLICT, "refund_in_progress",
                "환불이 진행 중입니다. 잠시 후 다시 시도해 주세요.", "A refund is under way. Try again shortly."),
            Self::NotRefundable => row(S::CONFLICT, "not_refundable",
                "환불할 수 있는 금액이 없는 결제입니다.", "The payment has nothing to give back."),
            Self::RefundRefused => row(S::CONFLICT, "refund_refused",
                "환불이 거절되었습니다.", "The refund was refused."),
            Self::IdempotencyConflict => row(S::CONFLICT, "idempotency_conflict",
                "같은 Idempotency-Key가 다른 내용으로 이미 사용되었습니다.",
                "The same Idempotency-Key was used before with other content."),
            Self::NotActive => row(S::CONFLICT, "not_active",
                "첫 결제가 아직 완료되지 않았습니다. 잠시 후 다시 시도해 주세요.",
                "The first payment has not settled yet. Try again shortly."),
            Self::RegistrationInProgress => row(S::CONFLICT, "registration_in_progress",
                "다른 카드를 등록하는 중입니다.", "Another card is being registered."),
            Self::AuthKeyUsed => row(S::CONFLICT, "auth_key_used",
                "이미 사용된 카드 등록 인증입니다. 다시 등록해 주세요.", "The authKey was used before: register again."),
            Self::PaymentCanceled => row(S::CONFLICT, "payment_canceled",
                "결제가 취소되었습니다. 청구된 금액은 없습니다.", "The payment was canceled. Nothing was charged."),
            Self::TooLarge => row(S::PAYLOAD_TOO_LARGE, "too_large",
                "요청이 너무 큽니다.", "The request is too large."),
            Self::UnsupportedMediaType => row(S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type",
                "JSON 형식으로 요청해 주세요.", "The body must be application/json."),
            Self::InvalidField => row(S::UNPROCESSABLE_ENTITY, "invalid_field",
                "항목이 올바르지 않습니다.", "A field is invalid."),
            Self::AmountMismatch => row(S::UNPROCESSABLE_ENTITY, "amount_mismatch",
                "결제 금액이 플랜 가격과 다릅니다.", "The amount is not the plan's price."),
            Self::TooManyRequests => row(S::TOO_MANY_REQUESTS, "too_many_requests",
                "요청이 너무 많습니다. 잠시 후 다시 시도해 주세요.", "Too many requests. Try again later."),
            Self::Internal => row(S::INTERNAL_SERVER_ERROR, "internal",
                "오류가 발생했습니다. 잠시 후 다시 시도해 주세요.", "Something went wrong. Try again later."),
            Self::Unavailable => row(S::SERVICE_UNAVAILABLE, "unavailable",
                "일시적으로 이용할 수 없습니다. 잠시 후 다시 시도해 주세요.",
                "The service is unavailable for the moment. Try again shortly."),
        }
    }

    /// What a status that the framework chose by itself means.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            status if status.is_client_error() => Self::Malformed,
            _ => Self::Internal,
        }
    }
}
