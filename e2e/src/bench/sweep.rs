//! What looking for lost jobs and counting the queue cost in the middle of a large day: many open invoices, each with its job.

use std::time::Instant;

use anyhow::ensure;
use chrono::TimeDelta;
use common::clock::Clock;
use common::domain::calendar::seoul_date;
use common::queue::depth;
use common::store::sweep::{GROUPS, make_missing_jobs};
use sqlx::PgPool;
use url::Url;
use uuid::Uuid;
use worker::sweep::SLICE;

use super::charges::{anchor_due_by, bill_all};
use super::figure::{Figure, Unit};
use super::latency::Samples;
use crate::database::Database;
use crate::subscribers;

const ROUNDS: u32 = 10;

pub(super) async fn measure(server: &Url, size: u32) -> anyhow::Result<Vec<Figure>> {
    let database = Database::recreate(server, "bench_sweep", 4).await?;
    let (pool, open) = (&database.pool, size / 10);
    let now = Clock::System.now();
    let all = subscribers::invent(usize::try_from(open)?);
    subscribers::insert(pool, &all, anchor_due_by(seoul_date(now))?, now).await?;
    bill_all(&database).await?;
    // The first pass reads the catalog.
    pass(pool, &mut Samples::default()).await?;
    let (mut slices, mut passes, mut counts) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        pass(pool, &mut slices).await?;
        passes.add(begun.elapsed());
        let begun = Instant::now();
        depth(&mut *pool.acquire().await?, now).await?;
        counts.add(begun.elapsed());
    }
    database.remove(server).await?;
    let figures = [
        (
            format!("sweep with {open} open invoices: longest statement of {SLICE} rows"),
            slices.percentile_ms(100),
        ),
        (format!("sweep with {open} open invoices: all statements of a pass"), passes.percentile_ms(50)),
        (format!("metrics with {open} waiting jobs"), counts.percentile_ms(50)),
    ];
    Ok(figures.into_iter().map(|(what, ms)| Figure::of(&what, Unit::Milliseconds, ms)).collect())
}

/// All slices of all kinds, as the worker goes through them. Every open invoice has its job.
pub(super) async fn pass(pool: &PgPool, slices: &mut Samples) -> anyhow::Result<()> {
    let now = Clock::System.now();
    let mut conn = pool.acquire().await?;
    for group in GROUPS {
        let mut after = Some(Uuid::nil());
        while let Some(last) = after {
            let begun = Instant::now();
            let before = now + TimeDelta::minutes(1);
            let swept = make_missing_jobs(&mut conn, group, (last, SLICE), before, now).await?;
            slices.add(begun.elapsed());
            ensure!(swept.made == 0, "every open invoice has its job");
            after = swept.until;
        }
    }
    Ok(())
}
