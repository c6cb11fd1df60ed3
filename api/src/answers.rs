//! What a purchase or a new card is answered, at once or when asked again: one mapping from the row on record.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use common::domain::payment::{Payment, PaymentStatus};
use common::domain::registration::{Registration, RegistrationStatus};
use common::id::subscription_ref;
use common::store::{subscriptions, virtual_accounts};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::error::ApiError;
use crate::problem::Problem;
use crate::views::{NextAction, SubscriptionView, next_action};

/// When it is worth asking again.
const RETRY_AFTER_SECS: u16 = 2;
/// A deposit takes its time.
const DEPOSIT_RETRY_AFTER_SECS: u16 = 60;

/// The payment is captured.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Confirmed {
    success: bool,
    subscription: SubscriptionView,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<NextAction>,
}

/// The payment is on record and has not settled yet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Processing {
    success: bool,
    #[schema(example = "processing")]
    status: &'static str,
    /// Where to ask again; also in `Location`.
    #[schema(example = "/api/payments/confirm/ORDER_1729657033847")]
    status_url: String,
}

/// The payment waits for the buyer to pay into an account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WaitingForDeposit {
    success: bool,
    #[schema(example = "waiting_for_deposit")]
    status: &'static str,
    /// Where to ask again; also in `Location`.
    #[schema(example = "/api/payments/confirm/ORDER_1729657033847")]
    status_url: String,
    virtual_account: VirtualAccountView,
}

/// Where the buyer pays in, how much, and until when.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VirtualAccountView {
    /// In Korean.
    #[schema(example = "우리은행")]
    bank: String,
    #[schema(example = "X6505636518308")]
    account_number: String,
    #[schema(example = "홍길동")]
    holder_name: String,
    /// Won.
    #[schema(example = 94800)]
    amount: i32,
    due_at: DateTime<Utc>,
}

/// The answer to a confirmation that has not settled: what a 202 carries.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Unsettled {
    WaitingForDeposit(WaitingForDeposit),
    Processing(Processing),
}

/// The answer to a first payment.
pub(crate) async fn answer_payment(app: &App, payment: Payment) -> Result<Response, ApiError> {
    match payment.status {
        PaymentStatus::Pending | PaymentStatus::Unknown => unsettled(app, payment).await,
        PaymentStatus::Completed | PaymentStatus::Refunded | PaymentStatus::PartiallyRefunded => {
            confirmed(app, payment.subscription_id).await
        }
        PaymentStatus::Failed => Err(failed(payment)),
    }
}

/// The answer to a registered card.
pub(crate) async fn answer_registration(app: &App, card: Registration) -> Result<Response, ApiError> {
    let id = subscription_ref(card.subscription_id);
    match card.status {
        RegistrationStatus::Pending
        | RegistrationStatus::Unknown
        | RegistrationStatus::Issued
        | RegistrationStatus::Verifying => processing(format!("/api/subscriptions/{id}/payment-method")),
        RegistrationStatus::Applied => confirmed(app, card.subscription_id).await,
        RegistrationStatus::Refused => Err(refused(card, id)),
        RegistrationStatus::Dropped => Err(ApiError::payment_canceled(None)),
    }
}

/// Waits for its deposit, or is being processed.
async fn unsettled(app: &App, payment: Payment) -> Result<Response, ApiError> {
    let status_url = format!("/api/payments/confirm/{}", payment.order_id);
    if payment.deposit_due_at.is_none() {
        return processing(status_url);
    }
    let account = virtual_accounts::of_payment(&mut *app.pool.acquire().await?, payment.id).await?;
    let Some(account) = account else { return processing(status_url) };
    let virtual_account = VirtualAccountView {
        bank: account.bank,
        account_number: account.account_number,
        holder_name: account.holder_name,
        amount: payment.amount.get(),
        due_at: account.due_at,
    };
    let status = "waiting_for_deposit";
    let body = WaitingForDeposit { success: true, status, status_url: status_url.clone(), virtual_account };
    accepted(&status_url, DEPOSIT_RETRY_AFTER_SECS, Unsettled::WaitingForDeposit(body))
}

fn processing(status_url: String) -> Result<Response, ApiError> {
    let location = status_url.clone();
    accepted(
        &location,
        RETRY_AFTER_SECS,
        Unsettled::Processing(Processing { success: true, status: "processing", status_url }),
    )
}

fn accepted(status_url: &str, retry_after_secs: u16, body: Unsettled) -> Result<Response, ApiError> {
    let location = HeaderValue::from_str(status_url).map_err(ApiError::internal)?;
    let headers = [(header::LOCATION, location), (header::RETRY_AFTER, HeaderValue::from(retry_after_secs))];
    Ok((StatusCode::ACCEPTED, headers, Json(body)).into_response())
}

async fn confirmed(app: &App, subscription_id: Uuid) -> Result<Response, ApiError> {
    let mut conn = app.pool.acquire().await?;
    let found = subscriptions::find(&mut conn, subscription_id).await?;
    let subscription = found
        .ok_or_else(|| ApiError::internal(anyhow::anyhow!("there is no subscription {subscription_id}")))?;
    let body = Confirmed {
        success: true,
        subscription: SubscriptionView::new(&subscription, app.clock.now()),
        next_action: next_action(&subscription),
    };
    Ok(Json(body).into_response())
}

/// A decline has the bank's reason; what failed without one was withdrawn, and took no money.
fn failed(payment: Payment) -> ApiError {
    match (payment.decline_kind, payment.toss_code) {
        (Some(_), Some(code)) => {
            let message =
                payment.toss_message.unwrap_or_else(|| Problem::PaymentDeclined.row().ko.to_owned());
            // A confirmation that was declined leaves no subscription.
            ApiError::refused_by_toss(Problem::PaymentDeclined, code, message, None)
        }
        (_, code) => ApiError::payment_canceled(code),
    }
}

/// Refused by the bank when it was charged, else by the registration itself.
fn refused(card: Registration, id: String) -> ApiError {
    let problem = if card.payment_id.is_some() { Problem::PaymentDeclined } else { Problem::CardRefused };
    let (code, message) = (card.toss_code.unwrap_or_default(), card.toss_message.unwrap_or_default());
    ApiError::refused_by_toss(problem, code, message, Some(id))
}
