//! E-mails about consents to a higher amount: the request, and the end of a subscription without one.

use chrono::NaiveDate;

use super::layout::EmailLayout;
use super::{Brand, RenderError, RenderedEmail, links};
use crate::domain::calendar::{Cycle, OutOfCalendar, korean_date};
use crate::domain::money::Won;

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
    pub is_requested: bool,
    pub card_number: Option<&'a str>,
    pub subscription_ref: &'a str,
}

pub fn consent_request(brand: &Brand, m: &ConsentRequest<'_>) -> Result<RenderedEmail, RenderError> {
    let date = korean_date(m.effective_on);
    let deadline = korean_date(m.effective_on.pred_opt().ok_or(OutOfCalendar)?);
    let ConsentRequest { old_plan, old_amount, new_plan, new_amount, .. } = m;
    let (old_cycle, new_cycle) = (m.old_cycle.korean(), m.new_cycle.korean());
    let mut layout = EmailLayout::new(brand, "요금 변경 동의 요청", m.customer_name, m.subscription_ref)?;
    layout.opening(&if m.is_requested {
        format!("신청하신 변경에 따라 {date}부터 요금이 {old_amount}에서 {new_amount}으로 바뀝니다.")
    } else {
        format!(
            "{date}부터 {new_plan} 플랜 {new_cycle} 구독 요금이 {old_amount}에서 {new_amount}으로 인상됩니다."
        )
    });
    layout.opening(&format!("변경된 요금으로 계속 이용하시려면 {deadline}까지 동의해 주셔야 합니다."));
    layout.fact("변경일", &date);
    layout.fact("현재", format!("{old_plan} 플랜 ({old_cycle}) {old_amount}"));
    layout.fact("변경 후", format!("{new_plan} 플랜 ({new_cycle}) {new_amount}"));
    if let Some(number) = m.card_number {
        layout.fact("결제 카드", number);
    }
    layout.closing(&format!("동의하시면 {date}에 {new_amount}이 자동 결제됩니다."));
    layout.closing(&format!(
        "{deadline}까지 동의하지 않으시면 {new_amount}은 결제되지 않고, 구독은 결제하신 기간이 끝나는 {date} 0시에 종료됩니다."
    ));
    layout.closing(if m.is_requested {
        "구독 관리 페이지에서 변경 신청을 취소하시면 지금 요금으로 계속 이용하실 수 있고, 구독을 해지하실 수도 있습니다."
    } else {
        "동의하지 않고 구독 관리 페이지에서 바로 해지하실 수도 있습니다. 이미 결제하신 기간에는 계속 이용하실 수 있습니다."
    });
    layout.button("변경 내용 확인하고 동의하기", links::subscription(brand, m.subscription_ref)?);
    layout.render()
}

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

pub fn subscription_lapsed(brand: &Brand, m: &SubscriptionLapsed<'_>) -> Result<RenderedEmail, RenderError> {
    let ended_on = korean_date(m.ended_on);
    let mut layout = EmailLayout::new(brand, "구독 종료 안내", m.customer_name, m.subscription_ref)?;
    layout.opening(&format!(
        "요금 변경에 대한 동의가 확인되지 않아 {} 플랜 구독이 {ended_on} 0시에 종료되었습니다.",
        m.plan_name
    ));
    layout.fact("종료일", &ended_on);
    layout.fact("이전 요금", m.old_amount);
    layout.fact("변경 예정이던 요금", m.new_amount);
    layout.closing(&format!("{}은 결제되지 않았으며, 앞으로도 결제되지 않습니다.", m.new_amount));
    layout.closing("다시 이용하시려면 언제든지 새로 구독하실 수 있습니다.");
    layout.render()
}
