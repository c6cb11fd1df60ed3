//! "구독 결제 실패": why, when it is tried again, and where to change the card.

use chrono::NaiveDate;

use super::{Brand, RenderError, Rendered, letter::Letter, links};
use crate::domain::{
    calendar::{Cycle, korean_date},
    money::Won,
};

/// A declined renewal that has another try before it.
#[derive(Debug, Clone)]
pub struct PaymentFailed<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub cycle: Cycle,
    pub amount: Won,
    /// In Korean words that a customer understands.
    pub reason: &'a str,
    /// The bank will never accept this card again: only a new card helps, and it is charged at once.
    pub card_is_dead: bool,
    /// Asia/Seoul; the date on record, not one computed for the mail.
    pub retry_on: NaiveDate,
    pub subscription_ref: &'a str,
}

pub fn payment_failed(brand: &Brand, m: &PaymentFailed<'_>) -> Result<Rendered, RenderError> {
    let retry_on = korean_date(m.retry_on);
    let mut letter = Letter::new(brand, "구독 결제 실패", m.customer_name, m.subscription_ref)?;
    letter.open(&format!("{} 플랜의 {} 구독 요금이 결제되지 않았습니다.", m.plan_name, m.cycle.korean()));
    letter.fact("결제 금액", m.amount);
    letter.fact("실패 사유", m.reason);
    if m.card_is_dead {
        letter.fact("다음 결제 예정일", format!("{retry_on} (새 카드 필요)"));
        letter.close(&format!(
            "지금 등록된 카드로는 결제할 수 없어 {retry_on}에도 결제되지 않습니다. 그 전에 새 카드를 등록해 주세요. \
             등록하시면 {}이 바로 결제됩니다.",
            m.amount
        ));
        letter.action("새 카드 등록하기", links::payment_method(brand, m.subscription_ref)?);
    } else {
        letter.fact("다음 결제 예정일", &retry_on);
        letter.close(&format!(
            "{retry_on}에 등록된 카드로 다시 결제를 시도합니다. 그 전에 카드 정보를 확인해 주세요. \
             다른 카드로 변경하시면 {}이 바로 결제됩니다.",
            m.amount
        ));
        letter.action("결제 카드 변경하기", links::payment_method(brand, m.subscription_ref)?);
    }
    letter.close(&format!(
        "{retry_on} 전까지 서비스는 그대로 이용하실 수 있으며, 결제가 계속 이루어지지 않으면 구독이 일시정지됩니다."
    ));
    letter.render()
}
