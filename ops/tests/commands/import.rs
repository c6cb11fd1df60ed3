//! Bringing subscriptions over: all mistakes at once, nothing by halves, nothing twice, and no key in sight.

use common::{domain::subscription::Subscription, seal::Sealer, store::subscriptions};
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::program::{billing, url};
use crate::seed::active_subscription;

pub(crate) const KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const HEADINGS: &str = "id,userId,plan,billingCycle,billingKey,customerKey,amount,status,nextBillingDate,createdAt,\
                        canceledAt,cancelReason,customerEmail,customerName";

/// What a run printed, and its exit code.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{} {}", self.out, self.err))
    }

    fn mistakes(&self) -> Vec<String> {
        let mistakes = self.json()["mistakes"].as_array().unwrap().clone();
        let text = |mistake: &Value, name: &str| mistake[name].as_str().unwrap().to_owned();
        mistakes
            .iter()
            .map(|mistake| format!("{} {}", text(mistake, "place"), text(mistake, "field")))
            .collect()
    }
}

pub(crate) async fn import(pool: &PgPool, csv: &str, words: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("subscriptions.csv");
    std::fs::write(&file, csv).unwrap();
    import_from(pool, &[&[file.to_str().unwrap()], words].concat()).await
}

/// The other system charges up to 25 November 2026.
async fn import_from(pool: &PgPool, words: &[&str]) -> Said {
    let words = [&["import", "--json", "--first-charge-after", "2026-11-25"], words].concat();
    let output = billing(Some(&url(pool)), &[("BILLING_KEY_ENCRYPTION_KEYS", KEYS)], &words).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn user(no: u32) -> Uuid {
    Uuid::from_u128(0x1000 + u128::from(no))
}

fn id(no: u32) -> Uuid {
    Uuid::from_u128(0x2000 + u128::from(no))
}

/// A row that nothing is wrong with.
pub(crate) fn row(no: u32, status: &str, next: &str) -> String {
    let (id, user) = (id(no), user(no));
    let canceled = if status == "canceled" { "2026-11-20T00:00:00Z,바빠서" } else { "," };
    format!(
        "{id},{user},personal,monthly,secret-key-{no}=,customer-{no},9900,{status},{next},2026-01-31 10:00:00,\
         {canceled},user{no}@example.com,홍길동"
    )
}

pub(crate) fn csv(rows: &[String]) -> String {
    format!("\u{feff}{HEADINGS}\r\n{}\r\n", rows.join("\r\n"))
}

async fn find(pool: &PgPool, no: u32) -> Subscription {
    let mut conn = pool.acquire().await.unwrap();
    subscriptions::find(&mut conn, id(no)).await.unwrap().unwrap()
}

pub(crate) async fn count(pool: &PgPool, of: &str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("select count(*) from {of}"));
    sqlx::query(sql).fetch_one(pool).await.unwrap().get(0)
}

/// Everything that an import may write.
async fn everything(pool: &PgPool) -> Vec<String> {
    let all = "select s::text || i::text || coalesce(e.all_of, '') from subscriptions s
                 join imported_subscriptions i on i.subscription_id = s.id
                 left join lateral (select string_agg(e::text, ',') as all_of from subscription_events e
                                     where e.subscription_id = s.id) e on true
                order by s.id";
    sqlx::query(all).fetch_all(pool).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customer_key_is_as_long_as_toss_takes_it(pool: PgPool) {
    let with_key =
        |no, length| row(no, "active", "2027-02-28").replace(&format!("customer-{no}"), &"k".repeat(length));
    let done = import(&pool, &csv(&[with_key(1, 51), with_key(2, 300)]), &["--apply"]).await;
    assert_eq!(done.json()["imported"], 2, "{}", done.err);
    let refused = import(&pool, &csv(&[with_key(3, 301)]), &[]).await;
    assert_eq!(refused.mistakes(), ["line 2 customer_key"]);
    let problem = refused.json()["mistakes"][0].to_string();
    assert!(problem.contains("must be 2 to 300 characters"), "{problem}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dry_run_writes_nothing_and_an_import_places_each(pool: PgPool) {
    let rows = [
        row(1, "active", "2027-02-28"),
        row(2, "active", "2026-11-25T03:00:00+09:00"),
        row(3, "past_due", "2026-11-28"),
        row(4, "suspended", "2026-09-25"),
        row(5, "canceled", "2099-12-25"),
        row(6, "canceled", "2026-06-25"),
    ];
    let dry = import(&pool, &csv(&rows), &[]).await;
    assert_eq!((dry.code, dry.json()["applied"].as_bool()), (Some(0), Some(false)), "{}", dry.err);
    assert_eq!((count(&pool, "subscriptions").await, count(&pool, "users").await), (0, 0));

    let done = import(&pool, &csv(&rows), &["--apply"]).await;
    let report = done.json();
    assert_eq!((&report["imported"], &report["leftOut"][0]["place"]), (&5.into(), &"line 7".into()));
    assert_eq!(report["moved"][0]["firstChargeOn"], "2026-12-25");
    let next = async |no| {
        let subscription = find(&pool, no).await;
        (subscription.status.to_string(), subscription.current_period_end.to_string())
    };
    let told = |status: &str, date: &str| (status.to_owned(), date.to_owned());
    assert_eq!(next(1).await, told("active", "2027-02-28"));
    assert_eq!(find(&pool, 1).await.anchor_on.to_string(), "2027-01-31");
    assert_eq!(next(2).await, told("active", "2026-12-25"));
    assert_eq!(next(3).await, told("active", "2026-11-28"));
    assert_eq!(next(4).await, told("suspended", "2026-09-25"));
    assert_eq!(next(5).await, told("canceled", "2099-12-25"));
    assert_eq!(find(&pool, 5).await.cancel_reason.as_deref(), Some("바빠서"));
    assert_eq!(count(&pool, "subscription_events where what = 'subscription.imported'").await, 5);
    assert_eq!((count(&pool, "emails").await, count(&pool, "jobs").await), (0, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn billing_keys_are_sealed_for_their_row_and_are_nowhere_else(pool: PgPool) {
    let good = import(&pool, &csv(&[row(1, "active", "2026-12-25")]), &["--apply"]).await;
    let bad = import(&pool, &csv(&[row(2, "active", "2026-12-25"), row(3, "gone", "x")]), &["--apply"]).await;
    let sealed = find(&pool, 1).await.sealed_billing_key.unwrap();
    let opened = Sealer::parse(KEYS).unwrap().open(&sealed, id(1)).unwrap();
    assert_eq!(opened.expose_secret(), "secret-key-1=");
    let written = everything(&pool).await.concat();
    for text in [good.out, good.err, bad.out, bad.err, written] {
        assert!(!text.contains("secret-key"), "{text}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_source_again_changes_nothing(pool: PgPool) {
    let rows = csv(&[row(1, "active", "2026-12-25"), row(2, "canceled", "2099-12-25")]);
    import(&pool, &rows, &["--apply"]).await;
    let before = everything(&pool).await;
    let again = import(&pool, &rows, &["--apply"]).await.json();
    assert_eq!((&again["imported"], &again["known"], &again["new"]), (&0.into(), &2.into(), &0.into()));
    let moved_on = csv(&[row(1, "active", "2027-01-25"), row(2, "active", "2099-12-25")]);
    assert_eq!(import(&pool, &moved_on, &["--apply"]).await.code, Some(0));
    assert_eq!((before.len(), everything(&pool).await), (2, before));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_run_that_died_in_the_middle_goes_on_where_it_ended(pool: PgPool) {
    let rows: Vec<_> = (0..1_200).map(|no| row(no, "active", "2026-12-25")).collect();
    let die = format!(
        "create function die() returns trigger language plpgsql as $$ begin
             if new.id = '{}' then perform pg_terminate_backend(pg_backend_pid()); end if; return new; end $$;
         create trigger die before insert on subscriptions for each row execute function die()",
        id(700)
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(die)).execute(&pool).await.unwrap();
    assert_eq!(import(&pool, &csv(&rows), &["--apply"]).await.code, Some(1));
    assert_eq!(count(&pool, "subscriptions").await, 500);
    let first = everything(&pool).await;
    sqlx::raw_sql("drop trigger die on subscriptions").execute(&pool).await.unwrap();
    let rest = import(&pool, &csv(&rows), &["--apply"]).await.json();
    assert_eq!((&rest["known"], &rest["imported"]), (&500.into(), &700.into()));
    assert_eq!(everything(&pool).await.len(), 1_200);
    assert!(first.iter().all(|row| row.contains("subscription.imported")));
    assert_eq!(everything(&pool).await[..500], first[..]);
}

#[sqlx::test(migrations = "../migrations")]
async fn all_mistakes_of_all_rows_are_told_and_nothing_is_written(pool: PgPool) {
    let mut rows = vec![
        row(1, "active", "2026-12-25"),
        row(2, "gone", "25/12/2026")
            .replace("personal,monthly", "gold,weekly")
            .replace(",9900,", ",\"9,900\","),
        row(3, "active", "2026-12-25").replace("9900", "94800"),
        row(4, "active", "2026-12-25").replace("personal", "gold"),
        row(5, "past_due", "2026-11-25"),
        row(6, "active", "2026-08-25"),
        row(7, "active", "2026-12-25").replace("user7@example.com", "nobody").replace("customer-7", "손님"),
        row(8, "canceled", "2099-12-25").replace("2026-11-20T00:00:00Z", ""),
        "1,2,3".to_owned(),
    ];
    rows.push(row(9, "active", "2026-12-25").replace(&user(9).to_string(), &user(1).to_string()));
    rows.push(row(10, "active", "2026-12-25").replace("secret-key-10=", "secret-key-1="));
    rows.push(row(11, "active", "2026-12-25").replace(&id(11).to_string(), &id(1).to_string()));
    let said = import(&pool, &csv(&rows), &["--apply"]).await;
    assert_eq!(said.code, Some(1));
    let mut mistakes = said.mistakes();
    mistakes[..4].sort();
    assert_eq!(
        mistakes,
        [
            "line 3 amount",
            "line 3 billing_cycle",
            "line 3 next_billing_date",
            "line 3 status",
            "line 4 amount",
            "line 5 plan",
            "line 6 status",
            "line 7 next_billing_date",
            "line 8 customer_key",
            "line 8 customer_email",
            "line 9 canceled_at",
            "line 10 ",
            "line 11 user_id",
            "line 12 billing_key",
            "line 13 id",
        ]
    );
    assert_eq!(count(&pool, "subscriptions").await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_spreadsheet_damaged_is_refused_in_each_column(pool: PgPool) {
    let columns: Vec<&str> = HEADINGS.split(',').collect();
    for value in ["#NAME?", "#REF!", "Err:502", "=\"\"x\"\"", "'0123"] {
        let damaged = |at: usize| {
            let row = row(1, "canceled", "2099-12-25");
            let mut fields: Vec<String> = row.split(',').map(str::to_owned).collect();
            fields[at] = format!("\"{value}\"");
            fields.join(",")
        };
        let rows: Vec<String> = (0..columns.len()).map(damaged).collect();
        let report = import(&pool, &csv(&rows), &["--apply"]).await;
        assert_eq!(report.code, Some(1), "{value}");
        let mistakes = report.json()["mistakes"].as_array().unwrap().clone();
        for line in 2..columns.len() + 2 {
            let of_line: Vec<_> = mistakes
                .iter()
                .filter(|mistake| mistake["place"] == format!("line {line}").as_str())
                .collect();
            let problem = of_line.iter().find_map(|mistake| {
                mistake["problem"].as_str().filter(|mistake| mistake.contains("spreadsheet"))
            });
            assert!(problem.is_some(), "{value} in {}: {of_line:?}", columns[line - 2]);
        }
    }
    let numbers = [("9900", "\"9,900\""), ("secret-key-1=", "1.2E+05"), ("2099-12-25", "72684")];
    for (right, wrong) in numbers {
        let report =
            import(&pool, &csv(&[row(1, "canceled", "2099-12-25").replace(right, wrong)]), &["--apply"])
                .await;
        assert_eq!(report.code, Some(1), "{wrong}");
    }
    assert_eq!(count(&pool, "subscriptions").await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_user_or_a_card_that_is_charged_here_already_is_a_mistake(pool: PgPool) {
    let here = active_subscription(&mut pool.acquire().await.unwrap()).await;
    let sealed = Sealer::parse(KEYS).unwrap().seal(&"secret-key-2=".into(), here.id).unwrap();
    sqlx::query("update subscriptions set billing_key = $1").bind(sealed).execute(&pool).await.unwrap();
    let rows = [
        row(1, "active", "2026-12-25").replace(&user(1).to_string(), &here.user_id.to_string()),
        row(2, "active", "2026-12-25"),
        row(3, "active", "2026-12-25").replace(&id(3).to_string(), &here.id.to_string()),
    ];
    let said = import(&pool, &csv(&rows), &["--apply"]).await;
    assert_eq!(said.mistakes(), ["line 2 user_id", "line 3 billing_key", "line 4 id"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn sealing_keys_that_the_worker_has_not_are_refused(pool: PgPool) {
    import(&pool, &csv(&[row(1, "active", "2026-12-25")]), &["--apply"]).await;
    let other = KEYS.replace("k1:AAEC", "k1:AAED");
    let words = ["import", "x.csv", "--first-charge-after", "2026-11-25"];
    let output = billing(Some(&url(&pool)), &[], &words).await;
    assert_eq!(output.status.code(), Some(2));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.csv");
    std::fs::write(&file, csv(&[row(2, "active", "2026-12-25")])).unwrap();
    let words = ["import", file.to_str().unwrap(), "--first-charge-after", "2026-11-25", "--apply"];
    let output = billing(Some(&url(&pool)), &[("BILLING_KEY_ENCRYPTION_KEYS", &other)], &words).await;
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && line.contains("is not the worker's"), "{line}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_database_with_the_guides_schema_is_read_as_a_file_is(pool: PgPool) {
    // The guide's tables, with the users that its code reads names and addresses from.
    let guide = "create schema old; set search_path to old;
        create table users (id uuid primary key, email text, name text);
        create table subscriptions (
          id UUID PRIMARY KEY DEFAULT gen_random_uuid(), user_id UUID NOT NULL REFERENCES users(id),
          plan VARCHAR(50) NOT NULL, billing_cycle VARCHAR(20) NOT NULL, billing_key VARCHAR(255) NOT NULL,
          customer_key VARCHAR(255) NOT NULL, amount INTEGER NOT NULL, status VARCHAR(20) NOT NULL DEFAULT 'active',
          next_billing_date TIMESTAMP NOT NULL, created_at TIMESTAMP DEFAULT NOW(), updated_at TIMESTAMP DEFAULT NOW(),
          canceled_at TIMESTAMP, cancel_reason TEXT);
        insert into users select ('00000000-0000-0000-0000-00000000100' || no)::uuid, 'u' || no || '@example.com', '김'
          from generate_series(1, 3) no;
        insert into subscriptions select ('00000000-0000-0000-0000-00000000200' || no)::uuid,
               ('00000000-0000-0000-0000-00000000100' || no)::uuid, 'pro', 'yearly', 'secret-key-' || no, 'customer-' || no,
               190800, 'active', '2027-03-01 20:00:00', '2025-03-02 00:00:00' from generate_series(1, 3) no;
        reset search_path";
    sqlx::raw_sql(guide).execute(&pool).await.unwrap();
    let old = format!("{}&options=-csearch_path%3Dold", url(&pool)).replace("?&", "?");
    let old = if old.contains('?') { old } else { old.replacen('&', "?", 1) };
    let done = import_from(&pool, &["--from", &old, "--apply"]).await;
    assert_eq!((done.code, &done.json()["imported"]), (Some(0), &3.into()), "{} {}", done.out, done.err);
    let brought = find(&pool, 2).await;
    // Eight in the evening in Greenwich is five in the morning of the next day in Seoul.
    assert_eq!(
        (brought.current_period_end.to_string().as_str(), brought.amount.get()),
        ("2027-03-02", 190_800)
    );
    assert_eq!((brought.customer_email.as_str(), brought.customer_name.as_str()), ("u2@example.com", "김"));

    let itself = import_from(&pool, &["--from", &url(&pool)]).await;
    assert!(itself.err.contains("is a database of this program"), "{}", itself.err);
    sqlx::raw_sql("alter table old.users rename column name to full_name").execute(&pool).await.unwrap();
    let strange = import_from(&pool, &["--from", &old]).await;
    assert!(strange.err.contains("cannot be read as the guide's schema"), "{}", strange.err);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_date_charged_elsewhere_is_refused_by_the_database(pool: PgPool) {
    import(&pool, &csv(&[row(1, "active", "2026-12-25")]), &["--apply"]).await;
    let bill = async |from: &str| {
        let sql = "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
                   values (gen_random_uuid(), $1, 1, $2::date, $2::date + 30, $2::date, 9900, now())";
        sqlx::query(sql).bind(id(1)).bind(from).execute(&pool).await
    };
    let refused = bill("2026-11-25").await.unwrap_err();
    assert!(refused.to_string().contains("another system charged up to 2026-11-25"), "{refused}");
    bill("2026-12-25").await.unwrap();
}
