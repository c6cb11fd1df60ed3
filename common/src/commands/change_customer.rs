//! Changing a customer's address or name: every later e-mail uses them. Each of their subscriptions gets an audit entry.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::events::Entry;
use crate::store::users::Customer;
use crate::store::{StoreError, events, subscriptions, users};

/// More subscriptions than a customer has.
const MAX_ENTRIES: i64 = 100;

/// Who changes what. A field that is not given stays as it is.
#[derive(Debug, Clone, Copy)]
pub struct ChangeCustomerRequest<'a> {
    pub user_id: Uuid,
    pub email: Option<&'a str>,
    pub name: Option<&'a str>,
    pub actor: &'a str,
}

#[derive(Debug, thiserror::Error)]
pub enum ChangeCustomerError {
    #[error("there is no such customer")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes the customer and answers what later e-mails use. A repeat changes nothing and writes no entry.
///
/// The audit log names what changed, not the address itself: it is append-only, and an erased customer's address goes.
pub async fn change_customer(
    conn: &mut PgConnection,
    request: ChangeCustomerRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Customer, ChangeCustomerError> {
    let before = users::lock(conn, request.user_id).await?.ok_or(ChangeCustomerError::NotFound)?;
    let differs =
        |new: Option<&str>, old: &Option<String>| new.is_some_and(|new| old.as_deref() != Some(new));
    let why = match (differs(request.email, &before.email), differs(request.name, &before.name)) {
        (false, false) => return Ok(before),
        (true, false) => "the e-mail address was changed",
        (false, true) => "the name was changed",
        (true, true) => "the e-mail address and the name were changed",
    };
    users::ensure(conn, request.user_id, request.email, request.name, now).await?;
    let entry = Entry { actor: request.actor, what: "customer.changed", why };
    for subscription in subscriptions::page_of_user(conn, request.user_id, None, MAX_ENTRIES).await? {
        events::append(conn, &subscription, entry, now).await?;
    }
    tracing::info!(user.id = %request.user_id, actor = request.actor, "{why}");
    Ok(users::lock(conn, request.user_id).await?.unwrap_or(before))
}
