//! Toss's error answer, `{"code","message"}`, and the codes the sandbox knows.

use std::fmt;

use serde_json::json;

/// One error answer. `message` is filled only when a script chose its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Korean,
    English,
}

impl Refusal {
    /// The code with its documented status; a code the sandbox does not know gets 400.
    pub(crate) fn of(code: &str) -> Self {
        let status = known(code).map_or(400, |known| known.1);
        Self { status, code: code.to_owned(), message: None }
    }

    pub(crate) fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: Some(message.to_owned()) }
    }

    pub(crate) fn is_known(code: &str) -> bool {
        known(code).is_some()
    }

    /// True when the bank itself said no, so that the payment ends `ABORTED`; false for trouble on the way.
    pub(crate) fn ends_payment(&self) -> bool {
        const TROUBLE: [&str; 4] =
            ["PROVIDER_ERROR", "MAINTAINED_METHOD", "NOT_AVAILABLE_PAYMENT", "NOT_AVAILABLE_BANK"];
        matches!(self.status, 400 | 403) && !TROUBLE.contains(&self.code.as_str())
    }

    pub(crate) fn text(&self, language: Language) -> &str {
        if let Some(message) = &self.message {
            return message;
        }
        match (known(&self.code), language) {
            (Some(known), Language::Korean) => known.2,
            (Some(known), Language::English) => known.3,
            (None, Language::Korean) => "잘못된 요청입니다.",
            (None, Language::English) => "The request is invalid.",
        }
    }

    pub(crate) fn body(&self, language: Language) -> String {
        json!({ "code": self.code, "message": self.text(language) }).to_string()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.text(Language::English))
    }
}

impl std::error::Error for Refusal {}

type Known = (&'static str, u16, &'static str, &'static str);

fn known(code: &str) -> Option<&'static Known> {
    CATALOG.iter().find(|known| known.0 == code)
}

/// Code, status, Toss's Korean message, English message. Codes from Toss's error tables (confirm, billing,
/// lookup, cancel, all errors); `TOO_MANY_REQUESTS` is ours, because Toss documents only the status 429.
#[rustfmt::skip]
const CATALOG: &[Known] = &[
    ("ALREADY_CANCELED_PAYMENT", 400, "이미 취소된 결제 입니다.", "The payment is already canceled."),
    ("ALREADY_PROCESSED_PAYMENT", 400, "이미 처리된 결제 입니다.", "The payment is already processed."),
    ("ALREADY_REFUND_PAYMENT", 400, "이미 환불된 결제입니다.", "The payment is already refunded."),
    ("ALREADY_REMOVED_BILLING_KEY", 400, "이미 삭제된 빌링키입니다.", "The billing key is already removed."),
    ("BELOW_MINIMUM_AMOUNT", 400, "신용카드는 결제금액이 100원 이상, 계좌는 200원이상부터 결제가 가능합니다.", "The amount is below the minimum (100 won by card, 200 by account)."),
    ("CARD_PROCESSING_ERROR", 400, "카드사에서 오류가 발생했습니다.", "The card company had an error."),
    ("COMMON_ERROR", 500, "일시적인 오류가 발생했습니다. 잠시 후 다시 시도해주세요.", "A temporary error. Try again in a moment."),
    ("DUPLICATED_ORDER_ID", 400, "이미 승인 및 취소가 진행된 중복된 주문번호 입니다. 다른 주문번호로 진행해주세요.", "The order id was already approved or canceled. Use another."),
    ("EXCEED_CANCEL_AMOUNT_DISCOUNT_AMOUNT", 400, "즉시할인금액보다 적은 금액은 부분취소가 불가능합니다.", "A partial cancel below the discount is not possible."),
    ("EXCEED_CANCEL_LIMIT", 403, "취소 한도를 초과하였습니다.", "The cancel limit is exceeded."),
    ("EXCEED_MAX_AMOUNT", 400, "거래금액 한도를 초과했습니다.", "The amount limit is exceeded."),
    ("EXCEED_MAX_AUTH_COUNT", 403, "최대 인증 횟수를 초과했습니다. 카드사로 문의해주세요.", "Too many authentications. Ask the card company."),
    ("EXCEED_MAX_CARD_INSTALLMENT_PLAN", 400, "설정 가능한 최대 할부 개월 수를 초과했습니다.", "Too many installments."),
    ("EXCEED_MAX_DAILY_PAYMENT_COUNT", 400, "하루 결제 가능 횟수를 초과했습니다.", "Too many payments in a day."),
    ("EXCEED_MAX_MONTHLY_PAYMENT_AMOUNT", 400, "당월 결제 가능금액을 초과했습니다.", "The monthly limit is exceeded."),
    ("EXCEED_MAX_ONE_DAY_AMOUNT", 403, "일일 한도를 초과했습니다.", "The daily limit is exceeded."),
    ("EXCEED_MAX_PAYMENT_AMOUNT", 400, "하루 결제 가능 금액을 초과했습니다.", "The daily payable amount is exceeded."),
    ("EXCEED_MAX_QUERY_LIMIT", 400, "조회 가능한 최대 개수를 초과했습니다.", "The query limit is exceeded."),
    ("EXCEED_MAX_REFUND_DUE", 403, "환불 가능한 기간이 지났습니다.", "The refund period is over."),
    ("FAILED_BILL_KEY_AUTH_CREATION", 500, "빌링 결제 인증 중 키 생성에 실패했습니다. 잠시 후 다시 시도해주세요.", "The billing key could not be created. Try again in a moment."),
    ("FAILED_BILLING_AUTO_CANCEL", 500, "빌링 자동결제 취소에 일시적인 오류가 발생했습니다.", "A temporary error while canceling a billing payment."),
    ("FAILED_CARD_COMPANY_RESPONSE", 500, "카드사에서 에러가 발생했습니다. 잠시 후 다시 시도해 주세요.", "The card company had an error. Try again in a moment."),
    ("FAILED_DB_PROCESSING", 500, "잘못된 요청 값으로 처리 중 DB 에러가 발생했습니다.", "A database error while processing a wrong value."),
    ("FAILED_INTERNAL_SYSTEM_PROCESSING", 500, "내부 시스템 처리 작업이 실패했습니다. 잠시 후 다시 시도해주세요.", "Internal processing failed. Try again in a moment."),
    ("FAILED_METHOD_HANDLING_CANCEL", 500, "취소 중 결제 시 사용한 결제 수단 처리과정에서 일시적인 오류가 발생했습니다.", "A temporary error of the payment method while canceling."),
    ("FAILED_PARTIAL_REFUND", 500, "은행 점검, 해약 계좌 등의 사유로 부분 환불이 실패했습니다.", "The partial refund failed."),
    ("FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING", 500, "결제가 완료되지 않았어요. 다시 시도해주세요.", "The payment was not completed. Try again."),
    ("FAILED_REFUND_PROCESS", 500, "은행 응답시간 지연이나 일시적인 오류로 환불요청에 실패했습니다.", "The refund request failed."),
    ("FDS_ERROR", 403, "위험거래가 감지되어 결제가 제한됩니다.", "Risk detected; the payment is restricted."),
    ("FORBIDDEN_CONSECUTIVE_REQUEST", 403, "반복적인 요청은 허용되지 않습니다. 잠시 후 다시 시도해주세요.", "Repeated requests are not allowed. Try again in a moment."),
    ("FORBIDDEN_REQUEST", 403, "허용되지 않은 요청입니다.", "The request is not allowed."),
    ("IDEMPOTENT_REQUEST_PROCESSING", 409, "이전 멱등 요청이 처리중입니다.", "The previous idempotent request is being processed."),
    ("INCORRECT_BASIC_AUTH_FORMAT", 403, "잘못된 요청입니다. ':' 를 포함해 인코딩해주세요.", "Wrong request. Encode the key with ':'."),
    ("INVALID_API_KEY", 400, "잘못된 시크릿키 연동 정보 입니다.", "The secret key is of the wrong kind."),
    ("INVALID_AUTHORIZE_AUTH", 400, "유효하지 않은 인증 방식입니다.", "The authentication is not valid."),
    ("INVALID_BILLING_AUTH", 400, "유효하지 않은 빌링 인증입니다.", "The billing authentication is not valid."),
    ("INVALID_BILL_KEY_REQUEST", 400, "빌링키 인증이 완료되지 않았거나 유효하지 않은 빌링 거래 건입니다.", "The billing key is not authenticated or not valid."),
    ("INVALID_BIRTH_DAY_FORMAT", 400, "생년월일 정보는 6자리의 `yyMMdd` 형식이어야 합니다. 사업자등록번호는 10자리의 숫자여야 합니다.", "The birthday must be yyMMdd, a business number 10 digits."),
    ("INVALID_CARD_EXPIRATION", 400, "카드 정보를 다시 확인해주세요. (유효기간)", "Check the card's expiry date."),
    ("INVALID_CARD_IDENTITY", 400, "입력하신 주민번호/사업자번호가 카드 소유주 정보와 일치하지 않습니다.", "The identity number does not match the card's owner."),
    ("INVALID_CARD_INSTALLMENT_PLAN", 400, "할부 개월 정보가 잘못되었습니다.", "The installment plan is wrong."),
    ("INVALID_CARD_LOST_OR_STOLEN", 400, "분실 혹은 도난 카드입니다.", "The card is lost or stolen."),
    ("INVALID_CARD_NUMBER", 400, "카드번호를 다시 확인해주세요.", "Check the card number."),
    ("INVALID_CARD_PASSWORD", 400, "카드 정보를 다시 확인해주세요. (비밀번호)", "Check the card's password."),
    ("INVALID_CUSTOMER_KEY", 400, "고객키는 영문 대소문자, 숫자, 특수문자 -, _, =, ., @ 로 최소 2자 이상 최대 255자 이하여야 합니다.", "The customer key must have 2 to 255 letters, digits or -, _, =, ., @."),
    ("INVALID_DATE", 400, "날짜 데이터가 잘못 되었습니다.", "The date is wrong."),
    ("INVALID_EMAIL", 400, "잘못된 이메일 주소 형식입니다.", "The e-mail address is wrong."),
    ("INVALID_IDEMPOTENCY_KEY", 400, "멱등키는 300자 이하여야 합니다.", "The idempotency key must have 300 characters or fewer."),
    ("INVALID_ISO_DATE_FORMAT", 400, "잘못된 날짜 형식입니다.", "The date format is wrong."),
    ("INVALID_ORDER_ID", 400, "`orderId`는 영문 대소문자, 숫자, 특수문자(-, _) 만 허용합니다. 6자 이상 64자 이하여야 합니다.", "The order id must have 6 to 64 letters, digits, - or _."),
    ("INVALID_ORDER_NAME", 400, "`orderName`은 100자 이하여야 합니다.", "The order name must have 1 to 100 characters."),
    ("INVALID_PAGING_KEY", 400, "잘못된 페이징 키 입니다.", "The paging key is wrong."),
    ("INVALID_PASSWORD", 403, "결제 비밀번호가 일치하지 않습니다.", "The payment password does not match."),
    ("INVALID_REFUND_ACCOUNT_INFO", 400, "환불 계좌번호와 예금주명이 일치하지 않습니다.", "The refund account's number and holder do not match."),
    ("INVALID_REFUND_ACCOUNT_NUMBER", 400, "잘못된 환불 계좌번호입니다.", "The refund account number is wrong."),
    ("INVALID_REJECT_CARD", 400, "카드 사용이 거절되었습니다. 카드사 문의가 필요합니다.", "The card was rejected. Ask the card company."),
    ("INVALID_REQUEST", 400, "잘못된 요청입니다.", "The request is invalid."),
    ("INVALID_REQUIRED_PARAM", 400, "필수 파라미터가 누락되었습니다.", "A required parameter is missing."),
    ("INVALID_STOPPED_CARD", 400, "정지된 카드 입니다.", "The card is stopped."),
    ("INVALID_TEST_CODE", 400, "유효하지 않은 테스트 코드입니다.", "The test code is not valid."),
    ("MAINTAINED_METHOD", 400, "현재 점검 중 입니다.", "Under maintenance."),
    ("NOT_ALLOWED_PARTIAL_REFUND", 403, "에스크로 주문, 현금 카드 결제 등의 사유로 부분 환불이 불가합니다.", "A partial refund is not allowed."),
    ("NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT", 403, "입금 대기중인 결제는 부분 환불이 불가합니다.", "A payment that waits for its deposit cannot be refunded in part."),
    ("NOT_AVAILABLE_BANK", 403, "은행 서비스 시간이 아닙니다.", "The bank is closed at this hour."),
    ("NOT_AVAILABLE_PAYMENT", 400, "결제가 불가능한 시간대입니다.", "Payments are not possible at this hour."),
    ("NOT_CANCELABLE_AMOUNT", 403, "취소 할 수 없는 금액 입니다.", "The amount cannot be canceled."),
    ("NOT_CANCELABLE_PAYMENT", 403, "취소 할 수 없는 결제 입니다.", "The payment cannot be canceled."),
    ("NOT_FOUND", 404, "존재하지 않는 API 입니다.", "There is no such API."),
    ("NOT_FOUND_BILLING", 404, "존재하지 않는 빌링 결제 인증 정보 입니다.", "There is no such billing authentication."),
    ("NOT_FOUND_PAYMENT", 404, "존재하지 않는 결제 정보 입니다.", "There is no such payment."),
    ("NOT_FOUND_PAYMENT_SESSION", 404, "결제 시간이 만료되어 결제 진행 데이터가 존재하지 않습니다.", "The payment's time is over; its session does not exist."),
    ("NOT_MATCHES_CUSTOMER_KEY", 400, "빌링 인증 고객키와 결제 요청 고객키가 일치하지 않습니다.", "The customer key is not the one the billing key was issued for."),
    ("NOT_MATCHES_REFUNDABLE_AMOUNT", 400, "잔액 결과가 일치하지 않습니다.", "The refundable amount does not match."),
    ("NOT_REGISTERED_CARD_COMPANY", 400, "카드를 사용 등록 후 이용해주세요.", "Activate the card first."),
    ("NOT_SUPPORTED_CARD_TYPE", 400, "지원되지 않는 카드 종류입니다.", "The card type is not supported."),
    ("NOT_SUPPORTED_METHOD", 400, "지원되지 않는 결제 수단입니다.", "The payment method is not supported."),
    ("PROVIDER_ERROR", 400, "일시적인 오류가 발생했습니다. 잠시 후 다시 시도해주세요.", "A temporary error. Try again in a moment."),
    ("REFUND_REJECTED", 400, "환불이 거절됐습니다. 결제사에 문의 부탁드립니다.", "The refund was rejected."),
    ("REJECT_ACCOUNT_PAYMENT", 403, "잔액부족으로 결제에 실패했습니다.", "Insufficient balance."),
    ("REJECT_CARD_COMPANY", 403, "결제 승인이 거절되었습니다.", "The card company refused."),
    ("REJECT_CARD_PAYMENT", 403, "한도초과 혹은 잔액부족으로 결제에 실패했습니다.", "Over the limit or insufficient balance."),
    ("TOO_MANY_REQUESTS", 429, "요청이 너무 많습니다. 잠시 후 다시 시도해주세요.", "Too many requests. Try again in a moment."),
    ("UNAPPROVED_ORDER_ID", 400, "아직 승인되지 않은 주문번호입니다.", "The order id is not approved yet."),
    ("UNAUTHORIZED_KEY", 401, "인증되지 않은 시크릿 키 혹은 클라이언트 키 입니다.", "The secret or client key is not authorized."),
    ("UNKNOWN_ERROR", 500, "일시적인 오류가 발생했습니다.", "A temporary error."),
    ("UNKNOWN_PAYMENT_ERROR", 500, "결제에 실패했어요. 같은 문제가 반복된다면 은행이나 카드사로 문의해주세요.", "The payment failed. Ask the bank or card company if it happens again."),
];
