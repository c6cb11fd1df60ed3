//! Of whoever was erased, nothing personal is left; the money rows, which other checks look at, are.

use uuid::Uuid;

use crate::{
    customers::{Customer, NAME},
    life::{Broken, Life},
};

pub(super) async fn all(life: &Life<'_>) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (number, customer) in life.customers.iter().enumerate() {
        let left = left_of(life, customer).await;
        broken.extend(
            left.into_iter().map(|where_| format!("erasure: something of s{number} is left in {where_}")),
        );
    }
    broken
}

async fn left_of(life: &Life<'_>, customer: &Customer) -> Vec<String> {
    let Customer { user_id, subscription_id, .. } = customer;
    let erased: Vec<Uuid> =
        sqlx::query_scalar("select id from users where id = $1 and erased_at is not null")
            .bind(user_id)
            .fetch_all(life.bench.desk())
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
    .fetch_all(life.bench.desk())
    .await
    .unwrap()
}
