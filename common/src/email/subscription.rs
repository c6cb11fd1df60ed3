//! E-mails about the end of a subscription: canceled, ended by an operator, ended before it began.

use chrono::NaiveDate;

use super::layout::EmailLayout;
use super::{Brand, RenderError, RenderedEmail};
use crate::domain::calendar::{Cycle, OutOfCalendar, korean_date};
use crate::domain::ending::Unused;
use crate::domain::money::Won;

/// A cancel that was done.
#[derive(Debug, Clone)]
pub struct SubscriptionCanceled<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    /// Asia/Seoul; the first day **without** access. Not named when `has_access` is false.
    pub access_until: NaiveDate,
    /// Whether a paid period is still running.
    pub has_access: bool,
    pub subscription_ref: &'a str,
}

/// No button: the way back is named, not urged.
pub fn subscription_canceled(
    brand: &Brand,
    m: &SubscriptionCanceled<'_>,
) -> Result<RenderedEmail, RenderError> {
    let mut layout = EmailLayout::new(brand, "구독 취소 완료", m.customer_name, m.subscription_ref)?;
    layout.opening(&format!("{} 플랜 구독이 취소되었습니다. 앞으로 결제되지 않습니다.", m.plan_name));
    layout.fact("구독", format!("{} 플랜", m.plan_name));
    if m.has_access {
        // "22일까지" would promise the 22nd, the first day that is not paid for.
        let last_day = korean_date(m.access_until.pred_opt().ok_or(OutOfCalendar)?);
        let ends = korean_date(m.access_until);
        layout.fact("이용 가능 기간", format!("{last_day}까지"));
        layout.closing(&format!(
            "이미 결제하신 기간이 남아 있어 {last_day}까지 그대로 이용하실 수 있으며, {ends} 0시에 이용이 종료됩니다."
        ));
        layout.closing("그 전까지는 아래 구독 관리 페이지에서 취소를 되돌리실 수 있습니다.");
    } else {
        layout.closing("남은 이용 기간이 없어 서비스 이용도 종료되었습니다. 다시 이용하시려면 새로 구독하실 수 있습니다.");
    }
    layout.render()
}

/// A subscription that an operator has ended before its paid period was over.
#[derive(Debug, Clone)]
pub struct SubscriptionEnded<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    /// Asia/Seoul.
    pub ended_on: NaiveDate,
    /// What is on its way back; none where nothing is.
    pub refund: Option<Won>,
    pub unused: Unused,
    pub subscription_ref: &'a str,
}

/// No button: to begin anew is named, not urged.
pub fn subscription_ended(brand: &Brand, m: &SubscriptionEnded<'_>) -> Result<RenderedEmail, RenderError> {
    let ended_on = korean_date(m.ended_on);
    let mut layout = EmailLayout::new(brand, "구독 종료 안내", m.customer_name, m.subscription_ref)?;
    layout.opening(&format!(
        "{} 플랜 구독이 {ended_on}에 종료되었습니다. 앞으로 결제되지 않습니다.",
        m.plan_name
    ));
    layout.fact("구독", format!("{} 플랜", m.plan_name));
    layout.fact("종료일", &ended_on);
    if let Some(amount) = m.refund {
        let Unused { days, of } = m.unused;
        layout.fact("환불 예정 금액", format!("{amount} (이용 기간 {of}일 중 남은 {days}일)"));
        layout.closing(&format!(
            "이용하지 않으신 {days}일에 해당하는 {amount}을 결제하신 수단으로 돌려드립니다. 환불이 완료되면 다시 안내해 \
             드립니다."
        ));
    }
    layout.closing("다시 이용하시려면 언제든지 새로 구독하실 수 있습니다.");
    layout.render()
}

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
pub fn subscription_not_begun(
    brand: &Brand,
    m: &SubscriptionNotBegun<'_>,
) -> Result<RenderedEmail, RenderError> {
    let mut layout = EmailLayout::new(brand, "구독 신청 취소 안내", m.customer_name, m.subscription_ref)?;
    layout.opening(&format!(
        "{} 플랜의 첫 결제가 기한까지 완료되지 않아 구독 신청이 취소되었습니다. 청구된 금액은 없으며, 앞으로도 결제되지 \
         않습니다.",
        m.plan_name
    ));
    layout.fact("구독", format!("{} 플랜 ({})", m.plan_name, m.cycle.korean()));
    layout.fact("결제되지 않은 금액", m.amount);
    layout.closing("이용을 원하시면 언제든지 새로 구독하실 수 있습니다.");
    layout.render()
}
