//! "구독 갱신 안내": what will be charged, when, and how to stop it before.

use chrono::NaiveDate;

use super::{Brand, RenderError, Rendered, letter::Letter, links};
use crate::domain::{
    calendar::{Cycle, OutOfCalendar, korean_date},
    money::Won,
};

/// A renewal that comes in some days.
#[derive(Debug, Clone)]
pub struct RenewalNotice<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub cycle: Cycle,
    pub amount: Won,
    /// Asia/Seoul; the charge comes early on this date.
    pub renews_on: NaiveDate,
    /// As Toss masks it; left out where Toss did not tell.
    pub card_number: Option<&'a str>,
    pub subscription_ref: &'a str,
}

pub fn renewal_notice(brand: &Brand, m: &RenewalNotice<'_>) -> Result<Rendered, RenderError> {
    let renews_on = korean_date(m.renews_on);
    // The charge runs in the small hours, so the day before is the last that is surely in time.
    let cancel_by = korean_date(m.renews_on.pred_opt().ok_or(OutOfCalendar)?);
    let mut letter = Letter::new(brand, "구독 갱신 안내", m.customer_name, m.subscription_ref)?;
    letter.open(&format!(
        "{renews_on}에 {} 플랜의 {} 구독이 갱신되고 {}이 자동 결제됩니다.",
        m.plan_name,
        m.cycle.korean(),
        m.amount
    ));
    letter.fact("갱신일", renews_on);
    letter.fact("결제 예정 금액", m.amount);
    if let Some(number) = m.card_number {
        letter.fact("결제 카드", number);
    }
    letter.close("계속 이용하시려면 따로 하실 일이 없습니다.");
    letter.close(&format!(
        "갱신을 원하지 않으시면 {cancel_by}까지 구독 관리 페이지에서 취소해 주세요. 취소하시면 {}이 결제되지 않으며, 이미 \
         결제하신 기간에는 계속 이용하실 수 있습니다.",
        m.amount
    ));
    letter.action("구독 관리 페이지로 가기", links::subscription(brand, m.subscription_ref)?);
    letter.render()
}
