//! The report of an import, as text and as JSON. No key, name or address is in it.

use std::{collections::BTreeMap, fmt};

use chrono::NaiveDate;
use common::domain::{import::Handover, money::Won, subscription::SubscriptionStatus};
use serde::Serialize;

use super::model::{Mistake, Validated};
use super::rows::{Rows, column};
use crate::text::plain;

/// Lines of one kind that the text shows; JSON has all of them.
const SHOWN: usize = 20;

/// A subscription whose date counts as charged in the other system.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    pub place: String,
    pub from: NaiveDate,
    pub first_charge_on: NaiveDate,
    pub amount: Won,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    pub place: String,
    pub why: &'static str,
}

/// Counts and won.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Sum {
    pub subscriptions: usize,
    pub won: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub source: String,
    pub first_charge_after: NaiveDate,
    /// False: nothing was written.
    pub applied: bool,
    pub rows: usize,
    /// Not here yet.
    pub new: usize,
    /// Of these, written by this run.
    pub imported: usize,
    /// Brought by an earlier run; unchanged.
    pub known: usize,
    pub left_out: Vec<LeftOut>,
    pub moved: Vec<Moved>,
    /// New ones whose agreed amount, which is kept, is less than the plan's price.
    pub below_price: usize,
    /// New active ones whose date has come: the next scan charges them.
    pub due_at_once: Sum,
    /// What is charged first on which date.
    pub first_charges: BTreeMap<NaiveDate, Sum>,
    pub ignored_columns: Vec<String>,
    pub mistakes: Vec<Mistake>,
}

impl Report {
    pub(crate) fn about(rows: &Rows, first_charge_after: NaiveDate) -> Self {
        let ignored = rows.columns.iter().filter(|name| column(name).is_none());
        Self {
            source: rows.source.clone(),
            first_charge_after,
            applied: false,
            rows: rows.all.len().saturating_add(rows.broken.len()),
            new: 0,
            imported: 0,
            known: 0,
            left_out: Vec::new(),
            moved: Vec::new(),
            below_price: 0,
            due_at_once: Sum::default(),
            first_charges: BTreeMap::new(),
            ignored_columns: ignored.cloned().collect(),
            mistakes: Vec::new(),
        }
    }

    pub(crate) fn count(&mut self, validated: &Validated, handover: Handover) {
        self.new = validated.new.len();
        self.known = validated.known;
        let left_out = validated.left_out.iter();
        self.left_out = left_out.map(|(place, why)| LeftOut { place: place.to_string(), why }).collect();
        self.below_price = validated.new.iter().filter(|one| one.is_below_price).count();
        for one in validated.new.iter().filter(|one| one.placement.status == SubscriptionStatus::Active) {
            let (on, amount) = (one.placement.paid.end, one.record.amount);
            self.first_charges.entry(on).or_default().add(amount);
            if on <= handover.today {
                self.due_at_once.add(amount);
            }
            if let Some(from) = one.placement.moved_from {
                let place = one.record.place.to_string();
                self.moved.push(Moved { place, from, first_charge_on: on, amount });
            }
        }
    }
}

impl Sum {
    fn add(&mut self, amount: Won) {
        self.subscriptions = self.subscriptions.saturating_add(1);
        self.won = self.won.saturating_add(amount.get().into());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, rows, new, known, .. } = self;
        let left_out = self.left_out.len();
        writeln!(f, "{}: {rows} rows, {new} new, {known} here already, {left_out} left out", plain(source))?;
        if !self.ignored_columns.is_empty() {
            writeln!(f, "columns without a meaning here: {}", plain(&self.ignored_columns.join(", ")))?;
        }
        lines(f, &self.left_out, |row| format!("left out: {}: {}", row.place, row.why))?;
        lines(f, &self.moved, |row| {
            let Moved { place, from, first_charge_on, amount } = row;
            format!("{place}: {from} counts as charged there; {amount} on {first_charge_on}")
        })?;
        if self.below_price > 0 {
            writeln!(f, "{} keep an agreed amount below the plan's price", self.below_price)?;
        }
        if let (Some((first, _)), Some((last, _))) =
            (self.first_charges.first_key_value(), self.first_charges.last_key_value())
        {
            let Sum { subscriptions, won } = self.due_at_once;
            writeln!(f, "first charges from {first} to {last}; due at once: {subscriptions}, {won} won")?;
        }
        for Mistake { place, field, problem } in &self.mistakes {
            let field = if field.is_empty() { String::new() } else { format!(": {field}") };
            writeln!(f, "  {place}{field} {problem}")?;
        }
        self.verdict(f)
    }
}

impl Report {
    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (after, wrong) = (self.first_charge_after, self.mistakes.len());
        match (self.applied, wrong) {
            (true, _) => {
                writeln!(f, "imported {}; nothing is charged for a date up to {after}", self.imported)
            }
            (false, 0) => writeln!(f, "nothing is wrong, and nothing was written: add --apply to import"),
            (false, _) => writeln!(f, "{wrong} mistakes; nothing was written"),
        }
    }
}

fn lines<T>(f: &mut fmt::Formatter<'_>, all: &[T], line: impl Fn(&T) -> String) -> fmt::Result {
    for one in all.iter().take(SHOWN) {
        writeln!(f, "  {}", line(one))?;
    }
    match all.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(f, "  … and {more} more (--json has all)"),
    }
}
