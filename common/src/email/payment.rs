//! E-mails about money that moved or will move: paid, refunded, renewed soon.

use chrono::{DateTime, NaiveDate, Utc};

use super::layout::EmailLayout;
use super::{Brand, RenderError, RenderedEmail, links};
use crate::domain::calendar::{Cycle, OutOfCalendar, korean_date, korean_moment};
use crate::domain::money::Won;

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

pub fn payment_succeeded(brand: &Brand, m: &PaymentSucceeded<'_>) -> Result<RenderedEmail, RenderError> {
    let mut layout = EmailLayout::new(brand, "구독 결제 완료", m.customer_name, m.subscription_ref)?;
    layout.opening(&format!("{} 플랜의 {} 구독 요금이 결제되었습니다.", m.plan_name, m.cycle.korean()));
    layout.fact("결제 금액", m.amount);
    layout.fact("결제일", korean_date(m.paid_on));
    if let Some(number) = m.card_number {
        layout.fact("결제 카드", number);
    }
    if let Some(date) = m.next_date {
        layout.fact("다음 결제일", korean_date(date));
    }
    if let Some(url) = m.receipt_url.and_then(links::receipt) {
        layout.linked_fact("영수증", "영수증 보기", url);
    }
    if m.next_date.is_some() {
        layout.closing("다음 결제일에 등록된 카드로 자동 결제됩니다.");
    } else {
        layout.closing(
            "다음 결제에 사용할 카드가 아직 등록되지 않았습니다. 구독을 계속 이용하시려면 결제 카드를 등록해 주세요.",
        );
        layout.button("결제 카드 등록하기", links::payment_method(brand, m.subscription_ref)?);
    }
    layout.render()
}

/// What a payment is after a refund of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundExtent {
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
    pub extent: RefundExtent,
    /// In Korean words that a customer understands.
    pub reason: Option<&'a str>,
    pub subscription_ref: &'a str,
}

pub fn payment_refunded(brand: &Brand, m: &PaymentRefunded<'_>) -> Result<RenderedEmail, RenderError> {
    let mut layout = EmailLayout::new(brand, "환불 완료", m.customer_name, m.subscription_ref)?;
    let what = match m.extent {
        RefundExtent::Whole => "전액이",
        RefundExtent::Rest => "남은 금액이",
        RefundExtent::Part => "일부가",
    };
    layout.opening(&format!("{} 플랜 구독 요금의 {what} 환불되었습니다.", m.plan_name));
    layout.fact("환불 금액", m.amount);
    layout.fact("환불일", korean_date(m.refunded_on));
    if let Some(reason) = m.reason {
        layout.fact("환불 사유", reason);
    }
    if m.extent == RefundExtent::Rest {
        layout.closing("앞서 환불된 금액과 이번 환불을 합해 결제하신 금액이 모두 환불되었습니다.");
    }
    layout.closing("결제하신 수단으로 환불되며, 카드사에 따라 반영되기까지 며칠이 걸릴 수 있습니다.");
    layout.render()
}

/// A renewal that comes in some days.
#[derive(Debug, Clone)]
pub struct RenewalNotice<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub cycle: Cycle,
    pub amount: Won,
    /// Asia/Seoul; the charge comes early on this date.
    pub renews_on: NaiveDate,
    /// As Toss masks it; left out where Toss did not tell.
    pub card_number: Option<&'a str>,
    pub subscription_ref: &'a str,
}

pub fn renewal_notice(brand: &Brand, m: &RenewalNotice<'_>) -> Result<RenderedEmail, RenderError> {
    let renews_on = korean_date(m.renews_on);
    // The charge runs in the small hours, so the day before is the last that is surely in time.
    let cancel_by = korean_date(m.renews_on.pred_opt().ok_or(OutOfCalendar)?);
    let mut layout = EmailLayout::new(brand, "구독 갱신 안내", m.customer_name, m.subscription_ref)?;
    layout.opening(&format!(
        "{renews_on}에 {} 플랜의 {} 구독이 갱신되고 {}이 자동 결제됩니다.",
        m.plan_name,
        m.cycle.korean(),
        m.amount
    ));
    layout.fact("갱신일", renews_on);
    layout.fact("결제 예정 금액", m.amount);
    if let Some(number) = m.card_number {
        layout.fact("결제 카드", number);
    }
    layout.closing("계속 이용하시려면 따로 하실 일이 없습니다.");
    layout.closing(&format!(
        "갱신을 원하지 않으시면 {cancel_by}까지 구독 관리 페이지에서 취소해 주세요. 취소하시면 {}이 결제되지 않으며, 이미 \
         결제하신 기간에는 계속 이용하실 수 있습니다.",
        m.amount
    ));
    layout.button("구독 관리 페이지로 가기", links::subscription(brand, m.subscription_ref)?);
    layout.render()
}

/// A first payment by virtual account that waits for its deposit.
#[derive(Debug, Clone)]
pub struct DepositAwaited<'a> {
    pub customer_name: &'a str,
    pub plan_name: &'a str,
    pub cycle: Cycle,
    pub amount: Won,
    pub bank: &'a str,
    pub account_number: &'a str,
    pub holder_name: &'a str,
    pub due_at: DateTime<Utc>,
    pub subscription_ref: &'a str,
}

/// No button: the money is paid at the customer's own bank.
pub fn deposit_awaited(brand: &Brand, m: &DepositAwaited<'_>) -> Result<RenderedEmail, RenderError> {
    let until = korean_moment(m.due_at);
    let mut layout = EmailLayout::new(brand, "입금 안내", m.customer_name, m.subscription_ref)?;
    layout.opening(&format!(
        "{} 플랜의 첫 결제를 가상계좌로 신청하셨습니다. 아래 계좌로 입금하시면 구독이 시작됩니다.",
        m.plan_name
    ));
    layout.fact("구독", format!("{} 플랜 ({})", m.plan_name, m.cycle.korean()));
    layout.fact("입금 금액", m.amount);
    layout.fact("은행", m.bank);
    layout.fact("계좌번호", m.account_number);
    layout.fact("예금주", m.holder_name);
    layout.fact("입금 기한", &until);
    layout.closing(&format!(
        "{until}까지 입금하지 않으시면 결제 없이 신청이 자동으로 취소됩니다. 가상계좌는 첫 결제에만 사용되며, 다음 결제부터는 \
         등록하신 카드로 결제됩니다."
    ));
    layout.render()
}
