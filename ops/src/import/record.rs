//! A row understood: each value of its type, or a mistake with the name of its field.

use common::domain::calendar::seoul_date;
use common::domain::import::SourceStatus;
use common::domain::money::Won;
use common::domain::validated::RecordedCustomerKey;
use common::email::is_address;
use common::id::parse_subscription_ref;
use secrecy::SecretString;
use uuid::{Uuid, uuid};

use super::model::{Mistakes, Record};
use super::rows::{Row, Rows};
use super::spreadsheet;
use super::time_text::{NaiveTimes, parse_instant};

/// Ids of other systems that are no UUIDs become one, always the same, in this namespace.
const NAMESPACE: Uuid = uuid!("5f0c2a3e-9f43-5d0a-8a5b-0c6a4b7d1e02");

/// Every row that could be understood, and what is wrong with the others.
pub(crate) fn parse(rows: &Rows, naive: NaiveTimes) -> (Vec<Record>, Mistakes) {
    let mut mistakes = Mistakes::default();
    for (place, why) in &rows.broken {
        mistakes.add(place, "", why);
    }
    let records = rows.all.iter().filter_map(|row| record(row, naive, &mut mistakes)).collect();
    (records, mistakes)
}

#[expect(
    clippy::too_many_lines,
    reason = "a table: one rule for each column, each read before any is missed"
)]
fn record(row: &Row, naive: NaiveTimes, mistakes: &mut Mistakes) -> Option<Record> {
    let mut fields = Fields { row, mistakes };
    let source_id = fields.text("id", "must be 1 to 255 printable characters", |text| is_line(text, 255));
    let user_id = fields.parsed("user_id", "must be a UUID", |text| Uuid::try_parse(text).ok());
    let plan = fields.text("plan", "must be the code of a plan", |text| is_line(text, 50));
    let cycle = fields.parsed("billing_cycle", "must be monthly or yearly", |text| text.parse().ok());
    let billing_key = fields
        .text("billing_key", "must be 1 to 200 visible ASCII characters", |text| is_visible(text, 200))
        .map(SecretString::from);
    // What is imported here is compared by the API when the customer registers a new card.
    let customer_key = fields.parsed("customer_key", RecordedCustomerKey::RULE.en, |text| {
        RecordedCustomerKey::try_from(text.to_owned()).ok().map(String::from)
    });
    let amount = fields.parsed("amount", "must be whole won, digits only", won);
    let status =
        fields.parsed("status", "must be active, past_due, suspended or canceled", |text| text.parse().ok());
    let is_instant = "must be a date like 2026-12-22, or a time like 2026-12-22T00:00:00+09:00";
    let next_on = fields.parsed("next_billing_date", is_instant, |text| parse_instant(text, naive));
    let mut instant = |name| fields.optional(name, is_instant, |text| parse_instant(text, naive));
    let (created_at, updated_at, canceled_at) =
        (instant("created_at"), instant("updated_at"), instant("canceled_at"));
    let cancel_reason = fields.optional("cancel_reason", "must be at most 500 characters", |text| {
        (text.chars().count() <= 500 && !text.contains('\0')).then(|| text.to_owned())
    });
    let customer_email = fields.text("customer_email", "must be an e-mail address", is_address);
    let customer_name =
        fields.text("customer_name", "must be 1 to 100 printable characters", |text| is_line(text, 100));
    let anchor_day = fields.optional("anchor_day", "must be 1 to 31", |text| {
        text.parse().ok().filter(|day| (1..=31).contains(day))
    });
    let (status, canceled_at) = (status?, canceled_at?);
    if status == SourceStatus::Canceled && canceled_at.is_none() {
        fields.mistakes.add(&row.place, "canceled_at", "is required for a canceled subscription");
        return None;
    }
    let source_id = source_id?;
    Some(Record {
        place: row.place.clone(),
        id: own_id(&source_id),
        source_id,
        user_id: user_id?,
        plan: plan?,
        cycle: cycle?,
        billing_key: billing_key?,
        customer_key: customer_key?,
        amount: amount?,
        status,
        next_on: seoul_date(next_on?),
        created_at: created_at?,
        updated_at: updated_at?,
        canceled_at,
        cancel_reason: cancel_reason?,
        customer_email: customer_email?,
        customer_name: customer_name?,
        anchor_day: anchor_day?,
    })
}

/// A UUID, also written `sub_…`, stays what it is, so that links to it go on working.
fn own_id(source_id: &str) -> Uuid {
    parse_subscription_ref(source_id).unwrap_or_else(|| Uuid::new_v5(&NAMESPACE, source_id.as_bytes()))
}

struct Fields<'a> {
    row: &'a Row,
    mistakes: &'a mut Mistakes,
}

impl Fields<'_> {
    fn text(&mut self, name: &'static str, rule: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
        self.parsed(name, rule, |text| fits(text).then(|| text.to_owned()))
    }

    /// None where it is missing or wrong, which is noted.
    fn parsed<T>(&mut self, name: &'static str, rule: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let found = self.optional(name, rule, parse)?;
        if found.is_none() {
            self.mistakes.add(&self.row.place, name, "is missing");
        }
        found
    }

    /// None where it is wrong, which is noted; empty is not there. The value itself is never repeated.
    #[expect(clippy::option_option, reason = "wrong, not there, there")]
    fn optional<T>(
        &mut self,
        name: &'static str,
        rule: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        let Some(text) = self.row.values.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
        else {
            return Some(None);
        };
        if let Some(damage) = spreadsheet::damage(name, text) {
            self.mistakes.add(&self.row.place, name, damage);
            return None;
        }
        let parsed = parse(text);
        if parsed.is_none() {
            self.mistakes.add(&self.row.place, name, rule);
        }
        parsed.map(Some)
    }
}

fn won(text: &str) -> Option<Won> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok().and_then(|won| Won::new(won).ok()))?
}

fn is_line(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control)
}

fn is_visible(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| byte.is_ascii_graphic())
}
