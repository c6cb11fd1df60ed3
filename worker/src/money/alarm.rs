//! What must wake a person: logged as an error and counted, so that it can be alerted on.

/// Raises an alarm of this kind. The message and the ids belong into the log line beside it.
pub(crate) fn raise(kind: &'static str) {
    metrics::counter!("billing_alarms_total", "kind" => kind).increment(1);
}
