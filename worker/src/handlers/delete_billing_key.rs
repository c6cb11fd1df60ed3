//! Deletes a replaced billing key at the gateway.

use apalis::prelude::Data;
use common::jobs::DeleteBillingKey;
use common::queue::{JobError, Lease, Ran};

use crate::{env::Env, money};

pub(crate) async fn delete_billing_key(
    job: DeleteBillingKey,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    money::delete_billing_key(&env, &lease, &job).await
}
