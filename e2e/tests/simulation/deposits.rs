//! Customers who pay into a virtual account: in time, late, or never; and operators who give late deposits back.

use common::domain::actor::{Actor, Reason};
use common::domain::calendar::Cycle;
use common::email::Brand;
use ops::action::Acting;
use sandbox::{EntryKind, LedgerQuery, OverdueDeposit};
use uuid::Uuid;

use crate::customers::Customer;
use crate::simulation::Simulation;
use crate::trace;

impl Simulation<'_> {
    /// Chooses how an account reads whose due date passed without a deposit.
    pub(crate) fn choose_overdue_deposits(&mut self) {
        let overdue =
            self.rng.pick(&[OverdueDeposit::Expired, OverdueDeposit::Canceled, OverdueDeposit::Waiting]);
        self.testbed.sandbox.set_switches(|switches| switches.overdue_deposit = overdue);
        self.trace.record(format!("accounts without a deposit: {overdue:?}"));
    }

    /// A new customer orders, and chooses to pay into an account.
    pub(crate) async fn order_by_deposit(&mut self, mut new: Customer, plan: &str, cycle: Cycle) {
        let hours = self.rng.between(1, 48);
        let order_id = self.order(&mut new, plan, cycle, |purchase| purchase.by_virtual_account(hours)).await;
        new.deposit_order = Some(order_id);
        self.customers.push(new);
    }

    /// A customer pays into the account of their order, if it takes anything: also after its due date, or their cancel.
    pub(crate) fn make_deposit(&mut self) {
        let orders: Vec<String> =
            self.customers.iter().filter_map(|customer| customer.deposit_order.clone()).collect();
        if orders.is_empty() {
            return;
        }
        let order = self.rng.pick(&orders);
        if self.testbed.sandbox.deposit(&order).is_ok() {
            self.trace.record(format!("the deposit of {order} arrives"));
        }
    }

    /// Operators give back, in the gateway's dashboard, deposits that began nothing, and accept what that leaves different.
    pub(crate) async fn return_late_deposits(&mut self) {
        let late: Vec<(String, String)> = sqlx::query_as(
            "select order_id, payment_key from payments payment
              where order_id = any ($1)
                and (status = 'failed'
                     or exists (select from refunds where payment_id = payment.id and request_key = 'landed_after_cancel'
                                   and refunds.status = 'failed'))
              order by order_id",
        )
        .bind(self.customers.iter().filter_map(|customer| customer.deposit_order.clone()).collect::<Vec<_>>())
        .fetch_all(self.testbed.admin_pool())
        .await
        .unwrap();
        for (order_id, payment_key) in late {
            let left = self.left_of(&order_id);
            if left > 0 && self.testbed.sandbox.cancel_in_dashboard(&payment_key, None, "늦은 입금").is_ok()
            {
                *self.requested_refunds.entry(order_id.clone()).or_default() += left;
                self.trace.record(format!("the dashboard returns the deposit of {order_id}"));
            }
            self.accept_discrepancies(&order_id).await;
        }
    }

    /// What the gateway has captured of an order and not given back.
    fn left_of(&self, order_id: &str) -> i64 {
        let entries = self.testbed.sandbox.ledger(&LedgerQuery::default()).entries;
        let of_order = entries.iter().filter(|entry| entry.order_id == order_id);
        of_order
            .map(|entry| if entry.kind == EntryKind::Capture { entry.amount } else { -entry.amount })
            .sum()
    }

    async fn accept_discrepancies(&self, order_id: &str) {
        let open: Vec<Uuid> = sqlx::query_scalar(
            "select discrepancy.id from discrepancies discrepancy join payments payment using (order_id)
              where order_id = $1 and payment.status = 'failed' and resolved_at is null and accepted_at is null
              order by discrepancy.kind, discrepancy.date",
        )
        .bind(order_id)
        .fetch_all(self.testbed.admin_pool())
        .await
        .unwrap();
        let brand =
            Brand { name: "집체크".to_owned(), public_url: "https://example.com".parse().unwrap() };
        let acting =
            Acting { actor: Actor::command_line("simulation", "root", None), brand, now: self.testbed.now() };
        let mut conn = self.testbed.admin_pool().acquire().await.unwrap();
        for id in open {
            let why = Reason::parse("a late deposit went back").unwrap();
            ops::reconcile::accept(&mut conn, id, &why, &acting).await.unwrap();
            self.trace.record(format!(
                "an operator accepts what differs of {}",
                trace::order_label(self, order_id)
            ));
        }
    }
}
