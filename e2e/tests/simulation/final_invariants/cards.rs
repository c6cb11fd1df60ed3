//! I4 and I7 for cards: the last verified card is charged, and every other billing key is deleted at the gateway.

use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::customers::Customer;
use crate::simulation::{Simulation, Violation};

/// The part of a card registration that decides which card is charged.
#[derive(sqlx::FromRow)]
struct RegistrationRow {
    auth_key_hash: Vec<u8>,
    status: String,
    toss_code: Option<String>,
    /// A charge of its subscription is in review, or the gateway repeats a 500 for its idempotency key.
    is_blocked: bool,
}

impl RegistrationRow {
    fn is_of(&self, number: &str, customer: &Customer) -> bool {
        let mut keys = customer.cards.iter().filter(|card| card.number == number);
        let key = keys.find_map(|card| card.auth_key.as_deref());
        key.is_some_and(|key| Sha256::digest(key.as_bytes()).as_slice() == self.auth_key_hash)
    }

    fn is_unfinished(&self) -> bool {
        ["pending", "unknown", "issued", "proving"].contains(&self.status.as_str())
    }

    /// Whether the gateway's answer never came. The customer is then asked to register again (docs/guarantees.md).
    fn is_lost(&self) -> bool {
        self.status == "refused" && self.toss_code.as_deref() == Some("REGISTRATION_LOST")
    }
}

pub(super) async fn all(simulation: &Simulation<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (number, customer) in simulation.customers.iter().enumerate() {
        let found = check(simulation, customer).await;
        violations.extend(found.into_iter().map(|violation| format!("{violation}, customer s{number}")));
    }
    let wrong: Vec<String> = sqlx::query_scalar(
        "select 'I4 (card): a card that has paid is ' || card.status
           from card_registrations card join payments payment on payment.id = card.payment_id
          where payment.status in ('completed', 'partially_refunded', 'refunded') and card.status <> 'applied'
            and not exists (select from refunds
                             where refunds.payment_id = payment.id and request_key = 'landed_after_cancel')
         union all
         select 'I7 (card): a billing key still waits for its deletion' from billing_key_deletions where deleted_at is null",
    )
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap();
    violations.extend(wrong);
    violations
}

async fn check(simulation: &Simulation<'_>, customer: &Customer) -> Vec<Violation> {
    let registered = registrations(simulation, customer).await;
    let in_force = in_force(simulation, customer.subscription_id).await;
    let nth = |number: &str| customer.cards.iter().position(|card| card.number == number).unwrap();
    let mut violations = Vec::new();
    if registered.iter().any(|row| row.is_unfinished() && !row.is_blocked) {
        violations.push("I7 (card): a registration is unfinished".to_owned());
    }
    for key in simulation.testbed.sandbox.billing_keys(&customer.key) {
        let mut registrations = registered.iter().filter(|row| row.is_of(&key.card_number, customer));
        let is_explained = registrations.any(|row| row.is_lost() || row.is_unfinished());
        let nth = nth(&key.card_number);
        if in_force.as_ref() == Some(&key.billing_key) {
            if key.is_deleted {
                violations.push(format!("I4 (card): the billing key in force is deleted, card {nth}"));
            }
            if key.card_number != expected(customer, &registered) {
                violations.push(format!("I4 (card): card {nth} is charged and is not the last verified one"));
            }
        } else if !key.is_deleted && !is_explained {
            violations.push(format!("I7 (card): the billing key of the replaced card {nth} is not deleted"));
        }
    }
    violations
}

/// The billing key that the subscription is charged with.
async fn in_force(simulation: &Simulation<'_>, id: Uuid) -> Option<String> {
    let key: Option<String> = sqlx::query_scalar("select billing_key from subscriptions where id = $1")
        .bind(id)
        .fetch_one(simulation.testbed.admin_pool())
        .await
        .unwrap();
    let sealer = &simulation.testbed.processes[0].env.sealer;
    key.map(|key| sealer.open(&key, id).unwrap().expose_secret().to_owned())
}

async fn registrations(simulation: &Simulation<'_>, customer: &Customer) -> Vec<RegistrationRow> {
    sqlx::query_as(
        "select auth_key_hash, status, toss_code, exists (
                    select from payments where payments.subscription_id = card.subscription_id
                       and payments.status = 'unknown' and review_since is not null)
                or $2 and status = 'unknown' and $3 - first_sent_at < interval '15 days' as is_blocked
           from card_registrations card where subscription_id = $1 order by created_at",
    )
    .bind(customer.subscription_id)
    .bind(simulation.testbed.sandbox.switches().bind_server_errors)
    .bind(simulation.testbed.now())
    .fetch_all(simulation.testbed.admin_pool())
    .await
    .unwrap()
}

/// The last applied card, or else the first one.
fn expected<'a>(customer: &'a Customer, registered: &[RegistrationRow]) -> &'a str {
    let applied = registered.iter().rev().filter(|row| row.status == "applied");
    let mut cards =
        applied.filter_map(|row| customer.cards.iter().find(|card| row.is_of(&card.number, customer)));
    cards.next().map_or(customer.cards[0].number.as_str(), |card| card.number.as_str())
}
