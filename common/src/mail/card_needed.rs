//! "결제 카드 등록 안내": paid and in use, but no card is registered for the next charge.

use chrono::NaiveDate;

use super::{Brand, RenderError, Rendered, letter::Letter, links};
use crate::domain::{
    calendar::{Cycle, korean_date},
    money::Won,
};

/// An active subscription without a billing key.
#[derive(Debug, Clone)]
pub struct CardNeeded<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub cycle: Cycle,
    pub amount: Won,
    /// Asia/Seoul.
    pub next_date: NaiveDate,
    pub subscription_ref: &'a str,
}

pub fn card_needed(brand: &Brand, m: &CardNeeded<'_>) -> Result<Rendered, RenderError> {
    let next_date = korean_date(m.next_date);
    let mut letter = Letter::new(brand, "결제 카드 등록 안내", m.customer_name, m.subscription_ref)?;
    letter.open(&format!(
        "{} 플랜을 이용해 주셔서 감사합니다. 다음 결제에 사용할 카드가 아직 등록되지 않았습니다.",
        m.plan_name
    ));
    letter.fact("구독", format!("{} 플랜 ({})", m.plan_name, m.cycle.korean()));
    letter.fact("다음 결제일", &next_date);
    letter.fact("결제 예정 금액", m.amount);
    letter.close(&format!(
        "카드를 등록하시면 {next_date}에 {}이 자동 결제되어 구독이 이어집니다. 등록된 카드가 없으면 결제되지 않으며, \
         구독이 일시정지될 수 있습니다.",
        m.amount
    ));
    letter.close("구독을 이어가지 않으시려면 카드를 등록하지 않으셔도 됩니다.");
    letter.action("결제 카드 등록하기", links::payment_method(brand, m.subscription_ref)?);
    letter.render()
}
