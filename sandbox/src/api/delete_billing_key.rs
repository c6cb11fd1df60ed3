//! `DELETE /v1/billing/{billingKey}`: the key can never be charged again.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::refusal::Refusal;
use crate::state::SandboxState;

pub(super) fn delete(state: &mut SandboxState, billing_key: &str, now: DateTime<Utc>) -> Result<(), Refusal> {
    state.billing.remove(billing_key)?;
    let data = json!({ "billingKey": billing_key, "reason": "삭제 API 요청" });
    state.webhooks.event("BILLING_DELETED", &data, now, state.switches.hold_webhooks);
    Ok(())
}
