//! How this program connects to PostgreSQL, what each session sets for itself, and whether the database can serve.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

use super::{StoreError, sqlstate};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// What each session sets for itself, so that no default of the server, the database or the role changes the meaning or
/// the duration of a statement.
const SESSION: [(&str, &str); 7] = [
    // Every statement is short. The server's estimate for a claim's generic plan is high, and compiling it took two seconds.
    ("jit", "off"),
    // Locks are taken in one order and re-read under the lock; a stricter level would only add serialization failures.
    ("default_transaction_isolation", "read committed"),
    ("timezone", "UTC"),
    // Longer than any honest statement. Migrations lift it.
    ("statement_timeout", "30s"),
    // One locked row must not stop what is behind it: the caller answers 503 or comes back for the row.
    ("lock_timeout", LOCK_TIMEOUT),
    // A process that vanished within a transaction holds its locks no longer than this.
    ("idle_in_transaction_session_timeout", "60s"),
    ("search_path", "public"),
];
const LOCK_TIMEOUT: &str = "5s";
/// A session that was used a moment ago is taken to work. If it does not, its user is told, and all of its age are closed.
const TRY_AFTER_IDLE: Duration = Duration::from_secs(5);

/// Where a `DATABASE_URL` leads; none where it is not one of PostgreSQL. sqlx would take any scheme for PostgreSQL's.
pub fn address(url: &str) -> Option<PgConnectOptions> {
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    is_postgres.then(|| url.parse().ok())?
}

/// Adds the session settings to an address. A setting that the address itself names stays as it is there.
pub fn with_session(options: PgConnectOptions) -> PgConnectOptions {
    let named = options.get_options().unwrap_or_default().to_lowercase();
    let own = SESSION.iter().filter(|(name, _)| !named.contains(*name)).copied().collect::<Vec<_>>();
    options.options(own)
}

/// A pool that connects when first used, so that a process starts while the database is still away.
pub fn pool(url: &SecretString, connections: u32) -> Result<PgPool, sqlx::Error> {
    let mut options: PgConnectOptions = url.expose_secret().parse()?;
    if options.get_application_name().is_none()
        && let Some(program) = program_name()
    {
        options = options.application_name(&program);
    }
    Ok(PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        // A session from before a failover or a changed table is closed, not used again. One that has been idle for long is
        // tried first; asking before each use would double the round trips.
        .test_before_acquire(false)
        .before_acquire(|conn, meta| {
            Box::pin(async move {
                let is_fit = !sqlstate::is_unfit(meta.age);
                Ok(is_fit && (meta.idle_for < TRY_AFTER_IDLE || conn.ping().await.is_ok()))
            })
        })
        .connect_lazy_with(with_session(options)))
}

fn program_name() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    Some(path.file_stem()?.to_string_lossy().into_owned())
}

/// Creates or upgrades the schema.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut conn = pool.acquire().await?;
    // Building an index on a large table takes as long as it takes.
    sqlx::query("set statement_timeout = 0").execute(&mut *conn).await?;
    let migrated = MIGRATIONS.run(&mut *conn).await;
    conn.close().await?;
    migrated
}

/// The steps that [`migrate`] would take: version and description. Writes nothing.
pub async fn pending_migrations(pool: &PgPool) -> Result<Vec<(i64, String)>, StoreError> {
    pending(&mut *pool.acquire().await?).await
}

async fn pending(conn: &mut PgConnection) -> Result<Vec<(i64, String)>, StoreError> {
    let has_table = sqlx::query_scalar!(r#"select to_regclass('_sqlx_migrations') is not null as "has!""#)
        .fetch_one(&mut *conn)
        .await?;
    // The table of the migrations is sqlx's own and is not there before the first one: no checked query can name it.
    let applied: Vec<i64> = if has_table {
        sqlx::query_scalar("select version from _sqlx_migrations where success").fetch_all(conn).await?
    } else {
        Vec::new()
    };
    let pending = MIGRATIONS.iter().filter(|migration| !applied.contains(&migration.version));
    Ok(pending.map(|migration| (migration.version, migration.description.to_string())).collect())
}

/// Why the database cannot serve this program now. Each is one line for logs and for `/readyz`.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    #[error("the database cannot be reached: {0}")]
    Unavailable(StoreError),
    #[error(
        "the schema is older than this program: migration {version} ({description}) is missing; run `billing migrate`"
    )]
    SchemaBehind { version: i64, description: String },
    #[error("the database is read-only")]
    ReadOnly,
    #[error(
        "a connection pooler refuses the session settings: connect to PostgreSQL directly, or pool by session with \
         ignore_startup_parameters = extra_float_digits,options and the settings on the role (docs/operations.md)"
    )]
    PoolerRefusesSettings,
    #[error(
        "the session settings are not in force (lock_timeout is {0}): a connection pooler drops them; connect to PostgreSQL \
         directly, or pool by session with the settings on the role (docs/operations.md)"
    )]
    SettingsLost(String),
}

impl From<StoreError> for NotReady {
    fn from(error: StoreError) -> Self {
        match error {
            // PgBouncer's words for a start-up parameter that it does not pass on.
            StoreError::Database(sqlx::Error::Database(refused))
                if refused.message().contains("unsupported startup parameter") =>
            {
                Self::PoolerRefusesSettings
            }
            other => Self::Unavailable(other),
        }
    }
}

/// Says in one line of the log why the database cannot serve, if it cannot: for the start of a process.
pub async fn log_readiness(pool: PgPool) {
    if let Err(reason) = readiness(&pool).await {
        tracing::warn!(%reason, "not ready");
    }
}

/// Whether the database can serve: reachable, writable, with the session's settings, and as new as this program needs.
pub async fn readiness(pool: &PgPool) -> Result<(), NotReady> {
    let mut conn = pool.acquire().await.map_err(StoreError::from)?;
    let state = sqlx::query!(
        r#"
        select current_setting('transaction_read_only')::bool as "is_read_only!",
               current_setting('lock_timeout') as "lock_timeout!"
        "#
    )
    .fetch_one(&mut *conn)
    .await
    .map_err(StoreError::from)?;
    if state.is_read_only {
        sqlstate::mark_sessions_unfit();
        return Err(NotReady::ReadOnly);
    }
    if state.lock_timeout == "0" {
        return Err(NotReady::SettingsLost(state.lock_timeout));
    }
    match pending(&mut conn).await?.into_iter().next() {
        Some((version, description)) => Err(NotReady::SchemaBehind { version, description }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_in_the_address_is_left_alone() {
        let own = address("postgres://localhost/billing?options=-c%20lock_timeout%3D1s").unwrap();
        let options = with_session(own).get_options().unwrap().to_owned();
        assert!(options.contains("lock_timeout=1s") && !options.contains("lock_timeout=5s"), "{options}");
        assert!(options.contains("statement_timeout=30s"), "{options}");
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_session_sets_what_it_relies_on(pool: PgPool) {
        let name: String = sqlx::query_scalar("select current_database()").fetch_one(&pool).await.unwrap();
        let sql = format!(r#"alter database "{name}" set default_transaction_isolation = 'serializable'"#);
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        let options = with_session(pool.connect_options().as_ref().clone());
        let own = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let level: String = sqlx::query_scalar("select current_setting('transaction_isolation')")
            .fetch_one(&own)
            .await
            .unwrap();
        assert_eq!(level, "read committed");
        assert!(readiness(&own).await.is_ok());
        own.close().await;
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_read_only_database_is_not_ready(pool: PgPool) {
        let name: String = sqlx::query_scalar("select current_database()").fetch_one(&pool).await.unwrap();
        let sql = format!(r#"alter database "{name}" set default_transaction_read_only = on"#);
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        let options = with_session(pool.connect_options().as_ref().clone());
        let fresh = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        assert!(matches!(readiness(&fresh).await, Err(NotReady::ReadOnly)));
        fresh.close().await;
    }

    #[sqlx::test(migrations = false)]
    async fn an_empty_database_is_not_ready_and_names_what_is_missing(pool: PgPool) {
        let options = with_session(pool.connect_options().as_ref().clone());
        let fresh = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let missing = readiness(&fresh).await.unwrap_err();
        assert!(matches!(missing, NotReady::SchemaBehind { version: 1, .. }), "{missing}");
        fresh.close().await;
    }
}
