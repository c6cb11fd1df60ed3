//! The pages of the payment window and of deposits: what they show, and the HTML that askama makes of it.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::clock::stamp;
use crate::payments::Payment;
use crate::refusal::Refusal;

/// What the buyer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// The payment widget.
    Widget,
    /// The API's own window.
    Payment,
    /// Registering a card; no money.
    Billing,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Widget => "widget",
            Self::Payment => "payment",
            Self::Billing => "billing",
        }
    }
}

/// What the SDK hands to the window.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Visit {
    pub(super) kind: Kind,
    pub(super) success_url: String,
    pub(super) fail_url: String,
    pub(super) customer_key: String,
    pub(super) customer_name: Option<String>,
    pub(super) order_id: Option<String>,
    pub(super) order_name: Option<String>,
    pub(super) amount: Option<i64>,
    /// `CARD` or `VIRTUAL_ACCOUNT`, as `requestPayment` names it: what is chosen at first.
    pub(super) method: Option<String>,
}

impl Visit {
    fn by_account(&self) -> bool {
        self.method.as_deref() == Some("VIRTUAL_ACCOUNT")
    }
}

#[derive(Template)]
#[template(path = "window.html")]
struct Window<'a> {
    visit: &'a Visit,
    payment_key: Option<&'a str>,
}

impl Window<'_> {
    fn title(&self) -> &'static str {
        if self.payment_key.is_some() { "결제하기" } else { "자동결제 카드 등록" }
    }
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    text: &'a str,
}

#[derive(Template)]
#[template(path = "deposits.html")]
struct Deposits {
    accounts: Vec<WaitingAccount>,
}

struct WaitingAccount {
    payment_key: String,
    order_name: String,
    amount: String,
    account_number: String,
    customer_name: String,
    due_date: String,
}

pub(super) fn window(visit: &Visit, payment_key: Option<&str>) -> Result<Response, Refusal> {
    html(StatusCode::OK, &Window { visit, payment_key })
}

pub(super) fn notice(text: &str) -> Result<Response, Refusal> {
    html(StatusCode::BAD_REQUEST, &Notice { text })
}

pub(super) fn deposits(payments: &[&Payment]) -> Result<Response, Refusal> {
    let accounts = payments.iter().filter_map(|payment| {
        let account = payment.virtual_account.as_ref()?;
        Some(WaitingAccount {
            payment_key: payment.key.clone(),
            order_name: payment.opening.order_name.clone(),
            amount: won(payment.opening.amount),
            account_number: account.account_number.clone(),
            customer_name: account.customer_name.clone(),
            due_date: stamp(account.due_at?),
        })
    });
    html(StatusCode::OK, &Deposits { accounts: accounts.collect() })
}

/// No script and no foreign content: what the shop sends is shown, never run.
fn html(status: StatusCode, page: &impl Template) -> Result<Response, Refusal> {
    let text = page.render().map_err(|_| Refusal::of("FAILED_INTERNAL_SYSTEM_PROCESSING"))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"),
        ),
    ];
    Ok((status, headers, text).into_response())
}

/// `94,800원`
pub(crate) fn won(amount: i64) -> String {
    let digits = amount.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    format!("{text}원")
}

#[cfg(test)]
mod tests {
    use super::won;

    #[test]
    fn won_are_grouped_by_thousands() {
        assert_eq!(won(94_800), "94,800원");
        assert_eq!(won(100), "100원");
        assert_eq!(won(1_234_567), "1,234,567원");
    }
}
