//! What Toss's codes mean, for an operator who has to explain a charge.

/// Korean and English; none for a code that says nothing to people.
#[rustfmt::skip]
pub(super) fn meaning(code: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "REJECT_CARD_PAYMENT" => ("한도 초과 또는 잔액 부족. 며칠 뒤 다시 시도하면 결제될 수 있습니다.", "Over the limit or no balance. May work some days later."),
        "REJECT_ACCOUNT_PAYMENT" => ("계좌 잔액 부족. 며칠 뒤 다시 시도하면 결제될 수 있습니다.", "No balance on the account. May work some days later."),
        "REJECT_CARD_COMPANY" | "INVALID_REJECT_CARD" => ("카드사가 승인을 거절했습니다. 고객이 카드사에 문의해야 합니다.", "The card company refused. The customer has to ask it."),
        "INVALID_STOPPED_CARD" => ("정지된 카드입니다. 새 카드가 필요합니다.", "The card is stopped. A new card is needed."),
        "INVALID_CARD_LOST_OR_STOLEN" => ("분실 또는 도난 신고된 카드입니다. 새 카드가 필요합니다.", "The card was reported lost or stolen. A new card is needed."),
        "INVALID_CARD_EXPIRATION" => ("카드 유효기간이 지났습니다. 새 카드가 필요합니다.", "The card has expired. A new card is needed."),
        "INVALID_CARD_NUMBER" => ("카드 번호가 올바르지 않습니다.", "The card's number is wrong."),
        "NOT_SUPPORTED_CARD_TYPE" => ("지원하지 않는 카드입니다. 새 카드가 필요합니다.", "The card is not supported. A new card is needed."),
        "NOT_REGISTERED_CARD_COMPANY" => ("카드사에 사용 등록이 필요한 카드입니다.", "The card has to be activated at its company."),
        "EXCEED_MAX_AUTH_COUNT" => ("카드 인증 횟수를 넘었습니다.", "Too many authentications of the card."),
        "EXCEED_MAX_DAILY_PAYMENT_COUNT" => ("카드의 하루 결제 횟수를 넘었습니다.", "Too many payments on one day."),
        "EXCEED_MAX_PAYMENT_AMOUNT" | "EXCEED_MAX_ONE_DAY_AMOUNT" | "EXCEED_MAX_AMOUNT" | "EXCEED_MAX_MONTHLY_PAYMENT_AMOUNT" => ("결제 한도를 넘었습니다.", "Over the payment limit."),
        "FDS_ERROR" => ("카드사의 이상 거래 감지로 거절되었습니다.", "Refused by the card company's fraud detection."),
        "INVALID_BILL_KEY_REQUEST" | "ALREADY_REMOVED_BILLING_KEY" | "NOT_FOUND_BILLING" | "INVALID_BILLING_AUTH" => ("빌링키를 더 이상 쓸 수 없습니다. 새 카드가 필요합니다.", "The billing key no longer works. A new card is needed."),
        "NOT_FOUND_PAYMENT" | "NOT_FOUND_PAYMENT_SESSION" | "EXPIRED_PAYMENT" | "EXPIRED" => ("결제 인증 시간이 지났습니다. 고객이 처음부터 다시 해야 합니다.", "The payment window has expired. The customer has to begin anew."),
        "NOT_CANCELABLE_PAYMENT" | "NOT_CANCELABLE_AMOUNT" => ("토스에서 취소할 수 없는 결제입니다.", "Toss cannot cancel this payment."),
        "PROVIDER_ERROR" => ("결제 기관의 일시 오류. 결과를 조회로 확인합니다.", "A failure at the provider. The outcome is looked up."),
        "MAINTAINED_METHOD" | "NOT_AVAILABLE_PAYMENT" | "NOT_AVAILABLE_BANK" => ("점검 중. 결제를 보내지 않았고 나중에 다시 보냅니다.", "Maintenance. Nothing was sent; it is sent later."),
        "UNAUTHORIZED_KEY" | "INVALID_API_KEY" | "FORBIDDEN_REQUEST" => ("토스 API 키가 거절되었습니다. 설정을 확인하세요.", "Toss refuses our API key. Check the configuration."),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decline_is_explained_and_an_unlisted_code_is_not_guessed() {
        assert!(meaning("REJECT_CARD_PAYMENT").is_some_and(|(ko, _)| ko.contains("잔액 부족")));
        assert_eq!(meaning("SOMETHING_NEW"), None);
    }
}
