//! Virtual accounts: a bank account made for one order, which the buyer pays into before its due date.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::stamp;
use crate::ids;
use crate::refusal::Refusal;

/// Toss's default where the payment request names no `validHours`.
const DEFAULT_VALID_HOURS: i64 = 168;
/// Toss's maximum, in hours.
const MAX_VALID_HOURS: i64 = 2_160;
/// 우리은행 in Toss's table of banks.
const BANK_CODE: &str = "20";
const BANK_NAME: &str = "우리";
const DEFAULT_CUSTOMER_NAME: &str = "김토스";

/// The account of one payment. It exists from the confirm on.
#[derive(Debug, Clone)]
pub(crate) struct VirtualAccount {
    pub(crate) account_number: String,
    pub(crate) customer_name: String,
    pub(crate) valid_for: TimeDelta,
    /// Known from the confirm on.
    pub(crate) due_at: Option<DateTime<Utc>>,
    /// True when the due date passed without a deposit.
    pub(crate) is_expired: bool,
    pub(crate) refund_account: Option<RefundAccount>,
}

/// Where the money of a refunded deposit goes: `refundReceiveAccount` of a cancel.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefundAccount {
    bank: Option<String>,
    account_number: Option<String>,
    holder_name: Option<String>,
}

impl VirtualAccount {
    /// The buyer chose to pay by deposit. `valid_hours` is Toss's `virtualAccount.validHours`.
    pub(crate) fn chosen(customer_name: Option<String>, valid_hours: Option<i64>) -> Result<Self, Refusal> {
        let valid_hours = valid_hours.unwrap_or(DEFAULT_VALID_HOURS);
        if !(1..=MAX_VALID_HOURS).contains(&valid_hours) {
            return Err(Refusal::of("INVALID_REQUEST"));
        }
        Ok(Self {
            account_number: ids::account_number(),
            customer_name: customer_name.unwrap_or_else(|| DEFAULT_CUSTOMER_NAME.to_owned()),
            valid_for: TimeDelta::hours(valid_hours),
            due_at: None,
            is_expired: false,
            refund_account: None,
        })
    }

    /// The `virtualAccount` object of a payment; null before the confirm.
    pub(crate) fn to_json(&self, deposited_at: Option<DateTime<Utc>>) -> Value {
        let Some(due_at) = self.due_at else { return Value::Null };
        json!({
            "accountType": "일반",
            "accountNumber": self.account_number,
            "bankCode": BANK_CODE,
            // API versions before 2022-06-08 name the bank instead of its code.
            "bank": BANK_NAME,
            "customerName": self.customer_name,
            "depositorName": deposited_at.map(|_| self.customer_name.as_str()),
            "dueDate": stamp(due_at),
            "expired": self.is_expired,
            "settlementStatus": "INCOMPLETED",
            "refundStatus": if self.refund_account.is_some() { "COMPLETED" } else { "NONE" },
            "refundReceiveAccount": self.refund_account.as_ref().map(RefundAccount::to_json),
        })
    }
}

impl RefundAccount {
    /// Toss refuses an account that lacks a field or has no plain number.
    pub(crate) fn check(self) -> Result<Self, Refusal> {
        let is_named = |field: &Option<String>| field.as_ref().is_some_and(|text| !text.trim().is_empty());
        let is_number = self.account_number.as_deref().is_some_and(|number| {
            (1..=20).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        if !is_named(&self.bank) || !is_named(&self.holder_name) {
            return Err(Refusal::of("INVALID_REFUND_ACCOUNT_INFO"));
        }
        if is_number { Ok(self) } else { Err(Refusal::of("INVALID_REFUND_ACCOUNT_NUMBER")) }
    }

    fn to_json(&self) -> Value {
        json!({ "bankCode": self.bank, "accountNumber": self.account_number, "holderName": self.holder_name })
    }
}
