//! "구독 종료 안내": it was ended at once, from when it cannot be used, and what goes back.

use chrono::NaiveDate;

use super::{Brand, RenderError, Rendered, letter::Letter};
use crate::domain::{calendar::korean_date, ending::Unused, money::Won};

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
pub fn subscription_ended(brand: &Brand, m: &SubscriptionEnded<'_>) -> Result<Rendered, RenderError> {
    let ended_on = korean_date(m.ended_on);
    let mut letter = Letter::new(brand, "구독 종료 안내", m.customer_name, m.subscription_ref)?;
    letter
        .open(&format!("{} 플랜 구독이 {ended_on}에 종료되었습니다. 앞으로 결제되지 않습니다.", m.plan_name));
    letter.fact("구독", format!("{} 플랜", m.plan_name));
    letter.fact("종료일", &ended_on);
    if let Some(amount) = m.refund {
        let Unused { days, of } = m.unused;
        letter.fact("환불 예정 금액", format!("{amount} (이용 기간 {of}일 중 남은 {days}일)"));
        letter.close(&format!(
            "이용하지 않으신 {days}일에 해당하는 {amount}을 결제하신 수단으로 돌려드립니다. 환불이 완료되면 다시 안내해 \
             드립니다."
        ));
    }
    letter.close("다시 이용하시려면 언제든지 새로 구독하실 수 있습니다.");
    letter.render()
}
