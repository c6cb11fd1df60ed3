//! The customers of a seed, and how a random one is picked.

use chrono::NaiveDate;
use common::commands::subscribe::Subscribing;
use uuid::Uuid;

use crate::simulation::Simulation;

/// The name of every customer.
pub(crate) const NAME: &str = "홍길동";

#[derive(Clone)]
pub(crate) struct Customer {
    pub(crate) subscription_id: Uuid,
    pub(crate) user_id: Uuid,
    /// The customer key at the gateway.
    pub(crate) key: String,
    /// In order of registration.
    pub(crate) cards: Vec<Card>,
    /// The request of a subscription that began with a registered card.
    pub(crate) subscribed: Option<Subscribing>,
    /// The order that is paid into a virtual account.
    pub(crate) deposit_order: Option<String>,
    /// Set for an imported subscription.
    pub(crate) elsewhere: Option<ChargedElsewhere>,
}

#[derive(Clone, Copy)]
pub(crate) struct ChargedElsewhere {
    /// The last day that the other system charged for.
    pub(crate) charged_until: NaiveDate,
    /// The first day of the first period that we charge.
    pub(crate) first_here: NaiveDate,
}

#[derive(Clone)]
pub(crate) struct Card {
    pub(crate) number: String,
    /// `None` for a card of the payment window.
    pub(crate) auth_key: Option<String>,
}

impl Customer {
    pub(crate) fn named(name: &str) -> Self {
        let user_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        let key = user_id.to_string();
        Self {
            subscription_id: Uuid::nil(),
            user_id,
            key,
            cards: Vec::new(),
            subscribed: None,
            deposit_order: None,
            elsewhere: None,
        }
    }

    pub(crate) fn email(&self) -> String {
        format!("{}@example.com", self.user_id.simple())
    }
}

impl Simulation<'_> {
    pub(crate) fn random_customer(&mut self) -> usize {
        usize::try_from(self.rng.between(0, i64::try_from(self.customers.len()).unwrap() - 1)).unwrap()
    }

    /// A random customer, mostly one with one of these statuses.
    pub(crate) async fn random_customer_with_status(&mut self, statuses: &[&str]) -> usize {
        let matching: Vec<Uuid> = sqlx::query_scalar("select id from subscriptions where status = any ($1)")
            .bind(statuses)
            .fetch_all(self.testbed.admin_pool())
            .await
            .unwrap();
        self.random_customer_of(&matching)
    }

    /// A random customer, mostly of these subscriptions.
    pub(crate) fn random_customer_of(&mut self, subscriptions: &[Uuid]) -> usize {
        let customers = self.customers.iter().enumerate();
        let matching = customers.filter(|(_, customer)| subscriptions.contains(&customer.subscription_id));
        let matching: Vec<usize> = matching.map(|(number, _)| number).collect();
        if matching.is_empty() || self.rng.percent(10.0) {
            self.random_customer()
        } else {
            self.rng.pick(&matching)
        }
    }
}
