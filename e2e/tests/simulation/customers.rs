//! Who the customers of a seed are, and how one of them is picked.

use chrono::NaiveDate;
use common::commands::subscribe::Subscribing;
use uuid::Uuid;

use crate::life::Life;

/// What every customer is called.
pub(crate) const NAME: &str = "홍길동";

#[derive(Clone)]
pub(crate) struct Customer {
    pub(crate) subscription_id: Uuid,
    pub(crate) user_id: Uuid,
    /// Under which the gateway knows them.
    pub(crate) key: String,
    /// In the order in which they came.
    pub(crate) cards: Vec<Card>,
    /// With which words, where it began with a registered card.
    pub(crate) subscribed: Option<Subscribing>,
    /// Of one that another system charged before.
    pub(crate) elsewhere: Option<Elsewhere>,
}

#[derive(Clone, Copy)]
pub(crate) struct Elsewhere {
    /// Nothing is charged here until the day after.
    pub(crate) charged_until: NaiveDate,
    /// The first day that is to be paid for here.
    pub(crate) first_here: NaiveDate,
}

#[derive(Clone)]
pub(crate) struct Card {
    pub(crate) number: String,
    /// None: it came with a payment.
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
            elsewhere: None,
        }
    }

    pub(crate) fn email(&self) -> String {
        format!("{}@example.com", self.user_id.simple())
    }
}

impl Life<'_> {
    pub(crate) fn somebody(&mut self) -> usize {
        usize::try_from(self.dice.between(0, i64::try_from(self.customers.len()).unwrap() - 1)).unwrap()
    }

    /// Mostly somebody in one of these states.
    pub(crate) async fn somebody_who_is(&mut self, statuses: &[&str]) -> usize {
        let such: Vec<Uuid> = sqlx::query_scalar("select id from subscriptions where status = any ($1)")
            .bind(statuses)
            .fetch_all(self.bench.desk())
            .await
            .unwrap();
        self.one_of(&such)
    }

    pub(crate) fn one_of(&mut self, such: &[Uuid]) -> usize {
        let such = self.customers.iter().enumerate().filter(|(_, one)| such.contains(&one.subscription_id));
        let such: Vec<usize> = such.map(|(number, _)| number).collect();
        if such.is_empty() || self.dice.percent(10.0) { self.somebody() } else { self.dice.pick(&such) }
    }
}
