//! Charges, looks up or gives up one invoice, whatever its state asks for.

use apalis::prelude::Data;
use common::jobs::ChargeSubscription;
use common::queue::{JobError, Lease, Ran};

use crate::{env::Env, money};

pub(crate) async fn charge_subscription(
    job: ChargeSubscription,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    money::advance(&env, &lease, job.subscription_id, job.invoice_id).await
}
