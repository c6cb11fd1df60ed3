//! Imports of subscriptions that another system charged, at the start or later; and the same file imported again.

use chrono::{Months, NaiveDate, TimeDelta};
use common::domain::calendar::{Cycle, seoul_date};
use ops::import::{ImportTerms, NaiveTimes, Report, read_csv, run};
use sandbox::CardRegistration;
use toss::{IdempotencyKey, IssueOutcome, IssueRequest};
use uuid::Uuid;
use worker::env::Env;

use crate::customers::{Card, ChargedElsewhere, Customer, NAME};
use crate::operator_actions::author;
use crate::oracle;
use crate::plan_changes::price;
use crate::simulation::Simulation;
use crate::task_driver::TaskFuture;

const HEADINGS: &str = "id,user_id,plan,billing_cycle,billing_key,customer_key,amount,status,next_billing_date,anchor_day,\
                        canceled_at,customer_email,customer_name\n";

/// The file of another system, and the last date on which that system charged.
#[derive(Clone)]
pub(crate) struct ImportFile {
    rows: String,
    first_charge_after: NaiveDate,
}

/// One imported subscription and its terms.
struct ImportedSubscription {
    customer: Customer,
    row: String,
    amount: i32,
    cycle: Cycle,
}

impl Simulation<'_> {
    pub(crate) async fn import_subscriptions(&mut self) {
        let today = seoul_date(self.testbed.now());
        let first_charge_after = today + TimeDelta::days(self.rng.between(-3, 5));
        let mut imported = Vec::new();
        for _ in 0..self.rng.between(1, 2) {
            self.imported_count += 1;
            imported.push(self.random_import_row(first_charge_after).await);
        }
        let mut rows = HEADINGS.to_owned();
        for subscription in &imported {
            rows.push_str(&subscription.row);
        }
        let file = ImportFile { rows, first_charge_after };
        let env = self.testbed.processes[0].env.clone();
        let report = import(&env, &file).await.unwrap();
        let number = self.customers.len();
        self.trace.record(format!(
            "s{number} and later are imported, charged elsewhere up to {first_charge_after}"
        ));
        assert_eq!(report.imported, imported.len(), "{:?}", report.mistakes);
        let mut conn = self.testbed.admin_pool().acquire().await.unwrap();
        for ImportedSubscription { customer, amount, cycle, row } in imported {
            oracle::record_first_terms(&mut conn, customer.subscription_id, amount, cycle).await.unwrap();
            let row: Vec<&str> = row.split(',').collect();
            self.trace.record(format!("imported: {}, {amount} won, next on {}", row[7], row[8]));
            self.customers.push(customer);
        }
        self.import_files.push(file);
    }

    async fn random_import_row(&mut self, first_charge_after: NaiveDate) -> ImportedSubscription {
        let today = seoul_date(self.testbed.now());
        let mut new = Customer::named(&format!("IMPORT_{}", self.imported_count));
        new.subscription_id = Uuid::new_v5(&Uuid::NAMESPACE_URL, new.user_id.as_bytes());
        let plan = self.rng.pick(&["personal", "pro"]);
        let cycle = self.rng.weighted(&[(5, Cycle::Monthly), (1, Cycle::Yearly)]);
        let status = self.rng.weighted(&[(6, "active"), (2, "past_due"), (1, "suspended"), (1, "canceled")]);
        let earliest = match status {
            "active" => today + TimeDelta::days(self.rng.between(-10, 40)),
            "past_due" => first_charge_after + TimeDelta::days(self.rng.between(1, 3)),
            "suspended" => today - TimeDelta::days(self.rng.between(31, 90)),
            _ => today + TimeDelta::days(self.rng.between(1, 30)),
        };
        // A yearly date on the 29th to 31st would not exist every year.
        let day = match cycle {
            Cycle::Monthly => self.rng.weighted(&[(3, 31), (1, 30), (1, 29), (4, 15)]),
            Cycle::Yearly => 15,
        };
        let (next_on, following) = billing_dates(day, cycle, earliest);
        let is_covered = status == "active" && next_on <= first_charge_after;
        new.elsewhere = Some(ChargedElsewhere {
            charged_until: match status {
                "active" | "past_due" => first_charge_after,
                _ => next_on - TimeDelta::days(1),
            },
            first_here: if is_covered { following } else { next_on },
        });
        let price = price(&mut self.testbed.admin_pool().acquire().await.unwrap(), plan, cycle).await;
        let amount = if self.rng.percent(70.0) { price } else { price - 1_000 };
        let key = self.imported_billing_key(&mut new).await;
        let (id, user, customer_key) = (new.subscription_id, new.user_id, &new.key);
        let canceled_at = if status == "canceled" { today.to_string() } else { String::new() };
        let (email, name) = (new.email(), NAME);
        let row = format!(
            "{id},{user},{plan},{cycle},{key},{customer_key},{amount},{status},{next_on},{day},{canceled_at},{email},{name}\n"
        );
        ImportedSubscription { customer: new, row, amount, cycle }
    }

    /// Registers a card at the gateway, as the other system did. Returns its billing key.
    async fn imported_billing_key(&mut self, new: &mut Customer) -> String {
        let number = format!("4399{:04}00000001", self.imported_count);
        let customer_key = new.key.clone();
        new.cards.push(Card { number: number.clone(), auth_key: None });
        let registration = CardRegistration { customer_key: customer_key.clone(), card_number: Some(number) };
        let auth_key = self.testbed.sandbox.auth_key(registration).unwrap();
        let key = IdempotencyKey::new(customer_key.clone()).unwrap();
        match self.testbed.direct.issue_billing_key(&IssueRequest { auth_key, customer_key }, &key).await {
            IssueOutcome::Issued(billing) => billing.billing_key.expose().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// Imports a file again, which must change nothing.
    pub(crate) fn repeated_import(&mut self, env: &Env) -> Option<(String, TaskFuture)> {
        if self.import_files.is_empty() {
            return None;
        }
        let (env, file) = (env.clone(), self.rng.pick(&self.import_files));
        let task = async move {
            match import(&env, &file).await {
                Ok(report) if report.imported == 0 && report.mistakes.is_empty() => "nothing new".to_owned(),
                Ok(report) => format!(
                    "VIOLATION I2: {} subscriptions are imported twice, {:?}",
                    report.imported, report.mistakes
                ),
                Err(error) => error.to_string(),
            }
        };
        Some(("a file is imported again".to_owned(), Box::pin(task)))
    }
}

async fn import(env: &Env, file: &ImportFile) -> anyhow::Result<Report> {
    let temporary = tempfile::NamedTempFile::new()?;
    std::fs::write(temporary.path(), &file.rows)?;
    let rows = read_csv(temporary.path())?;
    let terms = ImportTerms {
        first_charge_after: file.first_charge_after,
        naive_times: NaiveTimes::Seoul,
        apply: true,
    };
    let mut conn = env.pool.acquire().await?;
    Ok(run(&mut conn, rows, terms, &env.sealer, &author(env.clock.now())).await?)
}

/// The first two billing dates from `earliest` on, for this day of the month and this cycle.
fn billing_dates(day: u32, cycle: Cycle, earliest: NaiveDate) -> (NaiveDate, NaiveDate) {
    let (began, step) = (
        NaiveDate::from_ymd_opt(2020, 1, day).unwrap(),
        match cycle {
            Cycle::Monthly => 1,
            Cycle::Yearly => 12,
        },
    );
    let next = (0..12_000).find(|months| began + Months::new(*months) >= earliest).unwrap();
    (began + Months::new(next), began + Months::new(next + step))
}
