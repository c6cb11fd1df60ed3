//! What operators can do to one thing, what follows from it, and why it may be refused. The commands carry it out.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::ending::RefundPolicy;
use super::money::Won;
use crate::id::{event_ref, subscription_ref};

/// One action on one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Asks the gateway now what became of an unknown payment.
    LookUpPayment(Uuid),
    /// Gives money back. `None`: all that is left.
    RefundPayment {
        payment_id: Uuid,
        amount: Option<Won>,
    },
    /// Says that a payment in review was paid under this payment key. The worker asks the gateway.
    ClaimPaid {
        payment_id: Uuid,
        payment_key: String,
    },
    /// Says that a payment in review was not paid.
    ClaimNotPaid(Uuid),
    /// A second operator agrees that it was not paid.
    AgreeNotPaid(Uuid),
    RetryJob(i64),
    SnoozeJob {
        job_id: i64,
        until: DateTime<Utc>,
    },
    DiscardJob(i64),
    CancelSubscription(Uuid),
    EndSubscription {
        subscription_id: Uuid,
        policy: RefundPolicy,
    },
    PauseCharging(Uuid),
    ResumeCharging(Uuid),
    ChargeInvoice(Uuid),
    ForgiveInvoice(Uuid),
    AcceptDiscrepancy(Uuid),
    ReplayEvent(Uuid),
    ResendEmail(Uuid),
    /// The switch over all charges.
    SwitchCharging {
        on: bool,
    },
    /// The switch over all outgoing events.
    SwitchEvents {
        on: bool,
    },
    /// Takes an operator's second factor away, e.g. with a lost phone.
    ResetTotp(Uuid),
}

impl Action {
    /// Its name in the audit log and in URLs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LookUpPayment(_) => "payment.look_up",
            Self::RefundPayment { .. } => "payment.refund",
            Self::ClaimPaid { .. } => "payment.claim_paid",
            Self::ClaimNotPaid(_) => "payment.claim_not_paid",
            Self::AgreeNotPaid(_) => "payment.agree_not_paid",
            Self::RetryJob(_) => "job.retry",
            Self::SnoozeJob { .. } => "job.snooze",
            Self::DiscardJob(_) => "job.discard",
            Self::CancelSubscription(_) => "subscription.cancel",
            Self::EndSubscription { .. } => "subscription.end",
            Self::PauseCharging(_) => "subscription.pause_charging",
            Self::ResumeCharging(_) => "subscription.resume_charging",
            Self::ChargeInvoice(_) => "invoice.charge",
            Self::ForgiveInvoice(_) => "invoice.forgive",
            Self::AcceptDiscrepancy(_) => "discrepancy.accept",
            Self::ReplayEvent(_) => "event.replay",
            Self::ResendEmail(_) => "email.resend",
            Self::SwitchCharging { on: true } => "charging.switch_on",
            Self::SwitchCharging { on: false } => "charging.switch_off",
            Self::SwitchEvents { on: true } => "events.switch_on",
            Self::SwitchEvents { on: false } => "events.switch_off",
            Self::ResetTotp(_) => "operator.totp_reset",
        }
    }

    pub fn target(&self) -> Target {
        match *self {
            Self::LookUpPayment(id)
            | Self::RefundPayment { payment_id: id, .. }
            | Self::ClaimPaid { payment_id: id, .. }
            | Self::ClaimNotPaid(id)
            | Self::AgreeNotPaid(id) => Target::Payment(id),
            Self::RetryJob(id) | Self::SnoozeJob { job_id: id, .. } | Self::DiscardJob(id) => Target::Job(id),
            Self::CancelSubscription(id)
            | Self::EndSubscription { subscription_id: id, .. }
            | Self::PauseCharging(id)
            | Self::ResumeCharging(id) => Target::Subscription(id),
            Self::ChargeInvoice(id) | Self::ForgiveInvoice(id) => Target::Invoice(id),
            Self::AcceptDiscrepancy(id) => Target::Discrepancy(id),
            Self::ReplayEvent(id) => Target::Event(id),
            Self::ResendEmail(id) => Target::Email(id),
            Self::SwitchCharging { .. } => Target::Switch("charging"),
            Self::SwitchEvents { .. } => Target::Switch("events"),
            Self::ResetTotp(id) => Target::Operator(id),
        }
    }
}

/// What an action changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Subscription(Uuid),
    Invoice(Uuid),
    Payment(Uuid),
    Job(i64),
    Discrepancy(Uuid),
    Event(Uuid),
    Email(Uuid),
    Operator(Uuid),
    /// A customer, by the user's id.
    Customer(Uuid),
    /// A row of `settings`.
    Switch(&'static str),
}

/// The kind of a target, as the audit log names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TargetKind {
    Subscription,
    Invoice,
    Payment,
    Job,
    Discrepancy,
    Event,
    Email,
    Operator,
    Customer,
    /// A row of `settings`.
    Switch,
    Plan,
    PriceChange,
    Import,
}

impl Target {
    pub fn kind(self) -> TargetKind {
        match self {
            Self::Subscription(_) => TargetKind::Subscription,
            Self::Invoice(_) => TargetKind::Invoice,
            Self::Payment(_) => TargetKind::Payment,
            Self::Job(_) => TargetKind::Job,
            Self::Discrepancy(_) => TargetKind::Discrepancy,
            Self::Event(_) => TargetKind::Event,
            Self::Email(_) => TargetKind::Email,
            Self::Operator(_) => TargetKind::Operator,
            Self::Customer(_) => TargetKind::Customer,
            Self::Switch(_) => TargetKind::Switch,
        }
    }

    /// Its id as the audit log holds it: the row's own.
    pub fn id(self) -> String {
        match self {
            Self::Subscription(id)
            | Self::Invoice(id)
            | Self::Payment(id)
            | Self::Discrepancy(id)
            | Self::Event(id)
            | Self::Email(id)
            | Self::Operator(id)
            | Self::Customer(id) => id.to_string(),
            Self::Job(id) => id.to_string(),
            Self::Switch(name) => name.to_owned(),
        }
    }
}

/// As people write it: `subscription sub_0192…`, `job 4711`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Subscription(id) => write!(f, "subscription {}", subscription_ref(id)),
            Self::Event(id) => write!(f, "event {}", event_ref(id)),
            other => write!(f, "{} {}", other.kind(), other.id()),
        }
    }
}

/// One thing that an action does, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "effect", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Effect {
    /// The gateway is asked by this job what became of the order. Null: the job is asking already.
    GatewayIsAsked {
        order_id: String,
        job: Option<i64>,
    },
    /// The gateway is asked whether it captured the order under the payment key; only then it counts as paid.
    PaidIsChecked {
        order_id: String,
    },
    /// The gateway is asked once more; where it cannot tell, another operator has to agree.
    NotPaidIsChecked {
        order_id: String,
    },
    /// Two operators agree: unless the gateway says now that it was paid, the payment is given up.
    PaymentIsGivenUp {
        order_id: String,
    },
    MoneyGoesBack {
        amount: Won,
        refund_id: Uuid,
    },
    CardIsCharged {
        amount: Won,
        job: i64,
    },
    /// Nothing is owed for the period any more.
    InvoiceIsVoid {
        amount: Won,
    },
    /// The period counts as begun although it was not paid.
    PeriodRuns {
        until: NaiveDate,
    },
    JobRuns {
        job: i64,
    },
    JobWaits {
        until: DateTime<Utc>,
    },
    JobIsDiscarded,
    /// The sweep looks for unfinished work without a job every few seconds.
    SweepMayMakeAnother,
    NoFurtherCharge,
    /// First day without access.
    AccessEnds {
        on: NaiveDate,
    },
    CustomerIsMailed,
    ChargesPause,
    ChargesGoOn,
    DiscrepancyIsAccepted,
    EventIsDelivered,
    /// As this e-mail: a copy to the customer's newest address, or the same where it still waits.
    EmailIsSentAgain {
        email_id: Uuid,
    },
    EventsPause,
    EventsGoOn,
    /// The operator logs in without a one-time code.
    PasswordSuffices,
}

impl Effect {
    pub fn en(&self) -> String {
        match self {
            Self::GatewayIsAsked { order_id, .. } => {
                format!("Toss is asked now what became of order {order_id}")
            }
            Self::PaidIsChecked { order_id } => {
                format!(
                    "Toss is asked whether it captured order {order_id} under the payment key; only then it is paid"
                )
            }
            Self::NotPaidIsChecked { order_id } => format!(
                "Toss is asked once more about order {order_id}; where it cannot tell, another operator has to agree"
            ),
            Self::PaymentIsGivenUp { order_id } => {
                format!("the payment of order {order_id} is given up, unless Toss says now that it was paid")
            }
            Self::MoneyGoesBack { amount, .. } => format!("{amount} goes back to the customer"),
            Self::CardIsCharged { amount, .. } => format!("the card is charged {amount} now"),
            Self::InvoiceIsVoid { amount } => format!("{amount} is not owed any more"),
            Self::PeriodRuns { until } => format!("the period runs until {until} as if it were paid"),
            Self::JobRuns { .. } => "the job runs now".to_owned(),
            Self::JobWaits { until } => format!("the job waits until {until}"),
            Self::JobIsDiscarded => "the job does not run any more".to_owned(),
            Self::SweepMayMakeAnother => {
                "a new job is made within two minutes if its work is unfinished".to_owned()
            }
            Self::NoFurtherCharge => "the card is not charged any more".to_owned(),
            Self::AccessEnds { on } => format!("access ends on {on}"),
            Self::CustomerIsMailed => "the customer gets an e-mail".to_owned(),
            Self::ChargesPause => "no new charge begins; payments in flight are still looked up".to_owned(),
            Self::ChargesGoOn => "charges go on: what is due meanwhile is charged".to_owned(),
            Self::DiscrepancyIsAccepted => "no more alarms, unless its amounts change".to_owned(),
            Self::EventIsDelivered => "the event is delivered again under its old id".to_owned(),
            Self::EmailIsSentAgain { .. } => {
                "the e-mail goes out again, to the customer's newest address".to_owned()
            }
            Self::EventsPause => "events are kept and not delivered".to_owned(),
            Self::EventsGoOn => "events are delivered again".to_owned(),
            Self::PasswordSuffices => "the operator logs in with the password alone".to_owned(),
        }
    }

    pub fn ko(&self) -> String {
        match self {
            Self::GatewayIsAsked { order_id, .. } => {
                format!("주문 {order_id}의 결과를 지금 토스에 조회합니다")
            }
            Self::PaidIsChecked { order_id } => {
                format!(
                    "주문 {order_id}이(가) 결제되었는지 결제 키로 토스에 확인하고, 확인된 경우에만 결제로 처리합니다"
                )
            }
            Self::NotPaidIsChecked { order_id } => format!(
                "주문 {order_id}을(를) 토스에 다시 조회합니다. 토스가 답하지 못하면 다른 운영자의 동의가 필요합니다"
            ),
            Self::PaymentIsGivenUp { order_id } => {
                format!("토스가 결제되었다고 답하지 않는 한 주문 {order_id}을(를) 미결제로 처리합니다")
            }
            Self::MoneyGoesBack { amount, .. } => format!("고객에게 {amount}을 환불합니다"),
            Self::CardIsCharged { amount, .. } => format!("카드로 지금 {amount}을 청구합니다"),
            Self::InvoiceIsVoid { amount } => format!("{amount}을 더 이상 청구하지 않습니다"),
            Self::PeriodRuns { until } => format!("결제된 것처럼 {until}까지 이용할 수 있습니다"),
            Self::JobRuns { .. } => "작업을 지금 실행합니다".to_owned(),
            Self::JobWaits { until } => {
                let date = super::calendar::seoul_date(*until);
                format!("작업을 {date} {}까지 미룹니다", super::calendar::seoul_time(*until).format("%H:%M"))
            }
            Self::JobIsDiscarded => "작업을 더 이상 실행하지 않습니다".to_owned(),
            Self::SweepMayMakeAnother => "할 일이 남아 있으면 2분 안에 새 작업이 만들어집니다".to_owned(),
            Self::NoFurtherCharge => "더 이상 카드로 청구하지 않습니다".to_owned(),
            Self::AccessEnds { on } => format!("{on}부터 이용할 수 없습니다"),
            Self::CustomerIsMailed => "고객에게 이메일을 보냅니다".to_owned(),
            Self::ChargesPause => "새 청구를 시작하지 않습니다. 진행 중인 결제는 계속 조회합니다".to_owned(),
            Self::ChargesGoOn => "청구를 다시 시작하고, 그동안 밀린 청구를 진행합니다".to_owned(),
            Self::DiscrepancyIsAccepted => "금액이 바뀌지 않는 한 더 이상 알리지 않습니다".to_owned(),
            Self::EventIsDelivered => "이벤트를 같은 ID로 다시 전송합니다".to_owned(),
            Self::EmailIsSentAgain { .. } => "고객의 최신 주소로 이메일을 다시 보냅니다".to_owned(),
            Self::EventsPause => "이벤트를 보관만 하고 전송하지 않습니다".to_owned(),
            Self::EventsGoOn => "이벤트 전송을 다시 시작합니다".to_owned(),
            Self::PasswordSuffices => "이 운영자는 비밀번호만으로 로그인합니다".to_owned(),
        }
    }
}

/// Why an action is not possible as things stand. `<&str>::from` is a stable code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    #[error("the payment has settled: there is nothing to look up")]
    PaymentSettled,
    #[error("the payment has not been sent yet: there is nothing to look up")]
    PaymentNotSent,
    #[error("the payment does not need review: its look-ups go on by themselves for a day")]
    NotInReview,
    #[error("another operator's claim on the payment is open")]
    ClaimIsOpen,
    #[error("no claim on the payment waits for agreement")]
    NothingToAgree,
    #[error("the operator who made the claim cannot agree to it")]
    SameOperator,
    #[error("the payment has captured nothing that could go back")]
    NothingToRefund,
    #[error("no more than {0} is left to go back")]
    RefundTooLarge(Won),
    #[error(
        "a deposit goes back to a bank account that its customer names: refund it in Toss's dashboard, and it is booked here"
    )]
    DepositRefund,
    #[error("another refund of the payment is under way")]
    RefundInProgress,
    #[error("the gateway and the customer read the reason: at most 200 characters")]
    ReasonTooLong,
    /// With the queue's advice.
    #[error("{0}")]
    JobState(String),
    #[error("the time has to be in the future, at most 90 days ahead")]
    SnoozeOutOfRange,
    #[error("the subscription is canceled already")]
    AlreadyCanceled,
    #[error("the subscription has ended already")]
    AlreadyEnded,
    #[error("the invoice is {0} and does not wait for an operator")]
    InvoiceNotOnHold(String),
    #[error("the invoice has a payment in flight: wait for its answer")]
    PaymentInFlight,
    #[error("the subscription is suspended: it can be charged once a new card has revived it")]
    SubscriptionSuspended,
    #[error("the subscription is {0}: nothing can be charged, forgive the invoice")]
    SubscriptionOver(String),
    #[error("the discrepancy is resolved")]
    DiscrepancyResolved,
    #[error("nobody listens to events ({0}): set WEBHOOK_URL, or switch events on first")]
    NobodyListens(String),
    #[error("its customer was erased")]
    CustomerErased,
    #[error("the event waits for its delivery already")]
    EventWaits,
    #[error("there is no endpoint to switch on or off: no worker has had a WEBHOOK_URL")]
    NoEndpoint,
    #[error("the operator has no one-time codes")]
    NoTotp,
    #[error("nobody resets their own second factor: turn it off with a code, or use the command line")]
    OwnTotp,
}

impl Refusal {
    pub fn ko(&self) -> String {
        match self {
            Self::PaymentSettled => "이미 결과가 확정된 결제입니다".to_owned(),
            Self::PaymentNotSent => "아직 전송되지 않아 조회할 결과가 없습니다".to_owned(),
            Self::NotInReview => "아직 검토 대상이 아닙니다. 하루 동안은 자동으로 조회합니다".to_owned(),
            Self::ClaimIsOpen => "이미 처리 중인 확인 요청이 있습니다".to_owned(),
            Self::NothingToAgree => "동의를 기다리는 요청이 없습니다".to_owned(),
            Self::SameOperator => {
                "요청한 운영자는 동의할 수 없습니다. 다른 운영자의 동의가 필요합니다".to_owned()
            }
            Self::NothingToRefund => "환불할 금액이 없습니다".to_owned(),
            Self::RefundTooLarge(left) => format!("환불할 수 있는 금액은 {left}까지입니다"),
            Self::DepositRefund => {
                "가상계좌 입금은 토스페이먼츠 상점관리자에서 환불해 주세요. 환불 내역은 자동으로 반영됩니다"
                    .to_owned()
            }
            Self::RefundInProgress => "진행 중인 환불이 있습니다".to_owned(),
            Self::ReasonTooLong => "토스와 고객에게 전달되는 사유는 200자 이하여야 합니다".to_owned(),
            Self::JobState(why) => format!("지금은 할 수 없는 작업입니다 ({why})"),
            Self::SnoozeOutOfRange => "지금부터 90일 이내의 시각이어야 합니다".to_owned(),
            Self::AlreadyCanceled => "이미 해지된 구독입니다".to_owned(),
            Self::AlreadyEnded => "이미 종료된 구독입니다".to_owned(),
            Self::InvoiceNotOnHold(_) => "보류 중인 청구서가 아닙니다".to_owned(),
            Self::PaymentInFlight => "진행 중인 결제가 있습니다. 결과를 기다려 주세요".to_owned(),
            Self::SubscriptionSuspended => {
                "정지된 구독입니다. 새 카드가 등록되면 청구할 수 있습니다".to_owned()
            }
            Self::SubscriptionOver(_) => "끝난 구독이라 청구할 수 없습니다. 면제만 할 수 있습니다".to_owned(),
            Self::DiscrepancyResolved => "이미 해소된 불일치입니다".to_owned(),
            Self::NobodyListens(_) => "이벤트를 받을 곳이 없습니다".to_owned(),
            Self::CustomerErased => "개인정보가 삭제된 고객입니다".to_owned(),
            Self::EventWaits => "이미 전송을 기다리는 이벤트입니다".to_owned(),
            Self::NoEndpoint => "이벤트를 받을 주소가 등록된 적이 없습니다".to_owned(),
            Self::NoTotp => "2단계 인증을 쓰지 않는 운영자입니다".to_owned(),
            Self::OwnTotp => {
                "본인의 2단계 인증은 초기화할 수 없습니다. 인증 코드로 끄거나 명령줄을 사용해 주세요"
                    .to_owned()
            }
        }
    }
}
