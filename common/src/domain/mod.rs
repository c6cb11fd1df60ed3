//! The rules of recurring billing, free of I/O: every decision is one exhaustive match that can be read and tested alone.

pub mod billing_schedule;
pub mod breaker;
pub mod calendar;
pub mod charge;
pub mod consent_report;
pub mod delivery;
pub mod dunning;
pub mod email_address;
pub mod ending;
pub mod erasure;
pub mod external_refund;
pub mod import;
pub mod incomplete;
pub mod invoice;
pub mod money;
pub mod outcome;
pub mod payment;
pub mod plan;
pub mod plan_change;
pub mod price_change;
pub mod purchase;
pub mod reconcile;
pub mod refund;
pub mod registration;
pub mod subscription;
pub mod validated;
