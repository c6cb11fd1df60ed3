//! Virtual accounts: where the buyer of an order pays in.

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{erasure::ERASED_NAME, outcome::VirtualAccount};

/// Keeps the account of a payment. Its due date stands with the payment.
pub(super) async fn keep(
    conn: &mut PgConnection,
    payment_id: Uuid,
    account: &VirtualAccount,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into virtual_accounts (payment_id, bank, account_number, holder_name) values ($1, $2, $3, $4)
        on conflict (payment_id) do nothing
        "#,
        payment_id,
        account.bank,
        account.account_number,
        account.holder_name,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The account that the buyer of this payment pays into, if there is one.
pub async fn of_payment(
    conn: &mut PgConnection,
    payment_id: Uuid,
) -> Result<Option<VirtualAccount>, StoreError> {
    let account = sqlx::query_as!(
        VirtualAccount,
        r#"
        select account.bank, account.account_number, account.holder_name, payment.deposit_due_at as "due_at!"
          from virtual_accounts account join payments payment on payment.id = account.payment_id
         where account.payment_id = $1 and payment.deposit_due_at is not null
        "#,
        payment_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(account)
}

/// The holder of a customer's accounts is nobody from now on.
pub(super) async fn erase_holder(conn: &mut PgConnection, user_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        update virtual_accounts set holder_name = $2
         where payment_id in (select payment.id from payments payment
                                join subscriptions subscription on subscription.id = payment.subscription_id
                               where subscription.user_id = $1)
        "#,
        user_id,
        ERASED_NAME,
    )
    .execute(conn)
    .await?;
    Ok(())
}
