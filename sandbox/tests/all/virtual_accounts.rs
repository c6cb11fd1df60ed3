//! Virtual accounts: confirmed without money, paid by a deposit, ended by the due date.

use chrono::TimeDelta;
use reqwest::Method;
use sandbox::{OverdueDeposit, Purchase};
use serde_json::{Value, json};

use crate::harness::{Reply, Toss, refusal};

async fn waiting(toss: &Toss, order_id: &str) -> Value {
    let payment = toss.sandbox.pay(Purchase::new(order_id, 9_900).by_virtual_account(24)).unwrap();
    let reply = toss.confirm(&payment).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

async fn read(toss: &Toss, order_id: &str) -> Value {
    toss.get(&format!("/v1/payments/orders/{order_id}")).await.json()
}

async fn deposit(toss: &Toss, payment: &str) -> Reply {
    Reply::of(toss.bare(Method::POST, &format!("/sandbox/payments/{payment}/deposit"))).await
}

/// The last webhook's body.
fn last_webhook(toss: &Toss) -> Value {
    serde_json::from_str(&toss.sandbox.webhooks().last().unwrap().body).unwrap()
}

#[tokio::test]
async fn a_confirm_opens_the_account_and_moves_no_money() {
    let toss = Toss::start().await;
    let payment = waiting(&toss, "ORDER_1").await;
    assert_eq!(payment["status"], "WAITING_FOR_DEPOSIT");
    assert_eq!((&payment["method"], &payment["card"]), (&json!("가상계좌"), &json!(null)));
    assert_eq!((&payment["approvedAt"], &payment["balanceAmount"]), (&json!(null), &json!(9_900)));
    let account = &payment["virtualAccount"];
    assert_eq!(account["accountNumber"].as_str().unwrap().len(), 14);
    assert_eq!((&account["bankCode"], &account["refundStatus"]), (&json!("20"), &json!("NONE")));
    assert!(account["dueDate"].as_str().unwrap().ends_with("+09:00") && account["customerName"].is_string());
    assert_eq!(read(&toss, "ORDER_1").await, payment);
    assert_eq!((toss.ledger("ORDER_1").captured, toss.sandbox.webhooks().len()), (0, 0));
    let again = toss.sandbox.pay(Purchase::new("ORDER_1", 9_900)).unwrap();
    assert_eq!(toss.confirm(&again).await.refusal(), refusal(400, "DUPLICATED_ORDER_ID"));
}

#[tokio::test]
async fn a_deposit_pays_and_sends_the_flat_callback() {
    let toss = Toss::start().await;
    let waiting = waiting(&toss, "ORDER_1").await;
    let paid = deposit(&toss, "ORDER_1").await.json();
    assert_eq!((&paid["status"], &paid["totalAmount"]), (&json!("DONE"), &json!(9_900)));
    assert_eq!(read(&toss, "ORDER_1").await, paid);
    let callback = last_webhook(&toss);
    let names: Vec<&String> = callback.as_object().unwrap().keys().collect();
    assert_eq!(names, ["createdAt", "orderId", "secret", "status", "transactionKey"]);
    assert_eq!((&callback["orderId"], &callback["status"]), (&json!("ORDER_1"), &json!("DONE")));
    assert_eq!(callback["secret"], waiting["secret"]);
    assert_eq!(callback["transactionKey"], paid["lastTransactionKey"]);
    assert_eq!(toss.ledger("ORDER_1").captured, 9_900);
    let again = deposit(&toss, paid["paymentKey"].as_str().unwrap()).await;
    assert_eq!(again.refusal(), refusal(400, "INVALID_SCRIPT"));
}

#[tokio::test]
async fn the_due_date_ends_the_account_as_the_switch_says() {
    let cases = [
        (OverdueDeposit::Expired, "EXPIRED", 1),
        (OverdueDeposit::Canceled, "CANCELED", 1),
        (OverdueDeposit::Waiting, "WAITING_FOR_DEPOSIT", 0),
    ];
    for (switch, status, webhooks) in cases {
        let toss = Toss::start().await;
        toss.sandbox.set_switches(|switches| switches.overdue_deposit = switch);
        waiting(&toss, "ORDER_1").await;
        toss.sandbox.advance(TimeDelta::hours(23)).unwrap();
        assert_eq!(read(&toss, "ORDER_1").await["status"], "WAITING_FOR_DEPOSIT");
        toss.sandbox.advance(TimeDelta::hours(2)).unwrap();
        let payment = read(&toss, "ORDER_1").await;
        assert_eq!(
            (&payment["status"], &payment["virtualAccount"]["expired"]),
            (&json!(status), &json!(true))
        );
        assert_eq!(toss.sandbox.webhooks().len(), webhooks, "{status}");
        assert_eq!(deposit(&toss, "ORDER_1").await.json()["status"], "DONE", "a late deposit lands");
        assert_eq!(toss.ledger("ORDER_1").net, 9_900);
    }
}

#[tokio::test]
async fn a_refund_of_a_deposit_needs_a_bank_account() {
    let toss = Toss::start().await;
    waiting(&toss, "ORDER_1").await;
    let key = deposit(&toss, "ORDER_1").await.json()["paymentKey"].clone();
    let path = format!("/v1/payments/{}/cancel", key.as_str().unwrap());
    let mut body = json!({ "cancelReason": "고객 요청" });
    let bare = toss.post(&path, &body).await;
    assert_eq!(bare.refusal(), refusal(400, "INVALID_REFUND_ACCOUNT_INFO"));
    body["refundReceiveAccount"] = json!({ "bank": "20", "accountNumber": "a-b", "holderName": "김토스" });
    let wrong = toss.post(&path, &body).await;
    assert_eq!(wrong.refusal(), refusal(400, "INVALID_REFUND_ACCOUNT_NUMBER"));
    assert_eq!(toss.ledger("ORDER_1").cancels, 0);
    body["refundReceiveAccount"]["accountNumber"] = json!("1002000000000");
    let refunded = toss.post(&path, &body).await.json();
    assert_eq!((&refunded["status"], &refunded["balanceAmount"]), (&json!("CANCELED"), &json!(0)));
    assert_eq!(refunded["virtualAccount"]["refundStatus"], "COMPLETED");
    assert_eq!((toss.ledger("ORDER_1").net, last_webhook(&toss)["status"].clone()), (0, json!("CANCELED")));
}

#[tokio::test]
async fn an_unpaid_account_is_canceled_whole_and_moves_no_money() {
    let toss = Toss::start().await;
    let key = waiting(&toss, "ORDER_1").await["paymentKey"].clone();
    let path = format!("/v1/payments/{}/cancel", key.as_str().unwrap());
    let part = toss.post(&path, &json!({ "cancelReason": "고객 요청", "cancelAmount": 100 })).await;
    assert_eq!(part.refusal(), refusal(403, "NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT"));
    let whole = toss.post(&path, &json!({ "cancelReason": "고객 요청" })).await.json();
    assert_eq!(whole["status"], "CANCELED");
    assert_eq!((toss.ledger("ORDER_1").cancels, deposit(&toss, "ORDER_1").await.status), (0, 400));
}

#[tokio::test]
async fn the_scripting_api_opens_accounts_and_the_page_pays() {
    let toss = Toss::start().await;
    let purchase = json!({
        "orderId": "ORDER_1", "amount": 9_900, "method": "virtual_account", "customerName": "이구매",
    });
    let open = Reply::of(toss.bare(Method::POST, "/sandbox/payments").json(&purchase)).await.json();
    assert_eq!(
        toss.post("/v1/payments/confirm", &open).await.json()["virtualAccount"]["customerName"],
        "이구매"
    );
    let page = Reply::of(toss.bare(Method::GET, "/sandbox/deposits")).await.text;
    assert!(page.contains("9,900원") && page.contains("이구매"), "{page}");
    let click = format!("paymentKey={}", open["paymentKey"].as_str().unwrap());
    let reply = Reply::of(toss.bare(Method::POST, "/sandbox/deposits").body(click)).await;
    assert_eq!((reply.status, reply.header("location")), (303, "/sandbox/deposits"));
    assert_eq!(read(&toss, "ORDER_1").await["status"], "DONE");
    let card = toss.window("ORDER_2", 9_900);
    assert_eq!(deposit(&toss, &card.payment_key).await.refusal(), refusal(400, "INVALID_SCRIPT"));
}

#[tokio::test]
async fn the_merchant_of_an_answer_is_a_switch() {
    let toss = Toss::start().await;
    assert_eq!(waiting(&toss, "ORDER_1").await["mId"], "tosssandbox");
    toss.sandbox.set_switches(|switches| switches.merchant_id = "another".to_owned());
    assert_eq!(waiting(&toss, "ORDER_2").await["mId"], "another");
    assert_eq!(toss.issue("customer-1", None).await.json()["mId"], "another");
}
