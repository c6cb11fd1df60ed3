//! What is sold, and for how much. The price is the server's: a client names a plan, never an amount of its own.

use super::{calendar::Cycle, money::Won};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub code: String,
    pub name: String,
    pub monthly: Won,
    pub yearly: Won,
    /// Whether a customer may hold it beside another subscription.
    pub may_be_held_beside_others: bool,
}

impl Plan {
    pub fn price(&self, cycle: Cycle) -> Won {
        match cycle {
            Cycle::Monthly => self.monthly,
            Cycle::Yearly => self.yearly,
        }
    }

    #[must_use]
    pub fn with_price(self, cycle: Cycle, price: Won) -> Self {
        match cycle {
            Cycle::Monthly => Self { monthly: price, ..self },
            Cycle::Yearly => Self { yearly: price, ..self },
        }
    }
}

impl Cycle {
    /// As it stands in Korean e-mails and order names.
    pub fn korean(self) -> &'static str {
        match self {
            Self::Monthly => "월간",
            Self::Yearly => "연간",
        }
    }
}
