//! The payment object of Toss, as far as this client needs it.

use chrono::{DateTime, FixedOffset};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{BillingKey, Code, wire};

/// A payment as Toss tells it (API version 2022-11-16 and its neighbours); unknown fields are ignored.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayPayment {
    pub payment_key: String,
    pub order_id: String,
    pub status: GatewayPaymentStatus,
    /// Whole won; never changes once approved.
    #[serde(deserialize_with = "wire::won")]
    pub total_amount: i64,
    /// Whole won that can still be cancelled. Fully refunded is a balance of zero, whatever the status says: partial
    /// cancels that add up to everything stay `PARTIAL_CANCELED`.
    #[serde(default, deserialize_with = "wire::maybe_won")]
    pub balance_amount: Option<i64>,
    /// `KRW`; Toss always says so.
    #[serde(default)]
    pub currency: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "wire::or_none")]
    pub kind: Option<PaymentType>,
    /// In Korean, e.g. `카드`.
    #[serde(default, deserialize_with = "wire::or_none")]
    pub method: Option<String>,
    #[serde(default, deserialize_with = "wire::time_or_none")]
    pub requested_at: Option<DateTime<FixedOffset>>,
    #[serde(default, deserialize_with = "wire::time_or_none")]
    pub approved_at: Option<DateTime<FixedOffset>>,
    #[serde(default, deserialize_with = "wire::or_none")]
    receipt: Option<Receipt>,
    #[serde(default, deserialize_with = "wire::or_none")]
    pub card: Option<Card>,
    /// The account that the buyer pays into, from the confirm on.
    #[serde(default, deserialize_with = "wire::or_none")]
    pub virtual_account: Option<VirtualAccount>,
    /// The merchant whose keys made the payment.
    #[serde(default, rename = "mId", deserialize_with = "wire::or_none")]
    pub merchant_id: Option<String>,
    #[serde(default, deserialize_with = "wire::null_is_empty")]
    pub cancels: Vec<Cancel>,
    /// Compared with the same field of a webhook's payment, where both are present.
    #[serde(default, deserialize_with = "wire::secret_or_none")]
    pub secret: Option<SecretString>,
    /// Why an `ABORTED` or `EXPIRED` payment failed.
    #[serde(default, deserialize_with = "wire::or_none")]
    pub failure: Option<Failure>,
    #[serde(default, deserialize_with = "wire::or_none")]
    pub last_transaction_key: Option<String>,
    /// Toss's name for the answer this was read from; support asks for it.
    #[serde(skip)]
    pub trace_id: Option<String>,
}

impl GatewayPayment {
    /// Where the customer reads the receipt; in test mode it holds no real receipt.
    pub fn receipt_url(&self) -> Option<&str> {
        self.receipt.as_ref().map(|receipt| receipt.url.as_str())
    }

    /// Whether the payment was to be made by deposit, and ended before one came: no money moved.
    pub fn ended_before_its_deposit(&self) -> bool {
        let Some(account) = &self.virtual_account else { return false };
        // A cancel of an account that nobody paid into reads CANCELED, as a refund does. Only the approval tells them apart.
        self.approved_at.is_none()
            && match self.status {
                GatewayPaymentStatus::Canceled => true,
                GatewayPaymentStatus::WaitingForDeposit => account.expired == Some(true),
                GatewayPaymentStatus::Ready
                | GatewayPaymentStatus::InProgress
                | GatewayPaymentStatus::Done
                | GatewayPaymentStatus::PartialCanceled
                | GatewayPaymentStatus::Aborted
                | GatewayPaymentStatus::Expired
                | GatewayPaymentStatus::Other(_) => false,
            }
    }
}

/// A bank account made for one order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualAccount {
    pub account_number: String,
    /// Two digits; see [`crate::korean_bank`].
    #[serde(default, deserialize_with = "wire::or_none")]
    pub bank_code: Option<String>,
    /// Versions before 2022-06-08 name the bank.
    #[serde(default, deserialize_with = "wire::or_none")]
    pub bank: Option<String>,
    /// In whose name the account is open.
    #[serde(default, deserialize_with = "wire::or_none")]
    pub customer_name: Option<String>,
    #[serde(default, deserialize_with = "wire::time_or_none")]
    pub due_date: Option<DateTime<FixedOffset>>,
    /// True when the due date has passed without a deposit.
    #[serde(default, deserialize_with = "wire::or_none")]
    pub expired: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
struct Receipt {
    url: String,
}

/// The documented statuses; a new one is preserved, not refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum GatewayPaymentStatus {
    Ready,
    InProgress,
    WaitingForDeposit,
    Done,
    Canceled,
    PartialCanceled,
    Aborted,
    Expired,
    Other(String),
}

impl From<String> for GatewayPaymentStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "READY" => Self::Ready,
            "IN_PROGRESS" => Self::InProgress,
            "WAITING_FOR_DEPOSIT" => Self::WaitingForDeposit,
            "DONE" => Self::Done,
            "CANCELED" => Self::Canceled,
            "PARTIAL_CANCELED" => Self::PartialCanceled,
            "ABORTED" => Self::Aborted,
            "EXPIRED" => Self::Expired,
            _ => Self::Other(text),
        }
    }
}

impl GatewayPaymentStatus {
    /// Whether the payment may still become paid. A status that nobody knows yet may.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Ready | Self::InProgress | Self::WaitingForDeposit | Self::Other(_) => true,
            Self::Done | Self::Canceled | Self::PartialCanceled | Self::Aborted | Self::Expired => false,
        }
    }

    /// As Toss writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ready => "READY",
            Self::InProgress => "IN_PROGRESS",
            Self::WaitingForDeposit => "WAITING_FOR_DEPOSIT",
            Self::Done => "DONE",
            Self::Canceled => "CANCELED",
            Self::PartialCanceled => "PARTIAL_CANCELED",
            Self::Aborted => "ABORTED",
            Self::Expired => "EXPIRED",
            Self::Other(text) => text,
        }
    }
}

/// How the payment came about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PaymentType {
    /// Authenticated by the customer and confirmed.
    Normal,
    /// Charged with a billing key.
    Billing,
    BrandPay,
    #[serde(untagged)]
    Other(String),
}

/// The card of a payment or of a billing key. The number is masked by Toss.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    #[serde(default, deserialize_with = "wire::or_none")]
    pub number: Option<String>,
    #[serde(default, deserialize_with = "wire::or_none")]
    pub issuer_code: Option<String>,
    /// 신용, 체크, 기프트 or 미확인.
    #[serde(default, deserialize_with = "wire::or_none")]
    pub card_type: Option<String>,
    /// Not documented for a payment's card; kept where a gateway sends it.
    #[serde(default, deserialize_with = "wire::or_none")]
    pub billing_key: Option<BillingKey>,
}

/// One cancellation (refund) of a payment.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancel {
    /// Whole won.
    #[serde(deserialize_with = "wire::won")]
    pub cancel_amount: i64,
    #[serde(default, deserialize_with = "wire::or_none")]
    pub cancel_reason: Option<String>,
    /// Whole won left to cancel after this one.
    #[serde(default, deserialize_with = "wire::maybe_won")]
    pub refundable_amount: Option<i64>,
    #[serde(default, deserialize_with = "wire::time_or_none")]
    pub canceled_at: Option<DateTime<FixedOffset>>,
    #[serde(default, deserialize_with = "wire::or_none")]
    pub transaction_key: Option<String>,
    /// `DONE` for domestic payments.
    #[serde(default, deserialize_with = "wire::or_none")]
    pub cancel_status: Option<String>,
}

/// Why a payment ended without money.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Failure {
    pub code: Code,
    #[serde(default)]
    pub message: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(value: serde_json::Value) -> Result<GatewayPayment, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn a_documented_payment_decodes_with_fields_nobody_knows() {
        let payment = decode(json!({
            "mId": "tosspayments", "version": "2022-11-16", "paymentKey": "tviva20241023135713hH8Fq",
            "type": "BILLING", "orderId": "ORDER_1", "currency": "KRW", "method": "카드", "totalAmount": 9900.0,
            "balanceAmount": 9900, "status": "DONE", "requestedAt": "2024-02-13T12:17:57+09:00",
            "approvedAt": "2024-02-13T12:18:14+09:00", "lastTransactionKey": "9C62", "cancels": null,
            "secret": "ps_hidden", "receipt": {"url": "https://dashboard.tosspayments.com/receipt"},
            "card": {"issuerCode": "71", "number": "43301234****123*", "cardType": "신용", "amount": 9900},
            "failure": null, "somethingNew": {"a": [1]}
        }))
        .unwrap();
        assert_eq!(payment.status, GatewayPaymentStatus::Done);
        assert_eq!((payment.total_amount, payment.balance_amount), (9_900, Some(9_900)));
        assert_eq!(payment.kind, Some(PaymentType::Billing));
        assert_eq!(payment.receipt_url(), Some("https://dashboard.tosspayments.com/receipt"));
        assert_eq!(payment.card.as_ref().unwrap().number.as_deref(), Some("43301234****123*"));
        assert!(payment.cancels.is_empty() && payment.approved_at.is_some() && payment.failure.is_none());
        assert!(!format!("{payment:?}").contains("ps_hidden"));
    }

    #[test]
    fn an_odd_ornament_does_not_hide_a_payment() {
        let payment = decode(json!({
            "paymentKey": "p", "orderId": "o", "status": "SOMETHING_NEW", "totalAmount": 100, "type": "LATER",
            "card": "none", "receipt": 7, "approvedAt": 12, "secret": {}, "failure": {"code": 3}
        }))
        .unwrap();
        assert_eq!(payment.status.as_str(), "SOMETHING_NEW");
        assert_eq!(payment.kind, Some(PaymentType::Other("LATER".into())));
        assert!(payment.card.is_none() && payment.receipt_url().is_none() && payment.approved_at.is_none());
    }

    #[test]
    fn what_is_about_money_must_decode() {
        let whole = json!({"paymentKey": "p", "orderId": "o", "status": "DONE", "totalAmount": 100});
        assert!(decode(whole.clone()).is_ok());
        let bad = [("totalAmount", json!("100")), ("balanceAmount", json!(0.5)), ("cancels", json!([{}]))];
        for (field, value) in bad {
            let mut odd = whole.clone();
            odd[field] = value;
            assert!(decode(odd).is_err(), "{field}");
        }
        for field in ["paymentKey", "orderId", "status", "totalAmount"] {
            let mut short = whole.clone();
            short.as_object_mut().unwrap().remove(field);
            assert!(decode(short).is_err(), "{field}");
        }
    }

    #[test]
    fn a_billing_key_in_the_card_is_kept_and_masked() {
        let payment = decode(json!({
            "paymentKey": "p", "orderId": "o", "status": "DONE", "totalAmount": 100, "card": {"billingKey": "bk_hidden="}
        }))
        .unwrap();
        assert!(!format!("{payment:?}").contains("bk_hidden"));
        assert_eq!(payment.card.unwrap().billing_key.unwrap().expose(), "bk_hidden=");
    }
}
