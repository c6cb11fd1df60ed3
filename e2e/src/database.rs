//! Creates the database of a chaos or bench run on a running server.

use anyhow::Context;
use common::store;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use url::Url;

/// A migrated database, and its URL for other processes.
pub struct Database {
    pub pool: PgPool,
    pub url: Url,
}

impl Database {
    /// Creates the database. Drops one of the same name first.
    pub async fn recreate(server: &Url, name: &str, connections: u32) -> anyhow::Result<Self> {
        let mut conn = PgConnection::connect(server.as_str()).await.context("DATABASE_URL")?;
        for statement in
            [format!("drop database if exists {name} with (force)"), format!("create database {name}")]
        {
            let done = sqlx::query(AssertSqlSafe(statement)).execute(&mut conn).await;
            done.context("the user of DATABASE_URL must be allowed to create databases")?;
        }
        let mut url = server.clone();
        url.set_path(name);
        let pool = store::pool(&SecretString::from(url.as_str()), connections)?;
        store::migrate(&pool).await?;
        Ok(Self { pool, url })
    }

    /// Runs each statement on its own and for as long as it takes: filling and vacuuming large tables takes longer than a
    /// session of the pool allows.
    pub async fn run_long(
        &self,
        statements: impl IntoIterator<Item = impl Into<String>>,
    ) -> anyhow::Result<()> {
        let mut conn = self.pool.acquire().await?;
        sqlx::query("set statement_timeout = 0").execute(&mut *conn).await?;
        for statement in statements {
            let sql: String = statement.into();
            let done = sqlx::query(AssertSqlSafe(sql.clone())).execute(&mut *conn).await;
            done.with_context(|| format!("cannot run: {sql}"))?;
        }
        conn.close().await?;
        Ok(())
    }

    /// Closes the pool and drops the database.
    pub async fn remove(self, server: &Url) -> anyhow::Result<()> {
        self.pool.close().await;
        let name = self.url.path().trim_start_matches('/').to_owned();
        let mut conn = PgConnection::connect(server.as_str()).await?;
        sqlx::query(AssertSqlSafe(format!("drop database {name} with (force)"))).execute(&mut conn).await?;
        Ok(())
    }
}
