//! What people do: subscribe, cancel, lose and mend cards, turn the kill switch, delete rows of the job table.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use common::{
    commands::{
        cancel::{CancelError, Wish, cancel_subscription},
        confirm::{Confirmation, record_confirmation},
    },
    domain::calendar::Cycle,
    store::{plans, settings},
};
use sandbox::{FailedChargeLookup, Purchase};
use uuid::Uuid;
use worker::env::Env;

use crate::{life::Life, process::Task};

#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) subscription_id: Uuid,
    pub(crate) customer_key: String,
}

/// What was on record for a subscription when its cancel took effect.
#[derive(Debug, Clone, Default)]
pub(crate) struct Farewell {
    pub(crate) orders: BTreeSet<String>,
    /// Of these, the ones that may have been on their way to the gateway.
    pub(crate) in_flight: BTreeSet<String>,
}

pub(crate) type Farewells = Arc<Mutex<BTreeMap<Uuid, Farewell>>>;

impl Life<'_> {
    /// What Toss leaves open, this gateway has decided one way.
    pub(crate) fn choose_a_gateway(&mut self) {
        let aborted = self.dice.percent(40.0);
        let bound = self.dice.percent(15.0);
        let key = !self.dice.percent(8.0);
        self.bench.sandbox.set_switches(|switches| {
            if aborted {
                switches.failed_charge_lookup = FailedChargeLookup::Aborted;
            }
            switches.bind_server_errors = bound;
            switches.confirm_billing_key = key;
        });
        self.story.tell(format!(
            "declines read back: {aborted}; 5xx bound to keys: {bound}; confirmations give billing keys: {key}"
        ));
    }

    pub(crate) async fn sign_up(&mut self, number: i64) {
        let order_id = format!("ORDER_{number}");
        let user_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, order_id.as_bytes());
        let customer_key = user_id.to_string();
        let cycle = self.dice.weighted(&[(5, Cycle::Monthly), (1, Cycle::Yearly)]);
        let plan = self.dice.pick(&["personal", "pro"]);
        let mut tx = self.bench.desk().begin().await.unwrap();
        let price = plans::find(&mut tx, plan).await.unwrap().unwrap().price(cycle);
        let purchase = Purchase::new(&order_id, price.get().into()).customer(&customer_key);
        let open = self.bench.sandbox.pay(purchase).unwrap();
        let asked = Confirmation {
            user_id,
            payment_key: open.payment_key,
            order_id,
            amount: price,
            plan: plan.to_owned(),
            cycle,
            customer_key: customer_key.clone(),
            customer_email: format!("user{number}@example.com"),
            customer_name: "홍길동".to_owned(),
        };
        let attempt = record_confirmation(&mut tx, &asked, self.bench.now()).await.unwrap();
        tx.commit().await.unwrap();
        self.customers.push(Customer { subscription_id: attempt.subscription_id, customer_key });
        self.story.tell(format!("s{number} subscribes: {plan} {cycle}"));
    }

    /// Between two moments.
    pub(crate) async fn whims(&mut self) {
        if self.dice.percent(12.0) {
            let customer = self.dice.between(0, i64::try_from(self.customers.len()).unwrap() - 1);
            let card = self.dice.weighted(&[
                (5, "pays"),
                (4, "REJECT_CARD_PAYMENT"),
                (1, "EXCEED_MAX_PAYMENT_AMOUNT"),
                (1, "INVALID_STOPPED_CARD"),
            ]);
            self.story.tell(format!("the card of s{customer}: {card}"));
            let key = self.customers[usize::try_from(customer).unwrap()].customer_key.clone();
            self.bench.sandbox.set_customer(&key, card.to_owned().into());
        }
        if self.dice.percent(4.0) {
            let on = self.dice.percent(30.0);
            self.switch_charging(on).await;
        } else if self.dice.percent(40.0) {
            self.switch_charging(true).await;
        }
        if self.dice.percent(50.0) {
            self.help_parked_jobs().await;
        }
    }

    async fn switch_charging(&mut self, on: bool) {
        let mut conn = self.bench.desk().acquire().await.unwrap();
        if settings::charging_enabled(&mut conn).await.unwrap() == on {
            return;
        }
        let now = self.bench.now();
        settings::switch_charging(&mut conn, on, "operator:simulation", "a whim", now).await.unwrap();
        self.story.tell(format!("charging enabled: {on}"));
    }

    /// An operator lets jobs run again that killed their workers too often.
    pub(crate) async fn help_parked_jobs(&mut self) {
        let parked: Vec<i64> = sqlx::query_scalar("select id from jobs where state = 'parked' order by id")
            .fetch_all(self.bench.desk())
            .await
            .unwrap();
        for id in parked {
            let now = self.bench.now();
            let mut tx = self.bench.desk().begin().await.unwrap();
            queue::retry_now(&mut tx, id, now, "operator:simulation").await.unwrap();
            tx.commit().await.unwrap();
            self.story.tell(format!("an operator lets job {id} run again"));
        }
    }

    pub(crate) async fn calm_down(&mut self) {
        for customer in &self.customers {
            self.bench.sandbox.set_customer(&customer.customer_key, sandbox::Outcome::Pays);
        }
        self.bench.sandbox.clear_faults();
        self.switch_charging(true).await;
        self.help_parked_jobs().await;
    }

    /// Any rows, whatever their state, but for those that a process is just writing.
    pub(crate) async fn delete_jobs(&mut self) {
        let every = self.dice.pick(&[1_i64, 2, 3, 5]);
        let rest = self.dice.between(0, every - 1);
        let gone: Vec<String> = sqlx::query_scalar(
            "delete from jobs where id in (select id from jobs where id % $1 = $2 for update skip locked)
             returning kind || ' ' || state",
        )
        .bind(every)
        .bind(rest)
        .fetch_all(self.bench.desk())
        .await
        .unwrap();
        self.mail_deaths += gone.iter().filter(|one| *one == "send-email running").count();
        self.story.tell(format!("{} rows of the job table are deleted", gone.len()));
    }

    /// Some customer wants to cancel; the task that does it.
    pub(crate) fn somebody_cancels(&mut self, env: &Env) -> (String, Task) {
        let number = self.dice.between(0, i64::try_from(self.customers.len()).unwrap() - 1);
        let customer = self.customers[usize::try_from(number).unwrap()].clone();
        let (env, farewells) = (env.clone(), self.farewells.clone());
        let task = async move {
            match cancel(&env, customer.subscription_id, &farewells).await {
                Ok(()) => "canceled".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        (format!("s{number} cancels"), Box::pin(task))
    }
}

async fn cancel(env: &Env, id: Uuid, farewells: &Farewells) -> Result<(), CancelError> {
    let mut tx = env.pool.begin().await.map_err(common::store::StoreError::from)?;
    let wish = Wish { subscription_id: id, user_id: None, actor: "customer:simulation", reason: "변심" };
    cancel_subscription(&mut tx, &env.brand, wish, env.clock.now()).await?;
    let orders: Vec<(String, bool)> = sqlx::query_as(
        "select order_id, status in ('pending', 'unknown') and sent_at is not null from payments where subscription_id = $1",
    )
    .bind(id)
    .fetch_all(&mut *tx)
    .await
    .map_err(common::store::StoreError::from)?;
    tx.commit().await.map_err(common::store::StoreError::from)?;
    let farewell = Farewell {
        in_flight: orders.iter().filter(|(_, open)| *open).map(|(order, _)| order.clone()).collect(),
        orders: orders.into_iter().map(|(order, _)| order).collect(),
    };
    farewells.lock().unwrap().insert(id, farewell);
    Ok(())
}
