//! The shop: the sandbox with the example's pages, the API that they call, and a worker.

use std::{net::SocketAddr, path::Path, process::Stdio};

use sandbox::{Config, Ledger, LedgerQuery, Purchase, Sandbox, Shop as Pages};
use serde_json::json;
use sqlx::{ConnectOptions, PgPool};
use tempfile::TempDir;
use testing::{AUTH_JWT_SECRET, FAR, customer_id, customer_token, free_address, token};
use tokio::process::{Child, Command};
use url::Url;

use crate::page::Page;

/// 32 bytes, base64.
const SEALING_KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const CUSTOMER: &str = "0192f0c1-5c00-7000-8000-000000000001";

/// Its processes are killed when it is dropped.
pub(crate) struct Shop {
    pub(crate) sandbox: Sandbox,
    pub(crate) api_url: String,
    _api: Child,
    _worker: Child,
    _mails: TempDir,
}

impl Shop {
    pub(crate) async fn open(pool: &PgPool) -> Self {
        let api = free_address();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/checkout");
        let pages = Pages { folder, api: format!("http://{api}").parse().unwrap() };
        let config = Config { shop: Some(pages), ..Config::default() };
        let sandbox = Sandbox::start_with("127.0.0.1:0", config).await.unwrap();
        let mails = tempfile::tempdir().unwrap();
        let database = pool.connect_options().to_url_lossy();
        let mail_url = Url::from_directory_path(mails.path()).unwrap();
        let worker = start(
            "billing-worker",
            &[
                ("DATABASE_URL", database.as_str()),
                ("WORKER_ADDR", "127.0.0.1:0"),
                ("TOSS_BASE_URL", &sandbox.url()),
                ("TOSS_SECRET_KEY", "test_sk_zXLkKEypNArWmo50nX3lmeaxYG5R"),
                ("TOSS_WIDGET_SECRET_KEY", "test_gsk_docs_OaPz8L5KdmQXkzRz3y47BMw6"),
                ("BILLING_KEY_ENCRYPTION_KEYS", SEALING_KEYS),
                ("MAIL_URL", mail_url.as_str()),
                ("MAIL_FROM", "billing@example.com"),
            ],
        );
        let api_url = format!("http://{api}");
        let api = served(
            api,
            &[
                ("DATABASE_URL", database.as_str()),
                ("AUTH_JWT_SECRET", AUTH_JWT_SECRET),
                ("CRON_SECRET", "cron"),
                ("CONSOLE_TOTP_KEYS", SEALING_KEYS),
                ("CORS_ALLOWED_ORIGINS", &sandbox.url()),
            ],
        )
        .await;
        Self { sandbox, api_url, _api: api, _worker: worker, _mails: mails }
    }

    /// The first page, on a phone, with the customer logged in.
    pub(crate) async fn customer(&self) -> Page {
        let token = token(&json!({ "sub": CUSTOMER, "exp": FAR }));
        let mut page = Page::on_a_phone().await;
        page.open(&format!("{}/checkout#token={token}", self.sandbox.url())).await;
        page
    }

    /// A customer with this number pays 9,900 won with a card, as the payment window and a frontend do it.
    pub(crate) async fn buys(&self, number: u128, name: &str, card: &str) {
        let id = customer_id(number);
        let order_id = format!("ORDER_{number:010}");
        let purchase = Purchase::new(&order_id, 9_900).card(card).customer(&id.to_string());
        let open = self.sandbox.pay(purchase).unwrap();
        let order = json!({
            "paymentKey": open.payment_key, "orderId": order_id, "amount": 9_900,
            "customerEmail": format!("customer{number}@example.com"), "customerName": name,
            "plan": "personal", "billingCycle": "monthly",
        });
        let url = format!("{}/api/payments/confirm", self.api_url);
        let answer = reqwest::Client::builder()
            .build()
            .unwrap()
            .post(url)
            .bearer_auth(customer_token(id))
            .json(&order);
        answer.send().await.unwrap();
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.sandbox.ledger(&LedgerQuery::customer(CUSTOMER))
    }
}

async fn served(address: SocketAddr, vars: &[(&str, &str)]) -> Child {
    let listens = address.to_string();
    let api = start("billing-api", &[&[("API_ADDR", listens.as_str())], vars].concat());
    let started = std::time::Instant::now();
    while reqwest::get(format!("http://{address}/readyz")).await.is_err() {
        assert!(started.elapsed() < crate::chromium::LIMIT, "the API does not answer");
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    api
}

fn start(name: &str, vars: &[(&str, &str)]) -> Child {
    let test = std::env::current_exe().unwrap();
    // target/debug/deps/browser-…
    let program = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(program.is_file(), "{} is missing: the programs are built before these tests", program.display());
    let mut command = Command::new(program);
    command.env_clear().envs(vars.iter().copied()).env("RUST_LOG", "warn").stdin(Stdio::null());
    command.kill_on_drop(true).spawn().unwrap()
}
