//! What a call came to: the one place where an answer, or the lack of one, becomes an outcome. Pure.

mod decide;
mod lookup;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use decide::{cancel, charge, confirm, delete, issue, transactions};
pub use lookup::outcome_of_lookup;
pub(crate) use lookup::{Wanted, lookup};

use crate::{Billing, Code, GatewayPayment};

/// The end of a charge or of a confirmation.
#[derive(Debug, Clone)]
pub enum ChargeOutcome {
    /// Money was taken, for the order and the amount that were asked.
    Paid(Box<GatewayPayment>),
    /// The bank said no: counts toward suspension. Its idempotency key is used up: the next attempt takes a fresh key
    /// and a fresh order id, else Toss repeats the refusal for 15 days.
    Declined(Decline),
    /// This call never reached the bank: counts for nothing. It says nothing about *earlier* calls with the same key;
    /// for a call that repeats one, see [`ChargeOutcome::of_resend`].
    NotSent(Reason),
    /// Toss has the payment, and it has not ended: a deposit is awaited, or the bank is still at work. Look it up later.
    Waiting(Box<GatewayPayment>),
    /// Nobody knows. Look the order up before anything else moves money for it.
    Unknown(Why),
}

/// The end of issuing a billing key. Unknown cannot be looked up: repeat it with the same key, or have the customer
/// register again.
#[derive(Debug, Clone)]
pub enum IssueOutcome {
    Issued(Box<Billing>),
    Refused(Decline),
    NotSent(Reason),
    Unknown(Why),
}

/// The end of a cancel (refund). Unknown is resolved by reading the payment's `cancels`.
#[derive(Debug, Clone)]
pub enum CancelOutcome {
    /// The payment after the cancel; the cancel just made is the last of its `cancels`.
    Canceled(Box<GatewayPayment>),
    Refused(Decline),
    NotSent(Reason),
    Unknown(Why),
}

/// The end of deleting a billing key. Anything but `Gone` can simply be repeated.
#[derive(Debug, Clone)]
pub enum DeleteOutcome {
    /// The key charges nothing any more, whoever deleted it.
    Gone {
        trace_id: Option<String>,
    },
    NotSent(Reason),
    Unknown(Why),
}

/// The end of reading a payment back.
#[derive(Debug, Clone)]
pub enum LookupOutcome {
    Found(Box<GatewayPayment>),
    /// Toss does not know the payment. Proves nothing while the original call may still be running.
    NotFound {
        trace_id: Option<String>,
    },
    /// The question was not answered.
    Unavailable(Why),
}

/// A definite no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    pub code: Code,
    /// Toss's Korean text, for operators; for customers see [`crate::korean_reason`].
    pub message: String,
    /// Asking again with the same card (or the same authentication) cannot succeed.
    pub hard: bool,
    pub http_status: u16,
    pub trace_id: Option<String>,
}

/// Why a call was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    pub kind: ReasonKind,
    pub code: Option<Code>,
    pub message: String,
    pub http_status: Option<u16>,
    pub trace_id: Option<String>,
    /// Toss has bound this answer to the idempotency key and repeats it for 15 days: the next try needs a fresh key
    /// and a fresh order id. True for every 4xx answer with a code, except 429, which is given before the key is looked
    /// at. Where false, try again with the same key.
    pub key_is_burnt: bool,
}

/// What to do about a call that was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasonKind {
    /// Toss or the bank is not there at this hour: try again later, with backoff.
    Unavailable,
    /// Too many calls; Toss may say how long to wait.
    RateLimited { retry_after: Option<Duration> },
    /// The request is wrong and stays wrong: a person has to look.
    OurMistake,
    /// The secret key is not accepted for this: a person has to look, and nothing else will work meanwhile.
    CredentialsRefused,
}

/// Why an outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    pub kind: WhyKind,
    pub code: Option<Code>,
    pub message: String,
    pub http_status: Option<u16>,
    pub trace_id: Option<String>,
    /// How long Toss asks us to wait before the next call, where it says so.
    pub retry_after: Option<Duration>,
}

/// What stands between the question and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyKind {
    /// No answer in time.
    Timeout,
    /// The connection ended before the answer did.
    CutLine,
    /// HTTP 5xx, whatever its code: the charge may have gone through.
    ServerError,
    /// An answer that is not Toss's.
    Undecodable,
    /// 409: the same request is still running.
    InFlight,
    /// Toss says it was done before; perhaps by us, with the answer lost.
    AlreadyDone,
    /// Too fast for this one payment.
    TooSoon,
    /// `PROVIDER_ERROR`: a passing fault behind Toss.
    Provider,
    /// A 4xx code that is on no list.
    UnlistedCode,
    /// Success, but not for what was asked. Raise an alarm.
    Mismatch,
    /// The call itself was not sent, so what it asked about is as unknown as before.
    NotHeard(ReasonKind),
}

impl From<Reason> for Why {
    fn from(reason: Reason) -> Self {
        let retry_after = reason.retry_after();
        let Reason { kind, code, message, http_status, trace_id, key_is_burnt: _ } = reason;
        Self { kind: WhyKind::NotHeard(kind), code, message, http_status, trace_id, retry_after }
    }
}

impl Reason {
    /// Only a person can mend it: credentials, the contract, or our own request.
    pub fn needs_operator(&self) -> bool {
        match self.kind {
            ReasonKind::OurMistake | ReasonKind::CredentialsRefused => true,
            ReasonKind::Unavailable | ReasonKind::RateLimited { .. } => false,
        }
    }

    /// What the answer says about Toss. One that names what is wrong with this request works; `None`: Toss was not asked.
    pub fn gateway_works(&self) -> Option<bool> {
        match self.kind {
            ReasonKind::OurMistake => self.code.is_some().then_some(true),
            // With this key nothing works, for anybody.
            ReasonKind::CredentialsRefused | ReasonKind::Unavailable | ReasonKind::RateLimited { .. } => {
                Some(false)
            }
        }
    }

    /// How long Toss asks us to wait before the next call.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            ReasonKind::RateLimited { retry_after } => retry_after,
            ReasonKind::OurMistake | ReasonKind::CredentialsRefused | ReasonKind::Unavailable => None,
        }
    }

    /// The key's own, stored answer settles the calls before it; any other says nothing about them.
    fn of_resend(self) -> Result<Self, Why> {
        let stored = self.key_is_burnt && self.kind != ReasonKind::CredentialsRefused;
        if stored { Ok(self) } else { Err(self.into()) }
    }
}

impl Decline {
    /// A refusal of the secret key says nothing about a call before it, which another key may have made.
    fn of_resend(self) -> Result<Self, Why> {
        if self.code != "INVALID_API_KEY" {
            return Ok(self);
        }
        let Self { code, message, hard: _, http_status, trace_id } = self;
        let kind = WhyKind::NotHeard(ReasonKind::CredentialsRefused);
        let (code, http_status) = (Some(code), Some(http_status));
        Err(Why { kind, code, message, http_status, trace_id, retry_after: None })
    }
}

impl Why {
    /// Something that must not happen has happened: wake a person.
    pub fn is_alarm(&self) -> bool {
        self.kind == WhyKind::Mismatch
    }

    /// Whether no sensible answer came: says that Toss does not work.
    pub fn is_technical(&self) -> bool {
        match self.kind {
            WhyKind::Timeout
            | WhyKind::CutLine
            | WhyKind::ServerError
            | WhyKind::Undecodable
            | WhyKind::Provider
            | WhyKind::NotHeard(_) => true,
            WhyKind::InFlight
            | WhyKind::AlreadyDone
            | WhyKind::TooSoon
            | WhyKind::UnlistedCode
            | WhyKind::Mismatch => false,
        }
    }

    /// Whether the same question may be answered a little later without anybody's doing.
    pub fn may_pass(&self) -> bool {
        match self.kind {
            WhyKind::Timeout
            | WhyKind::CutLine
            | WhyKind::ServerError
            | WhyKind::Undecodable
            | WhyKind::InFlight
            | WhyKind::TooSoon
            | WhyKind::Provider
            | WhyKind::NotHeard(ReasonKind::Unavailable | ReasonKind::RateLimited { .. }) => true,
            WhyKind::AlreadyDone
            | WhyKind::UnlistedCode
            | WhyKind::Mismatch
            | WhyKind::NotHeard(ReasonKind::OurMistake | ReasonKind::CredentialsRefused) => false,
        }
    }

    fn into_refusal(self) -> Decline {
        Decline {
            code: self.code.unwrap_or_else(|| Code::new("UNKNOWN")),
            message: self.message,
            hard: false,
            http_status: self.http_status.unwrap_or_default(),
            trace_id: self.trace_id,
        }
    }

    /// Toss knows nothing of the order, and the key would repeat this error until it expires: no money moved, and none will
    /// under this key. A fresh key charges the same order, which Toss approves once at most.
    fn of_resend(self) -> Result<Reason, Self> {
        let kind = match self.kind {
            WhyKind::Provider => ReasonKind::Unavailable,
            // The order is "done" and unknown, or refused for a reason that is on no list: a person should hear of it.
            WhyKind::AlreadyDone | WhyKind::UnlistedCode => ReasonKind::OurMistake,
            WhyKind::Timeout
            | WhyKind::CutLine
            | WhyKind::ServerError
            | WhyKind::Undecodable
            | WhyKind::InFlight
            | WhyKind::TooSoon
            | WhyKind::Mismatch
            | WhyKind::NotHeard(_) => return Err(self),
        };
        let Self { kind: _, code, message, http_status, trace_id, retry_after: _ } = self;
        Ok(Reason { kind, code, message, http_status, trace_id, key_is_burnt: true })
    }
}

impl ChargeOutcome {
    /// The outcome of the *attempt*, when this call repeated an earlier one of unknown outcome with the same order id
    /// and idempotency key, after a lookup that said [`LookupOutcome::NotFound`].
    ///
    /// A repeat that was not taken leaves the attempt unknown. A repeat that got the key's own answer settles it.
    #[must_use]
    pub fn of_resend(self) -> Self {
        match self {
            Self::NotSent(reason) => reason.of_resend().map_or_else(Self::Unknown, Self::NotSent),
            Self::Unknown(why) => why.of_resend().map_or_else(Self::Unknown, Self::NotSent),
            Self::Declined(decline) => decline.of_resend().map_or_else(Self::Unknown, Self::Declined),
            settled @ (Self::Paid(_) | Self::Waiting(_)) => settled,
        }
    }
}

impl IssueOutcome {
    /// What the answer says about Toss, and in which words. `None`: nothing.
    pub fn gateway_works(&self) -> (Option<bool>, &str) {
        match self {
            Self::Issued(_) | Self::Refused(_) => (Some(true), ""),
            Self::NotSent(reason) => (reason.gateway_works(), &reason.message),
            Self::Unknown(why) => (why.is_technical().then_some(false), &why.message),
        }
    }

    /// How long Toss asks us to wait before the next call.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Issued(_) | Self::Refused(_) => None,
            Self::NotSent(reason) => reason.retry_after(),
            Self::Unknown(why) => why.retry_after,
        }
    }

    /// The outcome of the *registration*, when this call repeated an earlier one of unknown outcome under the same key:
    /// a repeat that was not taken leaves it unknown.
    #[must_use]
    pub fn of_resend(self) -> Self {
        match self {
            Self::NotSent(reason) => reason.of_resend().map_or_else(Self::Unknown, Self::NotSent),
            // The key's own answer, which it would repeat until it expires: no billing key will come of it.
            Self::Unknown(why) if why.kind == WhyKind::UnlistedCode => Self::Refused(why.into_refusal()),
            Self::Refused(decline) => decline.of_resend().map_or_else(Self::Unknown, Self::Refused),
            settled @ (Self::Issued(_) | Self::Unknown(_)) => settled,
        }
    }
}

impl DeleteOutcome {
    /// How long Toss asks us to wait before the next call.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Gone { .. } => None,
            Self::NotSent(reason) => reason.retry_after(),
            Self::Unknown(why) => why.retry_after,
        }
    }
}

impl LookupOutcome {
    /// How long Toss asks us to wait before the next call.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Found(_) | Self::NotFound { .. } => None,
            Self::Unavailable(why) => why.retry_after,
        }
    }
}

impl CancelOutcome {
    /// What the answer says about Toss, and in which words. `None`: nothing.
    pub fn gateway_works(&self) -> (Option<bool>, &str) {
        match self {
            Self::Canceled(_) | Self::Refused(_) => (Some(true), ""),
            Self::NotSent(reason) => (reason.gateway_works(), &reason.message),
            Self::Unknown(why) => (why.is_technical().then_some(false), &why.message),
        }
    }

    /// How long Toss asks us to wait before the next call.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Canceled(_) | Self::Refused(_) => None,
            Self::NotSent(reason) => reason.retry_after(),
            Self::Unknown(why) => why.retry_after,
        }
    }

    /// As [`ChargeOutcome::of_resend`], after a lookup whose `cancels` did not show this cancel.
    #[must_use]
    pub fn of_resend(self) -> Self {
        match self {
            Self::NotSent(reason) => reason.of_resend().map_or_else(Self::Unknown, Self::NotSent),
            Self::Unknown(why) if matches!(why.kind, WhyKind::Provider | WhyKind::UnlistedCode) => {
                why.of_resend().map_or_else(Self::Unknown, Self::NotSent)
            }
            // All of it went back, and not by this cancel.
            Self::Unknown(why) if why.kind == WhyKind::AlreadyDone => Self::Refused(why.into_refusal()),
            settled @ (Self::Canceled(_) | Self::Refused(_) | Self::Unknown(_)) => settled,
        }
    }
}
