//! What commands refuse, as failures of the request that asked for it.

use common::{
    commands::{
        cancel::CancelError, confirm::ConfirmError, end::EndError, receive_webhook::ReceiveError,
        refund::RefundError, register_card::RegisterError, resume::ResumeError, subscribe::SubscribeError,
    },
    domain::subscription::ResumeRefused,
    outbox::OutboxError,
};

use crate::{error::ApiError, language::Text};

const UNKNOWN_PLAN: Text =
    Text { ko: "은(는) 판매 중인 플랜이 아닙니다", en: "is not a plan on sale" };

impl From<ConfirmError> for ApiError {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::UnknownPlan(_) => Self::Invalid { field: "plan", rule: UNKNOWN_PLAN },
            ConfirmError::WrongAmount { .. } => Self::AmountMismatch,
            ConfirmError::AlreadySubscribed(_) => Self::AlreadySubscribed,
            ConfirmError::OrderTaken => Self::OrderConflict,
            ConfirmError::Calendar(error) => Self::Internal(error.into()),
            ConfirmError::Store(error) => error.into(),
            ConfirmError::Queue(error) => error.into(),
        }
    }
}

impl From<CancelError> for ApiError {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::NotFound => Self::NotFound,
            CancelError::Refused(_) => Self::AlreadyCanceled,
            CancelError::Store(error) | CancelError::Outbox(OutboxError::Store(error)) => error.into(),
            CancelError::Outbox(OutboxError::Queue(error)) => error.into(),
            CancelError::Render(error) => Self::Internal(error.into()),
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
            ResumeError::NotFound => Self::NotFound,
            ResumeError::Refused(ResumeRefused::NotCanceled) => Self::NotCanceled,
            ResumeError::Refused(ResumeRefused::AnotherSubscription) => Self::AlreadySubscribed,
            ResumeError::Refused(ResumeRefused::PeriodEnded) => Self::PeriodEnded,
            ResumeError::Refused(ResumeRefused::RefundInProgress) => Self::RefundInProgress,
            ResumeError::Store(error) => error.into(),
        }
    }
}

impl From<RefundError> for ApiError {
    fn from(error: RefundError) -> Self {
        match error {
            RefundError::NotFound => Self::NotFound,
            RefundError::NotRefundable => Self::NotRefundable,
            RefundError::TooMuch(_) => {
                let rule = Text {
                    ko: "항목이 환불할 수 있는 금액보다 큽니다",
                    en: "is more than what is left to give back",
                };
                Self::Invalid { field: "amount", rule }
            }
            RefundError::InProgress => Self::RefundInProgress,
            RefundError::KeyTaken => Self::IdempotencyConflict,
            RefundError::Store(error) => error.into(),
            RefundError::Queue(error) => error.into(),
        }
    }
}

impl From<RegisterError> for ApiError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::NotFound => Self::NotFound,
            RegisterError::OtherCustomer => {
                let rule =
                    Text { ko: "항목이 구독의 것과 다릅니다", en: "is not the subscription's" };
                Self::Invalid { field: "customerKey", rule }
            }
            RegisterError::Canceled => Self::AlreadyCanceled,
            RegisterError::NotActive => Self::NotActive,
            RegisterError::InProgress => Self::RegistrationInProgress,
            RegisterError::AuthKeyTaken => Self::AuthKeyUsed,
            RegisterError::Store(error) => error.into(),
            RegisterError::Queue(error) => error.into(),
        }
    }
}

impl From<SubscribeError> for ApiError {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::WrongAmount { .. } => Self::AmountMismatch,
            SubscribeError::UnknownPlan(_) => Self::Invalid { field: "plan", rule: UNKNOWN_PLAN },
            SubscribeError::AlreadySubscribed(_) => Self::AlreadySubscribed,
            SubscribeError::Register(error) => error.into(),
            SubscribeError::Calendar(error) => Self::Internal(error.into()),
            SubscribeError::Store(error) => error.into(),
            SubscribeError::Queue(error) => error.into(),
        }
    }
}

impl From<EndError> for ApiError {
    fn from(error: EndError) -> Self {
        match error {
            EndError::NotFound => Self::NotFound,
            EndError::Refused(_) => Self::AlreadyEnded,
            EndError::KeyTaken => Self::IdempotencyConflict,
            EndError::Refund(error) => error.into(),
            EndError::Store(error) | EndError::Outbox(OutboxError::Store(error)) => error.into(),
            EndError::Outbox(OutboxError::Queue(error)) => error.into(),
            EndError::Render(error) => Self::Internal(error.into()),
        }
    }
}
