//! Erasure: no personal data is left of an erased customer. The money rows stay, and the other checks cover them.

use uuid::Uuid;

use crate::customers::{Customer, NAME};
use crate::simulation::{Simulation, Violation};

pub(super) async fn all(simulation: &Simulation<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (number, customer) in simulation.customers.iter().enumerate() {
        let remaining = remaining_data(simulation, customer).await;
        violations.extend(
            remaining
                .into_iter()
                .map(|table| format!("erasure: personal data of s{number} is left in {table}")),
        );
    }
    violations
}

async fn remaining_data(simulation: &Simulation<'_>, customer: &Customer) -> Vec<String> {
    let Customer { user_id, subscription_id, .. } = customer;
    let erased: Vec<Uuid> =
        sqlx::query_scalar("select id from users where id = $1 and erased_at is not null")
            .bind(user_id)
            .fetch_all(simulation.testbed.admin_pool())
            .await
            .unwrap();
    if erased.is_empty() {
        return Vec::new();
    }
    sqlx::query_scalar(
        "select 'users' from users where id = $1 and to_jsonb(users)::text ~ ($3 || '|' || $4)
         union all
         select 'subscriptions' from subscriptions subscription
          where id = $2 and (billing_key is not null or card_number is not null
                          or to_jsonb(subscription)::text ~ ($3 || '|' || $4))
         union all
         select 'emails' from emails email where user_id = $1 and to_jsonb(email)::text ~ ($3 || '|' || $4)
         union all
         select 'card_registrations' from card_registrations where user_id = $1 and card_number is not null
         union all
         select 'subscription_events' from subscription_events event
          where subscription_id = $2 and to_jsonb(event)::text ~ ($3 || '|' || $4 || '|변심')",
    )
    .bind(user_id)
    .bind(subscription_id)
    .bind(customer.email())
    .bind(NAME)
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap()
}
