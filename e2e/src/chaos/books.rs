//! Our books against the bank's, period by period: who was charged once, who was not and why, and what must not be.

use std::collections::{HashMap, HashSet};

use sqlx::PgPool;

use crate::bank::Ledger;

/// What our books say of one subscription and period.
#[derive(Debug, Default, sqlx::FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact of the books")]
struct Page {
    subscription: String,
    /// None: no invoice was ever made.
    amount: Option<i32>,
    invoice_is_paid: bool,
    is_held: bool,
    orders: Vec<String>,
    is_captured: bool,
    is_refused: bool,
    is_open: bool,
    is_in_review: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Charged,
    /// The bank refused, or the buyer's authentication ran out: our books say so, and no money moved.
    Refused,
    /// A person has it, and nothing moves meanwhile.
    WithAPerson,
    /// Still under way.
    Unsettled,
    Double,
    /// Due, and neither charged nor explained; or our books and the bank's differ.
    Lost,
}

/// How many of each.
#[derive(Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    pub charged: u64,
    pub refused: u64,
    pub with_a_person: u64,
    pub unsettled: u64,
    pub doubles: u64,
    pub losses: u64,
    /// Money that the bank took and of which our books know nothing.
    pub unknown_captures: u64,
    /// The first few that are wrong, for whoever looks for the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<String>,
}

const SHOWN: usize = 10;

impl Verdict {
    pub(super) async fn of(pool: &PgPool, ledger: &Ledger) -> anyhow::Result<Self> {
        let pages = read(pool).await?;
        Ok(Self::on(&pages, &ledger.net_by_order()))
    }

    fn on(pages: &[Page], bank: &HashMap<&str, i64>) -> Self {
        let mut verdict = Self::default();
        for page in pages {
            let taken = page.orders.iter().filter_map(|order| bank.get(order.as_str())).sum();
            let fate = judge(page, taken);
            let count = match fate {
                Fate::Charged => &mut verdict.charged,
                Fate::Refused => &mut verdict.refused,
                Fate::WithAPerson => &mut verdict.with_a_person,
                Fate::Unsettled => &mut verdict.unsettled,
                Fate::Double => &mut verdict.doubles,
                Fate::Lost => &mut verdict.losses,
            };
            *count = count.saturating_add(1);
            if matches!(fate, Fate::Unsettled | Fate::Double | Fate::Lost) && verdict.wrong.len() < SHOWN {
                let who = &page.subscription;
                verdict
                    .wrong
                    .push(format!("{fate:?}: {who}: the bank took {taken} won, our books say {page:?}"));
            }
        }
        let known: HashSet<&str> = pages.iter().flat_map(|page| &page.orders).map(String::as_str).collect();
        let unknown = bank.iter().filter(|(order, net)| **net != 0 && !known.contains(*order)).count();
        verdict.unknown_captures = u64::try_from(unknown).unwrap_or(u64::MAX);
        verdict
    }

    /// Whether every due period was charged exactly once, or is explained.
    pub fn is_good(&self) -> bool {
        [self.unsettled, self.doubles, self.losses, self.unknown_captures] == [0; 4]
    }
}

fn judge(page: &Page, taken: i64) -> Fate {
    let Some(amount) = page.amount else { return Fate::Lost };
    match taken - i64::from(amount) {
        1.. => Fate::Double,
        0 if page.is_captured && page.invoice_is_paid && !page.is_open => Fate::Charged,
        _ if page.is_in_review => Fate::WithAPerson,
        _ if page.is_open => Fate::Unsettled,
        _ if taken != 0 || page.is_captured || page.invoice_is_paid => Fate::Lost,
        _ if page.is_refused => Fate::Refused,
        _ if page.is_held => Fate::WithAPerson,
        _ => Fate::Lost,
    }
}

async fn read(pool: &PgPool) -> anyhow::Result<Vec<Page>> {
    let pages = sqlx::query_as(
        "select s.id::text as subscription, i.amount,
                coalesce(i.status = 'paid', false) as invoice_is_paid,
                i.held_since is not null as is_held,
                coalesce(array_agg(p.order_id) filter (where p.id is not null), '{}') as orders,
                coalesce(bool_or(p.status = 'completed'), false) as is_captured,
                coalesce(bool_or(p.status = 'failed'), false) as is_refused,
                coalesce(bool_or(p.status in ('pending', 'unknown')), false) as is_open,
                coalesce(bool_or(p.status = 'unknown' and p.review_since is not null), false) as is_in_review
           from subscriptions s
           left join invoices i on i.subscription_id = s.id
           left join payments p on p.invoice_id = i.id
          group by s.id, i.id",
    );
    Ok(pages.fetch_all(pool).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Page {
        Page { amount: Some(9_900), orders: vec!["A".to_owned()], ..Page::default() }
    }

    fn paid() -> Page {
        Page { invoice_is_paid: true, is_captured: true, ..open() }
    }

    #[test]
    fn a_period_is_charged_only_if_the_bank_and_our_books_agree_that_it_is() {
        assert_eq!(judge(&paid(), 9_900), Fate::Charged);
        assert_eq!(judge(&paid(), 0), Fate::Lost);
        assert_eq!(judge(&paid(), 9_800), Fate::Lost);
        assert_eq!(judge(&open(), 9_900), Fate::Lost);
        assert_eq!(judge(&Page { is_refused: true, ..open() }, 9_900), Fate::Lost);
    }

    #[test]
    fn more_money_than_the_period_costs_is_a_double_whatever_our_books_say() {
        assert_eq!(judge(&paid(), 19_800), Fate::Double);
        assert_eq!(judge(&Page { is_in_review: true, is_open: true, ..open() }, 19_800), Fate::Double);
    }

    #[test]
    fn a_due_period_without_an_invoice_or_without_a_reason_is_lost() {
        assert_eq!(judge(&Page::default(), 0), Fate::Lost);
        assert_eq!(judge(&open(), 0), Fate::Lost);
        assert_eq!(judge(&Page { is_refused: true, ..open() }, 0), Fate::Refused);
        assert_eq!(judge(&Page { is_open: true, ..open() }, 0), Fate::Unsettled);
    }

    #[test]
    fn an_order_that_only_the_bank_knows_is_found() {
        let verdict = Verdict::on(&[paid()], &HashMap::from([("A", 9_900), ("B", 9_900)]));
        assert_eq!((verdict.charged, verdict.unknown_captures), (1, 1));
        assert!(!verdict.is_good());
    }
}
