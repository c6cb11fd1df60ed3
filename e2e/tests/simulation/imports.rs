//! Subscriptions that another system charged before, brought over at the beginning or in mid-life, and then once more.

use chrono::{Months, NaiveDate, TimeDelta};
use common::domain::calendar::{Cycle, seoul_date};
use ops::import::{ImportTerms, NaiveTimes, Report, read_csv, run};
use sandbox::CardRegistration;
use toss::{IdempotencyKey, IssueOutcome, IssueRequest};
use uuid::Uuid;
use worker::env::Env;

use crate::{
    customers::{Card, Customer, Elsewhere, NAME},
    life::Life,
    memory,
    operators::OPERATOR,
    plans::price,
    process::Task,
};

const HEADINGS: &str = "id,user_id,plan,billing_cycle,billing_key,customer_key,amount,status,next_billing_date,anchor_day,\
                        canceled_at,customer_email,customer_name\n";

/// What the other system left, and the last date on which it charged.
#[derive(Clone)]
pub(crate) struct File {
    rows: String,
    first_charge_after: NaiveDate,
}

/// One of its subscriptions, with what is to be paid for it here.
struct Brought {
    customer: Customer,
    row: String,
    amount: i32,
    cycle: Cycle,
}

impl Life<'_> {
    pub(crate) async fn bring_some_over(&mut self) {
        let today = seoul_date(self.bench.now());
        let first_charge_after = today + TimeDelta::days(self.dice.between(-3, 5));
        let mut brought = Vec::new();
        for _ in 0..self.dice.between(1, 2) {
            self.brought += 1;
            brought.push(self.draw_a_row(first_charge_after).await);
        }
        let mut rows = HEADINGS.to_owned();
        for one in &brought {
            rows.push_str(&one.row);
        }
        let file = File { rows, first_charge_after };
        let env = self.bench.hosts[0].env.clone();
        let report = import(&env, &file).await.unwrap();
        let number = self.customers.len();
        self.story
            .tell(format!("s{number} and later are brought over, charged there up to {first_charge_after}"));
        assert_eq!(report.imported, brought.len(), "{:?}", report.mistakes);
        let mut conn = self.bench.desk().acquire().await.unwrap();
        for Brought { customer, amount, cycle, row } in brought {
            memory::begin(&mut conn, customer.subscription_id, amount, cycle).await.unwrap();
            let row: Vec<&str> = row.split(',').collect();
            self.story.tell(format!("{} of {amount} won there, next on {}", row[7], row[8]));
            self.customers.push(customer);
        }
        self.files.push(file);
    }

    async fn draw_a_row(&mut self, first_charge_after: NaiveDate) -> Brought {
        let today = seoul_date(self.bench.now());
        let mut new = Customer::named(&format!("IMPORT_{}", self.brought));
        new.subscription_id = Uuid::new_v5(&Uuid::NAMESPACE_URL, new.user_id.as_bytes());
        let plan = self.dice.pick(&["personal", "pro"]);
        let cycle = self.dice.weighted(&[(5, Cycle::Monthly), (1, Cycle::Yearly)]);
        let status = self.dice.weighted(&[(6, "active"), (2, "past_due"), (1, "suspended"), (1, "canceled")]);
        let earliest = match status {
            "active" => today + TimeDelta::days(self.dice.between(-10, 40)),
            "past_due" => first_charge_after + TimeDelta::days(self.dice.between(1, 3)),
            "suspended" => today - TimeDelta::days(self.dice.between(31, 90)),
            _ => today + TimeDelta::days(self.dice.between(1, 30)),
        };
        // A year after the 31st of a short month there is none.
        let day = match cycle {
            Cycle::Monthly => self.dice.weighted(&[(3, 31), (1, 30), (1, 29), (4, 15)]),
            Cycle::Yearly => 15,
        };
        let (next_on, following) = dates(day, cycle, earliest);
        let is_covered = status == "active" && next_on <= first_charge_after;
        new.elsewhere = Some(Elsewhere {
            charged_until: match status {
                "active" | "past_due" => first_charge_after,
                _ => next_on - TimeDelta::days(1),
            },
            first_here: if is_covered { following } else { next_on },
        });
        let price = price(&mut self.bench.desk().acquire().await.unwrap(), plan, cycle).await;
        let amount = if self.dice.percent(70.0) { price } else { price - 1_000 };
        let key = self.bring_the_card(&mut new).await;
        let (id, user, customer_key) = (new.subscription_id, new.user_id, &new.key);
        let canceled_at = if status == "canceled" { today.to_string() } else { String::new() };
        let (email, name) = (new.email(), NAME);
        let row = format!(
            "{id},{user},{plan},{cycle},{key},{customer_key},{amount},{status},{next_on},{day},{canceled_at},{email},{name}\n"
        );
        Brought { customer: new, row, amount, cycle }
    }

    /// The gateway has issued its key long ago.
    async fn bring_the_card(&mut self, new: &mut Customer) -> String {
        let number = format!("4399{:04}00000001", self.brought);
        let customer_key = new.key.clone();
        new.cards.push(Card { number: number.clone(), auth_key: None });
        let registration = CardRegistration { customer_key: customer_key.clone(), card_number: Some(number) };
        let auth_key = self.bench.sandbox.auth_key(registration).unwrap();
        let key = IdempotencyKey::new(customer_key.clone()).unwrap();
        match self.bench.direct.issue_billing_key(&IssueRequest { auth_key, customer_key }, &key).await {
            IssueOutcome::Issued(billing) => billing.billing_key.expose().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// The same file again brings nobody.
    pub(crate) fn a_file_comes_again(&mut self, env: &Env) -> Option<(String, Task)> {
        if self.files.is_empty() {
            return None;
        }
        let (env, file) = (env.clone(), self.dice.pick(&self.files));
        let task = async move {
            match import(&env, &file).await {
                Ok(report) if report.imported == 0 && report.mistakes.is_empty() => {
                    "nobody is new".to_owned()
                }
                Ok(report) => format!("BROKEN: {} are new, {:?}", report.imported, report.mistakes),
                Err(error) => error.to_string(),
            }
        };
        Some(("a file is brought over again".to_owned(), Box::pin(task)))
    }
}

async fn import(env: &Env, file: &File) -> anyhow::Result<Report> {
    let disk = tempfile::NamedTempFile::new()?;
    std::fs::write(disk.path(), &file.rows)?;
    let rows = read_csv(disk.path())?;
    let wish = ImportTerms {
        first_charge_after: file.first_charge_after,
        naive_times: NaiveTimes::Seoul,
        apply: true,
    };
    let mut conn = env.pool.acquire().await?;
    Ok(run(&mut conn, rows, wish, &env.sealer, OPERATOR, env.clock.now()).await?)
}

/// The first date from `earliest` on of a rhythm that was agreed for this day of the month, and the one after it.
fn dates(day: u32, cycle: Cycle, earliest: NaiveDate) -> (NaiveDate, NaiveDate) {
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
