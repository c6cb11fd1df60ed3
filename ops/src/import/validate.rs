//! Validates each row: where its periods stand, the plan's price, and whether an earlier run has brought it.

use std::collections::{BTreeMap, HashSet};

use common::domain::calendar::seoul_date;
use common::domain::import::{Handover, Source, SourceStatus, Verdict, agreed_amount, judge};
use common::domain::plan::Plan;
use common::store::plans;
use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{Claim, Mistakes, New, Record, Validated};
use super::rows::Place;
use crate::OpsError;

const ENDED: &str = "canceled, and what was paid for is over";
const SUPERSEDED: &str = "canceled, and the user has another subscription in the source";

pub(crate) async fn validate(
    conn: &mut PgConnection,
    records: Vec<Record>,
    known: &HashSet<String>,
    handover: Handover,
    mistakes: &mut Mistakes,
) -> Result<Validated, OpsError> {
    let plans: BTreeMap<String, Plan> =
        plans::list(conn).await?.into_iter().map(|plan| (plan.code.clone(), plan)).collect();
    let living: HashSet<Uuid> = records
        .iter()
        .filter(|record| record.status != SourceStatus::Canceled)
        .map(|record| record.user_id)
        .collect();
    let mut validated = Validated::default();
    for record in records {
        let is_known = known.contains(&record.source_id);
        let is_canceled = record.status == SourceStatus::Canceled;
        if !is_known && is_canceled && living.contains(&record.user_id) {
            validated.left_out.push((record.place, SUPERSEDED));
            continue;
        }
        let claim = claim(&record);
        if is_known {
            validated.known = validated.known.saturating_add(1);
            validated.all.push(claim);
            continue;
        }
        match validate_new(record, &plans, handover, mistakes) {
            Some(Ok(new)) => {
                validated.all.push(claim);
                validated.new.push(new);
            }
            Some(Err(ended)) => validated.left_out.push((ended, ENDED)),
            None => validated.all.push(claim),
        }
    }
    Ok(validated)
}

fn claim(record: &Record) -> Claim {
    use secrecy::ExposeSecret;
    use sha2::{Digest, Sha256};
    let billing_key = Sha256::digest(record.billing_key.expose_secret().as_bytes()).into();
    Claim { place: record.place.clone(), id: record.id, user_id: record.user_id, billing_key }
}

/// To be brought, or (the error) to be left out; None where something is wrong with it, which is noted.
fn validate_new(
    record: Record,
    plans: &BTreeMap<String, Plan>,
    handover: Handover,
    mistakes: &mut Mistakes,
) -> Option<Result<New, Place>> {
    let source = Source {
        status: record.status,
        cycle: record.cycle,
        next_on: record.next_on,
        created_on: record.created_at.map(seoul_date),
        anchor_day: record.anchor_day,
    };
    let placement = match judge(source, handover) {
        Ok(Verdict::Bring(placement)) => Some(placement),
        Ok(Verdict::LeaveOut) => return Some(Err(record.place)),
        Err(refusal) => {
            mistakes.add(&record.place, refusal.field(), &refusal.to_string());
            None
        }
    };
    let Some(plan) = plans.get(&record.plan) else {
        mistakes.add(&record.place, "plan", &format!("{} is not sold here", record.plan));
        return None;
    };
    let amount = agreed_amount(plan, record.cycle, record.amount)
        .map_err(|wrong| mistakes.add(&record.place, "amount", &wrong.to_string()))
        .ok()?;
    let is_below_price = amount < plan.price(record.cycle);
    placement.map(|placement| Ok(New { record, placement, is_below_price }))
}
