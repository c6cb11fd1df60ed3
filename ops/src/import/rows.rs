//! The rows of a source before anybody has understood them: named texts, and where each row stands.

use std::collections::HashMap;

/// Everything a source holds.
pub struct Rows {
    /// The file's name, or host and database.
    pub source: String,
    pub(crate) columns: Vec<String>,
    pub(crate) all: Vec<Row>,
    /// Rows that could not be taken apart.
    pub(crate) broken: Vec<(Place, String)>,
}

/// Where a row stands, for the person who mends it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Line(u64),
    /// Its id in the source's database.
    Id(String),
}

/// Not `Debug`: it holds a billing key.
pub(crate) struct Row {
    pub(crate) place: Place,
    pub(crate) values: HashMap<&'static str, String>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Id(id) => write!(f, "subscription {}", crate::text::plain(id)),
        }
    }
}

pub(crate) const REQUIRED: [&str; 11] = [
    "id",
    "user_id",
    "plan",
    "billing_cycle",
    "billing_key",
    "customer_key",
    "amount",
    "status",
    "next_billing_date",
    "customer_email",
    "customer_name",
];
pub(crate) const OPTIONAL: [&str; 5] =
    ["created_at", "updated_at", "canceled_at", "cancel_reason", "anchor_day"];

/// The column that a heading means: `nextBillingDate`, `next_billing_date` and `NEXT_BILLING_DATE` are the same, and
/// the guide's `email` and `name` of a user are the customer's.
pub(crate) fn column(heading: &str) -> Option<&'static str> {
    let name = snake(heading.trim());
    let name = match name.as_str() {
        "email" => "customer_email",
        "name" => "customer_name",
        other => other,
    };
    REQUIRED.into_iter().chain(OPTIONAL).find(|known| *known == name)
}

fn snake(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let mut after_small = false;
    for c in text.chars() {
        if c.is_uppercase() && after_small {
            name.push('_');
        }
        after_small = c.is_lowercase() || c.is_ascii_digit();
        name.extend(c.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_may_be_camel_snake_or_capital() {
        for heading in ["nextBillingDate", "next_billing_date", " NEXT_BILLING_DATE "] {
            assert_eq!(column(heading), Some("next_billing_date"), "{heading}");
        }
        assert_eq!(
            (column("userID"), column("ID"), column("email")),
            (Some("user_id"), Some("id"), Some("customer_email"))
        );
        assert_eq!(column("favourite colour"), None);
    }
}
