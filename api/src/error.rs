//! A failed request: its problem with what is known besides, and the problem document (RFC 9457) that the caller gets.

use std::{borrow::Cow, sync::Arc, time::Duration};

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use common::domain::validated::Rule;
use common::jobs::QueueError;
use common::store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{language::Language, problem::Problem, trace_id::TraceId, views::NextAction};

const MEDIA_TYPE: &str = "application/problem+json";
/// When to try again after the database was away.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a request failed. The caller's mistakes say what to mend; the rest say nothing.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Details>);

/// A member of the document that is there even when it is null.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
struct Nullable(Option<NextAction>);

#[derive(Debug)]
struct Details {
    problem: Problem,
    field: Option<(Cow<'static, str>, Rule)>,
    toss_code: Option<String>,
    toss_message: Option<String>,
    subscription_id: Option<String>,
    next_action: Option<Nullable>,
    retry_after: Option<Duration>,
    /// For the log only.
    cause: Option<anyhow::Error>,
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(Box::new(Details {
            problem,
            field: None,
            toss_code: None,
            toss_message: None,
            subscription_id: None,
            next_action: None,
            retry_after: None,
            cause: None,
        }))
    }
}

impl ApiError {
    fn with(problem: Problem, change: impl FnOnce(&mut Details)) -> Self {
        let mut error = Self::from(problem);
        change(&mut error.0);
        error
    }

    pub(crate) fn invalid(field: impl Into<Cow<'static, str>>, rule: Rule) -> Self {
        Self::with(Problem::InvalidField, |error| error.field = Some((field.into(), rule)))
    }

    /// Toss or the bank said no; Toss words its refusals for customers, in Korean.
    pub(crate) fn refused_by_toss(
        problem: Problem,
        code: String,
        message: String,
        subscription_id: Option<String>,
    ) -> Self {
        Self::with(problem, |error| {
            error.toss_code = Some(code);
            error.toss_message = Some(message);
            error.subscription_id = subscription_id;
        })
    }

    /// The payment was withdrawn before the bank was asked; Toss's code where it gave one.
    pub(crate) fn payment_canceled(code: Option<String>) -> Self {
        Self::with(Problem::PaymentCanceled, |error| error.toss_code = code)
    }

    pub(crate) fn already_subscribed(subscription_id: String, next_action: Option<NextAction>) -> Self {
        Self::with(Problem::AlreadySubscribed, |error| {
            error.subscription_id = Some(subscription_id);
            error.next_action = Some(Nullable(next_action));
        })
    }

    pub(crate) fn too_many_requests(retry_after: Duration) -> Self {
        Self::with(Problem::TooManyRequests, |error| error.retry_after = Some(retry_after))
    }

    /// Something that the request needs is away.
    pub(crate) fn unavailable(cause: impl Into<anyhow::Error>) -> Self {
        Self::with(Problem::Unavailable, |error| {
            error.retry_after = Some(RETRY_AFTER);
            error.cause = Some(cause.into());
        })
    }

    pub(crate) fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::with(Problem::Internal, |error| error.cause = Some(cause.into()))
    }

    /// Logs the cause once; the request's span adds the trace id.
    fn log(&self) {
        let cause = self.0.cause.as_ref().map(|cause| format!("{cause:#}"));
        match self.0.problem {
            Problem::Internal => tracing::error!(error = cause, "request failed"),
            Problem::Unavailable => tracing::warn!(error = cause, "request could not be served"),
            _ => {}
        }
    }

    fn message(&self, language: Language) -> String {
        let Details { problem, field, toss_code, toss_message, .. } = &*self.0;
        let row = problem.row();
        let sentence = language.choose(row.ko, row.en);
        match (field, toss_message, language) {
            (Some((name, rule)), _, _) => format!("{name} {}.", language.choose(rule.ko, rule.en)),
            (None, Some(message), Language::Korean) => message.clone(),
            (None, Some(_), Language::English) => {
                let code = toss_code.as_deref().unwrap_or_default();
                format!("{} ({code}).", sentence.trim_end_matches('.'))
            }
            (None, None, _) => sentence.to_owned(),
        }
    }
}

#[cfg(test)]
impl ApiError {
    pub(crate) fn problem(&self) -> Problem {
        self.0.problem
    }

    pub(crate) fn field(&self) -> Option<&str> {
        self.0.field.as_ref().map(|(name, _)| name.as_ref())
    }
}

/// Carried by a response until its document is written, where language and trace id are known.
#[derive(Clone)]
struct Failure(Arc<ApiError>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let mut response = self.0.problem.row().status.into_response();
        if self.0.problem == Problem::Unauthorized {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = self.0.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response.extensions_mut().insert(Failure(Arc::new(self)));
        response
    }
}

/// `application/problem+json`, with what our frontends read besides.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    #[schema(example = "about:blank")]
    r#type: &'static str,
    #[schema(example = "Unprocessable Entity")]
    title: &'static str,
    #[schema(example = 422)]
    status: u16,
    /// Always false.
    success: bool,
    /// Stable; for programs.
    #[schema(example = "invalid_field")]
    code: &'static str,
    /// Korean or English by `Accept-Language`; for people.
    message: String,
    /// Which field is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "amount")]
    field: Option<String>,
    /// Toss's own code, where Toss said no.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "REJECT_CARD_PAYMENT")]
    toss_code: Option<String>,
    /// The subscription that another card can still pay for, or that the customer has already.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sub_0192f0c15c0070008000000000000001")]
    subscription_id: Option<String>,
    /// Only with `already_subscribed`: what the customer can do with that subscription; null when nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NextAction>)]
    next_action: Option<Nullable>,
    /// Also in the header `x-trace-id`, and in our logs.
    trace_id: String,
}

/// Gives every failed response its document, those that the framework made by itself included. Headers stay.
pub(crate) fn write_problem(response: Response, language: Language, trace_id: &TraceId) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let failure = response.extensions().get::<Failure>().cloned();
    let Failure(error) = failure.unwrap_or_else(|| {
        let error = ApiError::with(Problem::of_status(status), |error| {
            error.cause = Some(anyhow::anyhow!("the framework answered {status}"));
        });
        error.log();
        Failure(Arc::new(error))
    });
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    let document = Json(ProblemDocument::new(&error, language, trace_id)).into_response();
    Response::from_parts(parts, document.into_body())
}

/// The document of a refusal that is made before a request could be read: in Korean, as no language is known.
pub(crate) fn refusal_document(status: StatusCode) -> String {
    let error = ApiError::from(Problem::of_status(status));
    let document = ProblemDocument::new(&error, Language::Korean, &TraceId::new());
    serde_json::to_string(&document).unwrap_or_default()
}

impl ProblemDocument {
    fn new(error: &ApiError, language: Language, trace_id: &TraceId) -> Self {
        let details = &error.0;
        let row = details.problem.row();
        let field = match details.problem {
            Problem::AmountMismatch => Some("amount".to_owned()),
            _ => details.field.as_ref().map(|(name, _)| name.to_string()),
        };
        Self {
            r#type: "about:blank",
            title: row.status.canonical_reason().unwrap_or("Error"),
            status: row.status.as_u16(),
            success: false,
            code: row.code,
            message: error.message(language),
            field,
            toss_code: details.toss_code.clone(),
            subscription_id: details.subscription_id.clone(),
            next_action: details.next_action,
            trace_id: trace_id.as_str().to_owned(),
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::from(StoreError::from(error))
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_unavailable() { Self::unavailable(error) } else { Self::internal(error) }
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        StoreError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_503_however_it_is_wrapped() {
        let away = || QueueError::Database(sqlx::Error::PoolTimedOut);
        let silent = || QueueError::NoAnswer(Duration::from_secs(1));
        for error in [
            ApiError::from(sqlx::Error::PoolTimedOut),
            away().into(),
            silent().into(),
            StoreError::Queue(away()).into(),
            StoreError::Queue(silent()).into(),
        ] {
            assert_eq!(error.problem(), Problem::Unavailable);
        }
        assert_eq!(ApiError::from(sqlx::Error::RowNotFound).problem(), Problem::Internal);
    }
}
