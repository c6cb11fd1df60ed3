//! Requests to the API, from customers, operators and the gateway. One starts at any statement, beside running jobs.

use crate::{run_loop::RunningTask, simulation::Simulation, task_driver::TaskDriver, testbed::APIS};

#[derive(Clone, Copy)]
enum ApiRequest {
    Cancel,
    Refund,
    Webhook,
    ForgedWebhook,
    NewCard,
    SubscribeAgain,
    ChangePlan,
    UndoChange,
    Consent,
    EndAtOnce,
    Erase,
    ImportAgain,
}

/// The requests with their weights.
const REQUESTS: [(u32, ApiRequest); 12] = [
    (5, ApiRequest::Cancel),
    (4, ApiRequest::Refund),
    (8, ApiRequest::Webhook),
    (2, ApiRequest::ForgedWebhook),
    (9, ApiRequest::NewCard),
    (1, ApiRequest::SubscribeAgain),
    (10, ApiRequest::ChangePlan),
    (2, ApiRequest::UndoChange),
    (8, ApiRequest::Consent),
    (1, ApiRequest::EndAtOnce),
    (1, ApiRequest::Erase),
    (1, ApiRequest::ImportAgain),
];

impl Simulation<'_> {
    /// Starts a random request on an idle API process. Does nothing when none is idle.
    pub(crate) async fn start_api_request(&mut self) {
        let apis = self.slots.len() - APIS..self.slots.len();
        let Some(slot) = apis.into_iter().find(|slot| self.slots[*slot].task.is_none()) else { return };
        let process = self.slots[slot].process;
        let env = self.testbed.processes[process].env.clone();
        let request = match self.rng.weighted(&REQUESTS) {
            ApiRequest::Cancel => Some(self.cancel_or_resume_request(&env).await),
            ApiRequest::Refund => self.refund_request(&env).await,
            ApiRequest::Webhook => self.webhook_delivery(&env),
            ApiRequest::ForgedWebhook => self.forged_webhook(&env),
            ApiRequest::NewCard => Some(self.card_registration_request(&env).await),
            ApiRequest::SubscribeAgain => self.repeated_subscribe_request(&env),
            ApiRequest::ChangePlan => Some(self.plan_change_request(&env).await),
            ApiRequest::UndoChange => Some(self.plan_change_withdrawal(&env).await),
            ApiRequest::EndAtOnce => Some(self.end_request(&env)),
            ApiRequest::Erase => Some(self.erasure_request(&env).await),
            ApiRequest::ImportAgain => self.repeated_import(&env),
            ApiRequest::Consent => Some(self.consent_request(&env).await),
        };
        let Some((description, task)) = request else { return };
        self.trace.record(&description);
        let driver = TaskDriver::start(&self.testbed.processes[process], task);
        self.slots[slot].task = Some(RunningTask { driver, description, job: None, waits_for_lock: false });
    }
}
