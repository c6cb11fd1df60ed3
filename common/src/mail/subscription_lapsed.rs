//! "구독 종료 안내": it ended with its paid period, because nobody agreed to the new amount; nothing more was charged.

use chrono::NaiveDate;

use super::{Brand, RenderError, Rendered, letter::Letter};
use crate::domain::{calendar::korean_date, money::Won};

/// A subscription that ended without a consent.
#[derive(Debug, Clone)]
pub struct SubscriptionLapsed<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub old_amount: Won,
    pub new_amount: Won,
    /// Asia/Seoul; the first day without access.
    pub ended_on: NaiveDate,
    pub subscription_ref: &'a str,
}

pub fn subscription_lapsed(brand: &Brand, m: &SubscriptionLapsed<'_>) -> Result<Rendered, RenderError> {
    let ended_on = korean_date(m.ended_on);
    let mut letter = Letter::new(brand, "구독 종료 안내", m.customer_name, m.subscription_ref)?;
    letter.open(&format!(
        "요금 변경에 대한 동의가 확인되지 않아 {} 플랜 구독이 {ended_on} 0시에 종료되었습니다.",
        m.plan_name
    ));
    letter.fact("종료일", &ended_on);
    letter.fact("이전 요금", m.old_amount);
    letter.fact("변경 예정이던 요금", m.new_amount);
    letter.close(&format!("{}은 결제되지 않았으며, 앞으로도 결제되지 않습니다.", m.new_amount));
    letter.close("다시 이용하시려면 언제든지 새로 구독하실 수 있습니다.");
    letter.render()
}
