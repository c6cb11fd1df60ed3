//! "구독 신청 취소 안내": the first payment was not made in time, nothing was charged, nothing is owed.

use super::{Brand, RenderError, Rendered, letter::Letter};
use crate::domain::{calendar::Cycle, money::Won};

/// A subscription that ended before it began.
#[derive(Debug, Clone)]
pub struct SubscriptionNotBegun<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub cycle: Cycle,
    pub amount: Won,
    pub subscription_ref: &'a str,
}

/// No button: to begin anew is named, not urged.
pub fn subscription_not_begun(brand: &Brand, m: &SubscriptionNotBegun<'_>) -> Result<Rendered, RenderError> {
    let mut letter = Letter::new(brand, "구독 신청 취소 안내", m.customer_name, m.subscription_ref)?;
    letter.open(&format!(
        "{} 플랜의 첫 결제가 기한까지 완료되지 않아 구독 신청이 취소되었습니다. 청구된 금액은 없으며, 앞으로도 결제되지 \
         않습니다.",
        m.plan_name
    ));
    letter.fact("구독", format!("{} 플랜 ({})", m.plan_name, m.cycle.korean()));
    letter.fact("결제되지 않은 금액", m.amount);
    letter.close("이용을 원하시면 언제든지 새로 구독하실 수 있습니다.");
    letter.render()
}
