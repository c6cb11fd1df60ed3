//! "결제 카드 확인 안내": the registered card is said to be of no more use; nothing has failed yet.

use chrono::NaiveDate;

use super::{Brand, RenderError, Rendered, letter::Letter, links};
use crate::domain::{
    calendar::{Cycle, korean_date},
    money::Won,
};

/// A subscription whose billing key the gateway says it has deleted.
#[derive(Debug, Clone)]
pub struct CardReplacement<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub cycle: Cycle,
    pub amount: Won,
    /// Asia/Seoul; when the card is asked next.
    pub next_date: NaiveDate,
    /// Masked by Toss.
    pub card_number: Option<&'a str>,
    pub subscription_ref: &'a str,
}

pub fn card_replacement(brand: &Brand, m: &CardReplacement<'_>) -> Result<Rendered, RenderError> {
    let next_date = korean_date(m.next_date);
    let mut letter = Letter::new(brand, "결제 카드 확인 안내", m.customer_name, m.subscription_ref)?;
    letter.open(&format!(
        "{} 플랜에 등록하신 카드의 자동결제 등록이 해지되었다는 알림을 받았습니다.",
        m.plan_name
    ));
    letter.fact("구독", format!("{} 플랜 ({})", m.plan_name, m.cycle.korean()));
    if let Some(number) = m.card_number {
        letter.fact("등록된 카드", number);
    }
    letter.fact("다음 결제일", &next_date);
    letter.fact("결제 예정 금액", m.amount);
    letter.close(&format!(
        "카드를 다시 등록하시면 {next_date}에 {}이 자동 결제되어 구독이 이어집니다. 다시 등록하지 않으시면 결제가 \
         이루어지지 않을 수 있으며, 구독이 일시정지될 수 있습니다.",
        m.amount
    ));
    letter.close("구독을 이어가지 않으시려면 카드를 등록하지 않고 구독을 취소하시면 됩니다.");
    letter.action("결제 카드 등록하기", links::payment_method(brand, m.subscription_ref)?);
    letter.render()
}
