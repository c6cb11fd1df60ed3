//! Whose card is charged: the last that was proven; and that no other key is left at the gateway that could charge.

use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    customers::Customer,
    life::{Broken, Life},
};

/// A registration, as far as it decides about a card.
#[derive(sqlx::FromRow)]
struct Registered {
    auth_key_hash: Vec<u8>,
    status: String,
    toss_code: Option<String>,
    /// A charge of its subscription does; or its own request is answered 500 under its key for 14 days.
    waits_for_a_person: bool,
}

impl Registered {
    fn is_of(&self, number: &str, customer: &Customer) -> bool {
        let mut keys = customer.cards.iter().filter(|card| card.number == number);
        let key = keys.find_map(|card| card.auth_key.as_deref());
        key.is_some_and(|key| Sha256::digest(key.as_bytes()).as_slice() == self.auth_key_hash)
    }

    fn is_unfinished(&self) -> bool {
        ["pending", "unknown", "issued", "proving"].contains(&self.status.as_str())
    }

    /// Where the gateway's answer never came, its owner is asked to register again: docs/guarantees.md.
    fn is_lost(&self) -> bool {
        self.status == "refused" && self.toss_code.as_deref() == Some("REGISTRATION_LOST")
    }
}

pub(super) async fn all(life: &Life<'_>) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (number, customer) in life.customers.iter().enumerate() {
        let told = of(life, customer).await;
        broken.extend(told.into_iter().map(|what| format!("card: of s{number}, {what}")));
    }
    let wrong: Vec<String> = sqlx::query_scalar(
        "select 'card: a card that has paid is ' || card.status
           from card_registrations card join payments payment on payment.id = card.payment_id
          where payment.status in ('completed', 'partially_refunded', 'refunded') and card.status <> 'applied'
            and not exists (select from refunds
                             where refunds.payment_id = payment.id and request_key = 'landed_after_cancel')
         union all
         select 'card: a retired key waits to be deleted' from billing_key_deletions where deleted_at is null",
    )
    .fetch_all(life.bench.desk())
    .await
    .unwrap();
    broken.extend(wrong);
    broken
}

async fn of(life: &Life<'_>, customer: &Customer) -> Vec<Broken> {
    let registered = registrations(life, customer).await;
    let in_force = in_force(life, customer.subscription_id).await;
    let nth = |number: &str| customer.cards.iter().position(|card| card.number == number).unwrap();
    let mut broken = Vec::new();
    if registered.iter().any(|one| one.is_unfinished() && !one.waits_for_a_person) {
        broken.push("a registration is unfinished".to_owned());
    }
    for key in life.bench.sandbox.billing_keys(&customer.key) {
        let mut known = registered.iter().filter(|one| one.is_of(&key.card_number, customer));
        let is_explained = known.any(|one| one.is_lost() || one.is_unfinished());
        let nth = nth(&key.card_number);
        if in_force.as_ref() == Some(&key.billing_key) {
            if key.is_deleted {
                broken.push(format!("the key of card {nth} is in force, and deleted"));
            }
            if key.card_number != expected(customer, &registered) {
                broken.push(format!("card {nth} is charged, and is not the last that was proven"));
            }
        } else if !key.is_deleted && !is_explained {
            broken.push(format!("the key of card {nth} is not in force and still charges"));
        }
    }
    broken
}

/// The billing key that the subscription is charged with.
async fn in_force(life: &Life<'_>, id: Uuid) -> Option<String> {
    let kept: Option<String> = sqlx::query_scalar("select billing_key from subscriptions where id = $1")
        .bind(id)
        .fetch_one(life.bench.desk())
        .await
        .unwrap();
    let sealer = &life.bench.hosts[0].env.sealer;
    kept.map(|kept| sealer.open(&kept, id).unwrap().expose_secret().to_owned())
}

async fn registrations(life: &Life<'_>, customer: &Customer) -> Vec<Registered> {
    sqlx::query_as(
        "select auth_key_hash, status, toss_code, exists (
                    select from payments where payments.subscription_id = card.subscription_id
                       and payments.status = 'unknown' and review_since is not null)
                or $2 and status = 'unknown' and $3 - first_sent_at < interval '15 days' as waits_for_a_person
           from card_registrations card where subscription_id = $1 order by created_at",
    )
    .bind(customer.subscription_id)
    .bind(life.bench.sandbox.switches().bind_server_errors)
    .bind(life.bench.now())
    .fetch_all(life.bench.desk())
    .await
    .unwrap()
}

/// The last one that was applied, or the one that it began with.
fn expected<'a>(customer: &'a Customer, registered: &[Registered]) -> &'a str {
    let applied = registered.iter().rev().filter(|one| one.status == "applied");
    let mut cards =
        applied.filter_map(|one| customer.cards.iter().find(|card| one.is_of(&card.number, customer)));
    cards.next().map_or(customer.cards[0].number.as_str(), |card| card.number.as_str())
}
