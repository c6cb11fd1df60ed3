//! Billing keys and secret keys appear nowhere but on the wire.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use toss::{ChargeOutcome, IssueRequest, Toss};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::stub::{
    BILLING_KEY, SECRET, Scripted, Stub, WIDGET_SECRET, answer, billing_key, charge_request, error, key,
    payment, unreachable_client,
};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Captured {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Raw, as a path carries it, and the middle of both.
fn assert_no_secret(shown: &str) {
    for secret in
        [BILLING_KEY, "rj4499PeiJcjen28", "TwN44Rdzk0", SECRET, WIDGET_SECRET, "dGVzdF9", "auth-secret"]
    {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

async fn charge(toss: &Toss) -> ChargeOutcome {
    toss.charge(&billing_key(), &charge_request(), &key()).await
}

/// The whole tree, the HTTP client's own lines included.
fn at_its_chattiest() -> Captured {
    let captured = Captured::default();
    let lines = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false);
    lines.with_writer(captured.clone()).try_init().unwrap();
    captured
}

#[tokio::test]
async fn no_log_line_and_no_outcome_shows_a_secret() {
    let captured = at_its_chattiest();
    let keyed = json!({"billingKey": BILLING_KEY, "customerKey": "c", "card": {"billingKey": BILLING_KEY}});
    let mut paid = payment();
    paid["card"] = json!({"billingKey": BILLING_KEY, "number": "43301234****123*"});
    let mut odd = payment();
    odd["totalAmount"] = json!(BILLING_KEY);
    let stub = Stub::start(vec![
        answer(200, &keyed),
        answer(200, &paid),
        answer(200, &odd),
        error(403, "REJECT_CARD_PAYMENT"),
        answer(
            400,
            &json!({"code": "INVALID_BILL_KEY_REQUEST", "message": format!("no such key: {BILLING_KEY}")}),
        ),
        Scripted::Raw("HTTP/1.1 200 OK\r\n".to_owned()),
        Scripted::Hang,
    ])
    .await;
    let toss = stub.impatient_client();
    let asked = IssueRequest { auth_key: "auth-secret".into(), customer_key: "c".into() };
    assert_no_secret(&format!("{toss:?} {asked:?} {} {:?}", billing_key(), billing_key()));
    assert_no_secret(&format!("{:?}", toss.issue_billing_key(&asked, &key()).await));
    for _ in 0..6 {
        assert_no_secret(&format!("{:#?}", charge(&toss).await));
    }
    assert_no_secret(&format!("{:?}", charge(&unreachable_client().await).await));
    let logged = captured.text();
    assert_no_secret(&logged);
    for field in ["toss.operation=\"charge\"", "order.id=\"order-1\"", "http.status=403", "duration_ms="] {
        assert!(logged.contains(field), "{field} not in {logged}");
    }
    for field in ["toss.code=\"REJECT_CARD_PAYMENT\"", "toss.trace_id=\"trace-1\"", "toss answered"] {
        assert!(logged.contains(field), "{field} not in {logged}");
    }
}
