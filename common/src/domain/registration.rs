//! A new card: its states on the way from the one-time key to the card that is charged, and what it has to pay first.

use chrono::{DateTime, NaiveDate, Utc};
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::invoice::{Invoice, InvoiceStatus};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RegistrationStatus {
    Pending,
    /// Sent, no answer: the same request is repeated under the same key.
    Unknown,
    /// The billing key is sealed and kept.
    Issued,
    /// What is open is being charged with it.
    #[strum(serialize = "proving")]
    Verifying,
    Applied,
    Refused,
    /// The subscription was canceled meanwhile.
    Dropped,
}

/// A row of `card_registrations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub id: Uuid,
    pub subscription_id: Uuid,
    /// Buys a billing key once; gone when it has.
    pub auth_key: Option<String>,
    pub customer_key: String,
    pub idempotency_key: Uuid,
    pub status: RegistrationStatus,
    pub sealed_billing_key: Option<String>,
    pub card_number: Option<String>,
    /// The attempt that proves it.
    pub payment_id: Option<Uuid>,
    pub sent_at: Option<DateTime<Utc>>,
    pub first_sent_at: Option<DateTime<Utc>>,
    pub toss_code: Option<String>,
    pub toss_message: Option<String>,
    /// How many sendings the gateway answered with 5xx.
    pub server_errors: i32,
}

impl Registration {
    pub fn is_unfinished(&self) -> bool {
        match self.status {
            RegistrationStatus::Pending
            | RegistrationStatus::Unknown
            | RegistrationStatus::Issued
            | RegistrationStatus::Verifying => true,
            RegistrationStatus::Applied | RegistrationStatus::Refused | RegistrationStatus::Dropped => false,
        }
    }

    /// Whether the gateway has not said yet what its one-time key buys.
    pub fn awaits_its_key(&self) -> bool {
        match self.status {
            RegistrationStatus::Pending | RegistrationStatus::Unknown => true,
            RegistrationStatus::Issued
            | RegistrationStatus::Verifying
            | RegistrationStatus::Applied
            | RegistrationStatus::Refused
            | RegistrationStatus::Dropped => false,
        }
    }
}

/// The invoice in dunning that a past-due subscription's new card pays at once; one whose period is over is not.
pub fn in_dunning(unsettled: &[Invoice], today: NaiveDate) -> Option<&Invoice> {
    unsettled.iter().find(|invoice| {
        invoice.status == InvoiceStatus::Open
            && invoice.held_since.is_none()
            && invoice.first_failed_at.is_some()
            && today < invoice.period.end
    })
}
