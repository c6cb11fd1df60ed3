//! What commands refuse, as failures of the request that asked for it.

use common::commands::cancel::CancelError;
use common::commands::change_customer::ChangeCustomerError;
use common::commands::change_plan::ChangeError;
use common::commands::confirm::ConfirmError;
use common::commands::consent::ConsentError;
use common::commands::end::EndError;
use common::commands::receive_webhook::ReceiveError;
use common::commands::refund::RefundError;
use common::commands::register_card::RegisterError;
use common::commands::resume::ResumeError;
use common::commands::subscribe::SubscribeError;
use common::domain::plan_change::{ChangeRefused, ConsentRefused};
use common::domain::purchase::{AlreadySubscribed, NextAction as NextStep};
use common::domain::subscription::ResumeRefused;
use common::domain::validated::{PlanCode, Rule};
use common::id::subscription_ref;
use common::outbox::OutboxError;

use crate::error::ApiError;
use crate::problem::Problem;
use crate::views::NextAction;

const TOO_MUCH: Rule = Rule {
    ko: "항목이 환불할 수 있는 금액보다 큽니다",
    en: "is more than what is left to give back",
};
const OTHER_CUSTOMER: Rule =
    Rule { ko: "항목이 구독의 것과 다릅니다", en: "is not the subscription's" };
const OTHER_CHANGE: Rule =
    Rule { ko: "항목이 예정된 변경과 다릅니다", en: "is not that of the pending change" };

fn unknown_plan() -> ApiError {
    ApiError::invalid("plan", PlanCode::RULE)
}

fn already_subscribed(held: AlreadySubscribed) -> ApiError {
    let next_action = held.next_action.map(|step| match step {
        NextStep::RegisterPaymentMethod => NextAction::RegisterPaymentMethod,
        NextStep::Resume => NextAction::Resume,
    });
    ApiError::already_subscribed(subscription_ref(held.subscription_id), next_action)
}

impl From<ConfirmError> for ApiError {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::UnknownPlan(_) => unknown_plan(),
            ConfirmError::WrongAmount { .. } => Problem::AmountMismatch.into(),
            ConfirmError::AlreadySubscribed(held) => already_subscribed(held),
            ConfirmError::OrderTaken => Problem::OrderConflict.into(),
            ConfirmError::Calendar(error) => Self::internal(error),
            ConfirmError::Store(error) => error.into(),
            ConfirmError::Queue(error) => error.into(),
        }
    }
}

impl From<CancelError> for ApiError {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::NotFound => Problem::NotFound.into(),
            CancelError::Refused(_) => Problem::AlreadyCanceled.into(),
            CancelError::Store(error) | CancelError::Outbox(OutboxError::Store(error)) => error.into(),
            CancelError::Outbox(OutboxError::Queue(error)) => error.into(),
            CancelError::Render(error) => Self::internal(error),
        }
    }
}

impl From<ReceiveError> for ApiError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Store(error) => error.into(),
            ReceiveError::Queue(error) => error.into(),
        }
    }
}

impl From<ResumeError> for ApiError {
    fn from(error: ResumeError) -> Self {
        match error {
            ResumeError::NotFound => Problem::NotFound.into(),
            ResumeError::Refused(ResumeRefused::NotCanceled) => Problem::NotCanceled.into(),
            ResumeError::Refused(ResumeRefused::AnotherSubscription) => Problem::AlreadySubscribed.into(),
            ResumeError::Refused(ResumeRefused::PeriodEnded) => Problem::PeriodEnded.into(),
            ResumeError::Refused(ResumeRefused::RefundInProgress) => Problem::RefundInProgress.into(),
            ResumeError::Store(error) => error.into(),
        }
    }
}

impl From<RefundError> for ApiError {
    fn from(error: RefundError) -> Self {
        match error {
            RefundError::NotFound => Problem::NotFound.into(),
            RefundError::NotRefundable => Problem::NotRefundable.into(),
            RefundError::TooMuch(_) => Self::invalid("amount", TOO_MUCH),
            RefundError::NeedsBankAccount => Problem::RefundNeedsBankAccount.into(),
            RefundError::InProgress => Problem::RefundInProgress.into(),
            RefundError::KeyTaken => Problem::IdempotencyConflict.into(),
            RefundError::Store(error) => error.into(),
            RefundError::Queue(error) => error.into(),
        }
    }
}

impl From<RegisterError> for ApiError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::NotFound => Problem::NotFound.into(),
            RegisterError::OtherCustomer => Self::invalid("customerKey", OTHER_CUSTOMER),
            RegisterError::Canceled => Problem::AlreadyCanceled.into(),
            RegisterError::NotActive => Problem::NotActive.into(),
            RegisterError::InProgress => Problem::RegistrationInProgress.into(),
            RegisterError::AuthKeyTaken => Problem::AuthKeyUsed.into(),
            RegisterError::Store(error) => error.into(),
            RegisterError::Queue(error) => error.into(),
        }
    }
}

impl From<SubscribeError> for ApiError {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::WrongAmount { .. } => Problem::AmountMismatch.into(),
            SubscribeError::UnknownPlan(_) => unknown_plan(),
            SubscribeError::AlreadySubscribed(held) => already_subscribed(held),
            SubscribeError::Register(error) => error.into(),
            SubscribeError::Calendar(error) => Self::internal(error),
            SubscribeError::Store(error) => error.into(),
            SubscribeError::Queue(error) => error.into(),
        }
    }
}

impl From<EndError> for ApiError {
    fn from(error: EndError) -> Self {
        match error {
            EndError::NotFound => Problem::NotFound.into(),
            EndError::Refused(_) => Problem::AlreadyEnded.into(),
            EndError::KeyTaken => Problem::IdempotencyConflict.into(),
            EndError::Refund(error) => error.into(),
            EndError::Store(error) | EndError::Outbox(OutboxError::Store(error)) => error.into(),
            EndError::Outbox(OutboxError::Queue(error)) => error.into(),
            EndError::Render(error) => Self::internal(error),
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Problem::NotFound.into(),
            ChangeError::UnknownPlan(_) => unknown_plan(),
            ChangeError::NothingPending => Problem::NoPendingChange.into(),
            ChangeError::Refused(ChangeRefused::NotBegun) => Problem::NotBegun.into(),
            ChangeError::Refused(ChangeRefused::Suspended) => Problem::Suspended.into(),
            ChangeError::Refused(ChangeRefused::Canceled) => Problem::AlreadyCanceled.into(),
            ChangeError::Refused(ChangeRefused::Unchanged) => Problem::PlanUnchanged.into(),
            ChangeError::Refused(ChangeRefused::Calendar(error)) => Self::internal(error),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<ConsentError> for ApiError {
    fn from(error: ConsentError) -> Self {
        match error {
            ConsentError::NotFound => Problem::NotFound.into(),
            ConsentError::NothingPending => Problem::NoPendingChange.into(),
            ConsentError::Refused(ConsentRefused::NotNeeded) => Problem::ConsentNotNeeded.into(),
            ConsentError::Refused(ConsentRefused::TooEarly(_)) => Problem::ConsentTooEarly.into(),
            ConsentError::Refused(ConsentRefused::TooLate) => Problem::ConsentTooLate.into(),
            ConsentError::Refused(ConsentRefused::OtherAmount) => Self::invalid("amount", OTHER_CHANGE),
            ConsentError::Refused(ConsentRefused::OtherDate) => Self::invalid("effectiveDate", OTHER_CHANGE),
            ConsentError::Store(error) => error.into(),
        }
    }
}

impl From<ChangeCustomerError> for ApiError {
    fn from(error: ChangeCustomerError) -> Self {
        match error {
            ChangeCustomerError::NotFound => Problem::NotFound.into(),
            ChangeCustomerError::Store(error) => error.into(),
        }
    }
}
