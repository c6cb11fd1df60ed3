//! How columns become the domain's types: text becomes a word that the type knows, an integer becomes won or a count. A value
//! that this version does not know is an error that names its column.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Type};

use crate::clock::ClockKind;
use crate::domain::calendar::Cycle;
use crate::domain::ending::RefundPolicy;
use crate::domain::invoice::InvoiceStatus;
use crate::domain::money::Won;
use crate::domain::operator::Role;
use crate::domain::payment::{DeclineKind, PaymentKind, PaymentStatus};
use crate::domain::plan_change::ChangeEnd;
use crate::domain::reconcile::DiscrepancyKind;
use crate::domain::refund::RefundStatus;
use crate::domain::registration::RegistrationStatus;
use crate::domain::subscription::SubscriptionStatus;

macro_rules! text_columns {
    ($($column:ty),+ $(,)?) => {$(
        impl Type<Postgres> for $column {
            fn type_info() -> PgTypeInfo {
                <str as Type<Postgres>>::type_info()
            }

            fn compatible(info: &PgTypeInfo) -> bool {
                <str as Type<Postgres>>::compatible(info)
            }
        }

        impl<'r> Decode<'r, Postgres> for $column {
            fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
                let text = <&str as Decode<Postgres>>::decode(value)?;
                text.parse().map_err(|_| format!("{text:?} is a word that this version does not know").into())
            }
        }
    )+};
}

text_columns!(
    ChangeEnd,
    ClockKind,
    Cycle,
    DeclineKind,
    DiscrepancyKind,
    InvoiceStatus,
    PaymentKind,
    PaymentStatus,
    RefundPolicy,
    RefundStatus,
    RegistrationStatus,
    Role,
    SubscriptionStatus,
);

/// A number that is never negative, such as the number of a period.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(u32);

impl From<Count> for u32 {
    fn from(count: Count) -> Self {
        count.0
    }
}

macro_rules! integer_columns {
    ($($column:ty = $from:expr),+ $(,)?) => {$(
        impl Type<Postgres> for $column {
            fn type_info() -> PgTypeInfo {
                <i32 as Type<Postgres>>::type_info()
            }
        }

        impl<'r> Decode<'r, Postgres> for $column {
            fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
                let number = <i32 as Decode<Postgres>>::decode(value)?;
                $from(number).map_err(Into::into)
            }
        }
    )+};
}

impl<'de> Deserialize<'de> for Won {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(from)?).map_err(D::Error::custom)
    }
}

integer_columns!(
    Won = |number| Won::new(i64::from(number)),
    Count = |number| u32::try_from(number).map(Count),
);
