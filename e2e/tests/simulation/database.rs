//! One database per thread, emptied before each seed.

use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection as _, PgConnection, PgPool, Row as _};

use crate::{oracle, postgres_proxy::PostgresProxy};

/// No data needs to survive a power cut, so commits are not flushed. Hash and merge joins are off because they would
/// order rows by random ids, and a seed must replay.
const SETTINGS: [&str; 4] =
    ["jit = off", "synchronous_commit = off", "enable_hashjoin = off", "enable_mergejoin = off"];

pub(crate) struct Database {
    options: PgConnectOptions,
    name: String,
    /// Connections of the simulation itself, past the proxies.
    pub(crate) admin_pool: PgPool,
    reset: Vec<String>,
}

impl Database {
    /// Needs `DATABASE_URL` of a role that may create databases.
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
        let admin_pool = PgPoolOptions::new().max_connections(2).connect_with(options.clone()).await.unwrap();
        common::store::migrate(&admin_pool).await.unwrap();
        // Dropping a fence shows what it holds off.
        if let Ok(without) = std::env::var("WITHOUT") {
            sqlx::raw_sql(sqlx::AssertSqlSafe(without)).execute(&admin_pool).await.unwrap();
        }
        let reset = save_initial_rows(&admin_pool).await;
        for sql in oracle::SCHEMA {
            sqlx::query(sql).execute(&admin_pool).await.unwrap();
        }
        Self { options, name, admin_pool, reset }
    }

    pub(crate) fn server(&self) -> (String, u16) {
        (self.options.get_host().to_owned(), self.options.get_port())
    }

    /// The connections of one process, through its proxy.
    pub(crate) fn pool(&self, process: &str, proxy: &PostgresProxy) -> PgPool {
        let options = self.options.clone().host("127.0.0.1").port(proxy.port());
        PgPoolOptions::new()
            .max_connections(2)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.ssl_mode(PgSslMode::Disable).application_name(process))
    }

    /// Brings the database back to the state after the migrations.
    pub(crate) async fn clean(&self) {
        let mut conn = self.admin_pool.acquire().await.unwrap();
        for sql in &self.reset {
            sqlx::query(sqlx::AssertSqlSafe(sql.clone())).execute(&mut *conn).await.unwrap();
        }
    }

    pub(crate) async fn drop(self) {
        self.admin_pool.close().await;
        let mut conn = PgConnection::connect_with(&self.options.database("postgres")).await.unwrap();
        let sql = format!("drop database if exists {} with (force)", self.name);
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
    }
}

/// Saves the rows that the migrations wrote. Returns the statements that bring the database back to them.
async fn save_initial_rows(admin_pool: &PgPool) -> Vec<String> {
    sqlx::query("create schema oracle").execute(admin_pool).await.unwrap();
    let tables = sqlx::query(
        "select tablename::text from pg_tables where schemaname = 'public' and tablename <> '_sqlx_migrations'",
    );
    let mut tables: Vec<String> =
        tables.fetch_all(admin_pool).await.unwrap().iter().map(|row| row.get("tablename")).collect();
    tables.sort_unstable();
    let mut reset = vec![format!("truncate {} restart identity", tables.join(", "))];
    reset.extend(oracle::TABLES.map(|table| format!("delete from oracle.{table}")));
    for table in &tables {
        // Autovacuum runs at its own pace and would change the order of rows.
        let autovacuum_off = format!("alter table {table} set (autovacuum_enabled = off)");
        sqlx::query(sqlx::AssertSqlSafe(autovacuum_off)).execute(admin_pool).await.unwrap();
        let has_rows = format!("select exists (select from {table})");
        let has_rows: bool =
            sqlx::query_scalar(sqlx::AssertSqlSafe(has_rows)).fetch_one(admin_pool).await.unwrap();
        if has_rows {
            let copy = format!("create table oracle.{table} as table {table}");
            sqlx::query(sqlx::AssertSqlSafe(copy)).execute(admin_pool).await.unwrap();
            reset.push(format!("insert into {table} overriding system value table oracle.{table}"));
        }
    }
    reset
}
