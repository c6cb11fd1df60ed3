//! Why a change of plan, or a consent to one, is refused: code and words.

use common::{
    commands::{change_plan::ChangeError, consent::ConsentError},
    domain::plan_change::{ChangeRefused, ConsentRefused},
};

use crate::{error::ApiError, language::Text};

/// All of them are conflicts with what the subscription is; nothing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeProblem {
    NotBegun,
    Suspended,
    Unchanged,
    NothingPending,
    ConsentNotNeeded,
    ConsentTooEarly,
    ConsentTooLate,
}

impl ChangeProblem {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::NotBegun => "not_begun",
            Self::Suspended => "suspended",
            Self::Unchanged => "plan_unchanged",
            Self::NothingPending => "no_pending_change",
            Self::ConsentNotNeeded => "consent_not_needed",
            Self::ConsentTooEarly => "consent_too_early",
            Self::ConsentTooLate => "consent_too_late",
        }
    }

    pub(crate) fn sentence(self) -> (&'static str, &'static str) {
        match self {
            Self::NotBegun => ("아직 시작되지 않은 구독입니다.", "The subscription has not begun."),
            Self::Suspended => (
                "일시정지된 구독입니다. 먼저 결제 카드를 등록해 주세요.",
                "The subscription is suspended: register a card first.",
            ),
            Self::Unchanged => ("이미 이용 중인 플랜입니다.", "This is what the subscription is already."),
            Self::NothingPending => ("예정된 변경이 없습니다.", "No change is pending."),
            Self::ConsentNotNeeded => ("동의가 필요하지 않은 변경입니다.", "The change needs no consent."),
            Self::ConsentTooEarly => (
                "동의는 변경일 30일 전부터 하실 수 있습니다.",
                "A consent counts from 30 days before the change on.",
            ),
            Self::ConsentTooLate => {
                ("동의 기한이 지났습니다.", "The day of the change has come: it is too late to consent.")
            }
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound,
            ChangeError::UnknownPlan(_) => {
                let rule =
                    Text { ko: "은(는) 판매 중인 플랜이 아닙니다", en: "is not a plan on sale" };
                Self::Invalid { field: "plan", rule }
            }
            ChangeError::NothingPending => Self::Change(ChangeProblem::NothingPending),
            ChangeError::Refused(ChangeRefused::NotBegun) => Self::Change(ChangeProblem::NotBegun),
            ChangeError::Refused(ChangeRefused::Suspended) => Self::Change(ChangeProblem::Suspended),
            ChangeError::Refused(ChangeRefused::Canceled) => Self::AlreadyCanceled,
            ChangeError::Refused(ChangeRefused::Unchanged) => Self::Change(ChangeProblem::Unchanged),
            ChangeError::Refused(ChangeRefused::Calendar(error)) => Self::Internal(error.into()),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<ConsentError> for ApiError {
    fn from(error: ConsentError) -> Self {
        let other = Text {
            ko: "항목이 예정된 변경과 다릅니다", en: "is not that of the pending change"
        };
        match error {
            ConsentError::NotFound => Self::NotFound,
            ConsentError::NothingPending => Self::Change(ChangeProblem::NothingPending),
            ConsentError::Refused(ConsentRefused::NotNeeded) => Self::Change(ChangeProblem::ConsentNotNeeded),
            ConsentError::Refused(ConsentRefused::TooEarly(_)) => {
                Self::Change(ChangeProblem::ConsentTooEarly)
            }
            ConsentError::Refused(ConsentRefused::TooLate) => Self::Change(ChangeProblem::ConsentTooLate),
            ConsentError::Refused(ConsentRefused::OtherAmount) => {
                Self::Invalid { field: "amount", rule: other }
            }
            ConsentError::Refused(ConsentRefused::OtherDate) => {
                Self::Invalid { field: "effectiveDate", rule: other }
            }
            ConsentError::Store(error) => error.into(),
        }
    }
}
