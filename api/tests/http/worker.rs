//! The worker's part: writes the outcome of a first payment as the worker would, and announces it.

use chrono::{DateTime, Utc};
use common::domain::calendar::Period;
use common::domain::outcome::{Decline, Receipt, VirtualAccount, WaitingPayment};
use common::domain::payment::{DeclineKind, Payment};
use common::store::{announce_settled, invoices, payments, subscriptions};
use sqlx::PgPool;

pub(crate) async fn pay(pool: &PgPool, order_id: &str, with_card: bool) {
    let mut tx = pool.begin().await.unwrap();
    let attempt = attempt(&mut tx, order_id).await;
    let now = attempt.created_at;
    payments::mark_sent(&mut tx, attempt.id, now).await.unwrap();
    let receipt = Receipt {
        payment_key: attempt.payment_key.clone().unwrap(),
        paid_at: now,
        method: "카드".to_owned(),
        receipt_url: Some("https://dashboard.tosspayments.com/receipt/1".to_owned()),
        secret: None,
        trace_id: None,
        sealed_billing_key: None,
        card_number: None,
    };
    payments::complete(&mut tx, attempt.id, &receipt, now).await.unwrap();
    invoices::mark_paid(&mut tx, attempt.invoice_id, now).await.unwrap();
    let subscription = subscriptions::find(&mut tx, attempt.subscription_id).await.unwrap().unwrap();
    let period =
        Period { no: 0, start: subscription.current_period_start, end: subscription.current_period_end };
    subscriptions::begin_period(&mut tx, subscription.id, period, now).await.unwrap();
    if with_card {
        subscriptions::keep_card(&mut tx, subscription.id, "k1:sealed", Some("43301234****123*"), now)
            .await
            .unwrap();
    }
    announce_settled(&mut tx, order_id).await.unwrap();
    tx.commit().await.unwrap();
}

/// The buyer chose to pay into an account by this instant.
pub(crate) async fn wait_for_deposit(pool: &PgPool, order_id: &str, due_at: DateTime<Utc>) {
    let mut tx = pool.begin().await.unwrap();
    let attempt = attempt(&mut tx, order_id).await;
    payments::mark_sent(&mut tx, attempt.id, attempt.created_at).await.unwrap();
    let account = VirtualAccount {
        bank: "우리은행".to_owned(),
        account_number: "X6505636518308".to_owned(),
        holder_name: "홍길동".to_owned(),
        due_at,
    };
    let waiting = WaitingPayment {
        status: "WAITING_FOR_DEPOSIT".to_owned(),
        payment_key: attempt.payment_key.clone().unwrap(),
        account: Some(account),
        secret: None,
        trace_id: None,
    };
    payments::wait_for(&mut tx, attempt.id, &waiting, attempt.created_at).await.unwrap();
    announce_settled(&mut tx, order_id).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn decline(pool: &PgPool, order_id: &str) {
    let mut tx = pool.begin().await.unwrap();
    let attempt = attempt(&mut tx, order_id).await;
    let refusal = Decline {
        kind: DeclineKind::Soft,
        code: "REJECT_CARD_PAYMENT".to_owned(),
        message: "한도초과 혹은 잔액부족으로 결제에 실패했습니다.".to_owned(),
        trace_id: None,
    };
    payments::mark_sent(&mut tx, attempt.id, attempt.created_at).await.unwrap();
    payments::decline(&mut tx, attempt.id, &refusal, attempt.created_at).await.unwrap();
    announce_settled(&mut tx, order_id).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn withdraw(pool: &PgPool, order_id: &str) {
    let mut tx = pool.begin().await.unwrap();
    let attempt = attempt(&mut tx, order_id).await;
    payments::withdraw(&mut tx, attempt.id, "canceled before it was sent", attempt.created_at).await.unwrap();
    tx.commit().await.unwrap();
}

async fn attempt(conn: &mut sqlx::PgConnection, order_id: &str) -> Payment {
    payments::find_by_order(conn, order_id).await.unwrap().unwrap()
}
