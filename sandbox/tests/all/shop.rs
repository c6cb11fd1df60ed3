//! A shop's pages, served for demos where a folder is given.

use reqwest::Method;
use sandbox::{Config, Sandbox, Shop};

use crate::harness::{Reply, Toss};

async fn open(folder: &std::path::Path) -> Toss {
    std::fs::write(folder.join("index.html"), "<h1>구독</h1>").unwrap();
    std::fs::write(folder.join("subscriptions.html"), "mine").unwrap();
    std::fs::write(folder.join("secret.txt"), "secret").unwrap();
    let shop = Shop { folder: folder.to_owned(), api: "http://127.0.0.1:8080/".parse().unwrap() };
    let config = Config { shop: Some(shop), ..Config::default() };
    let toss = Toss::start().await;
    Toss { sandbox: Sandbox::start_with("127.0.0.1:0", config).await.unwrap(), ..toss }
}

async fn get(toss: &Toss, path: &str) -> Reply {
    Reply::of(toss.bare(Method::GET, path)).await
}

#[tokio::test]
async fn its_pages_have_their_addresses_and_may_call_the_api_only() {
    let folder = tempfile::tempdir().unwrap();
    let toss = open(folder.path()).await;
    let first = get(&toss, "/checkout").await;
    assert_eq!((first.status, first.text.as_str()), (200, "<h1>구독</h1>"));
    let policy = first.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("connect-src http://127.0.0.1:8080;"),
        "{policy}"
    );
    let settings = get(&toss, "/checkout/config.js").await.text;
    assert!(
        settings.starts_with("window.CHECKOUT = {") && settings.contains("\"api\":\"http://127.0.0.1:8080\"")
    );
    for link in ["/checkout/subscriptions", "/checkout/billing/payment-method?subscription=sub_1"] {
        assert_eq!(get(&toss, link).await.text, "mine");
    }
}

#[tokio::test]
async fn only_its_pages_are_served_and_none_without_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let toss = open(folder.path()).await;
    for path in ["secret.txt", "..%2Fsecret.html", "%2Fetc%2Fpasswd", "fail", "a/b.html", ".html"] {
        assert_eq!(get(&toss, &format!("/checkout/{path}")).await.status, 404, "{path}");
    }
    assert_eq!(get(&Toss::start().await, "/checkout").await.status, 404);
}
