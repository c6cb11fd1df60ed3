//! The one place where a failure becomes a response: which status, which code, and what is only for the log.

use std::{sync::Arc, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use common::{
    jobs::QueueError,
    store::{StoreError, database_is_away},
};

use crate::{change_problem::ChangeProblem, language::Text};

/// When to try again after the database was away.
const BACK_IN: Duration = Duration::from_secs(5);

/// Why a request failed. The caller's mistakes say what to mend; the rest say nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the request cannot be read")]
    Malformed,
    #[error("no valid token")]
    Unauthorized,
    #[error("not found")]
    NotFound,
    #[error("the method is not allowed here")]
    MethodNotAllowed,
    #[error("the request took too long to arrive")]
    TooSlow,
    #[error("the body is too large")]
    TooLarge,
    #[error("the body is not JSON")]
    NotJson,
    #[error("{field} {}", rule.en)]
    Invalid { field: &'static str, rule: Text },
    #[error("the amount is not the plan's price")]
    AmountMismatch,
    #[error("the order was confirmed before with other content")]
    OrderConflict,
    #[error("the subscription is canceled already")]
    AlreadyCanceled,
    #[error("the customer has a subscription already")]
    AlreadySubscribed,
    #[error("the subscription has ended already")]
    AlreadyEnded,
    #[error("the subscription is not canceled")]
    NotCanceled,
    #[error("the paid period has ended")]
    PeriodEnded,
    #[error("the change is refused: {}", .0.code())]
    Change(ChangeProblem),
    #[error("a refund is under way")]
    RefundInProgress,
    #[error("the payment has nothing to give back")]
    NotRefundable,
    #[error("the idempotency key was used before with other content")]
    IdempotencyConflict,
    #[error("the refund was refused: {code}")]
    RefundRefused { code: String, message: String },
    #[error("the first payment has not settled yet")]
    NotActive,
    #[error("another card is being registered")]
    RegistrationInProgress,
    #[error("the one-time key was used before")]
    AuthKeyUsed,
    #[error("the card was refused: {code}")]
    CardRefused { code: String, message: String, subscription: Option<String> },
    #[error("the payment was declined: {code}")]
    Declined { code: String, message: String, subscription: Option<String> },
    #[error("the payment was withdrawn")]
    PaymentCanceled { code: Option<String> },
    #[error("too many requests")]
    TooManyRequests { again_in: Duration },
    #[error("something this needs is away")]
    Unavailable(#[source] anyhow::Error),
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
}

/// Carried by a response until its problem document is written, where language and trace id are known.
#[derive(Clone)]
pub(crate) struct Failure(pub(crate) Arc<ApiError>);

impl Failure {
    /// What a status that the framework chose by itself means.
    pub(crate) fn from_status(status: StatusCode) -> Self {
        let error = match status {
            StatusCode::NOT_FOUND => ApiError::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => ApiError::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ApiError::NotJson,
            status if status.is_client_error() => ApiError::Malformed,
            status => ApiError::Internal(anyhow::anyhow!("the framework answered {status}")),
        };
        error.log();
        Self(Arc::new(error))
    }
}

impl ApiError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Declined { .. } | Self::CardRefused { .. } => StatusCode::PAYMENT_REQUIRED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::OrderConflict
            | Self::AlreadyCanceled
            | Self::AlreadySubscribed
            | Self::AlreadyEnded
            | Self::NotCanceled
            | Self::PeriodEnded
            | Self::Change(_)
            | Self::RefundInProgress
            | Self::NotActive
            | Self::RegistrationInProgress
            | Self::AuthKeyUsed
            | Self::NotRefundable
            | Self::IdempotencyConflict
            | Self::RefundRefused { .. }
            | Self::PaymentCanceled { .. } => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid { .. } | Self::AmountMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Seconds after which the same request may succeed.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyRequests { again_in } => Some(again_in.as_secs().max(1)),
            Self::Unavailable(_) => Some(BACK_IN.as_secs()),
            _ => None,
        }
    }

    /// Once, with every cause; the request's span adds the trace id.
    fn log(&self) {
        match self {
            Self::Internal(cause) => tracing::error!(error = format!("{cause:#}"), "the request failed"),
            Self::Unavailable(cause) => {
                tracing::warn!(error = format!("{cause:#}"), "the request could not be served");
            }
            _ => {}
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let mut response = self.status().into_response();
        if matches!(self, Self::Unauthorized) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(Failure(Arc::new(self)));
        response
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::from(StoreError::from(error))
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_unavailable() { Self::Unavailable(error.into()) } else { Self::Internal(error.into()) }
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Database(cause) if database_is_away(&cause) => Self::Unavailable(cause.into()),
            other => Self::Internal(other.into()),
        }
    }
}
