//! "환불 완료": how much went back, when, and why.

use chrono::NaiveDate;

use super::{Brand, RenderError, Rendered, letter::Letter};
use crate::domain::{calendar::korean_date, money::Won};

/// What a payment is after a refund of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// This refund alone gave it all back.
    Whole,
    /// It gave back what earlier refunds had left of it.
    Rest,
    Part,
}

/// A refund that Toss confirmed, also that of a charge which landed after a cancel.
#[derive(Debug, Clone)]
pub struct PaymentRefunded<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    /// What this refund gave back.
    pub amount: Won,
    /// Asia/Seoul.
    pub refunded_on: NaiveDate,
    pub extent: Extent,
    /// In Korean words that a customer understands.
    pub reason: Option<&'a str>,
    pub subscription_ref: &'a str,
}

pub fn payment_refunded(brand: &Brand, m: &PaymentRefunded<'_>) -> Result<Rendered, RenderError> {
    let mut letter = Letter::new(brand, "환불 완료", m.customer_name, m.subscription_ref)?;
    let what = match m.extent {
        Extent::Whole => "전액이",
        Extent::Rest => "남은 금액이",
        Extent::Part => "일부가",
    };
    letter.open(&format!("{} 플랜 구독 요금의 {what} 환불되었습니다.", m.plan_name));
    letter.fact("환불 금액", m.amount);
    letter.fact("환불일", korean_date(m.refunded_on));
    if let Some(reason) = m.reason {
        letter.fact("환불 사유", reason);
    }
    if m.extent == Extent::Rest {
        letter.close("앞서 환불된 금액과 이번 환불을 합해 결제하신 금액이 모두 환불되었습니다.");
    }
    letter.close("결제하신 수단으로 환불되며, 카드사에 따라 반영되기까지 며칠이 걸릴 수 있습니다.");
    letter.render()
}
