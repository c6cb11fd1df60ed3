//! What customers do: subscribe, cancel, resume, and have cards that pay or not. Also the random actions between two
//! runs, and their end.

use common::commands::cancel::{CancelSubscription, cancel_subscription};
use common::commands::confirm::{Confirmation, record_confirmation};
use common::commands::resume;
use common::domain::calendar::Cycle;
use common::domain::money::Won;
use sandbox::{FailedChargeLookup, Purchase};
use uuid::Uuid;
use worker::env::Env;

use crate::customers::{Card, Customer, NAME};
use crate::oracle;
use crate::plan_changes::price;
use crate::simulation::Simulation;
use crate::task_driver::TaskFuture;

impl Simulation<'_> {
    /// Chooses, where the documentation of Toss leaves a behaviour open, how this gateway behaves.
    pub(crate) fn choose_gateway_behaviour(&mut self) {
        let lookup_aborted = self.rng.percent(40.0);
        let bind_errors = self.rng.percent(15.0);
        let confirm_key = !self.rng.percent(8.0);
        let refund_webhooks = self.rng.percent(70.0);
        self.testbed.sandbox.set_switches(|switches| {
            if lookup_aborted {
                switches.failed_charge_lookup = FailedChargeLookup::Aborted;
            }
            switches.strict_key_pairs = true;
            switches.bind_server_errors = bind_errors;
            switches.confirm_billing_key = confirm_key;
            switches.billing_cancel_webhook = refund_webhooks;
        });
        self.choose_overdue_deposits();
        self.trace.record(format!(
            "look-ups of declines: {lookup_aborted}; 5xx bound to keys: {bind_errors}; billing keys on confirm: {confirm_key}; \
             webhooks of refunds: {refund_webhooks}"
        ));
    }

    /// A new customer subscribes: by the payment window, with a registered card, or by deposit.
    pub(crate) async fn sign_up(&mut self) {
        let number = self.customers.len();
        let new = Customer::named(&format!("ORDER_{number}"));
        let cycle = self.rng.weighted(&[(5, Cycle::Monthly), (1, Cycle::Yearly)]);
        let plan = self.rng.pick(&["personal", "pro"]);
        let method = if self.rng.percent(35.0) {
            self.subscribe_with_card(new, plan, cycle).await;
            "with a registered card"
        } else if self.rng.percent(25.0) {
            self.order_by_deposit(new, plan, cycle).await;
            "by deposit"
        } else {
            self.pay_and_confirm(new, plan, cycle).await;
            "with a payment"
        };
        self.trace.record(format!("s{number} subscribes {method}: {plan} {cycle}"));
    }

    async fn pay_and_confirm(&mut self, mut new: Customer, plan: &str, cycle: Cycle) {
        let card = format!("43{:02}000000000001", self.customers.len());
        self.order(&mut new, plan, cycle, |purchase| purchase.card(&card)).await;
        new.cards.push(Card { number: card, auth_key: None });
        self.customers.push(new);
    }

    /// A new customer completes the payment window as chosen and confirms. Returns the order id.
    pub(crate) async fn order(
        &self,
        new: &mut Customer,
        plan: &str,
        cycle: Cycle,
        choose: impl FnOnce(Purchase) -> Purchase,
    ) -> String {
        let order_id = format!("ORDER_{}", self.customers.len());
        let mut tx = self.testbed.admin_pool().begin().await.unwrap();
        let price = price(&mut tx, plan, cycle).await;
        let purchase = choose(Purchase::new(&order_id, price.into()).customer(&new.key));
        let confirmation = Confirmation {
            user_id: new.user_id,
            payment_key: self.testbed.sandbox.pay(purchase).unwrap().payment_key,
            order_id: order_id.clone(),
            amount: Won::new(price.into()).unwrap(),
            plan: plan.to_owned(),
            cycle,
            customer_key: new.key.clone(),
            customer_email: new.email(),
            customer_name: NAME.to_owned(),
        };
        let payment = record_confirmation(&mut tx, &confirmation, self.testbed.now()).await.unwrap();
        new.subscription_id = payment.subscription_id;
        oracle::record_first_terms(&mut tx, new.subscription_id, price, cycle).await.unwrap();
        tx.commit().await.unwrap();
        order_id
    }

    /// What happens between two runs: cards change, operators act, the gateway goes down.
    pub(crate) async fn random_actions(&mut self) {
        if self.rng.percent(12.0) {
            let customer = self.random_customer();
            let persona = self.rng.weighted(&[
                (5, "pays"),
                (4, "REJECT_CARD_PAYMENT"),
                (1, "EXCEED_MAX_PAYMENT_AMOUNT"),
                (1, "INVALID_STOPPED_CARD"),
            ]);
            self.change_card(customer, persona);
        }
        if self.rng.percent(25.0) {
            self.make_deposit();
        }
        if self.rng.percent(20.0) {
            self.return_late_deposits().await;
        }
        match self.rng.between(0, 99) {
            0..2 => self.switch_charging(false).await,
            2..4 => self.pause_random_customer().await,
            4..14 => {
                self.switch_charging(true).await;
                self.resume_all_customers().await;
            }
            14..24 => self.decide_held_invoices().await,
            24..44 => self.retry_parked_jobs().await,
            44..48 => self.gateway_is_down = true,
            48..70 => self.gateway_is_down = false,
            70 => self.import_subscriptions().await,
            71..74 => self.sign_up().await,
            _ => {}
        }
    }

    /// From now on the bank treats one of the customer's cards so, mostly the card that is charged.
    fn change_card(&mut self, customer: usize, persona: &str) {
        let cards = self.customers[customer].cards.clone();
        let Some(last) = cards.len().checked_sub(1) else { return };
        let nth = usize::try_from(self.rng.between(0, i64::try_from(last).unwrap())).unwrap();
        let nth = if self.rng.percent(75.0) { last } else { nth };
        self.trace.record(format!("card {nth} of s{customer}: {persona}"));
        self.testbed.sandbox.set_card(&cards[nth].number, persona.to_owned().into());
    }

    /// Ends all faults: cards pay, the gateway answers, and operators have done their work.
    pub(crate) async fn end_faults(&mut self) {
        for customer in &self.customers {
            self.testbed.sandbox.set_customer(&customer.key, sandbox::Outcome::Pays);
        }
        self.testbed.sandbox.clear_faults();
        self.gateway_is_down = false;
        self.switch_charging(true).await;
        self.resume_all_customers().await;
        self.retry_parked_jobs().await;
        self.decide_held_invoices().await;
        self.deliver_all_webhooks().await;
    }

    /// Deletes random rows of the job table in any state, except those that a process has locked.
    pub(crate) async fn delete_jobs(&mut self) {
        let every = self.rng.pick(&[1_i64, 2, 3, 5]);
        let rest = self.rng.between(0, every - 1);
        let deleted: Vec<String> = sqlx::query_scalar(
            "delete from jobs where id in (select id from jobs where id % $1 = $2 for update skip locked)
             returning kind || ' ' || state",
        )
        .bind(every)
        .bind(rest)
        .fetch_all(self.testbed.admin_pool())
        .await
        .unwrap();
        self.jobs_deleted_at = Some(self.testbed.now());
        self.deaths_while_mailing += deleted.iter().filter(|job| *job == "send-email running").count();
        self.trace.record(format!("{} rows of the job table are deleted", deleted.len()));
    }

    /// A customer cancels, or resumes a canceled subscription.
    pub(crate) async fn cancel_or_resume_request(&mut self, env: &Env) -> (String, TaskFuture) {
        let resumes = self.rng.percent(40.0);
        let number = if resumes {
            self.random_customer_with_status(&["canceled"]).await
        } else {
            self.random_customer()
        };
        let (env, id) = (env.clone(), self.customers[number].subscription_id);
        let task = async move {
            let result = if resumes { resume(&env, id).await } else { cancel(&env, id).await };
            result.map_or_else(|error| error.to_string(), |()| "done".to_owned())
        };
        let action = if resumes { "resumes" } else { "cancels" };
        (format!("s{number} {action}"), Box::pin(task))
    }
}

/// Cancels, and records in the same transaction which payments were on record.
async fn cancel(env: &Env, id: Uuid) -> anyhow::Result<()> {
    let mut tx = env.pool.begin().await?;
    let request = CancelSubscription {
        subscription_id: id,
        user_id: None,
        actor: "customer:simulation",
        reason: "변심",
    };
    cancel_subscription(&mut tx, &env.brand, request, env.clock.now()).await?;
    oracle::record_cancellation(&mut tx, id).await?;
    Ok(tx.commit().await?)
}

async fn resume(env: &Env, id: Uuid) -> anyhow::Result<()> {
    let mut tx = env.pool.begin().await?;
    let request =
        resume::ResumeSubscription { subscription_id: id, user_id: None, actor: "customer:simulation" };
    resume::resume_subscription(&mut tx, request, env.clock.now()).await?;
    oracle::record_resume(&mut tx, id).await?;
    Ok(tx.commit().await?)
}
