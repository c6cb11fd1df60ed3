//! What PostgreSQL itself can do on this machine now: a bare table with three indexes, and the fewest statements.

use std::time::{Duration, Instant};

use sqlx::{
    PgConnection, PgPool, Row,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::task::JoinSet;

use super::{
    figure::{Figure, Unit},
    latency::Samples,
};

const ROWS: u32 = 100_000;
const ROWS_ONE_BY_ONE: u32 = 16_000;
const BATCH: i64 = 100;
const PINGS: u32 = 300;
const PAUSE: Duration = Duration::from_millis(10);

/// The yardsticks of a run.
pub(super) struct Limits {
    pub(super) insert: Figure,
    pub(super) one_by_one: Figure,
    pub(super) batched: Figure,
    pub(super) notify_p50: Figure,
    pub(super) notify_p99: Figure,
}

impl Limits {
    pub(super) async fn measure(pool: &PgPool) -> anyhow::Result<Self> {
        let options = pool.connect_options().as_ref().clone();
        let pool = PgPoolOptions::new().max_connections(32).connect_with(options).await?;
        let table = "create table scratch (
             id bigint generated always as identity primary key, kind text not null, state text not null,
             priority smallint not null, run_at timestamptz not null, args jsonb not null, token uuid,
             finished_at timestamptz);
         create index on scratch (priority, run_at, id) where state = 'available';
         create index on scratch (finished_at) where finished_at is not null";
        sqlx::raw_sql(table).execute(&pool).await?;
        let insert = fill(&pool, ROWS).await?;
        let batched = drain(&pool, 8, BATCH).await?;
        fill(&pool, ROWS_ONE_BY_ONE).await?;
        let one_by_one = drain(&pool, 32, 1).await?;
        let pings = ping(&pool).await?;
        sqlx::query("drop table scratch").execute(&pool).await?;
        pool.close().await;
        Ok(Self {
            insert: Figure::seconds("PostgreSQL: INSERT … SELECT of 100,000 rows, 3 indexes", insert),
            one_by_one: Figure::rate(
                "PostgreSQL: claim, complete: 2 commits, 32 clients",
                ROWS_ONE_BY_ONE,
                one_by_one,
            ),
            batched: Figure::rate("PostgreSQL: claim 100, complete 100, 8 clients", ROWS, batched),
            notify_p50: Figure::of(
                "PostgreSQL: NOTIFY → heard, p50",
                Unit::Milliseconds,
                pings.percentile_ms(50),
            ),
            notify_p99: Figure::of(
                "PostgreSQL: NOTIFY → heard, p99",
                Unit::Milliseconds,
                pings.percentile_ms(99),
            ),
        })
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        [&self.insert, &self.one_by_one, &self.batched, &self.notify_p50, &self.notify_p99]
            .map(Clone::clone)
            .to_vec()
    }
}

async fn fill(pool: &PgPool, rows: u32) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let insert = "insert into scratch (kind, state, priority, run_at, args)
        select 'work', 'available', 100, now() - interval '1 second', jsonb_build_object('id', n)
          from generate_series(1, $1::bigint) as n";
    sqlx::query(insert).bind(i64::from(rows)).execute(pool).await?;
    Ok(begun.elapsed())
}

/// So many clients take `batch` rows, then write that they are done, each in a commit of its own.
async fn drain(pool: &PgPool, clients: u32, batch: i64) -> anyhow::Result<Duration> {
    sqlx::query("vacuum analyze scratch").execute(pool).await?;
    let begun = Instant::now();
    let mut draining = JoinSet::new();
    for _ in 0..clients {
        let pool = pool.clone();
        draining.spawn(async move {
            let mut conn = pool.acquire().await?;
            while take_and_finish(&mut conn, batch).await? {}
            anyhow::Ok(())
        });
    }
    while let Some(client) = draining.join_next().await {
        client??;
    }
    Ok(begun.elapsed())
}

async fn take_and_finish(conn: &mut PgConnection, batch: i64) -> anyhow::Result<bool> {
    let take = "update scratch set state = 'running', token = gen_random_uuid() from (
             select id as due from scratch where state = 'available' and priority = 100 and run_at <= now()
              order by run_at, id limit $1 for update skip locked) d
         where id = due returning id";
    let taken = sqlx::query(take).bind(batch).fetch_all(&mut *conn).await?;
    let ids = taken.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
    if ids.is_empty() {
        return Ok(false);
    }
    let finish = "update scratch set state = 'done', token = null, finished_at = now() where id = any ($1)";
    sqlx::query(finish).bind(&ids).execute(conn).await?;
    Ok(true)
}

async fn ping(pool: &PgPool) -> anyhow::Result<Samples> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("ping").await?;
    let mut samples = Samples::default();
    for _ in 0..PINGS {
        tokio::time::sleep(PAUSE).await;
        let begun = Instant::now();
        sqlx::query("notify ping").execute(pool).await?;
        listener.recv().await?;
        samples.add(begun.elapsed());
    }
    Ok(samples)
}
