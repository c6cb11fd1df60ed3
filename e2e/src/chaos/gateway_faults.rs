//! Faults of the gateway: every fourth answer fails, in every way that does not take long.

use serde_json::{Value, json};

use crate::bank::Bank;

/// The share of faulty answers.
const FAULTY: f64 = 0.25;
/// The delay of an answer: a fast card network, and long enough for a kill during the call.
const ANSWERS_AFTER_MS: u64 = 250;

const EFFECTS: [&str; 8] = [
    r#"{"effect":"approve_then_cut"}"#,
    r#"{"effect":"error_500_approved"}"#,
    r#"{"effect":"error_500_not_approved"}"#,
    r#"{"effect":"status_429"}"#,
    r#"{"effect":"status_409"}"#,
    r#"{"effect":"garbage"}"#,
    r#"{"effect":"answer_wrong_amount"}"#,
    r#"{"effect":"hang_then_approve","ms":1500,"answer":"late"}"#,
];

/// Replaces all faults by those of a chaos run.
pub(super) async fn begin(bank: &Bank) -> anyhow::Result<()> {
    bank.clear_faults().await?;
    bank.add_fault(&json!({ "effect": "lookup_404", "probability": 0.1, "times": null, "seed": 99 })).await?;
    // The sandbox takes the first fault that applies. With these chances, all eight together apply as often as `FAULTY`.
    let each = 1.0 - (1.0 - FAULTY).powf(1.0 / 8.0);
    for (seed, effect) in (1_u64..).zip(EFFECTS) {
        let mut fault: Value = serde_json::from_str(effect)?;
        if let Some(fields) = fault.as_object_mut() {
            fields.insert("probability".to_owned(), json!(each));
            fields.insert("times".to_owned(), Value::Null);
            fields.insert("seed".to_owned(), json!(seed));
        }
        bank.add_fault(&fault).await?;
    }
    bank.add_fault(&json!({ "effect": "delay", "ms": ANSWERS_AFTER_MS, "times": null })).await
}

/// Answers this many calls with errors, which opens the breaker.
pub(super) async fn outage(bank: &Bank, calls: u64) -> anyhow::Result<()> {
    bank.clear_faults().await?;
    bank.add_fault(&json!({ "effect": "error_500_not_approved", "times": calls })).await
}
