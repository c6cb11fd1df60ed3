//! "구독 취소 완료": it is canceled, nothing more is charged, and until when it can be used and taken back.

use chrono::NaiveDate;

use super::{Brand, RenderError, Rendered, letter::Letter};
use crate::domain::calendar::{OutOfCalendar, korean_date};

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
pub fn subscription_canceled(brand: &Brand, m: &SubscriptionCanceled<'_>) -> Result<Rendered, RenderError> {
    let mut letter = Letter::new(brand, "구독 취소 완료", m.customer_name, m.subscription_ref)?;
    letter.open(&format!("{} 플랜 구독이 취소되었습니다. 앞으로 결제되지 않습니다.", m.plan_name));
    letter.fact("구독", format!("{} 플랜", m.plan_name));
    if m.has_access {
        // "22일까지" would promise the 22nd, the first day that is not paid for.
        let last_day = korean_date(m.access_until.pred_opt().ok_or(OutOfCalendar)?);
        let ends = korean_date(m.access_until);
        letter.fact("이용 가능 기간", format!("{last_day}까지"));
        letter.close(&format!(
            "이미 결제하신 기간이 남아 있어 {last_day}까지 그대로 이용하실 수 있으며, {ends} 0시에 이용이 종료됩니다."
        ));
        letter.close("그 전까지는 아래 구독 관리 페이지에서 취소를 되돌리실 수 있습니다.");
    } else {
        letter.close("남은 이용 기간이 없어 서비스 이용도 종료되었습니다. 다시 이용하시려면 새로 구독하실 수 있습니다.");
    }
    letter.render()
}
