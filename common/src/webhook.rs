//! What a webhook's body hints at. Nothing in it is believed: it only says what to read back.

use secrecy::SecretString;
use serde_json::{Map, Value};

const BILLING_DELETED: &str = "BILLING_DELETED";
const STRUCK_OUT: &str = "****";

/// What an event asks us to look at.
#[derive(Debug)]
pub enum Hint {
    /// `PAYMENT_STATUS_CHANGED`, or the deposit callback of a virtual account: this payment may have changed.
    Payment(NamedPayment),
    /// `BILLING_DELETED`: this key may no longer charge. It becomes an audit entry.
    BillingKeyDeleted(SecretString),
    /// Nothing that concerns us, by its event type.
    Other(String),
    /// Not a JSON object.
    Unreadable,
}

/// How a body names a payment; what has not the form that Toss gives it is left out.
#[derive(Debug, Default)]
pub struct NamedPayment {
    pub order_id: Option<String>,
    pub payment_key: Option<String>,
    /// What only Toss and we know of this payment.
    pub secret: Option<SecretString>,
}

/// Reads a body as far as it can be read.
pub fn hint(body: &[u8]) -> Hint {
    let Some(event) = object(body) else { return Hint::Unreadable };
    let data = event.get("data").and_then(Value::as_object);
    // The callback of a virtual account is flat and names no event type.
    let names = |name: &str| event.get(name).is_some();
    if !names("eventType") && names("orderId") && names("status") && names("secret") {
        return Hint::Payment(named_payment(&event));
    }
    let text = |name: &str| data?.get(name)?.as_str();
    match (event_type(body).as_deref(), text("billingKey")) {
        (Some("PAYMENT_STATUS_CHANGED"), _) => Hint::Payment(data.map(named_payment).unwrap_or_default()),
        (Some(BILLING_DELETED), Some(key)) if !key.is_empty() && key != STRUCK_OUT => {
            Hint::BillingKeyDeleted(SecretString::from(key))
        }
        (kind, _) => Hint::Other(kind.unwrap_or("no event type").to_owned()),
    }
}

fn named_payment(fields: &Map<String, Value>) -> NamedPayment {
    let text = |name: &str| fields.get(name)?.as_str();
    NamedPayment {
        order_id: text("orderId").filter(|id| is_order_id(id)).map(str::to_owned),
        payment_key: text("paymentKey").filter(|key| is_payment_key(key)).map(str::to_owned),
        secret: text("secret").filter(|secret| !secret.is_empty()).map(SecretString::from),
    }
}

/// What the body says it is, if it says so in a word.
pub fn event_type(body: &[u8]) -> Option<String> {
    let event = object(body)?;
    let word = event.get("eventType")?.as_str()?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    (!word.is_empty() && word.len() <= 64 && word.chars().all(is_word)).then(|| word.to_owned())
}

/// The body as it may be kept from the start. That of a deletion stays whole until it is handled: its key is what it is
/// about, and charges nothing any more.
pub fn keepable(body: &[u8]) -> Vec<u8> {
    if event_type(body).as_deref() == Some(BILLING_DELETED) {
        body.to_vec()
    } else {
        without_billing_keys(body)
    }
}

/// The body, byte by byte, but for its billing keys.
pub fn without_billing_keys(body: &[u8]) -> Vec<u8> {
    let Ok(mut event) = serde_json::from_slice::<Value>(body) else { return body.to_vec() };
    let mut keys = Vec::new();
    strike_out(&mut event, &mut keys);
    if keys.is_empty() {
        return body.to_vec();
    }
    let struck = keys.iter().fold(String::from_utf8_lossy(body).into_owned(), |text, key| {
        text.replace(&format!("\"{key}\""), &format!("\"{STRUCK_OUT}\""))
    });
    // A key that is written with escapes was not found in the text: then the text is written anew.
    let text_is_clean = serde_json::from_str::<Value>(&struck).is_ok_and(|read| read == event);
    if text_is_clean { struck.into_bytes() } else { event.to_string().into_bytes() }
}

fn strike_out(value: &mut Value, keys: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(key) if name == "billingKey" && !key.is_empty() => {
                        keys.push(std::mem::replace(key, STRUCK_OUT.to_owned()));
                    }
                    other => strike_out(other, keys),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strike_out(item, keys)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn object(body: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(body).ok()
}

/// Toss: 6 to 64 of `A-Z a-z 0-9 - _`.
fn is_order_id(text: &str) -> bool {
    (6..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Toss: at most 200 characters, of an alphabet it does not tell.
fn is_payment_key(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_change_of_a_payment_names_the_payment() {
        let body = br#"{"eventType":"PAYMENT_STATUS_CHANGED","createdAt":"2026-01-02T14:46:59.65327","data":
            {"orderId":"ORDER_1","paymentKey":"tnhig2025","secret":"ps_1","status":"DONE"}}"#;
        let Hint::Payment(named) = hint(body) else { panic!("a payment") };
        assert_eq!(
            (named.order_id.as_deref(), named.payment_key.as_deref()),
            (Some("ORDER_1"), Some("tnhig2025"))
        );
        assert_eq!(named.secret.unwrap().expose_secret(), "ps_1");
    }

    #[test]
    fn the_deposit_callback_names_its_payment_without_an_event_type() {
        let body = br#"{"createdAt":"2026-12-01T10:00:00.000000","secret":"ps_1","status":"DONE",
            "transactionKey":"9C62","orderId":"ORDER_1"}"#;
        let Hint::Payment(named) = hint(body) else { panic!("a payment") };
        assert_eq!((named.order_id.as_deref(), named.payment_key), (Some("ORDER_1"), None));
        assert_eq!(named.secret.unwrap().expose_secret(), "ps_1");
    }

    #[test]
    fn names_that_toss_would_not_give_are_left_out() {
        let body = br#"{"eventType":"PAYMENT_STATUS_CHANGED","data":{"orderId":"a\u0000b'; --","paymentKey":"a b"}}"#;
        let Hint::Payment(named) = hint(body) else { panic!("a payment") };
        assert!(named.order_id.is_none() && named.payment_key.is_none() && named.secret.is_none());
    }

    #[test]
    fn nonsense_is_unreadable_and_what_does_not_concern_us_is_other() {
        for nonsense in [&b""[..], b"hello", b"[1]", b"\xff\xfe", b"{\"a\":"] {
            assert!(matches!(hint(nonsense), Hint::Unreadable), "{nonsense:?}");
        }
        for (body, kind) in [
            (&br#"{"createdAt":"2026-12-01T10:00:00.000000","data":{}}"#[..], "no event type"),
            (br#"{"eventType":"METHOD_UPDATED","data":{}}"#, "METHOD_UPDATED"),
            (br#"{"eventType":"BILLING_DELETED","data":{}}"#, "BILLING_DELETED"),
            (br#"{"eventType":"two words"}"#, "no event type"),
        ] {
            assert!(matches!(hint(body), Hint::Other(other) if other == kind), "{kind}");
        }
    }

    #[test]
    fn a_key_that_may_still_charge_is_struck_out_of_a_webhook() {
        let body = br#"{ "eventType":"PAYMENT_STATUS_CHANGED", "data":{"card":{"billingKey":"Z_t5=","number":"43**"}}}"#;
        let kept = String::from_utf8(keepable(body)).unwrap();
        assert_eq!(kept, String::from_utf8_lossy(body).replace("Z_t5=", "****"));
        let plain = br#"{"eventType": "PAYMENT_STATUS_CHANGED"}"#;
        assert_eq!(keepable(plain), plain);
    }

    #[test]
    fn escapes_do_not_hide_a_key() {
        let body = br#"{"data":[{"billingKey":"Z_t5\u003d"}]}"#;
        assert_eq!(keepable(body), br#"{"data":[{"billingKey":"****"}]}"#);
    }

    #[test]
    fn the_key_of_a_deletion_is_kept_until_it_is_handled() {
        let body = br#"{"eventType":"BILLING_DELETED","data":{"billingKey":"Z_t5="}}"#;
        assert_eq!(keepable(body), body);
        assert!(matches!(hint(body), Hint::BillingKeyDeleted(key) if key.expose_secret() == "Z_t5="));
        let struck = without_billing_keys(body);
        assert!(!String::from_utf8_lossy(&struck).contains("Z_t5"));
        assert!(matches!(hint(&struck), Hint::Other(_)));
    }
}
