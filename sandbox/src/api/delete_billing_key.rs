//! `DELETE /v1/billing/{billingKey}`: the key can never be charged again.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::refusal::Refusal;
use crate::world::World;

pub(super) fn delete(world: &mut World, billing_key: &str, now: DateTime<Utc>) -> Result<(), Refusal> {
    world.billing.remove(billing_key)?;
    let data = json!({ "billingKey": billing_key, "reason": "삭제 API 요청" });
    world.webhooks.event("BILLING_DELETED", &data, now, world.switches.hold_webhooks);
    Ok(())
}
