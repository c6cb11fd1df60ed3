//! What the steps of an import hand on: rows that were read, rows that were validated, and the mistakes in them.

use chrono::{DateTime, NaiveDate, Utc};
use common::domain::calendar::Cycle;
use common::domain::import::{Placement, SourceStatus};
use common::domain::money::Won;
use secrecy::SecretString;
use serde::Serialize;
use uuid::Uuid;

use super::rows::Place;
use crate::text::plain;

/// Not `Debug`: it holds a billing key.
pub(crate) struct Record {
    pub(crate) place: Place,
    pub(crate) source_id: String,
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) plan: String,
    pub(crate) cycle: Cycle,
    pub(crate) billing_key: SecretString,
    pub(crate) customer_key: String,
    pub(crate) amount: Won,
    pub(crate) status: SourceStatus,
    pub(crate) next_on: NaiveDate,
    pub(crate) created_at: Option<DateTime<Utc>>,
    pub(crate) updated_at: Option<DateTime<Utc>>,
    pub(crate) canceled_at: Option<DateTime<Utc>>,
    pub(crate) cancel_reason: Option<String>,
    pub(crate) customer_email: String,
    pub(crate) customer_name: String,
    pub(crate) anchor_day: Option<u32>,
}

/// One to be brought.
pub(crate) struct New {
    pub(crate) record: Record,
    pub(crate) placement: Placement,
    pub(crate) is_below_price: bool,
}

/// Where a row that is here, or is to be, stands, and what no other may share with it. Keys are hashed.
pub(crate) struct Claim {
    pub(crate) place: Place,
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) billing_key: [u8; 32],
}

#[derive(Default)]
pub(crate) struct Validated {
    pub(crate) new: Vec<New>,
    pub(crate) known: usize,
    /// Rows that stay behind, and why.
    pub(crate) left_out: Vec<(Place, &'static str)>,
    pub(crate) all: Vec<Claim>,
}

/// What is wrong with a row. Values are not repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// `line 17`, or `subscription <id>`.
    pub place: String,
    /// The column; empty where the whole row is meant.
    pub field: &'static str,
    pub problem: String,
}

/// Mistakes found so far.
#[derive(Default)]
pub(crate) struct Mistakes(Vec<(Place, Mistake)>);

impl Mistakes {
    pub(crate) fn add(&mut self, place: &Place, field: &'static str, problem: &str) {
        let mistake = Mistake { place: place.to_string(), field, problem: plain(problem) };
        self.0.push((place.clone(), mistake));
    }

    pub(crate) fn in_order(mut self) -> Vec<Mistake> {
        self.0.sort_by(|a, b| a.0.cmp(&b.0));
        self.0.into_iter().map(|(_, mistake)| mistake).collect()
    }
}
