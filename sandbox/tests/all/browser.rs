//! The payment window and the stand-in for Toss's browser SDK.

use chrono::TimeDelta;
use reqwest::Method;
use url::Url;

use crate::harness::{Reply, Toss, WIDGET_SECRET, refusal};

const SHOP: &str = "https://shop.example";

fn visit(kind: &str, extra: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://x/sandbox/window").unwrap();
    let success = format!("{SHOP}/success?plan=pro");
    let fail = format!("{SHOP}/fail");
    url.query_pairs_mut()
        .extend_pairs([("kind", kind), ("successUrl", &*success), ("failUrl", &*fail)])
        .append_pair("customerKey", "customer-1")
        .extend_pairs(extra);
    format!("{}?{}", url.path(), url.query().unwrap())
}

const PURCHASE: [(&str, &str); 3] =
    [("orderId", "ORDER_1"), ("orderName", "프로 연간"), ("amount", "190800")];

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    let start = page.find(&mark).unwrap() + mark.len();
    page[start..].split('"').next().unwrap().replace("&#38;", "&")
}

/// Fills in the form and returns where the browser is sent.
async fn submit(toss: &Toss, page: &str, card: &str, action: &str) -> Url {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for name in ["kind", "successUrl", "failUrl", "customerKey"] {
        form.append_pair(name, &hidden(page, name));
    }
    if page.contains("name=\"paymentKey\"") {
        form.append_pair("paymentKey", &hidden(page, "paymentKey"));
    }
    form.append_pair("cardNumber", card).append_pair("action", action);
    let reply = Reply::of(toss.bare(Method::POST, "/sandbox/window").body(form.finish())).await;
    assert_eq!(reply.status, 303, "{}", reply.text);
    Url::parse(reply.header("location")).unwrap()
}

fn query(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[tokio::test]
async fn a_buyer_pays_in_the_widget_and_the_shop_confirms() {
    let toss = Toss::start().await;
    let page = Reply::of(toss.bare(Method::GET, &visit("widget", &PURCHASE))).await.text;
    assert!(page.contains("190,800원") && page.contains("프로 연간"));
    let back = submit(&toss, &page, "4300-0000-0000-0001", "pay").await;
    assert!(back.as_str().starts_with("https://shop.example/success?plan=pro&"));
    assert_eq!(
        (query(&back, "paymentType"), query(&back, "amount")),
        ("NORMAL".to_owned(), "190800".to_owned())
    );
    let body = serde_json::json!({
        "paymentKey": query(&back, "paymentKey"), "orderId": query(&back, "orderId"), "amount": 190_800,
    });
    toss.sandbox.set_switches(|switches| switches.strict_key_pairs = true);
    let wrong_pair = toss.post("/v1/payments/confirm", &body).await;
    assert_eq!(wrong_pair.refusal(), refusal(400, "INVALID_API_KEY"));
    let right = toss.bare(Method::POST, "/v1/payments/confirm").basic_auth(WIDGET_SECRET, Some(""));
    assert_eq!(Reply::of(right.json(&body)).await.json()["status"], "DONE");
    assert_eq!(toss.ledger("ORDER_1").captured, 190_800);
}

#[tokio::test]
async fn a_buyer_may_choose_a_virtual_account_in_the_window() {
    let toss = Toss::start().await;
    let page = Reply::of(toss.bare(Method::GET, &visit("widget", &PURCHASE))).await.text;
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for name in ["kind", "successUrl", "failUrl", "customerKey", "paymentKey"] {
        form.append_pair(name, &hidden(&page, name));
    }
    form.append_pair("cardNumber", "4300000000000001").append_pair("action", "pay");
    form.append_pair("method", "virtual_account");
    let reply = Reply::of(toss.bare(Method::POST, "/sandbox/window").body(form.finish())).await;
    let back = Url::parse(reply.header("location")).unwrap();
    let body = serde_json::json!({
        "paymentKey": query(&back, "paymentKey"), "orderId": "ORDER_1", "amount": 190_800,
    });
    assert_eq!(toss.post("/v1/payments/confirm", &body).await.json()["status"], "WAITING_FOR_DEPOSIT");
}

#[tokio::test]
async fn a_registered_card_comes_back_as_an_auth_key() {
    let toss = Toss::start().await;
    let page = Reply::of(toss.bare(Method::GET, &visit("billing", &[]))).await.text;
    let back = submit(&toss, &page, "4300000000000001", "pay").await;
    assert_eq!(query(&back, "customerKey"), "customer-1");
    let body = serde_json::json!({ "authKey": query(&back, "authKey"), "customerKey": "customer-1" });
    assert_eq!(toss.post("/v1/billing/authorizations/issue", &body).await.status, 200);
}

#[tokio::test]
async fn giving_up_or_coming_late_leads_to_the_fail_url() {
    let toss = Toss::start().await;
    let page = Reply::of(toss.bare(Method::GET, &visit("payment", &PURCHASE))).await.text;
    let back = submit(&toss, &page, "4300000000000001", "cancel").await;
    assert_eq!((back.path(), query(&back, "code")), ("/fail", "PAY_PROCESS_CANCELED".to_owned()));
    assert_eq!(query(&back, "orderId"), "");
    toss.sandbox.advance(TimeDelta::minutes(30)).unwrap();
    let late = submit(&toss, &page, "4300000000000001", "pay").await;
    assert_eq!((late.path(), query(&late, "orderId")), ("/fail", "ORDER_1".to_owned()));
}

#[tokio::test]
async fn what_the_shop_sends_cannot_run_in_the_window() {
    let toss = Toss::start().await;
    let evil = [("orderId", "ORDER_1"), ("orderName", "<script>alert(1)</script>"), ("amount", "100")];
    let page = Reply::of(toss.bare(Method::GET, &visit("widget", &evil))).await;
    assert!(!page.text.contains("<script") && page.text.contains("&#60;script&#62;"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let path =
        visit("widget", &PURCHASE).replace("https%3A%2F%2Fshop.example%2Fsuccess", "javascript%3Aalert");
    assert_eq!(Reply::of(toss.bare(Method::GET, &path)).await.status, 400);
}

#[tokio::test]
async fn the_sdk_is_served_to_pages_of_any_origin() {
    let toss = Toss::start().await;
    let sdk = Reply::of(toss.bare(Method::GET, "/v2/standard")).await;
    assert!(sdk.header("content-type").starts_with("text/javascript"));
    assert_eq!(sdk.header("access-control-allow-origin"), "*");
    for name in ["requestBillingAuth", "renderPaymentMethods", "renderAgreement", "setAmount", "ANONYMOUS"] {
        assert!(sdk.text.contains(name), "{name}");
    }
}
