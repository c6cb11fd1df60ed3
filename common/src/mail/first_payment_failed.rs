//! "첫 결제 실패 안내": the subscription has not begun, why, and until when another card can pay.

use chrono::{DateTime, Utc};

use super::{Brand, RenderError, Rendered, letter::Letter, links};
use crate::domain::{
    calendar::{Cycle, korean_moment},
    money::Won,
};

/// A first charge that was declined, or a card that could not be registered for it.
#[derive(Debug, Clone)]
pub struct FirstPaymentFailed<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub cycle: Cycle,
    pub amount: Won,
    /// In Korean words that a customer understands.
    pub reason: &'a str,
    /// Another card is taken until then.
    pub repair_until: DateTime<Utc>,
    pub subscription_ref: &'a str,
}

pub fn first_payment_failed(brand: &Brand, m: &FirstPaymentFailed<'_>) -> Result<Rendered, RenderError> {
    let until = korean_moment(m.repair_until);
    let mut letter = Letter::new(brand, "첫 결제 실패 안내", m.customer_name, m.subscription_ref)?;
    letter.open(&format!(
        "{} 플랜의 첫 결제가 완료되지 않아 구독이 아직 시작되지 않았습니다. 청구된 금액은 없습니다.",
        m.plan_name
    ));
    letter.fact("구독", format!("{} 플랜 ({})", m.plan_name, m.cycle.korean()));
    letter.fact("결제 금액", m.amount);
    letter.fact("실패 사유", m.reason);
    letter.fact("카드 등록 기한", &until);
    letter.close(&format!(
        "{until}까지 다른 카드를 등록하시면 {}이 바로 결제되고 구독이 시작됩니다. 등록하지 않으시면 결제 없이 신청이 \
         자동으로 취소됩니다.",
        m.amount
    ));
    letter.action("다른 카드 등록하기", links::payment_method(brand, m.subscription_ref)?);
    letter.render()
}
