//! A database of its own for each thread, and a clean one for each seed.

use secrecy::SecretString;
use sqlx::{
    Connection as _, PgConnection, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};

use crate::{memory, wire::Wire};

/// Nothing here needs to survive a power cut of this machine. Rows that no query orders come in an order that does not
/// depend on the hashes of random ids, so that a seed replays.
const SETTINGS: [&str; 4] =
    ["jit = off", "synchronous_commit = off", "enable_hashjoin = off", "enable_mergejoin = off"];

pub(crate) struct Database {
    options: PgConnectOptions,
    name: String,
    /// For the simulation's own questions.
    pub(crate) desk: PgPool,
    clean: Vec<String>,
}

impl Database {
    /// Needs `DATABASE_URL`, of a role that may create databases.
    pub(crate) async fn create(thread: usize) -> Self {
        let url = SecretString::from(std::env::var("DATABASE_URL").expect("DATABASE_URL"));
        let server: PgConnectOptions = secrecy::ExposeSecret::expose_secret(&url).parse().unwrap();
        let name = format!("simulation_{}_{thread}", std::process::id());
        let mut conn = PgConnection::connect_with(&server).await.unwrap();
        for sql in [format!("drop database if exists {name} with (force)"), format!("create database {name}")]
        {
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
        }
        for setting in SETTINGS {
            let sql = format!("alter database {name} set {setting}");
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
        }
        let options = server.database(&name);
        let desk = PgPoolOptions::new().max_connections(2).connect_with(options.clone()).await.unwrap();
        common::store::migrate(&desk).await.unwrap();
        // A fence is known to hold only by what happens without it.
        if let Ok(without) = std::env::var("WITHOUT") {
            sqlx::raw_sql(sqlx::AssertSqlSafe(without)).execute(&desk).await.unwrap();
        }
        let clean = remember(&desk).await;
        for sql in memory::SCHEMA {
            sqlx::query(sql).execute(&desk).await.unwrap();
        }
        Self { options, name, desk, clean }
    }

    pub(crate) fn server(&self) -> (String, u16) {
        (self.options.get_host().to_owned(), self.options.get_port())
    }

    /// A process's own connections, by its own wire.
    pub(crate) fn pool(&self, process: &str, wire: &Wire) -> PgPool {
        let options = self.options.clone().host("127.0.0.1").port(wire.port());
        PgPoolOptions::new()
            .max_connections(2)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.ssl_mode(PgSslMode::Disable).application_name(process))
    }

    /// As after the migrations.
    pub(crate) async fn clean(&self) {
        let mut conn = self.desk.acquire().await.unwrap();
        for sql in &self.clean {
            sqlx::query(sqlx::AssertSqlSafe(sql.clone())).execute(&mut *conn).await.unwrap();
        }
    }

    pub(crate) async fn drop(self) {
        self.desk.close().await;
        let mut conn = PgConnection::connect_with(&self.options.database("postgres")).await.unwrap();
        let sql = format!("drop database if exists {} with (force)", self.name);
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
    }
}

/// Keeps what the migrations wrote; answers the statements that bring a used database back to it.
async fn remember(desk: &PgPool) -> Vec<String> {
    sqlx::query("create schema remembered").execute(desk).await.unwrap();
    let tables = sqlx::query(
        "select tablename::text from pg_tables where schemaname = 'public' and tablename <> '_sqlx_migrations'",
    );
    let mut tables: Vec<String> =
        tables.fetch_all(desk).await.unwrap().iter().map(|row| row.get("tablename")).collect();
    tables.sort_unstable();
    let mut clean = vec![format!("truncate {} restart identity", tables.join(", "))];
    clean.extend(memory::TABLES.map(|table| format!("delete from remembered.{table}")));
    for table in &tables {
        // Its own pace would decide when pages are tidied up, and rows moved.
        let steady = format!("alter table {table} set (autovacuum_enabled = off)");
        sqlx::query(sqlx::AssertSqlSafe(steady)).execute(desk).await.unwrap();
        let filled = format!("select exists (select from {table})");
        let filled: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(filled)).fetch_one(desk).await.unwrap();
        if filled {
            let keep = format!("create table remembered.{table} as table {table}");
            sqlx::query(sqlx::AssertSqlSafe(keep)).execute(desk).await.unwrap();
            clean.push(format!("insert into {table} overriding system value table remembered.{table}"));
        }
    }
    clean
}
