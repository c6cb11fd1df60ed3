//! What an operator's action changes, as the audit log shows it before and after. No address and no name of a customer.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, operators, settings, subscriptions, users};
use crate::domain::action::Target;

/// A target as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetState {
    pub state: Value,
    pub subscription_id: Option<Uuid>,
}

/// Holds the target until the transaction ends, and reads it. The subscription's row is locked first, as charges do.
pub async fn lock(conn: &mut PgConnection, target: Target) -> Result<Option<TargetState>, StoreError> {
    match target {
        Target::Subscription(_) | Target::Invoice(_) | Target::Payment(_) => {
            let Some(found) = read(conn, target).await? else { return Ok(None) };
            if let Some(id) = found.subscription_id {
                subscriptions::lock(conn, id).await?;
            }
        }
        Target::Job(id) => {
            sqlx::query!("select id from jobs where id = $1 for update", id)
                .fetch_optional(&mut *conn)
                .await?;
        }
        Target::Discrepancy(id) => {
            sqlx::query!("select id from discrepancies where id = $1 for update", id)
                .fetch_optional(&mut *conn)
                .await?;
        }
        Target::Event(id) => {
            sqlx::query!("select id from webhook_events_out where id = $1 for update", id)
                .fetch_optional(&mut *conn)
                .await?;
        }
        Target::Email(id) => {
            sqlx::query!("select id from emails where id = $1 for update", id)
                .fetch_optional(&mut *conn)
                .await?;
        }
        Target::Operator(id) => operators::lock(conn, id).await?,
        Target::Customer(id) => {
            users::lock(conn, id).await?;
        }
        Target::Switch(name) => settings::lock(conn, name).await?,
    }
    // None where there is no such row.
    read(conn, target).await
}

/// Reads the target without holding it.
pub async fn read(conn: &mut PgConnection, target: Target) -> Result<Option<TargetState>, StoreError> {
    match target {
        Target::Subscription(id) => subscription(conn, id).await,
        Target::Invoice(id) => invoice(conn, id).await,
        Target::Payment(id) => payment(conn, id).await,
        Target::Job(id) => job(conn, id).await,
        Target::Discrepancy(id) => discrepancy(conn, id).await,
        Target::Event(id) => event(conn, id).await,
        Target::Email(id) => email(conn, id).await,
        Target::Operator(id) => operator(conn, id).await,
        Target::Customer(id) => customer(conn, id).await,
        Target::Switch(name) => switch(conn, name).await,
    }
}

async fn subscription(conn: &mut PgConnection, id: Uuid) -> Result<Option<TargetState>, StoreError> {
    let state = sqlx::query_as!(
        TargetState,
        r#"
        select id as subscription_id,
               jsonb_build_object('status', status, 'plan', plan, 'amount', amount, 'periodNo', period_no,
                                  'currentPeriodEnd', current_period_end, 'nextBillingDate', next_billing_date,
                                  'chargingPausedAt', charging_paused_at, 'canceledAt', canceled_at,
                                  'endedAt', ended_at) as "state!"
          from subscriptions where id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(state)
}

async fn invoice(conn: &mut PgConnection, id: Uuid) -> Result<Option<TargetState>, StoreError> {
    let state = sqlx::query_as!(
        TargetState,
        r#"
        select invoice.subscription_id,
               jsonb_build_object('status', invoice.status, 'amount', invoice.amount, 'periodNo', invoice.period_no,
                                  'periodStart', period_start, 'periodEnd', period_end, 'heldSince', held_since,
                                  'releasedAt', released_at, 'paidAt', paid_at,
                                  'subscriptionStatus', subscription.status) as "state!"
          from invoices invoice join subscriptions subscription on subscription.id = invoice.subscription_id
         where invoice.id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(state)
}

async fn payment(conn: &mut PgConnection, id: Uuid) -> Result<Option<TargetState>, StoreError> {
    let state = sqlx::query_as!(
        TargetState,
        r#"
        select payment.subscription_id,
               jsonb_build_object('status', payment.status, 'amount', payment.amount, 'orderId', order_id,
                                  'unknownSince', unknown_since, 'reviewSince', review_since,
                                  'refunded', (select coalesce(sum(amount), 0) from refunds
                                                where payment_id = payment.id and status <> 'failed'),
                                  'claim', (select jsonb_build_object('claim', claim, 'state', state, 'by', proposed_by)
                                              from payment_claims where payment_id = payment.id
                                               and state in ('checking', 'needs_agreement')),
                                  'subscriptionStatus', subscription.status) as "state!"
          from payments payment join subscriptions subscription on subscription.id = payment.subscription_id
         where payment.id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(state)
}

async fn job(conn: &mut PgConnection, id: i64) -> Result<Option<TargetState>, StoreError> {
    let row = sqlx::query!(
        r#"
        select subject->>'subscription' as subscription,
               jsonb_build_object('kind', kind, 'state', state, 'attempt', attempt, 'runAt', run_at, 'nextId', next_id,
                                  'crashes', crashes) as "state!"
          from jobs where id = $1
        "#,
        id
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let named = row.subscription.as_deref().and_then(crate::id::parse_subscription_ref);
    // The audit log's foreign key takes only a subscription that exists.
    let subscription_id = match named {
        Some(id) => subscriptions::find(conn, id).await?.map(|subscription| subscription.id),
        None => None,
    };
    Ok(Some(TargetState { state: row.state, subscription_id }))
}

async fn discrepancy(conn: &mut PgConnection, id: Uuid) -> Result<Option<TargetState>, StoreError> {
    let state = sqlx::query_as!(
        TargetState,
        r#"
        select payment.subscription_id as "subscription_id?",
               jsonb_build_object('kind', discrepancy.kind, 'date', date, 'orderId', discrepancy.order_id,
                                  'ourAmount', our_amount, 'theirAmount', their_amount, 'resolvedAt', resolved_at,
                                  'acceptedAt', accepted_at, 'acceptedBy', accepted_by) as "state!"
          from discrepancies discrepancy left join payments payment on payment.id = discrepancy.payment_id
         where discrepancy.id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(state)
}

async fn event(conn: &mut PgConnection, id: Uuid) -> Result<Option<TargetState>, StoreError> {
    let state = sqlx::query_as!(
        TargetState,
        r#"
        select subscription_id,
               jsonb_build_object('type', type, 'state', coalesce(state, 'none'), 'tries', coalesce(tries, 0),
                                  'settledAt', settled_at) as "state!"
          from webhook_events_out event left join webhook_deliveries delivery on delivery.event_id = event.id
         where event.id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(state)
}

async fn email(conn: &mut PgConnection, id: Uuid) -> Result<Option<TargetState>, StoreError> {
    let state = sqlx::query_as!(
        TargetState,
        r#"
        select subscription_id,
               jsonb_build_object('kind', kind, 'status', status, 'attempts', attempts, 'settledAt', settled_at,
                                  'copies', (select count(*) from emails copy where copy.resend_of = email.id)) as "state!"
          from emails email where id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(state)
}

async fn operator(conn: &mut PgConnection, id: Uuid) -> Result<Option<TargetState>, StoreError> {
    let state = sqlx::query_scalar!(
        r#"
        select jsonb_build_object('operator', email, 'role', role, 'password', password_hash is not null,
                                  'token', token_hash is not null, 'linkUntil', link_expires_at,
                                  'oneTimeCodes', exists (select 1 from operator_totp where operator_id = operators.id),
                                  'disabledAt', disabled_at) as "state!"
          from operators where id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(state.map(|state| TargetState { state, subscription_id: None }))
}

/// When something changed and not to what: the audit log is append-only, and an erased customer's address goes.
async fn customer(conn: &mut PgConnection, id: Uuid) -> Result<Option<TargetState>, StoreError> {
    let state = sqlx::query_scalar!(
        r#"
        select jsonb_build_object('email', email is not null, 'name', name is not null, 'updatedAt', updated_at,
                                  'erasedAt', erased_at) as "state!"
          from users where id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(state.map(|state| TargetState { state, subscription_id: None }))
}

/// A switch that nobody has turned has no row yet.
async fn switch(conn: &mut PgConnection, name: &str) -> Result<Option<TargetState>, StoreError> {
    let value =
        sqlx::query_scalar!("select value - 'fingerprint' as \"value!\" from settings where name = $1", name)
            .fetch_optional(conn)
            .await?;
    Ok(Some(TargetState { state: value.unwrap_or(Value::Null), subscription_id: None }))
}
