//! Subscriptions that another system charged before: each is billed from its right date on, and never for an older one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::NaiveDate;
use common::domain::calendar::seoul_date;
use common::domain::registration::RegistrationStatus;
use common::domain::subscription::SubscriptionStatus;
use common::jobs;
use common::jobs::{Job, ScanDueSubscriptions};
use common::seal::Sealer;
use e2e::bank::Bank;
use e2e::subscribers::SEALING_KEYS;
use ops::import::{ImportTerms, NaiveTimes, Report, read_csv};
use sandbox::LedgerQuery;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::card_window::new_card;
use crate::fences::refused;
use crate::prices::{new_price, reached};
use crate::requests::consent;
use crate::resume::resume;
use crate::world::{GOOD, World};

const HEADINGS: &str = "id,user_id,plan,billing_cycle,billing_key,customer_key,amount,status,next_billing_date,\
                        created_at,canceled_at,customer_email,customer_name\n";
const MANY: u32 = 10_000;
/// Of the many, those whose cards the bank knows and charges: five on each day of the month.
const CHARGED: u32 = 155;

fn id(no: u32) -> Uuid {
    Uuid::from_u128(0xa000_0000 + u128::from(no))
}

fn row(no: u32, billing_key: &str, status: &str, next: &str) -> String {
    let (id, canceled_at) = (id(no), if status == "canceled" { "2026-11-20" } else { "" });
    format!(
        "{id},{id},personal,monthly,{billing_key},{id},9900,{status},{next},2026-01-31,{canceled_at},\
         user{no}@example.com,홍길동\n"
    )
}

async fn import(world: &World, rows: &str, first_charge_after: &str) -> Report {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{HEADINGS}{rows}")).unwrap();
    let first_charge_after = first_charge_after.parse().unwrap();
    let wish = ImportTerms { first_charge_after, naive_times: NaiveTimes::Utc, apply: true };
    let sealer = Sealer::parse(SEALING_KEYS).unwrap();
    let (mut conn, rows) = (world.pool.acquire().await.unwrap(), read_csv(file.path()).unwrap());
    ops::import::run(&mut conn, rows, wish, &sealer, &world.author("test", "moved here")).await.unwrap()
}

fn bank(world: &World) -> Bank {
    Bank::at(world.sandbox.url(), reqwest::Client::builder().build().unwrap()).unwrap()
}

/// What the bank took from this customer: the dates.
fn charged_on(world: &World, no: u32) -> Vec<NaiveDate> {
    let ledger = world.sandbox.ledger(&LedgerQuery::customer(&id(no).to_string()));
    assert_eq!(ledger.net, i64::try_from(ledger.entries.len()).unwrap() * 9_900);
    ledger.entries.iter().map(|entry| seoul_date(entry.at)).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn an_imported_database_of_10_000_is_billed_on_its_right_dates(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-30").await;
    let (bank, mut rows) = (bank(&world), String::new());
    for no in 0..MANY {
        let key = if no < CHARGED {
            bank.register_card(&id(no).to_string()).await.unwrap()
        } else {
            format!("key-{no}")
        };
        write!(rows, "{}", row(no, &key, "active", &due_on(no).to_string())).unwrap();
    }
    assert_eq!(import(&world, &rows, "2026-11-30").await.imported, usize::try_from(MANY).unwrap());

    for day in 1..=31 {
        world.set_clock(&format!("2026-12-{day:02}T02:00:01+09:00"));
        scan(&world).await;
        leave_to_others(&world).await;
        world.run_due_jobs().await;
    }
    let mut expected: BTreeMap<NaiveDate, i64> = BTreeMap::new();
    for no in 0..MANY {
        *expected.entry(due_on(no)).or_default() += 1;
    }
    assert_eq!(billed_by_day(&world.pool).await, expected);
    for no in 0..CHARGED {
        assert_eq!(charged_on(&world, no), [due_on(no)], "{no}");
    }
    assert_eq!(world.sandbox.ledger(&LedgerQuery::default()).charges, u64::from(CHARGED));
}

/// Whoever asks: the day's run, an operator, or somebody with SQL.
#[sqlx::test(migrations = "../migrations")]
async fn an_invoice_for_a_date_that_was_charged_elsewhere_is_refused(pool: PgPool) {
    let world = World::on(pool, "2026-11-30").await;
    let key = bank(&world).register_card(&id(0).to_string()).await.unwrap();
    assert_eq!(import(&world, &row(0, &key, "active", "2026-12-01"), "2026-11-30").await.imported, 1);
    refused(
        &world,
        "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
         select gen_random_uuid(), id, 90, '2026-11-30', '2026-12-30', '2026-11-30', 9900, now() from subscriptions",
        "invoices_not_charged_elsewhere",
    )
    .await;
    assert_eq!(world.net(id(0)).await, 0);
}

fn due_on(no: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 12, no % 31 + 1).unwrap()
}

/// The day's scan, and nothing else.
async fn scan(world: &World) {
    let (now, date) = (world.now(), world.today());
    let mut conn = world.pool.acquire().await.unwrap();
    jobs::enqueue(&mut conn, &ScanDueSubscriptions { date }, now, now).await.unwrap();
    let lease = std::time::Duration::from_mins(2);
    let claimed =
        queue::claim(&world.pool, &[ScanDueSubscriptions::KIND], 1, lease, "by hand", now).await.unwrap();
    worker::jobs::run_claimed(&world.env, claimed.into_iter().next().unwrap()).await.unwrap();
}

/// Cards that the bank does not know are not charged: once billed, their subscriptions are out of the way.
async fn leave_to_others(world: &World) {
    let known: Vec<Uuid> = (0..CHARGED).map(id).collect();
    let pause = "with paused as (
                     update subscriptions set charging_paused_at = $1
                      where next_billing_date <= $1 and charging_paused_at is null and not id = any ($2) returning id)
                 update jobs set state = 'discarded', finished_at = $1, note = 'not in the sample'
                  where kind = 'charge-subscription' and state = 'available'
                    and replace(subject->>'subscription', 'sub_', '')::uuid in (select id from paused)";
    sqlx::query(pause).bind(world.now()).bind(known).execute(&world.pool).await.unwrap();
}

/// How many invoices were made on which day, each for a period that begins on that day and on its date in the source.
async fn billed_by_day(pool: &PgPool) -> BTreeMap<NaiveDate, i64> {
    let sql = "select (i.created_at at time zone 'Asia/Seoul')::date as day, count(*) as invoices,
                      bool_and(i.due_on = (i.created_at at time zone 'Asia/Seoul')::date
                           and i.period_start = s.source_next_billing_date and i.amount = 9900) as is_right
                 from invoices i join imported_subscriptions s using (subscription_id) group by 1";
    let days = sqlx::query(sql).fetch_all(pool).await.unwrap();
    assert!(days.iter().all(|day| day.get("is_right")));
    days.iter().map(|day| (day.get("day"), day.get("invoices"))).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_date_charged_elsewhere_is_not_charged_again(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-29").await;
    let (bank, mut rows) = (bank(&world), String::new());
    let sources = [
        ("active", "2026-11-28"),
        ("active", "2026-11-30"),
        ("past_due", "2026-12-02"),
        ("canceled", "2026-12-05"),
        ("suspended", "2026-10-28"),
    ];
    for (no, (status, next)) in (0..).zip(sources) {
        let key = bank.register_card(&id(no).to_string()).await.unwrap();
        write!(rows, "{}", row(no, &key, status, next)).unwrap();
    }
    assert_eq!(import(&world, &rows, "2026-11-29").await.imported, 5);
    assert_eq!(world.emails().len(), 0);
    world.live_until("2027-02-28").await;

    let dates = |no| charged_on(&world, no).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(dates(0), ["2026-12-28", "2027-01-28", "2027-02-28"]);
    // Begun on the 31st: the last of November, then the 31st again.
    assert_eq!(dates(1), ["2026-11-30", "2026-12-31", "2027-01-31", "2027-02-28"]);
    assert_eq!(dates(2), ["2026-12-02", "2027-01-02", "2027-02-02"]);
    assert!(dates(3).is_empty() && dates(4).is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn an_imported_suspended_one_goes_on_with_a_new_card(pool: PgPool) {
    let mut world = World::on(pool, "2026-12-01").await;
    let key = bank(&world).register_card(&id(0).to_string()).await.unwrap();
    import(&world, &row(0, &key, "suspended", "2026-12-22"), "2026-11-30").await;
    assert_eq!(new_card(&world, id(0), GOOD).await.status, RegistrationStatus::Applied);
    assert_eq!(world.history(id(0)).await.status(), SubscriptionStatus::Active);
    world.live_until("2026-12-21").await;
    assert!(charged_on(&world, 0).is_empty());
    world.live(2).await;
    assert_eq!(charged_on(&world, 0), ["2026-12-22".parse().unwrap()]);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_imported_customer_has_three_days_notice(pool: PgPool) {
    let mut world = World::on(pool, "2026-12-01").await;
    let key = bank(&world).register_card(&id(0).to_string()).await.unwrap();
    import(&world, &row(0, &key, "active", "2026-12-22"), "2026-11-30").await;
    world.live_until("2026-12-18").await;
    assert!(world.subjects().is_empty());
    world.live(1).await;
    assert_eq!(world.subjects(), ["집체크 구독 갱신 안내"]);
    assert!(world.emails()[0].text.contains("2026년 12월 22일"));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_imported_cancel_taken_back_is_charged_after_its_end(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-25").await;
    let key = bank(&world).register_card(&id(0).to_string()).await.unwrap();
    import(&world, &row(0, &key, "canceled", "2026-11-28"), "2026-11-30").await;
    assert_eq!(resume(&world, id(0)).await.unwrap().status, SubscriptionStatus::Active);
    world.live_until("2026-11-28").await;
    assert_eq!(charged_on(&world, 0), [world.today()]);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_import_at_the_old_price_follows_the_announced_one(pool: PgPool) {
    let mut world = World::on(pool, "2026-12-01").await;
    new_price(&world, 12_900, "2027-01-10").await;
    world.live_until("2026-12-10").await;
    let (bank, mut rows) = (bank(&world), String::new());
    for no in [0, 1] {
        let key = bank.register_card(&id(no).to_string()).await.unwrap();
        let price = if no == 0 { ",9900," } else { ",8900," };
        write!(rows, "{}", row(no, &key, "active", "2026-12-22").replace(",9900,", price)).unwrap();
    }
    assert_eq!(import(&world, &rows, "2026-12-09").await.imported, 2);
    world.live_until("2026-12-23").await;
    assert_eq!(reached(&world, id(0)).await, Some(("2027-01-22".to_owned(), 12_900)));
    assert_eq!(reached(&world, id(1)).await, None, "never paid the price that is replaced");
    consent(&world, id(0)).await.unwrap();
    world.live_until("2027-01-22").await;
    assert_eq!((world.net(id(0)).await, world.net(id(1)).await), (9_900 + 12_900, 2 * 8_900));
}
