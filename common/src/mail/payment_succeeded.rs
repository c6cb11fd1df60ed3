//! "구독 결제 완료": what was paid, when the next charge comes, and Toss's receipt.

use chrono::NaiveDate;

use super::{Brand, RenderError, Rendered, letter::Letter, links};
use crate::domain::{
    calendar::{Cycle, korean_date},
    money::Won,
};

/// A first payment or a renewal that went through.
#[derive(Debug, Clone)]
pub struct PaymentSucceeded<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub cycle: Cycle,
    pub amount: Won,
    /// Asia/Seoul.
    pub paid_on: NaiveDate,
    /// As Toss masks it; left out where Toss did not tell.
    pub card_number: Option<&'a str>,
    /// Asia/Seoul. None while no card is registered to charge then: the mail asks for one.
    pub next_date: Option<NaiveDate>,
    /// As Toss gave it; left out unless it is an http or https address.
    pub receipt_url: Option<&'a str>,
    pub subscription_ref: &'a str,
}

pub fn payment_succeeded(brand: &Brand, m: &PaymentSucceeded<'_>) -> Result<Rendered, RenderError> {
    let mut letter = Letter::new(brand, "구독 결제 완료", m.customer_name, m.subscription_ref)?;
    letter.open(&format!("{} 플랜의 {} 구독 요금이 결제되었습니다.", m.plan_name, m.cycle.korean()));
    letter.fact("결제 금액", m.amount);
    letter.fact("결제일", korean_date(m.paid_on));
    if let Some(number) = m.card_number {
        letter.fact("결제 카드", number);
    }
    if let Some(date) = m.next_date {
        letter.fact("다음 결제일", korean_date(date));
    }
    if let Some(url) = m.receipt_url.and_then(links::receipt) {
        letter.linked_fact("영수증", "영수증 보기", url);
    }
    if m.next_date.is_some() {
        letter.close("다음 결제일에 등록된 카드로 자동 결제됩니다.");
    } else {
        letter.close(
            "다음 결제에 사용할 카드가 아직 등록되지 않았습니다. 구독을 계속 이용하시려면 결제 카드를 등록해 주세요.",
        );
        letter.action("결제 카드 등록하기", links::payment_method(brand, m.subscription_ref)?);
    }
    letter.render()
}
