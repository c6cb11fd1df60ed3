//! What the hot statements cost as the tables grow: a claim beside finished and future jobs, the facts of a charge beside
//! paid ones, and a sweep over open invoices. Draws the curve.

use std::{path::Path, time::Instant};

use anyhow::Context;
use common::clock::Clock;
use common::queue::{claim, release};
use common::store::charge_facts;
use sqlx::PgPool;
use url::Url;
use uuid::Uuid;

use super::figure::{Figure, Unit};
use super::latency::Samples;
use super::plot::{Curve, draw};
use crate::database::Database;

const SAMPLES: u32 = 60;
const KIND: &str = "bench";
/// Of each, to claim while all the others are in the way.
const DUE: u32 = 200;

pub(super) async fn measure(server: &Url, folder: &Path, largest: u32) -> anyhow::Result<Vec<Figure>> {
    let database = Database::recreate(server, "bench_growth", 4).await?;
    let pool = &database.pool;
    let names = ["claim", "facts of a charge", "sweep"];
    let mut curves = names.map(|name| Curve { name, points: Vec::new() });
    let mut size = 0;
    let sizes = [1_000, 10_000, 100_000, 1_000_000].into_iter().filter(|size| *size <= largest);
    for next in sizes {
        grow(&database, size, next).await?;
        size = next;
        let costs = [claims(pool).await?, facts(pool).await?, sweep(pool).await?];
        for (curve, cost) in curves.iter_mut().zip(costs) {
            curve.points.push((f64::from(size), cost));
        }
    }
    let file = folder.join("growth.svg");
    std::fs::write(&file, draw("median ms per statement, by rows", &curves))
        .context("cannot write the curve")?;
    eprintln!("The curve is in {}", file.display());
    explain(pool, folder).await?;
    database.remove(server).await?;
    Ok(figures(&curves, size))
}

fn figures(curves: &[Curve], size: u32) -> Vec<Figure> {
    curves
        .iter()
        .filter_map(|curve| {
            let ((_, small), (_, large)) = (curve.points.first()?, curve.points.last()?);
            let small = Figure::of("with 1,000 rows of each", Unit::Milliseconds, *small);
            let what = format!("{} with {size} rows of each", curve.name);
            Some(Figure::of(&what, Unit::Milliseconds, *large).against(&small))
        })
        .collect()
}

/// From `before` to `size` subscriptions with a paid and an open invoice each, as many future jobs, and ten times as many
/// finished ones.
async fn grow(database: &Database, before: u32, size: u32) -> anyhow::Result<()> {
    let sql = include_str!("sql/grow.sql")
        .replace("$1", &format!("{}", before + 1))
        .replace("$2", &format!("{size}"));
    let statements = sql.split(";\n").filter(|sql| !sql.trim().is_empty()).chain(["vacuum analyze"]);
    database.run_long(statements).await
}

async fn claims(pool: &PgPool) -> anyhow::Result<f64> {
    let (mut samples, mut conn, now) = (Samples::default(), pool.acquire().await?, Clock::System.now());
    let lease = std::time::Duration::from_mins(1);
    for _ in 0..SAMPLES.min(DUE) {
        let begun = Instant::now();
        let claimed = claim(&mut *conn, &[KIND], 1, lease, "bench", now).await?;
        samples.add(begun.elapsed());
        let leases: Vec<_> = claimed.iter().map(|job| (job.id, job.token)).collect();
        release(&mut *conn, &leases).await?;
    }
    Ok(samples.percentile_ms(50))
}

async fn facts(pool: &PgPool) -> anyhow::Result<f64> {
    let some = "select subscription_id, id from invoices where status = 'open' limit $1";
    let some: Vec<(Uuid, Uuid)> = sqlx::query_as(some).bind(i64::from(SAMPLES)).fetch_all(pool).await?;
    let mut samples = Samples::default();
    for (subscription_id, invoice_id) in some {
        let mut tx = pool.begin().await?;
        let begun = Instant::now();
        charge_facts::lock(&mut tx, subscription_id, invoice_id).await?.context("the facts are there")?;
        samples.add(begun.elapsed());
        tx.rollback().await?;
    }
    Ok(samples.percentile_ms(50))
}

/// The longest statement of a pass. Each open invoice has its job, as in the middle of a large day.
async fn sweep(pool: &PgPool) -> anyhow::Result<f64> {
    let mut longest = Samples::default();
    for _ in 0..5 {
        let mut slices = Samples::default();
        super::sweep::pass(pool, &mut slices).await?;
        longest.add(slices.longest());
    }
    Ok(longest.percentile_ms(50))
}

/// The plans of the hot statements on the tables as they are, for the document.
async fn explain(pool: &PgPool, folder: &Path) -> anyhow::Result<()> {
    let statements = [
        ("claim", super::pgbench::claim(KIND, 32)),
        ("sweep", sweep_slice()),
        (
            "attempts",
            "select * from payments where invoice_id = (select id from invoices limit 1)".to_owned(),
        ),
        (
            "due",
            "select id from subscriptions where status = 'active' and next_billing_date <= now() \
                 and (next_billing_date, id) > ('-infinity', '00000000-0000-0000-0000-000000000000') \
                 order by next_billing_date, id limit 5000 for share skip locked"
                .to_owned(),
        ),
    ];
    let mut text = String::new();
    for (name, sql) in statements {
        let mut tx = pool.begin().await?;
        let explained = format!("explain (analyze, buffers, costs off) {sql}");
        let lines: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(explained)).fetch_all(&mut *tx).await?;
        tx.rollback().await?;
        text.extend([name, "\n", &lines.join("\n"), "\n\n"]);
    }
    Ok(std::fs::write(folder.join("plans.txt"), text)?)
}

/// The sweep's own statement for open invoices, with its parameters filled in.
fn sweep_slice() -> String {
    let values = [
        ("$1", "now()"),
        ("$2", "25"),
        ("$3", "now()"),
        ("$4", "'charge-subscription'"),
        ("$5", "array['charge-subscription']"),
        ("$6", "'00000000-0000-0000-0000-000000000000'"),
        ("$7", "2500"),
        ("as \"made!\"", "as made"),
    ];
    let sql = include_str!("../../../common/src/store/sql/sweep_slice.sql");
    let sql: String =
        sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join(" ");
    values.iter().fold(sql, |sql, (parameter, value)| sql.replace(parameter, value))
}
