//! The cards of customers: some pay, some do not; and the registrations that bring new ones, to subscribe or to replace.

use common::{
    commands::{
        register_card::{NewCard, register_card},
        subscribe::{Subscribing, subscribe},
    },
    domain::{calendar::Cycle, registration::Registration},
};
use sandbox::CardRegistration;
use uuid::Uuid;
use worker::env::Env;

use crate::{
    customers::{Card, Customer, NAME},
    life::Life,
    memory,
    plans::price,
    process::Task,
};

impl Life<'_> {
    /// A card that nobody else has, and what the bank does with it for now.
    pub(crate) fn draw_a_card(&mut self, customer: usize, nth: usize, pays: u32) -> String {
        let number = format!("43{customer:02}{nth:04}00000001");
        let persona = self.dice.weighted(&[
            (pays, "pays"),
            (3, "REJECT_CARD_PAYMENT"),
            (1, "EXCEED_MAX_PAYMENT_AMOUNT"),
            (2, "INVALID_STOPPED_CARD"),
        ]);
        self.bench.sandbox.set_card(&number, persona.to_owned().into());
        number
    }

    /// What the registration window leaves behind: a card of theirs, and its one-time key.
    fn fill_in_the_window(&mut self, number: usize) -> String {
        let nth = self.customers[number].cards.len();
        let card_number = self.draw_a_card(number, nth, 14);
        let customer_key = self.customers[number].key.clone();
        let registration = CardRegistration { customer_key, card_number: Some(card_number.clone()) };
        let auth_key = self.bench.sandbox.auth_key(registration).unwrap();
        let card = Card { number: card_number, auth_key: Some(auth_key.clone()) };
        self.customers[number].cards.push(card);
        auth_key
    }

    pub(crate) async fn subscribe_with_a_card(&mut self, mut new: Customer, plan: &str, cycle: Cycle) {
        let number = self.customers.len();
        self.customers.push(new.clone());
        let auth_key = self.fill_in_the_window(number);
        let asked = Subscribing {
            amount: None,
            user_id: new.user_id,
            auth_key,
            customer_key: new.key.clone(),
            plan: plan.to_owned(),
            cycle,
            customer_email: new.email(),
            customer_name: NAME.to_owned(),
        };
        let mut tx = self.bench.desk().begin().await.unwrap();
        let recorded = subscribe(&mut tx, &asked, self.bench.now()).await.unwrap();
        new.subscription_id = recorded.subscription_id;
        let price = price(&mut tx, plan, cycle).await;
        memory::begin(&mut tx, new.subscription_id, price, cycle).await.unwrap();
        tx.commit().await.unwrap();
        new.cards.clone_from(&self.customers[number].cards);
        new.subscribed = Some(asked);
        self.customers[number] = new;
    }

    /// The browser sends the same once more.
    pub(crate) fn somebody_subscribes_again(&mut self, env: &Env) -> Option<(String, Task)> {
        let asked = |(number, one): (usize, &Customer)| one.subscribed.clone().map(|asked| (number, asked));
        let asked: Vec<(usize, Subscribing)> = self.customers.iter().enumerate().filter_map(asked).collect();
        if asked.is_empty() {
            return None;
        }
        let (number, asked) = self.dice.pick(&asked);
        let (env, known) = (env.clone(), self.customers[number].subscription_id);
        let task = async move {
            match subscribe_again(&env, &asked).await {
                Ok(found) if found.subscription_id == known => "known".to_owned(),
                Ok(_) => "BROKEN: it is another subscription".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        Some((format!("s{number} subscribes with the same key again"), Box::pin(task)))
    }

    /// Mostly who needs one; sometimes with a key that was sent before.
    pub(crate) async fn somebody_registers_a_card(&mut self, env: &Env) -> (String, Task) {
        let number = self.who_may_need_a_card().await;
        let sent: Vec<String> =
            self.customers[number].cards.iter().filter_map(|card| card.auth_key.clone()).collect();
        let again = !sent.is_empty() && self.dice.percent(25.0);
        let auth_key = if again { self.dice.pick(&sent) } else { self.fill_in_the_window(number) };
        let Customer { subscription_id, user_id, key: customer_key, cards, .. } =
            self.customers[number].clone();
        let nth = cards.iter().position(|card| card.auth_key.as_ref() == Some(&auth_key)).unwrap_or_default();
        let env = env.clone();
        let task = async move {
            let card = NewCard { subscription_id, user_id, auth_key: &auth_key, customer_key: &customer_key };
            match register(&env, card).await {
                Ok(found) => format!("it is {}", found.status),
                Err(error) => error.to_string(),
            }
        };
        (format!("s{number} registers card {nth}{}", if again { " again" } else { "" }), Box::pin(task))
    }

    async fn who_may_need_a_card(&mut self) -> usize {
        let needy: Vec<Uuid> = sqlx::query_scalar(
            "select id from subscriptions where status in ('past_due', 'suspended') or billing_key is null
                or status = 'incomplete' and repair_until is not null",
        )
        .fetch_all(self.bench.desk())
        .await
        .unwrap();
        let everybody = self.customers.iter().enumerate();
        let needy = everybody.filter(|(_, one)| needy.contains(&one.subscription_id));
        let needy: Vec<usize> = needy.map(|(number, _)| number).collect();
        let all: Vec<usize> = (0..self.customers.len()).collect();
        let from = if !needy.is_empty() && self.dice.percent(70.0) { needy } else { all };
        self.dice.pick(&from)
    }
}

async fn register(env: &Env, card: NewCard<'_>) -> anyhow::Result<Registration> {
    let mut tx = env.pool.begin().await?;
    let registration = register_card(&mut tx, card, env.clock.now()).await?;
    tx.commit().await?;
    Ok(registration)
}

async fn subscribe_again(env: &Env, asked: &Subscribing) -> anyhow::Result<Registration> {
    let mut tx = env.pool.begin().await?;
    let registration = subscribe(&mut tx, asked, env.clock.now()).await?;
    tx.commit().await?;
    Ok(registration)
}
