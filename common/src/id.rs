//! Where ids are made, and how a subscription's id is written outside: `sub_` and the UUID without dashes.

use chrono::{DateTime, Utc};
use uuid::{ContextV7, Timestamp, Uuid};

/// A new row id, ordered by the instant it was made (UUID version 7).
pub fn new_id(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(ContextV7::new(), seconds, now.timestamp_subsec_nanos()))
}

/// A new idempotency key: random, so that it can never be that of another payment.
#[expect(clippy::disallowed_methods, reason = "the one place where random ids are made")]
pub fn new_key() -> Uuid {
    Uuid::new_v4()
}

/// `sub_0192…`, as subscriptions are called in the API, in jobs and in logs.
pub fn subscription_ref(id: Uuid) -> String {
    format!("sub_{}", id.simple())
}

/// For serde's `serialize_with`.
pub fn as_subscription_ref<S: serde::Serializer>(id: &Uuid, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&subscription_ref(*id))
}

/// Reads `sub_<uuid without dashes>` or a plain UUID.
pub fn parse_subscription_ref(text: &str) -> Option<Uuid> {
    let uuid = text.strip_prefix("sub_").unwrap_or(text);
    Uuid::try_parse(uuid).ok()
}

/// `evt_0192…`, as an event is called in webhooks, in jobs and in logs.
pub fn event_ref(id: Uuid) -> String {
    format!("evt_{}", id.simple())
}

/// For serde's `serialize_with`.
pub fn as_event_ref<S: serde::Serializer>(id: &Uuid, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&event_ref(*id))
}

/// Reads `evt_<uuid without dashes>` or a plain UUID.
pub fn parse_event_ref(text: &str) -> Option<Uuid> {
    let uuid = text.strip_prefix("evt_").unwrap_or(text);
    Uuid::try_parse(uuid).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_found_by_written_id_and_plain_uuid() {
        let id = new_id(DateTime::UNIX_EPOCH);
        assert_eq!(parse_subscription_ref(&subscription_ref(id)), Some(id));
        assert_eq!(parse_subscription_ref(&id.to_string()), Some(id));
        assert_eq!(parse_subscription_ref("sub_123"), None);
    }
}
