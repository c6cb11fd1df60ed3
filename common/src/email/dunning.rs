//! E-mails about payments that failed and cards that are missing: why, and what the customer can do.

use chrono::{DateTime, NaiveDate, Utc};

use super::layout::EmailLayout;
use super::{Brand, RenderError, RenderedEmail, links};
use crate::domain::calendar::{Cycle, korean_date, korean_moment};
use crate::domain::money::Won;

/// A declined renewal that has another try before it.
#[derive(Debug, Clone)]
pub struct PaymentFailed<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub cycle: Cycle,
    pub amount: Won,
    /// In Korean words that a customer understands.
    pub reason: &'a str,
    /// The bank will never accept this card again: only a new card helps, and it is charged at once.
    pub card_is_dead: bool,
    /// Asia/Seoul; the date on record, not one computed for the mail.
    pub retry_on: NaiveDate,
    pub subscription_ref: &'a str,
}

pub fn payment_failed(brand: &Brand, m: &PaymentFailed<'_>) -> Result<RenderedEmail, RenderError> {
    let retry_on = korean_date(m.retry_on);
    let mut layout = EmailLayout::new(brand, "구독 결제 실패", m.customer_name, m.subscription_ref)?;
    layout.opening(&format!("{} 플랜의 {} 구독 요금이 결제되지 않았습니다.", m.plan_name, m.cycle.korean()));
    layout.fact("결제 금액", m.amount);
    layout.fact("실패 사유", m.reason);
    if m.card_is_dead {
        layout.fact("다음 결제 예정일", format!("{retry_on} (새 카드 필요)"));
        layout.closing(&format!(
            "지금 등록된 카드로는 결제할 수 없어 {retry_on}에도 결제되지 않습니다. 그 전에 새 카드를 등록해 주세요. \
             등록하시면 {}이 바로 결제됩니다.",
            m.amount
        ));
        layout.button("새 카드 등록하기", links::payment_method(brand, m.subscription_ref)?);
    } else {
        layout.fact("다음 결제 예정일", &retry_on);
        layout.closing(&format!(
            "{retry_on}에 등록된 카드로 다시 결제를 시도합니다. 그 전에 카드 정보를 확인해 주세요. \
             다른 카드로 변경하시면 {}이 바로 결제됩니다.",
            m.amount
        ));
        layout.button("결제 카드 변경하기", links::payment_method(brand, m.subscription_ref)?);
    }
    layout.closing(&format!(
        "{retry_on} 전까지 서비스는 그대로 이용하실 수 있으며, 결제가 계속 이루어지지 않으면 구독이 일시정지됩니다."
    ));
    layout.render()
}

/// A first charge that was declined, or a card that could not be registered for it.
#[derive(Debug, Clone)]
pub struct FirstPaymentFailed<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub cycle: Cycle,
    pub amount: Won,
    /// In Korean words that a customer understands.
    pub reason: &'a str,
    /// Another card is taken until then.
    pub repair_until: DateTime<Utc>,
    pub subscription_ref: &'a str,
}

pub fn first_payment_failed(brand: &Brand, m: &FirstPaymentFailed<'_>) -> Result<RenderedEmail, RenderError> {
    let until = korean_moment(m.repair_until);
    let mut layout = EmailLayout::new(brand, "첫 결제 실패 안내", m.customer_name, m.subscription_ref)?;
    layout.opening(&format!(
        "{} 플랜의 첫 결제가 완료되지 않아 구독이 아직 시작되지 않았습니다. 청구된 금액은 없습니다.",
        m.plan_name
    ));
    layout.fact("구독", format!("{} 플랜 ({})", m.plan_name, m.cycle.korean()));
    layout.fact("결제 금액", m.amount);
    layout.fact("실패 사유", m.reason);
    layout.fact("카드 등록 기한", &until);
    layout.closing(&format!(
        "{until}까지 다른 카드를 등록하시면 {}이 바로 결제되고 구독이 시작됩니다. 등록하지 않으시면 결제 없이 신청이 \
         자동으로 취소됩니다.",
        m.amount
    ));
    layout.button("다른 카드 등록하기", links::payment_method(brand, m.subscription_ref)?);
    layout.render()
}

/// Why there was no money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuspensionCause {
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
    pub cause: SuspensionCause,
    /// Asia/Seoul.
    pub suspended_on: NaiveDate,
    pub subscription_ref: &'a str,
}

pub fn subscription_suspended(
    brand: &Brand,
    m: &SubscriptionSuspended<'_>,
) -> Result<RenderedEmail, RenderError> {
    let mut layout = EmailLayout::new(brand, "구독 일시정지", m.customer_name, m.subscription_ref)?;
    let why = match m.cause {
        SuspensionCause::Declined(times) => format!("결제가 {times}회 실패하여"),
        SuspensionCause::CardIsDead => "등록된 카드로 결제할 수 없어".to_owned(),
        SuspensionCause::NoCard => "등록된 카드가 없어 결제가 이루어지지 않아".to_owned(),
    };
    layout.opening(&format!("{why} {} 플랜 구독이 일시정지되었습니다.", m.plan_name));
    layout.fact("구독", format!("{} 플랜 ({})", m.plan_name, m.cycle.korean()));
    layout.fact("결제되지 않은 금액", m.amount);
    layout.fact("일시정지일", korean_date(m.suspended_on));
    layout.closing(&format!(
        "지금은 서비스를 이용하실 수 없습니다. 새 카드를 등록하시면 {}이 바로 결제되고, 결제되는 대로 다시 이용하실 수 \
         있습니다.",
        m.amount
    ));
    layout.closing("새 카드를 등록하지 않으시면 더 이상 결제되지 않습니다.");
    layout.button("새 카드 등록하기", links::payment_method(brand, m.subscription_ref)?);
    layout.render()
}

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

pub fn card_needed(brand: &Brand, m: &CardNeeded<'_>) -> Result<RenderedEmail, RenderError> {
    let next_date = korean_date(m.next_date);
    let mut layout = EmailLayout::new(brand, "결제 카드 등록 안내", m.customer_name, m.subscription_ref)?;
    layout.opening(&format!(
        "{} 플랜을 이용해 주셔서 감사합니다. 다음 결제에 사용할 카드가 아직 등록되지 않았습니다.",
        m.plan_name
    ));
    layout.fact("구독", format!("{} 플랜 ({})", m.plan_name, m.cycle.korean()));
    layout.fact("다음 결제일", &next_date);
    layout.fact("결제 예정 금액", m.amount);
    layout.closing(&format!(
        "카드를 등록하시면 {next_date}에 {}이 자동 결제되어 구독이 이어집니다. 등록된 카드가 없으면 결제되지 않으며, \
         구독이 일시정지될 수 있습니다.",
        m.amount
    ));
    layout.closing("구독을 이어가지 않으시려면 카드를 등록하지 않으셔도 됩니다.");
    layout.button("결제 카드 등록하기", links::payment_method(brand, m.subscription_ref)?);
    layout.render()
}
