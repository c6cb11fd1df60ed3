//! Compares a day of Toss's books with ours. What differs is written down and shown, never repaired silently; refunds made
//! in Toss's dashboard are booked as what they are, and written down all the same.

use apalis::prelude::Data;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use common::domain::breaker::GatewayAccount;
use common::domain::calendar::{days_after, seoul_midnight};
use common::domain::reconcile::{Books, Discrepancy, DiscrepancyKind, Movement};
use common::id::new_id;
use common::jobs::ReconcilePayments;
use common::queue::{Finish, JobError, Lease, Ran};
use common::store::discrepancies::{Recorded, Run};
use common::store::gate::Lane;
use common::store::{discrepancies, payments, reconcile};
use toss::{GatewayPayment, LookupOutcome};
use uuid::Uuid;

use self::gateway_transactions::{LedgerError, read_gateway_transactions};
use crate::env::{Env, raise_alarm};
use crate::gateway::health;
use crate::gateway::rate_limiter::pause_of;
use crate::gateway::reads::read_back;
use crate::refund::external::{BookedRefunds, book_external_refunds};

mod gateway_transactions;

/// Rows per page; Toss allows 5,000.
const PAGE: u16 = 1_000;
/// Orders looked up in one statement.
const BATCH: usize = 5_000;

/// A discrepancy of this run, with its row.
struct Seen {
    found: Discrepancy,
    row: Recorded,
}

/// Can die anywhere and run again: discrepancies are written once per day, kind and reference.
#[tracing::instrument(name = "job.reconcile_payments", skip_all, fields(reconciliation.date = %job.date))]
pub(crate) async fn reconcile_payments(
    job: ReconcilePayments,
    lease: Lease,
    env: Data<Env>,
) -> Result<Ran, JobError> {
    // The ledgers of both accounts are read.
    for account in [GatewayAccount::Billing, GatewayAccount::Widget] {
        if let Some(finish) = health::blocked(&env, account).await? {
            return Ok(Ran::Finish(finish));
        }
    }
    let started_at = env.clock.now();
    let books = match read_both_books(&env, job.date).await {
        Ok(books) => books,
        Err(unread) => return put_off(unread, started_at),
    };
    let seen_at = env.clock.now();
    let seen = write_down(&env, job.date, books.discrepancies(), seen_at).await?;
    let booked = book_found(&env, &seen).await?;
    conclude(&env, &lease, (&job, &books), (started_at, seen_at), (&seen, &booked)).await
}

/// Ends what is no discrepancy any more, and writes down what the comparison came to, with the job's own end.
async fn conclude(
    env: &Env,
    lease: &Lease,
    (job, books): (&ReconcilePayments, &Books),
    (started_at, seen_at): (DateTime<Utc>, DateTime<Utc>),
    (seen, booked): (&[Seen], &[Uuid]),
) -> Result<Ran, JobError> {
    let now = env.clock.now();
    let mut tx = env.pool.begin().await?;
    for id in booked {
        discrepancies::resolve(&mut tx, *id, "made in Toss's dashboard; booked as a refund", now).await?;
    }
    let why = "a later comparison finds it no longer";
    let gone = discrepancies::resolve_unseen(&mut tx, job.date, seen_at, why, now).await?;
    let open = discrepancies::count_open(&mut tx, job.date).await?;
    let run = Run {
        id: new_id(now),
        date: job.date,
        job_id: lease.id(),
        started_at,
        finished_at: now,
        captures: counted(books.of_the_day(Movement::Capture).count()),
        refunds: counted(books.of_the_day(Movement::Refund).count()),
        payments: counted(books.captured.len()),
        our_refunds: counted(books.refunded.len()),
        discrepancies_open: i32::try_from(open).unwrap_or(i32::MAX),
        discrepancies_new: counted(seen.iter().filter(|seen| seen.row.is_new).count()),
        discrepancies_ended: counted(booked.len()).saturating_add(i32::try_from(gone).unwrap_or(i32::MAX)),
    };
    discrepancies::insert_run(&mut tx, &run).await?;
    let note = summary(&run);
    tracing::info!(
        job.id = lease.id(),
        discrepancies.open = run.discrepancies_open,
        discrepancies.new = run.discrepancies_new,
        "reconciled"
    );
    Ok(Ran::Committed(lease.commit(tx, Finish::Done(Some(note)), now).await?))
}

fn summary(run: &Run) -> String {
    format!(
        "{}: {} captures, {} refunds at Toss; {} discrepancies open, {} new, {} ended",
        run.date,
        run.captures,
        run.refunds,
        run.discrepancies_open,
        run.discrepancies_new,
        run.discrepancies_ended
    )
}

/// What we say happened is read before Toss is asked, what we know of Toss's rows after: whatever happens meanwhile is
/// no discrepancy.
async fn read_both_books(env: &Env, date: NaiveDate) -> Result<Books, LedgerError> {
    let from = seoul_midnight(date);
    let until = days_after(date, 1).map_or(from + TimeDelta::days(1), seoul_midnight);
    let mut conn = env.pool.acquire().await.map_err(common::store::StoreError::from)?;
    let captured = reconcile::captured_between(&mut conn, from, until).await?;
    let refunded = reconcile::refunded_between(&mut conn, from, until).await?;
    drop(conn);
    let theirs = read_gateway_transactions(env, from, until, PAGE).await?;
    let mut orders: Vec<String> = theirs.iter().map(|row| row.order_id.clone()).collect();
    orders.sort_unstable();
    orders.dedup();
    let mut books = Books { day: (from, until), theirs, captured, refunded, ..Books::default() };
    let mut conn = env.pool.acquire().await.map_err(common::store::StoreError::from)?;
    for batch in orders.chunks(BATCH) {
        books.payments.extend(reconcile::payments_of_orders(&mut conn, batch).await?);
        books.refunds.extend(reconcile::refunds_of_orders(&mut conn, batch).await?);
    }
    Ok(books)
}

/// Toss does not answer: later. It answers that it will not: a try is spent, and a person sees why.
fn put_off(unread: LedgerError, now: DateTime<Utc>) -> Result<Ran, JobError> {
    let why = unread.to_string();
    let asked = match &unread {
        LedgerError::Toss(why) => pause_of(why.retry_after),
        LedgerError::Store(_) | LedgerError::Circular => TimeDelta::zero(),
    };
    let needs_a_person = match unread {
        LedgerError::Store(error) => return Err(error.into()),
        LedgerError::Circular => true,
        LedgerError::Toss(why) => !why.may_pass(),
    };
    if needs_a_person {
        raise_alarm("books_unreadable");
        tracing::error!(why, "Toss's books cannot be read");
        let error = format!("Toss's books cannot be read: {why}");
        return Ok(Ran::Finish(Finish::Retry { error, run_at: now + TimeDelta::hours(1) }));
    }
    let reason = format!("Toss's books could not be read to the end: {why}");
    Ok(Ran::Finish(Finish::Snooze { reason, run_at: now + TimeDelta::minutes(5).max(asked) }))
}

/// Writes every discrepancy down before anything is done about any, and raises the alarms.
async fn write_down(
    env: &Env,
    date: NaiveDate,
    found: Vec<Discrepancy>,
    now: DateTime<Utc>,
) -> Result<Vec<Seen>, JobError> {
    let mut seen = Vec::with_capacity(found.len());
    let mut tx = env.pool.begin().await?;
    for found in found {
        let row = discrepancies::record(&mut tx, date, &found, now).await?;
        seen.push(Seen { found, row });
    }
    tx.commit().await?;
    for Seen { found, .. } in seen.iter().filter(|seen| !seen.row.is_accepted) {
        let Discrepancy { kind, reference, order_id, our_amount, their_amount, .. } = found;
        if kind.is_alarm() {
            raise_alarm((*kind).into());
            tracing::error!(discrepancy.kind = %kind, reference, order_id, our_amount, their_amount, "money that nobody here answers for");
        } else {
            tracing::warn!(discrepancy.kind = %kind, reference, order_id, our_amount, their_amount, "the books differ");
        }
    }
    Ok(seen)
}

/// Books the refunds of our payments that were made in Toss's dashboard. Answers which discrepancies that explains.
async fn book_found(env: &Env, seen: &[Seen]) -> Result<Vec<Uuid>, JobError> {
    let unknown: Vec<&Seen> =
        seen.iter().filter(|seen| seen.found.kind == DiscrepancyKind::UnknownRefund).collect();
    let mut payments: Vec<Uuid> = unknown.iter().filter_map(|seen| seen.found.payment_id).collect();
    payments.sort_unstable();
    payments.dedup();
    let mut explained = Vec::new();
    for payment_id in payments {
        if let Some(shown) = book_of(env, payment_id).await? {
            let of_it = unknown.iter().filter(|seen| seen.found.payment_id == Some(payment_id));
            explained.extend(of_it.filter(|seen| lists(&shown, &seen.found)).map(|seen| seen.row.id));
        }
    }
    Ok(explained)
}

/// The payment as Toss shows it, if our books have all its cancels now.
async fn book_of(env: &Env, payment_id: Uuid) -> Result<Option<Box<GatewayPayment>>, JobError> {
    let mut conn = env.pool.acquire().await?;
    let Some(attempt) = payments::find(&mut conn, payment_id).await? else { return Ok(None) };
    drop(conn);
    let LookupOutcome::Found(shown) = read_back(env, &attempt, Lane::LookUp).await? else { return Ok(None) };
    let mut tx = env.pool.begin().await?;
    let booked = book_external_refunds(env, &mut tx, payment_id, &shown, env.clock.now()).await?;
    tx.commit().await?;
    Ok(match booked {
        BookedRefunds::Nothing | BookedRefunds::Booked(_) => Some(shown),
        BookedRefunds::WaitForOurs | BookedRefunds::NeedsReview(_) => None,
    })
}

fn lists(shown: &GatewayPayment, found: &Discrepancy) -> bool {
    shown.cancels.iter().any(|cancel| cancel.transaction_key == found.transaction_key)
}

fn counted(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
