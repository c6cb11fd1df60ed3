//! Turns a registered card into the card that is charged.

use apalis::prelude::Data;
use common::jobs::IssueBillingKey;
use common::queue::{JobError, Lease, Ran};

use crate::{env::Env, money};

pub(crate) async fn issue_billing_key(
    job: IssueBillingKey,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    money::advance_registration(&env, &lease, &job).await
}
