//! "요금 변경 동의 요청": what will cost more from when on, how to agree, how to leave, and what silence means.

use chrono::NaiveDate;

use super::{Brand, RenderError, Rendered, letter::Letter, links};
use crate::domain::{
    calendar::{Cycle, OutOfCalendar, korean_date},
    money::Won,
};

/// A change to a higher amount that nobody has agreed to yet.
#[derive(Debug, Clone)]
pub struct ConsentRequest<'a> {
    pub customer_name: &'a str,
    pub old_plan: &'a str,
    pub old_cycle: Cycle,
    pub old_amount: Won,
    pub new_plan: &'a str,
    pub new_cycle: Cycle,
    pub new_amount: Won,
    /// Asia/Seoul; the first day under the new terms, on which the card is charged.
    pub effective_on: NaiveDate,
    /// Whether the customer asked for it, and can take it back.
    pub own_wish: bool,
    pub card_number: Option<&'a str>,
    pub subscription_ref: &'a str,
}

pub fn consent_request(brand: &Brand, m: &ConsentRequest<'_>) -> Result<Rendered, RenderError> {
    let date = korean_date(m.effective_on);
    let deadline = korean_date(m.effective_on.pred_opt().ok_or(OutOfCalendar)?);
    let ConsentRequest { old_plan, old_amount, new_plan, new_amount, .. } = m;
    let (old_cycle, new_cycle) = (m.old_cycle.korean(), m.new_cycle.korean());
    let mut letter = Letter::new(brand, "요금 변경 동의 요청", m.customer_name, m.subscription_ref)?;
    letter.open(&if m.own_wish {
        format!("신청하신 변경에 따라 {date}부터 요금이 {old_amount}에서 {new_amount}으로 바뀝니다.")
    } else {
        format!(
            "{date}부터 {new_plan} 플랜 {new_cycle} 구독 요금이 {old_amount}에서 {new_amount}으로 인상됩니다."
        )
    });
    letter.open(&format!("변경된 요금으로 계속 이용하시려면 {deadline}까지 동의해 주셔야 합니다."));
    letter.fact("변경일", &date);
    letter.fact("현재", format!("{old_plan} 플랜 ({old_cycle}) {old_amount}"));
    letter.fact("변경 후", format!("{new_plan} 플랜 ({new_cycle}) {new_amount}"));
    if let Some(number) = m.card_number {
        letter.fact("결제 카드", number);
    }
    letter.close(&format!("동의하시면 {date}에 {new_amount}이 자동 결제됩니다."));
    letter.close(&format!(
        "{deadline}까지 동의하지 않으시면 {new_amount}은 결제되지 않고, 구독은 결제하신 기간이 끝나는 {date} 0시에 종료됩니다."
    ));
    letter.close(if m.own_wish {
        "구독 관리 페이지에서 변경 신청을 취소하시면 지금 요금으로 계속 이용하실 수 있고, 구독을 해지하실 수도 있습니다."
    } else {
        "동의하지 않고 구독 관리 페이지에서 바로 해지하실 수도 있습니다. 이미 결제하신 기간에는 계속 이용하실 수 있습니다."
    });
    letter.action("변경 내용 확인하고 동의하기", links::subscription(brand, m.subscription_ref)?);
    letter.render()
}
