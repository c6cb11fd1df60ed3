//! The Payment and Billing objects as Toss writes them (API version 2022-11-16).

use serde_json::{Value, json};

use crate::billing::BillingKey;
use crate::cards::{issuer_code, masked};
use crate::clock::stamp;
use crate::payments::{Cancel, Origin, Payment, Status};
use crate::refusal::Language;

const VERSION: &str = "2022-11-16";

pub(crate) fn payment(payment: &Payment) -> Value {
    let opening = &payment.opening;
    let taxed = payment.balance - opening.tax_free.min(payment.balance);
    let vat = rounded_eleventh(taxed);
    let paid_by_card = payment.virtual_account.is_none()
        && (payment.approved_at.is_some() || payment.status == Status::Aborted);
    let virtual_account = virtual_account(payment);
    json!({
        "version": VERSION,
        "paymentKey": payment.key,
        "type": if opening.origin == Origin::BillingKey { "BILLING" } else { "NORMAL" },
        "orderId": opening.order_id,
        "orderName": opening.order_name,
        "mId": opening.merchant_id,
        "currency": "KRW",
        "method": if paid_by_card { Some("카드") } else { virtual_account.is_object().then_some("가상계좌") },
        "totalAmount": opening.amount,
        "balanceAmount": payment.balance,
        "status": payment.status.name(),
        "requestedAt": stamp(payment.requested_at),
        "approvedAt": payment.approved_at.map(stamp),
        "useEscrow": false,
        "cultureExpense": false,
        "isPartialCancelable": true,
        "lastTransactionKey": payment.last_transaction_key,
        "transactionKey": payment.last_transaction_key,
        "suppliedAmount": taxed - vat,
        "vat": vat,
        "taxFreeAmount": opening.tax_free,
        "taxExemptionAmount": opening.tax_exemption,
        "cancels": cancels(&payment.cancels),
        "card": if paid_by_card { card(payment) } else { Value::Null },
        "virtualAccount": virtual_account, "transfer": null, "mobilePhone": null, "giftCertificate": null,
        "easyPay": null, "cashReceipt": null, "cashReceipts": null, "discount": null, "metadata": null,
        "secret": payment.secret,
        "receipt": payment.approved_at.map(|_| json!({ "url": receipt_url(&payment.key) })),
        "checkout": { "url": format!("https://api.tosspayments.com/v1/payments/{}/checkout", payment.key) },
        "country": "KR",
        "failure": payment.failure.as_ref()
            .map(|failure| json!({ "code": failure.code, "message": failure.text(Language::Korean) })),
    })
}

fn virtual_account(payment: &Payment) -> Value {
    let account = payment.virtual_account.as_ref();
    account.map_or(Value::Null, |account| account.to_json(payment.approved_at))
}

/// In test mode the URL exists but shows no real receipt.
pub(crate) fn receipt_url(payment_key: &str) -> String {
    format!(
        "https://dashboard-sandbox.tosspayments.com/receipt/redirection?transactionId={payment_key}&ref=PX"
    )
}

/// VAT is a tenth of the supply, so an eleventh of the price, rounded half up.
fn rounded_eleventh(amount: i64) -> i64 {
    (amount * 2 + 11) / 22
}

fn cancels(cancels: &[Cancel]) -> Value {
    if cancels.is_empty() {
        return Value::Null;
    }
    cancels.iter().map(cancel).collect()
}

fn cancel(cancel: &Cancel) -> Value {
    json!({
        "cancelAmount": cancel.amount,
        "cancelReason": cancel.reason,
        "taxFreeAmount": 0,
        "taxExemptionAmount": 0,
        "refundableAmount": cancel.refundable,
        "cardDiscountAmount": 0,
        "transferDiscountAmount": 0,
        "easyPayDiscountAmount": 0,
        "canceledAt": stamp(cancel.at),
        "transactionKey": cancel.transaction_key,
        "receiptKey": null,
        "cancelStatus": "DONE",
        "cancelRequestId": null,
    })
}

fn card(payment: &Payment) -> Value {
    let Some(number) = &payment.card_number else { return Value::Null };
    let mut card = json!({
        "amount": payment.opening.amount,
        "issuerCode": issuer_code(number),
        "acquirerCode": issuer_code(number),
        "number": masked(number),
        "installmentPlanMonths": 0,
        "approveNo": payment.approve_no,
        "useCardPoint": false,
        "cardType": "신용",
        "ownerType": "개인",
        "acquireStatus": if payment.status == Status::Canceled { "CANCELED" } else { "READY" },
        "isInterestFree": false,
        "interestPayer": null,
    });
    if let (Some(key), Some(fields)) = (&payment.shown_billing_key, card.as_object_mut()) {
        fields.insert("billingKey".to_owned(), json!(key));
    }
    card
}

/// The Billing object; `cardCompany` and `cardNumber` are what older API versions add.
pub(crate) fn billing(key: &BillingKey, customer_key: &str, merchant_id: &str) -> Value {
    json!({
        "mId": merchant_id,
        "customerKey": customer_key,
        "authenticatedAt": stamp(key.issued_at),
        "method": "카드",
        "billingKey": key.key,
        "card": {
            "issuerCode": issuer_code(&key.card_number),
            "acquirerCode": issuer_code(&key.card_number),
            "number": masked(&key.card_number),
            "cardType": "신용",
            "ownerType": "개인",
        },
        "transfers": null,
        "cardCompany": if issuer_code(&key.card_number) == "21" { "하나" } else { "신한" },
        "cardNumber": masked(&key.card_number),
    })
}

#[cfg(test)]
mod tests {
    use super::rounded_eleventh;

    #[test]
    fn vat_is_rounded_to_the_nearest_won() {
        assert_eq!(rounded_eleventh(4_900), 445);
        assert_eq!(rounded_eleventh(9_900), 900);
        assert_eq!(rounded_eleventh(94_800), 8_618);
        assert_eq!(rounded_eleventh(0), 0);
    }
}
