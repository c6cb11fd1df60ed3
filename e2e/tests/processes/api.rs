//! The API as a process beside a worker: it serves a whole first payment without a secret of Toss, and outlives its database.

use common::id::parse_subscription_ref;
use reqwest::{StatusCode, header::RETRY_AFTER};
use sandbox::Operation;
use serde_json::Value;
use sqlx::PgPool;
use testing::{free_address, until};
use uuid::Uuid;

use crate::books::Books;
use crate::customer::{Answer, Customer, api};
use crate::proxy::Line;
use crate::system::System;

fn subscription(answer: &Answer) -> Uuid {
    parse_subscription_ref(answer.body["subscription"]["id"].as_str().unwrap()).unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_api_serves_a_first_payment_without_secrets(pool: PgPool) {
    let (system, address) = (System::on(pool, "2026-11-22").await, free_address());
    let _processes = [api(&system, address).start(), system.worker().start()];
    let customer = Customer::of(address).await;
    let order = customer.pays(&system, "ORDER_1");

    let paid = customer.confirms(&order).await;
    assert_eq!(paid.status, StatusCode::OK, "{paid:?}");
    let told = &paid.body["subscription"];
    assert_eq!((&paid.body["success"], &told["status"]), (&true.into(), &"active".into()));
    assert_eq!(
        (&told["plan"], &told["billingCycle"], &told["nextBillingDate"]),
        (&"personal".into(), &"monthly".into(), &"2026-12-22".into())
    );
    let again = customer.confirms(&order).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &paid.body));

    system.quiet().await;
    assert_eq!(system.books(subscription(&paid)).await, Books::paid(1));
    assert_eq!(system.asked(Operation::Confirm), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn while_its_database_is_away_the_api_answers_503(pool: PgPool) {
    let (system, address) = (System::on(pool, "2026-11-22").await, free_address());
    let line = Line::to(&system.pool).await;
    let api = api(&system, address).var("DATABASE_URL", line.over(system.database_url()));
    let _processes = [api.start(), system.worker().start()];
    let customer = Customer::of(address).await;
    let order = customer.pays(&system, "ORDER_1");

    line.cut();
    for away in [customer.confirms(&order).await, customer.gets("/api/plans").await] {
        assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE, "{away:?}");
        assert!(away.headers[RETRY_AFTER].to_str().unwrap().parse::<u32>().unwrap() > 0);
        assert_eq!(away.body["success"], Value::Bool(false));
    }
    assert_eq!(customer.gets("/healthz").await.status, StatusCode::OK);
    assert_eq!(customer.gets("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);

    line.mend();
    let paid = until("the API to serve again", async || {
        let answer = customer.confirms(&order).await;
        (answer.status == StatusCode::OK).then_some(answer)
    })
    .await;
    system.quiet().await;
    assert_eq!(system.books(subscription(&paid)).await, Books::paid(1));
}
