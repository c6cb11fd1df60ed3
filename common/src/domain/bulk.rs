//! Actions on everything that matches a filter: which there are, and what is chosen.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

use super::action::Action;

/// An action that can be done to many things. Its word is that of the single action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, EnumIter, IntoStaticStr)]
pub enum BulkAction {
    #[strum(serialize = "job.retry")]
    RetryJobs,
    #[strum(serialize = "job.discard")]
    DiscardJobs,
    #[strum(serialize = "invoice.charge")]
    ChargeInvoices,
    #[strum(serialize = "invoice.forgive")]
    ForgiveInvoices,
    #[strum(serialize = "payment.look_up")]
    LookUpPayments,
    #[strum(serialize = "email.resend")]
    ResendEmails,
}

impl BulkAction {
    /// The action on one item. `None`: the id is not one of such a target.
    pub fn of_item(self, target_id: &str) -> Option<Action> {
        let uuid = || target_id.parse().ok();
        match self {
            Self::RetryJobs => target_id.parse().ok().map(Action::RetryJob),
            Self::DiscardJobs => target_id.parse().ok().map(Action::DiscardJob),
            Self::ChargeInvoices => uuid().map(Action::ChargeInvoice),
            Self::ForgiveInvoices => uuid().map(Action::ForgiveInvoice),
            Self::LookUpPayments => uuid().map(Action::LookUpPayment),
            Self::ResendEmails => uuid().map(Action::ResendEmail),
        }
    }

    /// Whether each item leads to a call to the gateway, so that the items wait for its rate limit.
    pub fn calls_gateway(self) -> bool {
        match self {
            Self::RetryJobs | Self::ChargeInvoices | Self::LookUpPayments => true,
            Self::DiscardJobs | Self::ForgiveInvoices | Self::ResendEmails => false,
        }
    }
}

/// Which things; every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BulkFilter {
    /// The kind of a job, a payment or an e-mail, or the plan of an invoice's subscription.
    pub kind: Option<String>,
    /// The state of a job, or the status of an invoice's subscription.
    pub state: Option<String>,
    /// An error's first line with ids and numbers replaced by `#`; of a payment, the gateway's code.
    pub error_group: Option<String>,
    /// Failed, due, on hold, unknown or written at or after.
    pub since: Option<DateTime<Utc>>,
    /// The same, before.
    pub until: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn a_bulk_action_has_the_name_of_its_items_action() {
        for bulk in BulkAction::iter() {
            let id = if bulk.to_string().starts_with("job.") {
                "4711"
            } else {
                "0192f0c1-a2b3-7c4d-8e5f-60718293a4b5"
            };
            assert_eq!(bulk.of_item(id).map(|action| action.name()), Some(<&str>::from(bulk)));
            assert_eq!(bulk.of_item("x"), None);
        }
    }
}
