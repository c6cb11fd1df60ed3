//! Which call a method and path mean.

use axum::http::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::keys::Secret;
use crate::ledger::Operation;
use crate::refusal::{Language, Refusal};

/// One request to the API, with what its path and headers say.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) target: Target,
    pub(crate) secret: Secret,
    pub(crate) query: String,
    /// None when it is missing or not JSON.
    pub(crate) body: Option<Value>,
    pub(crate) language: Language,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Confirm,
    Issue,
    IssueByCard,
    Charge { billing_key: String },
    DeleteBillingKey { billing_key: String },
    Payment { payment_key: String },
    PaymentOfOrder { order_id: String },
    Cancel { payment_key: String },
    Transactions,
}

impl Target {
    /// The path as it was sent; keys may be raw or percent-encoded.
    pub(crate) fn parse(method: &Method, path: &str) -> Result<Self, Refusal> {
        let decoded: Result<Vec<String>, _> = path
            .split('/')
            .skip(1)
            .map(|segment| percent_decode_str(segment).decode_utf8().map(String::from))
            .collect();
        let segments = decoded.map_err(|_| Refusal::of("INVALID_REQUEST"))?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let owned = |text: &&str| (*text).to_owned();
        match (method.as_str(), segments.as_slice()) {
            ("POST", ["v1", "payments", "confirm"]) => Ok(Self::Confirm),
            ("POST", ["v1", "billing", "authorizations", "issue"]) => Ok(Self::Issue),
            ("POST", ["v1", "billing", "authorizations", "card"]) => Ok(Self::IssueByCard),
            ("POST", ["v1", "billing", key]) => Ok(Self::Charge { billing_key: owned(key) }),
            ("DELETE", ["v1", "billing", key]) => Ok(Self::DeleteBillingKey { billing_key: owned(key) }),
            ("GET", ["v1", "payments", "orders", id]) => Ok(Self::PaymentOfOrder { order_id: owned(id) }),
            ("GET", ["v1", "payments", key]) => Ok(Self::Payment { payment_key: owned(key) }),
            ("POST", ["v1", "payments", key, "cancel"]) => Ok(Self::Cancel { payment_key: owned(key) }),
            ("GET", ["v1", "transactions"]) => Ok(Self::Transactions),
            _ => Err(Refusal::of("NOT_FOUND")),
        }
    }

    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::Confirm => Operation::Confirm,
            Self::Issue | Self::IssueByCard => Operation::Issue,
            Self::Charge { .. } => Operation::Charge,
            Self::DeleteBillingKey { .. } => Operation::Delete,
            Self::Payment { .. } | Self::PaymentOfOrder { .. } => Operation::Lookup,
            Self::Cancel { .. } => Operation::Cancel,
            Self::Transactions => Operation::Transactions,
        }
    }

    /// Billing is closed to the widget's secret.
    pub(crate) fn is_billing(&self) -> bool {
        matches!(self, Self::Issue | Self::IssueByCard | Self::Charge { .. } | Self::DeleteBillingKey { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_billing_key_may_be_raw_or_encoded() {
        let wanted = Target::Charge { billing_key: "a-b_c=".to_owned() };
        assert_eq!(Target::parse(&Method::POST, "/v1/billing/a-b_c=").unwrap(), wanted);
        assert_eq!(Target::parse(&Method::POST, "/v1/billing/a-b_c%3D").unwrap(), wanted);
    }

    #[test]
    fn a_wrong_method_is_not_found() {
        assert_eq!(Target::parse(&Method::GET, "/v1/payments/confirm/x").unwrap_err().status, 404);
    }
}
