//! "구독 일시정지": the last try failed; what a new card does.

use chrono::NaiveDate;

use super::{Brand, RenderError, Rendered, letter::Letter, links};
use crate::domain::{
    calendar::{Cycle, korean_date},
    money::Won,
};

/// Why there was no money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The bank declined this often, each time it was asked.
    Declined(usize),
    /// The bank will not take this card again, so it was not asked again.
    CardIsDead,
    NoCard,
}

/// A subscription whose dunning ended without money.
#[derive(Debug, Clone)]
pub struct SubscriptionSuspended<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub cycle: Cycle,
    pub amount: Won,
    pub cause: Cause,
    /// Asia/Seoul.
    pub suspended_on: NaiveDate,
    pub subscription_ref: &'a str,
}

pub fn subscription_suspended(brand: &Brand, m: &SubscriptionSuspended<'_>) -> Result<Rendered, RenderError> {
    let mut letter = Letter::new(brand, "구독 일시정지", m.customer_name, m.subscription_ref)?;
    let why = match m.cause {
        Cause::Declined(times) => format!("결제가 {times}회 실패하여"),
        Cause::CardIsDead => "등록된 카드로 결제할 수 없어".to_owned(),
        Cause::NoCard => "등록된 카드가 없어 결제가 이루어지지 않아".to_owned(),
    };
    letter.open(&format!("{why} {} 플랜 구독이 일시정지되었습니다.", m.plan_name));
    letter.fact("구독", format!("{} 플랜 ({})", m.plan_name, m.cycle.korean()));
    letter.fact("결제되지 않은 금액", m.amount);
    letter.fact("일시정지일", korean_date(m.suspended_on));
    letter.close(&format!(
        "지금은 서비스를 이용하실 수 없습니다. 새 카드를 등록하시면 {}이 바로 결제되고, 결제되는 대로 다시 이용하실 수 \
         있습니다.",
        m.amount
    ));
    letter.close("새 카드를 등록하지 않으시면 더 이상 결제되지 않습니다.");
    letter.action("새 카드 등록하기", links::payment_method(brand, m.subscription_ref)?);
    letter.render()
}
