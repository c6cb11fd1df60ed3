//! A client that somebody else wrote, `tosspayments-rs`: unpadded Basic, raw `=` in paths, nulls, closed enums.

use tosspayments::api::{
    CancelPayment, CancelPaymentBody, ConfirmBilling, ConfirmBillingBody, ConfirmPayment, GetPayment,
    IssueBillingByAuthKey, ListTransactions,
};
use tosspayments::data::{ErrorCode, PaymentStatus, PaymentType};
use tosspayments::{Client, Error};

use crate::harness::{API_SECRET, Toss};

fn charge(billing_key: &str, order_id: &str) -> ConfirmBilling {
    let body = ConfirmBillingBody::builder()
        .amount(9_900)
        .customer_key("customer-1".to_owned())
        .order_id(order_id.to_owned())
        .order_name("퍼스널 월간".to_owned())
        .build();
    ConfirmBilling::builder().billing_key(billing_key.to_owned()).body(body).build()
}

async fn issue(toss: &Toss, client: &Client) -> String {
    let registration = sandbox::CardRegistration { customer_key: "customer-1".to_owned(), card_number: None };
    let auth_key = toss.sandbox.auth_key(registration).unwrap();
    let request = IssueBillingByAuthKey { auth_key, customer_key: "customer-1".to_owned() };
    client.execute(&request).await.unwrap().billing_key
}

#[tokio::test]
async fn it_issues_charges_reads_cancels_and_lists() {
    let toss = Toss::start().await;
    let client = Client::from_url(toss.sandbox.url(), API_SECRET);
    let key = issue(&toss, &client).await;
    let payment = client.execute(&charge(&key, "AUTO_1")).await.unwrap();
    assert!(matches!((payment.r#type, payment.status), (PaymentType::Billing, PaymentStatus::Done)));
    let read = client.execute(&GetPayment::OrderId("AUTO_1".to_owned())).await.unwrap();
    assert_eq!(read.payment_key, payment.payment_key);
    let body = CancelPaymentBody::builder().cancel_reason("고객 요청".to_owned()).build();
    let cancel = CancelPayment::builder().payment_key(payment.payment_key).body(body).build();
    assert_eq!(client.execute(&cancel).await.unwrap().balance_amount, 0);
    let list = ListTransactions::builder()
        .start_date("2000-01-01".to_owned())
        .end_date("2100-01-01".to_owned())
        .limit(Some(10))
        .build();
    assert_eq!(client.execute(&list).await.unwrap().len(), 2);
    assert_eq!(toss.ledger("AUTO_1").net, 0);
}

#[tokio::test]
async fn it_confirms_and_understands_a_decline() {
    let toss = Toss::start().await;
    let client = Client::from_url(toss.sandbox.url(), API_SECRET);
    let opened = toss.window("ORDER_1", 9_900);
    let request =
        ConfirmPayment { payment_key: opened.payment_key, order_id: opened.order_id, amount: 9_900 };
    let payment = client.execute(&request).await.unwrap();
    assert!(matches!(payment.r#type, PaymentType::Normal));
    let key = issue(&toss, &client).await;
    toss.sandbox.set_customer("customer-1", sandbox::Outcome::Refuses("REJECT_CARD_PAYMENT".to_owned()));
    let Err(Error::Tosspayments(error)) = client.execute(&charge(&key, "AUTO_1")).await else {
        panic!("a decline was expected");
    };
    assert!(matches!(error.code, ErrorCode::RejectCardPayment));
}
