//! Why a page of the console could not be shown, and what it says instead.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use common::commands::second_factor::SecondFactorError;
use common::store::StoreError;

use super::password::PasswordError;

/// Why a page was not shown or a form not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    NotFound,
    /// The operator's role does not allow it.
    Forbidden,
    /// The form was sent by a page of another site.
    ForeignForm,
    MethodNotAllowed,
    Malformed,
    /// It is not possible as things stand.
    Conflict,
    TooLarge,
    Busy,
    Unavailable,
    Internal,
}

#[derive(Debug)]
pub(crate) struct ConsoleError {
    failure: Failure,
    cause: Option<anyhow::Error>,
}

impl ConsoleError {
    pub(super) fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self { failure: Failure::Internal, cause: Some(cause.into()) }
    }
}

impl From<Failure> for ConsoleError {
    fn from(failure: Failure) -> Self {
        Self { failure, cause: None }
    }
}

impl From<StoreError> for ConsoleError {
    fn from(error: StoreError) -> Self {
        let failure = if error.is_unavailable() { Failure::Unavailable } else { Failure::Internal };
        Self { failure, cause: Some(error.into()) }
    }
}

impl From<sqlx::Error> for ConsoleError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<SecondFactorError> for ConsoleError {
    fn from(error: SecondFactorError) -> Self {
        match error {
            SecondFactorError::Store(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

impl From<PasswordError> for ConsoleError {
    fn from(error: PasswordError) -> Self {
        let failure = match error {
            PasswordError::Busy => Failure::Busy,
            PasswordError::Hash(_) => Failure::Internal,
        };
        Self { failure, cause: Some(error.into()) }
    }
}

impl Failure {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden | Self::ForeignForm => StatusCode::FORBIDDEN,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What a status means that the framework, or the middleware around the console, chose.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            status if status.is_client_error() => Self::Malformed,
            _ => Self::Internal,
        }
    }

    /// Heading and explanation, Korean and English.
    #[rustfmt::skip]
    pub(super) fn words(self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::NotFound => [("찾을 수 없습니다", "Nothing here"),
                ("이 주소에는 아무것도 없습니다. 주문 번호, 이메일, 구독 ID로 찾아보세요.",
                 "There is nothing at this address. Search by order id, e-mail address or subscription id.")],
            Self::Forbidden => [("권한이 없습니다", "Not allowed"),
                ("이 작업을 할 권한이 없습니다. 시도는 감사 기록에 남습니다.",
                 "Your role does not allow this. The attempt is in the audit log.")],
            Self::ForeignForm => [("다른 사이트에서 보낸 요청입니다", "Sent from elsewhere"),
                ("이 요청은 콘솔 화면에서 보낸 것이 아니어서 처리하지 않았습니다.",
                 "The form was not sent from a page of this console. Nothing was done.")],
            Self::MethodNotAllowed => [("허용되지 않는 요청입니다", "Not allowed here"),
                ("이 주소는 이 방식의 요청을 받지 않습니다.", "This address does not take that kind of request.")],
            Self::Malformed => [("요청을 읽을 수 없습니다", "The request cannot be read"),
                ("입력한 내용을 읽을 수 없어 아무것도 하지 않았습니다. 이전 화면으로 돌아가 다시 시도해 주세요.",
                 "The form could not be read and nothing was done. Go back and try again.")],
            Self::Conflict => [("지금은 할 수 없습니다", "Not possible now"),
                ("그사이 상태가 바뀌어 아무것도 하지 않았습니다. 이전 화면을 새로 불러와 확인하세요.",
                 "It changed meanwhile and nothing was done. Load the page before again.")],
            Self::TooLarge => [("요청이 너무 큽니다", "Too large"),
                ("입력한 내용이 너무 길어 아무것도 하지 않았습니다.", "The form is too long. Nothing was done.")],
            Self::Busy => [("잠시 후 다시 시도해 주세요", "Try again shortly"),
                ("지금 로그인 요청이 너무 많습니다.", "Too many logins are being checked at once.")],
            Self::Unavailable => [("데이터베이스에 연결할 수 없습니다", "The database is away"),
                ("연결되면 이 화면을 다시 불러옵니다. 5초마다 다시 시도합니다.",
                 "This page tries again every 5 seconds and comes back by itself.")],
            Self::Internal => [("오류가 발생했습니다", "Something went wrong"),
                ("원인은 서버 로그에 있습니다. 다시 시도해 주세요.", "The cause is in the server's log. Try again.")],
        }
    }
}

impl IntoResponse for ConsoleError {
    fn into_response(self) -> Response {
        let cause = self.cause.as_ref().map(|cause| format!("{cause:#}"));
        match self.failure {
            Failure::Internal => tracing::error!(error = cause, "console page failed"),
            Failure::Unavailable | Failure::Busy => {
                tracing::warn!(error = cause, "console page could not be served");
            }
            _ => {}
        }
        let mut response = self.failure.status().into_response();
        response.extensions_mut().insert(self.failure);
        response
    }
}

pub(super) async fn not_found() -> ConsoleError {
    Failure::NotFound.into()
}
