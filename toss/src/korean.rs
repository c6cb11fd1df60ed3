//! Refusals in words a customer understands.

/// One Korean sentence for an e-mail or an answer to a customer: what happened and, where it helps, what to do. Codes
/// that say nothing to a customer get a neutral sentence. Never blames and never names our own mistakes.
#[expect(clippy::too_many_lines, reason = "a table: one line for each code")]
pub fn korean_reason(code: &str) -> &'static str {
    match code {
        "REJECT_CARD_PAYMENT" => "잔액이 부족하거나 카드 한도를 초과했습니다.",
        "REJECT_ACCOUNT_PAYMENT" => "계좌 잔액이 부족합니다.",
        "REJECT_CARD_COMPANY" => "카드사에서 결제 승인을 거절했습니다. 카드사에 문의해 주세요.",
        "INVALID_REJECT_CARD" => "카드 사용이 거절되었습니다. 카드사에 문의해 주세요.",
        "INVALID_STOPPED_CARD" => "정지된 카드입니다. 다른 카드를 등록해 주세요.",
        "INVALID_CARD_LOST_OR_STOLEN" => "분실 또는 도난 신고된 카드입니다. 다른 카드를 등록해 주세요.",
        "INVALID_CARD_EXPIRATION" => "카드 유효기간이 지났거나 올바르지 않습니다. 카드를 다시 등록해 주세요.",
        "INVALID_CARD_NUMBER" => "카드번호가 올바르지 않습니다. 카드를 다시 등록해 주세요.",
        "INVALID_CARD_PASSWORD" => "카드 비밀번호가 올바르지 않습니다.",
        "INVALID_CARD_IDENTITY" | "INVALID_BIRTH_DAY_FORMAT" => {
            "입력하신 생년월일 또는 사업자등록번호가 카드 소유자 정보와 일치하지 않습니다."
        }
        "INVALID_PASSWORD" => "결제 비밀번호가 올바르지 않습니다.",
        "NOT_SUPPORTED_CARD_TYPE" => "지원하지 않는 카드입니다. 다른 카드를 등록해 주세요.",
        "NOT_REGISTERED_CARD_COMPANY" => {
            "카드사에 사용 등록이 필요한 카드입니다. 등록 후 다시 이용해 주세요."
        }
        "EXCEED_MAX_AUTH_COUNT" => "카드 인증 횟수를 초과했습니다. 카드사에 문의해 주세요.",
        "EXCEED_MAX_DAILY_PAYMENT_COUNT" => "카드의 하루 결제 가능 횟수를 초과했습니다.",
        "EXCEED_MAX_PAYMENT_AMOUNT" | "EXCEED_MAX_ONE_DAY_AMOUNT" => "하루 결제 가능 금액을 초과했습니다.",
        "EXCEED_MAX_MONTHLY_PAYMENT_AMOUNT" => "이번 달 결제 가능 금액을 초과했습니다.",
        "EXCEED_MAX_AMOUNT" => "결제 한도를 초과했습니다.",
        "EXCEED_MAX_ONE_DAY_WITHDRAW_AMOUNT" => "계좌의 하루 출금 한도를 초과했습니다.",
        "EXCEED_MAX_ONE_TIME_WITHDRAW_AMOUNT" => "계좌의 1회 출금 한도를 초과했습니다.",
        "INVALID_ACCOUNT_INFO_RE_REGISTER" | "REJECT_TOSSPAY_INVALID_ACCOUNT" => {
            "계좌 정보가 유효하지 않습니다. 계좌를 다시 등록해 주세요."
        }
        "RESTRICTED_TRANSFER_ACCOUNT" => {
            "출금이 제한된 계좌입니다. 은행에 문의하거나 다른 결제수단을 등록해 주세요."
        }
        "FDS_ERROR" => "안전한 거래를 위해 결제가 제한되었습니다. 카드사에 문의해 주세요.",
        "INVALID_BILL_KEY_REQUEST"
        | "ALREADY_REMOVED_BILLING_KEY"
        | "NOT_FOUND_BILLING"
        | "INVALID_BILLING_AUTH" => {
            "등록된 결제수단을 더 이상 사용할 수 없습니다. 카드를 다시 등록해 주세요."
        }
        "NOT_FOUND_PAYMENT" | "NOT_FOUND_PAYMENT_SESSION" | "EXPIRED_PAYMENT" | "EXPIRED" => {
            "결제 시간이 만료되었습니다. 처음부터 다시 진행해 주세요."
        }
        "DEPOSIT_NOT_MADE" => "입금 기한까지 입금이 확인되지 않아 결제가 취소되었습니다.",
        "EXCEED_MAX_CARD_INSTALLMENT_PLAN"
        | "NOT_SUPPORTED_INSTALLMENT_PLAN_CARD_OR_MERCHANT"
        | "INVALID_CARD_INSTALLMENT_PLAN"
        | "NOT_SUPPORTED_MONTHLY_INSTALLMENT_PLAN" => "선택하신 할부 개월 수로는 결제할 수 없습니다.",
        "NOT_ALLOWED_POINT_USE" => "카드 포인트로 결제할 수 없습니다.",
        _ => "결제가 승인되지 않았습니다. 결제수단을 확인해 주세요.",
    }
}

/// The Korean name of a bank by Toss's two-digit code (docs.tosspayments.com/codes/org-codes). `None` for a new code.
pub fn korean_bank(code: &str) -> Option<&'static str> {
    Some(match code {
        "02" => "산업은행",
        "03" => "기업은행",
        "06" => "국민은행",
        "07" | "30" => "수협은행",
        "11" => "농협은행",
        "12" => "지역농축협",
        "20" => "우리은행",
        "23" => "SC제일은행",
        "27" => "씨티은행",
        "31" => "iM뱅크",
        "32" => "부산은행",
        "34" => "광주은행",
        "35" => "제주은행",
        "37" => "전북은행",
        "39" => "경남은행",
        "45" => "새마을금고",
        "48" => "신협",
        "50" => "저축은행",
        "54" => "HSBC",
        "64" => "산림조합",
        "71" => "우체국",
        "81" => "하나은행",
        "88" => "신한은행",
        "89" => "케이뱅크",
        "90" => "카카오뱅크",
        "92" => "토스뱅크",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_refusal_is_told_plainly() {
        assert_eq!(korean_reason("REJECT_CARD_PAYMENT"), "잔액이 부족하거나 카드 한도를 초과했습니다.");
    }

    #[test]
    fn a_code_nobody_knows_is_told_neutrally_and_never_shown() {
        let words = korean_reason("SOMETHING_NEW");
        assert_eq!(words, "결제가 승인되지 않았습니다. 결제수단을 확인해 주세요.");
        assert!(words.chars().all(|c| !c.is_ascii_alphabetic()));
    }
}
