//! Gives captured money back.

use apalis::prelude::Data;
use common::jobs::RefundPayment;
use common::queue::{JobError, Lease, Ran};

use crate::{env::Env, money};

pub(crate) async fn refund_payment(
    job: RefundPayment,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    money::advance_refund(&env, &lease, job.refund_id).await
}
