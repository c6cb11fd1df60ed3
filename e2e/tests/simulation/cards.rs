//! Cards and their registrations: to subscribe with, or to replace the present card.

use common::commands::register_card::{NewCard, register_card};
use common::commands::subscribe::{Subscribing, subscribe};
use common::domain::calendar::Cycle;
use common::domain::registration::Registration;
use sandbox::CardRegistration;
use uuid::Uuid;
use worker::env::Env;

use crate::customers::{Card, Customer, NAME};
use crate::oracle;
use crate::plan_changes::price;
use crate::simulation::Simulation;
use crate::task_driver::TaskFuture;

impl Simulation<'_> {
    /// Makes a new card with a random answer of its bank. Returns the card number.
    pub(crate) fn new_card_number(&mut self, customer: usize, nth: usize, pays: u32) -> String {
        let number = format!("43{customer:02}{nth:04}00000001");
        let persona = self.rng.weighted(&[
            (pays, "pays"),
            (3, "REJECT_CARD_PAYMENT"),
            (1, "EXCEED_MAX_PAYMENT_AMOUNT"),
            (2, "INVALID_STOPPED_CARD"),
        ]);
        self.testbed.sandbox.set_card(&number, persona.to_owned().into());
        number
    }

    /// Completes the registration window with a new card. Returns the one-time key.
    fn complete_registration_window(&mut self, number: usize) -> String {
        let nth = self.customers[number].cards.len();
        let card_number = self.new_card_number(number, nth, 14);
        let customer_key = self.customers[number].key.clone();
        let registration = CardRegistration { customer_key, card_number: Some(card_number.clone()) };
        let auth_key = self.testbed.sandbox.auth_key(registration).unwrap();
        let card = Card { number: card_number, auth_key: Some(auth_key.clone()) };
        self.customers[number].cards.push(card);
        auth_key
    }

    pub(crate) async fn subscribe_with_card(&mut self, mut new: Customer, plan: &str, cycle: Cycle) {
        let number = self.customers.len();
        self.customers.push(new.clone());
        let auth_key = self.complete_registration_window(number);
        let request = Subscribing {
            amount: None,
            user_id: new.user_id,
            auth_key,
            customer_key: new.key.clone(),
            plan: plan.to_owned(),
            cycle,
            customer_email: new.email(),
            customer_name: NAME.to_owned(),
        };
        let mut tx = self.testbed.admin_pool().begin().await.unwrap();
        let recorded = subscribe(&mut tx, &request, self.testbed.now()).await.unwrap();
        new.subscription_id = recorded.subscription_id;
        let price = price(&mut tx, plan, cycle).await;
        oracle::record_first_terms(&mut tx, new.subscription_id, price, cycle).await.unwrap();
        tx.commit().await.unwrap();
        new.cards.clone_from(&self.customers[number].cards);
        new.subscribed = Some(request);
        self.customers[number] = new;
    }

    /// A browser sends its subscribe request once more.
    pub(crate) fn repeated_subscribe_request(&mut self, env: &Env) -> Option<(String, TaskFuture)> {
        let request = |(number, customer): (usize, &Customer)| Some((number, customer.subscribed.clone()?));
        let requests: Vec<(usize, Subscribing)> =
            self.customers.iter().enumerate().filter_map(request).collect();
        if requests.is_empty() {
            return None;
        }
        let (number, request) = self.rng.pick(&requests);
        let (env, known) = (env.clone(), self.customers[number].subscription_id);
        let task = async move {
            match subscribe_again(&env, &request).await {
                Ok(found) if found.subscription_id == known => "known".to_owned(),
                Ok(_) => "VIOLATION I1: the repeated request made another subscription".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        Some((format!("s{number} repeats its subscribe request"), Box::pin(task)))
    }

    /// A customer registers a card, mostly one who needs it, sometimes with a one-time key that was sent before.
    pub(crate) async fn card_registration_request(&mut self, env: &Env) -> (String, TaskFuture) {
        let number = self.random_customer_needing_card().await;
        let sent: Vec<String> =
            self.customers[number].cards.iter().filter_map(|card| card.auth_key.clone()).collect();
        let again = !sent.is_empty() && self.rng.percent(25.0);
        let auth_key = if again { self.rng.pick(&sent) } else { self.complete_registration_window(number) };
        let Customer { subscription_id, user_id, key: customer_key, cards, .. } =
            self.customers[number].clone();
        let nth = cards.iter().position(|card| card.auth_key.as_ref() == Some(&auth_key)).unwrap_or_default();
        let env = env.clone();
        let task = async move {
            let card = NewCard { subscription_id, user_id, auth_key: &auth_key, customer_key: &customer_key };
            match register(&env, card).await {
                Ok(found) => format!("registration {}", found.status),
                Err(error) => error.to_string(),
            }
        };
        (format!("s{number} registers card {nth}{}", if again { " again" } else { "" }), Box::pin(task))
    }

    async fn random_customer_needing_card(&mut self) -> usize {
        let needy: Vec<Uuid> = sqlx::query_scalar(
            "select id from subscriptions where status in ('past_due', 'suspended') or billing_key is null
                or status = 'incomplete' and repair_until is not null",
        )
        .fetch_all(self.testbed.admin_pool())
        .await
        .unwrap();
        let customers = self.customers.iter().enumerate();
        let needy = customers.filter(|(_, customer)| needy.contains(&customer.subscription_id));
        let needy: Vec<usize> = needy.map(|(number, _)| number).collect();
        let all: Vec<usize> = (0..self.customers.len()).collect();
        let from = if !needy.is_empty() && self.rng.percent(70.0) { needy } else { all };
        self.rng.pick(&from)
    }
}

async fn register(env: &Env, card: NewCard<'_>) -> anyhow::Result<Registration> {
    let mut tx = env.pool.begin().await?;
    let registration = register_card(&mut tx, card, env.clock.now()).await?;
    tx.commit().await?;
    Ok(registration)
}

async fn subscribe_again(env: &Env, request: &Subscribing) -> anyhow::Result<Registration> {
    let mut tx = env.pool.begin().await?;
    let registration = subscribe(&mut tx, request, env.clock.now()).await?;
    tx.commit().await?;
    Ok(registration)
}
