//! Confirms the payment that a customer authenticated in the payment window.

use apalis::prelude::Data;
use common::jobs::ConfirmPayment;
use common::queue::{JobError, Lease, Ran};

use crate::{env::Env, money};

pub(crate) async fn confirm_payment(
    job: ConfirmPayment,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    money::advance(&env, &lease, job.subscription_id, job.invoice_id).await
}
