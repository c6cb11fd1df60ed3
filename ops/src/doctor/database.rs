//! The database, its settings, and the switches in it.

use chrono::TimeDelta;
use common::clock::{Clock, ClockKind};
use common::config::Base;
use common::domain::breaker::GatewayAccount;
use common::store;
use common::store::doctor::ServerFacts;
use common::store::gate::Instance;
use common::store::{NotReady, doctor, gate, settings};
use sqlx::PgConnection;

use super::{report::Report, rows};
use crate::{OpsError, session::Session};

/// Tokens, due dates and leases allow for this much between two machines.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::seconds(30);
const MIN_SERVER_VERSION: i32 = 130_000;

pub(super) async fn examine(session: &Session, report: &mut Report) -> Result<(), OpsError> {
    let mut vars = session.vars();
    let base = Base::read(&mut vars);
    if let Err(mistakes) = vars.finish(()) {
        report.fault("database", mistakes.0.join("; "), "set DATABASE_URL as the API and the worker have it");
        return Ok(());
    }
    let pool = match store::pool(&base.database_url, 1) {
        Ok(pool) => pool,
        Err(error) => {
            report.fault("database", error.to_string(), "mend DATABASE_URL");
            return Ok(());
        }
    };
    match store::readiness(&pool).await {
        Ok(()) => {
            report.ok("database", "reachable, writable, with the schema and the settings that are needed");
        }
        Err(reason) => {
            let (code, mend) = not_ready(&reason);
            report.fault(code, reason.to_string(), mend);
            if matches!(reason, NotReady::Unavailable(_) | NotReady::PoolerRefusesSettings) {
                return Ok(());
            }
            if matches!(reason, NotReady::SchemaBehind { .. }) {
                let mut conn = pool.acquire().await?;
                examine_server(&doctor::server(&mut conn).await?, report);
                return Ok(());
            }
        }
    }
    let mut conn = pool.acquire().await?;
    examine_server(&doctor::server(&mut conn).await?, report);
    examine_switches(&mut conn, session, report).await?;
    let now = crate::system_time::system_now(&mut conn).await?;
    rows::examine(&doctor::waiting_rows(&mut conn, now).await?, now, report);
    Ok(())
}

fn not_ready(reason: &NotReady) -> (&'static str, &'static str) {
    match reason {
        NotReady::Unavailable(_) => {
            ("database_unavailable", "start PostgreSQL, or mend DATABASE_URL and the network")
        }
        NotReady::SchemaBehind { .. } => ("schema_behind", "run `billing migrate`"),
        NotReady::ReadOnly => (
            "database_read_only",
            "point DATABASE_URL at the primary, or `alter … reset default_transaction_read_only`",
        ),
        NotReady::PoolerRefusesSettings | NotReady::SettingsLost(_) => {
            ("pooler", "connect directly, or set the pooler as docs/operations.md says under Pooler")
        }
    }
}

fn examine_server(server: &ServerFacts, report: &mut Report) {
    let skew = (Clock::System.now() - server.now).abs();
    if skew > MAX_CLOCK_SKEW {
        report.fault(
            "clock_skew",
            format!("the clocks of this machine and of the database are {} s apart", skew.num_seconds()),
            "run an NTP client (chrony, systemd-timesyncd) on both",
        );
    } else {
        report.ok(
            "clock_skew",
            format!("this machine and the database are {} ms apart", skew.num_milliseconds()),
        );
    }
    examine_server_settings(server, report);
}

fn examine_server_settings(server: &ServerFacts, report: &mut Report) {
    if server.version < MIN_SERVER_VERSION {
        report.fault(
            "server_version",
            format!("the server is PostgreSQL {}", server.version / 10_000),
            "upgrade to PostgreSQL 13 or newer",
        );
    }
    if !server.is_durable {
        report.warn(
            "database_not_durable",
            "fsync, full_page_writes or synchronous_commit is off: a power cut loses answered charges",
            "turn them on, unless this is a test database",
        );
    }
    if server.connections * 10 > server.max_connections * 9 {
        report.fault(
            "connections_exhausted",
            format!("{} of {} connections are taken", server.connections, server.max_connections),
            "raise max_connections; docs/scaling.md says how many are needed",
        );
    }
    if server.idle_transactions > 0 {
        report.warn(
            "idle_transactions",
            format!("{} transactions have been open and idle for more than a minute", server.idle_transactions),
            "end them: they hold locks (select * from pg_stat_activity where state like 'idle in transaction%')",
        );
    }
}

async fn examine_switches(
    conn: &mut PgConnection,
    session: &Session,
    report: &mut Report,
) -> Result<(), OpsError> {
    let charging = settings::charging_switch(conn).await?;
    if !charging.enabled {
        let why = charging.why.unwrap_or_default();
        report.warn(
            "charging_off",
            format!("charging is off: {why}"),
            "`billing charging on` when the reason is gone",
        );
    }
    let gateway = gate::read(conn).await?;
    for account in [GatewayAccount::Widget, GatewayAccount::Billing] {
        let breaker = gateway.breaker(account);
        if breaker.failures > 0 && breaker.open_until.is_some() {
            report.fault(
                "gateway_failing",
                format!(
                    "{} calls in a row with the {account} keys failed; calls wait meanwhile",
                    breaker.failures
                ),
                "nothing, if Toss has an outage: workers try by themselves; else look at their log",
            );
        }
    }
    examine_instance(gateway.bound_to, session.vars().optional("INSTANCE_ID"), report);
    let clock = settings::clock(conn).await?;
    if clock.kind == ClockKind::Test {
        let hours = clock.offset_ms / 3_600_000;
        let message = format!("the database runs on a test clock, {hours} hours ahead");
        report.warn("test_clock", message, "never use this database with live keys");
    }
    Ok(())
}

/// `own`: the `INSTANCE_ID` of this environment.
fn examine_instance(bound_to: Option<Instance>, own: Option<String>, report: &mut Report) {
    match (bound_to, own) {
        (None, _) => report.ok("instance", "the database is bound to no installation yet"),
        (Some(bound), Some(own)) if bound.id != own => report.fault(
            "instance",
            format!(
                "the database is bound to {:?}, and INSTANCE_ID is {own:?}: workers here do nothing",
                bound.id
            ),
            "leave a copy alone; after a real move run `billing instance release`",
        ),
        (Some(bound), _) => report.ok("instance", format!("bound to {:?}", bound.id)),
    }
}
