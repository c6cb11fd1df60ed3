//! What people do: subscribe, cancel, take that back, lose and mend cards; and somebody deletes rows of the job table.

use common::{
    commands::{
        cancel::{Wish, cancel_subscription},
        confirm::{Confirmation, record_confirmation},
        resume,
    },
    domain::{calendar::Cycle, money::Won},
};
use sandbox::{FailedChargeLookup, Purchase};
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
    /// What Toss leaves open, this gateway has decided one way.
    pub(crate) fn choose_a_gateway(&mut self) {
        let aborted = self.dice.percent(40.0);
        let bound = self.dice.percent(15.0);
        let key = !self.dice.percent(8.0);
        let told = self.dice.percent(70.0);
        self.bench.sandbox.set_switches(|switches| {
            if aborted {
                switches.failed_charge_lookup = FailedChargeLookup::Aborted;
            }
            switches.strict_key_pairs = true;
            switches.bind_server_errors = bound;
            switches.confirm_billing_key = key;
            switches.billing_cancel_webhook = told;
        });
        self.story.tell(format!(
            "declines read back: {aborted}; 5xx bound to keys: {bound}; confirmations give billing keys: {key}; \
             refunds are told: {told}"
        ));
    }

    /// Mostly by the payment window, sometimes with a registered card.
    pub(crate) async fn sign_up(&mut self) {
        let number = self.customers.len();
        let new = Customer::named(&format!("ORDER_{number}"));
        let cycle = self.dice.weighted(&[(5, Cycle::Monthly), (1, Cycle::Yearly)]);
        let plan = self.dice.pick(&["personal", "pro"]);
        let how = if self.dice.percent(35.0) {
            self.subscribe_with_a_card(new, plan, cycle).await;
            "with a registered card"
        } else {
            self.pay_and_confirm(new, plan, cycle).await;
            "with a payment"
        };
        self.story.tell(format!("s{number} subscribes {how}: {plan} {cycle}"));
    }

    async fn pay_and_confirm(&mut self, mut new: Customer, plan: &str, cycle: Cycle) {
        let number = self.customers.len();
        let order_id = format!("ORDER_{number}");
        let card = format!("43{number:02}000000000001");
        let mut tx = self.bench.desk().begin().await.unwrap();
        let price = price(&mut tx, plan, cycle).await;
        let purchase = Purchase::new(&order_id, price.into()).customer(&new.key).card(&card);
        let open = self.bench.sandbox.pay(purchase).unwrap();
        let asked = Confirmation {
            user_id: new.user_id,
            payment_key: open.payment_key,
            order_id,
            amount: Won::new(price.into()).unwrap(),
            plan: plan.to_owned(),
            cycle,
            customer_key: new.key.clone(),
            customer_email: new.email(),
            customer_name: NAME.to_owned(),
        };
        let attempt = record_confirmation(&mut tx, &asked, self.bench.now()).await.unwrap();
        new.subscription_id = attempt.subscription_id;
        memory::begin(&mut tx, new.subscription_id, price, cycle).await.unwrap();
        tx.commit().await.unwrap();
        new.cards.push(Card { number: card, auth_key: None });
        self.customers.push(new);
    }

    /// Between two moments.
    pub(crate) async fn whims(&mut self) {
        if self.dice.percent(12.0) {
            let customer = self.somebody();
            let persona = self.dice.weighted(&[
                (5, "pays"),
                (4, "REJECT_CARD_PAYMENT"),
                (1, "EXCEED_MAX_PAYMENT_AMOUNT"),
                (1, "INVALID_STOPPED_CARD"),
            ]);
            let cards = self.customers[customer].cards.clone();
            let nth = usize::try_from(self.dice.between(0, i64::try_from(cards.len()).unwrap() - 1)).unwrap();
            // Mostly the one that is charged.
            let nth = if self.dice.percent(75.0) { cards.len() - 1 } else { nth };
            self.story.tell(format!("card {nth} of s{customer}: {persona}"));
            self.bench.sandbox.set_card(&cards[nth].number, persona.to_owned().into());
        }
        match self.dice.between(0, 99) {
            0..2 => self.switch_charging(false).await,
            2..4 => self.pause_somebody().await,
            4..14 => {
                self.switch_charging(true).await;
                self.resume_everybody().await;
            }
            14..24 => self.decide_held_periods().await,
            24..44 => self.help_parked_jobs().await,
            44..48 => self.is_away = true,
            48..70 => self.is_away = false,
            70 => self.bring_some_over().await,
            71..74 => self.sign_up().await,
            _ => {}
        }
    }

    pub(crate) async fn calm_down(&mut self) {
        for customer in &self.customers {
            self.bench.sandbox.set_customer(&customer.key, sandbox::Outcome::Pays);
        }
        self.bench.sandbox.clear_faults();
        self.is_away = false;
        self.switch_charging(true).await;
        self.resume_everybody().await;
        self.help_parked_jobs().await;
        self.decide_held_periods().await;
        self.all_events_arrive().await;
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
        self.lost_jobs_at = Some(self.bench.now());
        self.mail_deaths += gone.iter().filter(|one| *one == "send-email running").count();
        self.story.tell(format!("{} rows of the job table are deleted", gone.len()));
    }

    /// Some customer wants to cancel, or to take that back; the task that does it.
    pub(crate) async fn somebody_cancels(&mut self, env: &Env) -> (String, Task) {
        let back = self.dice.percent(40.0);
        let number = if back { self.somebody_who_is(&["canceled"]).await } else { self.somebody() };
        let (env, id) = (env.clone(), self.customers[number].subscription_id);
        let task = async move {
            let done = if back { resume(&env, id).await } else { cancel(&env, id).await };
            done.map_or_else(|error| error.to_string(), |()| "so it is".to_owned())
        };
        let what = if back { "takes the cancel back" } else { "cancels" };
        (format!("s{number} {what}"), Box::pin(task))
    }
}

/// With what is on record at that moment, in the same commit.
async fn cancel(env: &Env, id: Uuid) -> anyhow::Result<()> {
    let mut tx = env.pool.begin().await?;
    let wish = Wish { subscription_id: id, user_id: None, actor: "customer:simulation", reason: "변심" };
    cancel_subscription(&mut tx, &env.brand, wish, env.clock.now()).await?;
    memory::farewell(&mut tx, id).await?;
    Ok(tx.commit().await?)
}

async fn resume(env: &Env, id: Uuid) -> anyhow::Result<()> {
    let mut tx = env.pool.begin().await?;
    let wish = resume::Wish { subscription_id: id, user_id: None, actor: "customer:simulation" };
    resume::resume_subscription(&mut tx, wish, env.clock.now()).await?;
    memory::come_back(&mut tx, id).await?;
    Ok(tx.commit().await?)
}
