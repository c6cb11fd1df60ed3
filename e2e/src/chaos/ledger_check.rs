//! Compares our ledger with the gateway's, period by period: charged once, not charged and why, or wrong.

use std::collections::{HashMap, HashSet};

use sqlx::PgPool;

use crate::bank::Ledger;

/// Our rows of one subscription and period.
#[derive(Debug, Default, sqlx::FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact")]
struct PeriodRow {
    subscription: String,
    /// `None` when no invoice was made.
    amount: Option<i32>,
    invoice_is_paid: bool,
    is_held: bool,
    orders: Vec<String>,
    is_captured: bool,
    is_declined: bool,
    is_open: bool,
    is_in_review: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PeriodOutcome {
    Charged,
    /// Declined, or the authentication expired: recorded so, and no money moved.
    Declined,
    /// In review or on hold, and no money moved.
    NeedsOperator,
    /// A payment is still open.
    Unfinished,
    ChargedTwice,
    /// Due, not charged and without a reason; or the ledgers differ.
    Lost,
}

/// The number of periods of each outcome.
#[derive(Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerCheck {
    pub charged: u64,
    pub declined: u64,
    pub needs_operator: u64,
    pub unfinished: u64,
    pub charged_twice: u64,
    pub lost: u64,
    /// Orders that the gateway captured and we do not know.
    pub unknown_captures: u64,
    /// The first wrong periods in detail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<String>,
}

const SHOWN: usize = 10;

impl LedgerCheck {
    pub(super) async fn of(pool: &PgPool, ledger: &Ledger) -> anyhow::Result<Self> {
        let rows = read(pool).await?;
        Ok(Self::on(&rows, &ledger.net_by_order()))
    }

    fn on(rows: &[PeriodRow], gateway: &HashMap<&str, i64>) -> Self {
        let mut check = Self::default();
        for row in rows {
            let net = row.orders.iter().filter_map(|order| gateway.get(order.as_str())).sum();
            let outcome = outcome_of(row, net);
            let count = match outcome {
                PeriodOutcome::Charged => &mut check.charged,
                PeriodOutcome::Declined => &mut check.declined,
                PeriodOutcome::NeedsOperator => &mut check.needs_operator,
                PeriodOutcome::Unfinished => &mut check.unfinished,
                PeriodOutcome::ChargedTwice => &mut check.charged_twice,
                PeriodOutcome::Lost => &mut check.lost,
            };
            *count = count.saturating_add(1);
            if matches!(
                outcome,
                PeriodOutcome::Unfinished | PeriodOutcome::ChargedTwice | PeriodOutcome::Lost
            ) && check.wrong.len() < SHOWN
            {
                let subscription = &row.subscription;
                check
                    .wrong
                    .push(format!("{outcome:?}: {subscription}: the gateway has {net} won, we have {row:?}"));
            }
        }
        let known: HashSet<&str> = rows.iter().flat_map(|row| &row.orders).map(String::as_str).collect();
        let unknown = gateway.iter().filter(|(order, net)| **net != 0 && !known.contains(*order)).count();
        check.unknown_captures = u64::try_from(unknown).unwrap_or(u64::MAX);
        check
    }

    /// Whether every due period was charged exactly once, or has a reason.
    pub fn is_good(&self) -> bool {
        [self.unfinished, self.charged_twice, self.lost, self.unknown_captures] == [0; 4]
    }
}

fn outcome_of(row: &PeriodRow, net: i64) -> PeriodOutcome {
    let Some(amount) = row.amount else { return PeriodOutcome::Lost };
    match net - i64::from(amount) {
        1.. => PeriodOutcome::ChargedTwice,
        0 if row.is_captured && row.invoice_is_paid && !row.is_open => PeriodOutcome::Charged,
        _ if row.is_in_review => PeriodOutcome::NeedsOperator,
        _ if row.is_open => PeriodOutcome::Unfinished,
        _ if net != 0 || row.is_captured || row.invoice_is_paid => PeriodOutcome::Lost,
        _ if row.is_declined => PeriodOutcome::Declined,
        _ if row.is_held => PeriodOutcome::NeedsOperator,
        _ => PeriodOutcome::Lost,
    }
}

async fn read(pool: &PgPool) -> anyhow::Result<Vec<PeriodRow>> {
    let rows = sqlx::query_as(
        "select s.id::text as subscription, i.amount,
                coalesce(i.status = 'paid', false) as invoice_is_paid,
                i.held_since is not null as is_held,
                coalesce(array_agg(p.order_id) filter (where p.id is not null), '{}') as orders,
                coalesce(bool_or(p.status = 'completed'), false) as is_captured,
                coalesce(bool_or(p.status = 'failed'), false) as is_declined,
                coalesce(bool_or(p.status in ('pending', 'unknown')), false) as is_open,
                coalesce(bool_or(p.status = 'unknown' and p.review_since is not null), false) as is_in_review
           from subscriptions s
           left join invoices i on i.subscription_id = s.id
           left join payments p on p.invoice_id = i.id
          group by s.id, i.id",
    );
    Ok(rows.fetch_all(pool).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> PeriodRow {
        PeriodRow { amount: Some(9_900), orders: vec!["A".to_owned()], ..PeriodRow::default() }
    }

    fn paid() -> PeriodRow {
        PeriodRow { invoice_is_paid: true, is_captured: true, ..open() }
    }

    #[test]
    fn a_period_is_charged_only_if_both_ledgers_say_so() {
        assert_eq!(outcome_of(&paid(), 9_900), PeriodOutcome::Charged);
        assert_eq!(outcome_of(&paid(), 0), PeriodOutcome::Lost);
        assert_eq!(outcome_of(&paid(), 9_800), PeriodOutcome::Lost);
        assert_eq!(outcome_of(&open(), 9_900), PeriodOutcome::Lost);
        assert_eq!(outcome_of(&PeriodRow { is_declined: true, ..open() }, 9_900), PeriodOutcome::Lost);
    }

    #[test]
    fn more_money_than_the_price_is_charged_twice() {
        assert_eq!(outcome_of(&paid(), 19_800), PeriodOutcome::ChargedTwice);
        assert_eq!(
            outcome_of(&PeriodRow { is_in_review: true, is_open: true, ..open() }, 19_800),
            PeriodOutcome::ChargedTwice
        );
    }

    #[test]
    fn a_due_period_without_invoice_or_reason_is_lost() {
        assert_eq!(outcome_of(&PeriodRow::default(), 0), PeriodOutcome::Lost);
        assert_eq!(outcome_of(&open(), 0), PeriodOutcome::Lost);
        assert_eq!(outcome_of(&PeriodRow { is_declined: true, ..open() }, 0), PeriodOutcome::Declined);
        assert_eq!(outcome_of(&PeriodRow { is_open: true, ..open() }, 0), PeriodOutcome::Unfinished);
    }

    #[test]
    fn an_order_that_only_the_gateway_knows_is_found() {
        let check = LedgerCheck::on(&[paid()], &HashMap::from([("A", 9_900), ("B", 9_900)]));
        assert_eq!((check.charged, check.unknown_captures), (1, 1));
        assert!(!check.is_good());
    }
}
