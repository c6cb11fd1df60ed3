//! `PATCH /api/customers/me`: the address and the name that every later e-mail uses.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use common::commands::change_customer::{ChangeCustomerRequest, change_customer as change};
use common::domain::validated::{EmailAddress, PersonName};
use common::store::users;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{app::App, caller::Customer, error::ApiError, request::JsonBody};

/// A field that is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangeCustomerBody {
    #[schema(value_type = Option<String>, format = Email, max_length = 254, example = "user@example.com")]
    customer_email: Option<EmailAddress>,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100, example = "홍길동")]
    customer_name: Option<PersonName>,
}

/// Both as they are now; null where none is known.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CustomerAnswer {
    success: bool,
    #[schema(example = "user@example.com")]
    customer_email: Option<String>,
    #[schema(example = "홍길동")]
    customer_name: Option<String>,
}

/// Changes the customer's own address and name. The same again changes nothing.
#[utoipa::path(
    patch, path = "/api/customers/me", tag = "customers", request_body = ChangeCustomerBody, security(("customer" = [])),
    responses(
        (status = 200, description = "Both as they are now", body = CustomerAnswer),
        (status = 400, description = "Malformed"),
        (status = 401, description = "No valid token"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "`invalid_field`: the field is named, nothing is written"),
        (status = 503, description = "The database is away; safe to repeat"),
    )
)]
pub(crate) async fn change_customer(
    State(app): State<Arc<App>>,
    customer: Customer,
    JsonBody(body): JsonBody<ChangeCustomerBody>,
) -> Result<Json<CustomerAnswer>, ApiError> {
    let actor = format!("customer:{}", customer.id);
    let request = ChangeCustomerRequest {
        user_id: customer.id,
        email: body.customer_email.as_ref().map(EmailAddress::as_str),
        name: body.customer_name.as_ref().map(PersonName::as_str),
        actor: &actor,
    };
    let now = app.clock.now();
    let changed = app
        .transaction(async |tx| {
            users::make_if_missing(tx, customer.id, now).await?;
            Ok::<_, ApiError>(change(tx, request, now).await?)
        })
        .await?;
    Ok(Json(CustomerAnswer { success: true, customer_email: changed.email, customer_name: changed.name }))
}
