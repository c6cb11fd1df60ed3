//! The dry run of tomorrow says what the next run does, subscription by subscription; the calendar counts by the same dates.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use common::commands::calendar::month_of;
use common::commands::dry_run::{DryRunLine, dry_run, dry_run_page};
use common::domain::billing_schedule::BillingSchedule;
use common::domain::calendar::{Cycle, seoul_midnight};
use common::domain::forecast::NotCharged;
use common::id::new_key;
use common::store::calendar;
use sandbox::LedgerQuery;
use sqlx::PgPool;
use uuid::Uuid;
use worker::env::Env;
use worker::{jobs, scheduler, sweep};

use crate::world::World;

/// What is different about a generated subscription; there are equally many of each.
const CASES: usize = 17;
const OF_EACH: usize = 120;
const TOMORROW: &str = "2026-12-22";

type Charge = (Uuid, i32, i32);

/// Writes subscriptions in every state that the run of tomorrow tells apart, all with the card of one customer.
async fn generate(world: &World, model: Uuid) -> String {
    let model = world.history(model).await.subscription;
    let key = world.env.sealer.open(model.sealed_billing_key.as_deref().unwrap(), model.id).unwrap();
    let ids: Vec<Uuid> = (0..CASES * OF_EACH).map(|_| new_key()).collect();
    let sealed: Vec<String> = ids.iter().map(|id| world.env.sealer.seal(&key, *id).unwrap()).collect();
    let users =
        "insert into users (id, created_at, updated_at) select id, $2, $2 from unnest($1::uuid[]) as t (id)";
    sqlx::query(users).bind(&ids).bind(world.now()).execute(&world.pool).await.unwrap();
    sqlx::query(SUBSCRIPTIONS)
        .bind(&ids)
        .bind(&sealed)
        .bind(&model.customer_key)
        .bind(world.now())
        .execute(&world.pool)
        .await
        .unwrap();
    for statement in [CHANGES, CONSENTS, INVOICES, PAYMENTS, NEW_CARDS] {
        sqlx::query(statement).bind(&ids).bind(world.now()).execute(&world.pool).await.unwrap();
    }
    model.customer_key
}

/// `n % 17`: 4 no card, 5 paused, 6 to 8 a change comes, 9, 10 and 16 in dunning, 11 due a day later, 12 a charge is in
/// flight, 13 canceled, 14 yearly, 15 a period was missed.
const SUBSCRIPTIONS: &str = "
    insert into subscriptions
        (id, user_id, plan, billing_cycle, billing_key, customer_key, card_registered_at, amount, status, customer_email,
         customer_name, anchor_on, period_no, current_period_start, current_period_end, next_billing_date,
         charging_paused_at, created_at, updated_at, activated_at, canceled_at)
    select id, id, case when kase = 6 then 'pro' else 'personal' end, case when kase = 14 then 'yearly' else 'monthly' end,
           case when kase <> 4 then sealed end, $3, $4 - interval '40 days',
           case when kase = 6 then 19900 when kase = 14 then 94800 else 9900 end,
           case when kase in (9, 10, 16) then 'past_due' when kase = 13 then 'canceled' else 'active' end,
           'user@example.com', '홍길동', anchor, 0, anchor, paid_to,
           (case when kase in (9, 10, 16) then timestamp '2026-12-22 02:00' else paid_to::timestamp end) at time zone 'Asia/Seoul',
           case when kase = 5 then $4 end, $4 - interval '40 days', $4, $4 - interval '40 days',
           case when kase = 13 then $4 end
      from (select id, sealed, (n - 1) % 17 as kase,
                   case (n - 1) % 17 when 11 then date '2026-11-23' when 14 then date '2025-12-22' when 15 then date '2026-10-22'
                                     when 12 then date '2026-11-15' when 9 then date '2026-11-19' when 10 then date '2026-11-19'
                                     when 16 then date '2026-11-19' else date '2026-11-22' end as anchor,
                   case (n - 1) % 17 when 11 then date '2026-12-23' when 15 then date '2026-11-22' when 12 then date '2026-12-15'
                                     when 9 then date '2026-12-19' when 10 then date '2026-12-19' when 16 then date '2026-12-19'
                                     else date '2026-12-22' end as paid_to
              from unnest($1::uuid[], $2::text[]) with ordinality as t (id, sealed, n)) as generated";

/// 6 becomes cheaper, 7 and 8 dearer.
const CHANGES: &str = "
    insert into plan_changes (id, subscription_id, from_plan, from_cycle, from_amount, to_plan, to_cycle, to_amount,
                              effective_no, effective_on, requested_by, created_at)
    select gen_random_uuid(), id, case when kase = 6 then 'pro' else 'personal' end, 'monthly',
           case when kase = 6 then 19900 else 9900 end, case when kase = 6 then 'personal' else 'pro' end, 'monthly',
           case when kase = 6 then 9900 else 19900 end, 1, date '2026-12-22', 'customer:test', $2
      from (select id, (n - 1) % 17 as kase from unnest($1::uuid[]) with ordinality as t (id, n)) as generated
     where kase in (6, 7, 8)";

const CONSENTS: &str = "
    insert into consents (id, plan_change_id, subscription_id, plan, billing_cycle, old_amount, new_amount, effective_on,
                          shown_text, given_by, given_at)
    select gen_random_uuid(), change.id, change.subscription_id, to_plan, to_cycle, from_amount, to_amount, effective_on,
           'shown', 'customer:test', $2
      from plan_changes change
      join (select id, (n - 1) % 17 as kase from unnest($1::uuid[]) with ordinality as t (id, n)) as generated
        on generated.id = change.subscription_id and kase = 8";

const INVOICES: &str = "
    insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, retry_days,
                          first_failed_at, next_attempt_at, created_at)
    select gen_random_uuid(), generated.id, 1, begins, (begins + interval '1 month')::date, begins, 9900,
           case when kase <> 12 then '{3,3}'::integer[] end, case when kase <> 12 then $2 - interval '2 days' end,
           case when kase <> 12 then timestamp '2026-12-22 02:00' at time zone 'Asia/Seoul' end, $2 - interval '2 days'
      from (select id, (n - 1) % 17 as kase, case (n - 1) % 17 when 12 then date '2026-12-15' else date '2026-12-19' end as begins
              from unnest($1::uuid[]) with ordinality as t (id, n)) as generated
     where kase in (9, 10, 12, 16)";

/// 9 was declined softly, 10 and 16 for good; the answer to 12 was lost.
const PAYMENTS: &str = "
    insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, idempotency_key, amount, status,
                          sent_at, first_sent_at, unknown_since, decline_kind, toss_code, created_at, settled_at)
    select gen_random_uuid(), generated.id, generated.id, invoice.id, 'renewal', 1,
           'AUTO_' || replace(generated.id::text, '-', '') || '_1_1', gen_random_uuid(), 9900,
           case when kase = 12 then 'unknown' else 'failed' end, $2 - interval '1 minute', $2 - interval '1 minute',
           case when kase = 12 then $2 - interval '1 minute' end, case when kase = 9 then 'soft' when kase <> 12 then 'hard' end,
           case when kase <> 12 then 'REJECT_CARD_PAYMENT' end, $2 - interval '2 days',
           case when kase <> 12 then $2 - interval '2 days' end
      from (select id, (n - 1) % 17 as kase from unnest($1::uuid[]) with ordinality as t (id, n)) as generated
      join invoices invoice on invoice.subscription_id = generated.id
     where kase in (9, 10, 12, 16)";

/// 16 has another card since its refusal.
const NEW_CARDS: &str = "
    update subscriptions set card_registered_at = $2
     where id in (select id from unnest($1::uuid[]) with ordinality as t (id, n) where (n - 1) % 17 = 16)";

/// The whole run of the day, its jobs side by side. The jobs of declined invoices are lost, and the sweep makes them anew.
async fn run_the_day(world: &mut World) {
    for at in ["02:00:01", "02:03:00"] {
        world.set_clock(&format!("{TOMORROW}T{at}+09:00"));
        scheduler::catch_up(&world.env, &world.schedule).await.unwrap();
        sweep::sweep(&world.env).await.unwrap();
        // The scan first, then what it has made.
        for _ in 0..2 {
            let workers = (0..6).map(|n| tokio::spawn(run_all(world.env.clone(), n)));
            for worker in workers.collect::<Vec<_>>() {
                worker.await.unwrap();
            }
        }
    }
}

async fn run_all(env: Env, n: usize) {
    while jobs::run_one(&env, &format!("worker-{n}")).await.unwrap().is_some() {}
}

async fn rows<T>(world: &World, sql: &'static str) -> BTreeSet<T>
where
    T: Ord + Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
{
    sqlx::query_as(sql).fetch_all(&world.pool).await.unwrap().into_iter().collect()
}

fn predicted(lines: &[DryRunLine], why: Option<NotCharged>) -> BTreeSet<Charge> {
    let of = lines.iter().filter(|line| line.not_charged == why);
    of.map(|line| (line.subscription_id, line.amount.get(), i32::try_from(line.period_no).unwrap())).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_dry_run_of_tomorrow_is_what_the_next_run_does(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let model = world.subscriber(Cycle::Monthly).await;
    world.set_clock("2026-12-21T10:00:00+09:00");
    let customer = generate(&world, model).await;
    let captured_before = world.sandbox.ledger(&LedgerQuery::customer(&customer)).net;
    let mut conn = world.pool.acquire().await.unwrap();
    let lines = dry_run(&mut conn, TOMORROW.parse().unwrap()).await.unwrap();
    run_the_day(&mut world).await;

    let charged: BTreeSet<Charge> = rows(
        &world,
        "select payment.subscription_id, payment.amount, invoice.period_no
           from payments payment join invoices invoice on invoice.id = payment.invoice_id
          where payment.created_at > timestamptz '2026-12-22T02:00:00+09:00' and payment.status = 'completed'",
    )
    .await;
    assert_eq!(
        predicted(&lines, None).symmetric_difference(&charged).count(),
        0,
        "who is charged, and how much"
    );
    // Cases 0 to 3, 6, 8, 9, 14, 15 and 16, and the model subscription.
    assert_eq!(charged.len(), 10 * OF_EACH + 1);
    let asked: i64 = charged.iter().map(|(_, amount, _)| i64::from(*amount)).sum();
    assert_eq!(world.sandbox.ledger(&LedgerQuery::customer(&customer)).net - captured_before, asked);

    let no_card: BTreeSet<Charge> = rows(&world, "select invoice.subscription_id, invoice.amount, invoice.period_no
        from dunning_skips skip join invoices invoice on invoice.id = skip.invoice_id where reason = 'no_payment_method'").await;
    let hard: BTreeSet<Charge> = rows(&world, "select invoice.subscription_id, invoice.amount, invoice.period_no
        from dunning_skips skip join invoices invoice on invoice.id = skip.invoice_id where reason = 'hard_decline'").await;
    let held: BTreeSet<Charge> =
        rows(&world, "select subscription_id, amount, period_no from invoices where held_since is not null")
            .await;
    let in_flight: BTreeSet<Charge> = rows(&world, "select payment.subscription_id, payment.amount, invoice.period_no
        from payments payment join invoices invoice on invoice.id = payment.invoice_id where payment.status = 'unknown'").await;
    let ended: BTreeSet<Charge> = rows(
        &world,
        "select subscriptions.id, to_amount, effective_no from subscriptions
        join plan_changes on subscription_id = subscriptions.id
        where subscriptions.status = 'canceled' and plan_changes.status = 'lapsed'",
    )
    .await;
    for (why, done) in [
        (NotCharged::NoCard, no_card),
        (NotCharged::HardDecline, hard),
        (NotCharged::OnHold, held),
        (NotCharged::PaymentInFlight, in_flight),
        (NotCharged::NoConsent, ended),
    ] {
        let predicted = predicted(&lines, Some(why));
        assert_eq!((predicted.len(), predicted.symmetric_difference(&done).count()), (OF_EACH, 0), "{why}");
    }
    assert_eq!(predicted(&lines, Some(NotCharged::SubscriptionPaused)).len(), OF_EACH);
    assert_eq!(lines.len(), 16 * OF_EACH + 1, "one line an invoice; 11 and 13 have none, 15 has two");
}

#[sqlx::test(migrations = "../migrations")]
async fn pages_of_a_dry_run_are_the_whole_of_it(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    for n in 0..7 {
        world.subscriber_called(&format!("ORDER_{n}"), Cycle::Monthly).await;
    }
    world.set_clock("2026-12-21T10:00:00+09:00");
    let (mut conn, date) = (world.pool.acquire().await.unwrap(), TOMORROW.parse().unwrap());
    let whole = dry_run(&mut conn, date).await.unwrap();
    let (mut paged, mut after) = (Vec::new(), Some(Uuid::nil()));
    while let Some(last) = after {
        let page = dry_run_page(&mut conn, date, last, 3).await.unwrap();
        paged.extend(page.lines);
        after = page.next;
    }
    assert_eq!((whole.len(), &paged), (7, &whole));
}

/// Anchors at the ends of months, both cycles, and terms that began later.
#[sqlx::test(migrations = "../migrations")]
async fn the_calendar_expects_charges_on_the_days_of_the_schedules(pool: PgPool) {
    let world = World::on(pool, "2026-11-22").await;
    let today = world.today();
    let mut wanted: BTreeMap<NaiveDate, i64> = BTreeMap::new();
    let anchors = ["2026-01-31", "2026-10-30", "2024-02-29", "2025-11-29", "2026-11-22", "2025-12-01"];
    for anchor in anchors {
        for (cycle, since) in [(Cycle::Monthly, 0), (Cycle::Yearly, 0), (Cycle::Yearly, 1)] {
            let anchor_on: NaiveDate = anchor.parse().unwrap();
            let schedule = BillingSchedule { cycle, anchor_on, from_no: since, from_month: since };
            let next = (since..1_000)
                .map(|no| schedule.period(no).unwrap())
                .find(|period| period.start > today)
                .unwrap();
            let id = new_key();
            let later = (next.no..1_000).map(|no| schedule.period(no).unwrap().start);
            for date in later.take_while(|date| *date < "2028-03-01".parse().unwrap()) {
                *wanted.entry(date).or_default() += 1;
            }
            sqlx::query("insert into users (id, created_at, updated_at) values ($1, now(), now())")
                .bind(id)
                .execute(&world.pool)
                .await
                .unwrap();
            sqlx::query(
                "insert into subscriptions
                     (id, user_id, plan, billing_cycle, billing_key, customer_key, amount, status, customer_email, customer_name,
                      anchor_on, period_no, current_period_start, current_period_end, next_billing_date, created_at,
                      updated_at, activated_at, terms_since_period, terms_since_month)
                 values ($1, $1, 'personal', $2, 'k1:x', 'c', 9900, 'active', 'a@b.kr', 'x', $3, $4, $5, $6, $7, now(), now(),
                         now(), $8, $8)",
            )
            .bind(id)
            .bind(<&str>::from(cycle))
            .bind(anchor_on)
            .bind(i32::try_from(next.no).unwrap() - 1)
            .bind(anchor_on)
            .bind(next.start)
            .bind(seoul_midnight(next.start))
            .bind(i32::try_from(since).unwrap())
            .execute(&world.pool)
            .await
            .unwrap();
        }
    }
    let mut conn = world.pool.acquire().await.unwrap();
    let days =
        calendar::expected(&mut conn, "2026-11-01".parse().unwrap(), "2028-03-01".parse().unwrap(), today);
    let expected: BTreeMap<_, _> = days.await.unwrap().into_iter().map(|day| (day.date, day.count)).collect();
    assert_eq!(expected, wanted);
    let month = month_of(&mut conn, "2027-02-10".parse().unwrap(), today).await.unwrap();
    let sum: i64 = month.days.iter().map(|day| day.expected.amount).sum();
    let in_february = wanted.iter().filter(|(date, _)| date.to_string().starts_with("2027-02"));
    assert_eq!(sum, in_february.map(|(_, count)| count * 9_900).sum::<i64>());
}

#[sqlx::test(migrations = "../migrations")]
async fn the_calendar_shows_what_was_charged_declined_and_refunded(pool: PgPool) {
    let mut world = World::on(pool, "2026-11-22").await;
    let id = world.subscriber(Cycle::Monthly).await;
    let payment_id = world.history(id).await.payments[0].id;
    let refund = common::domain::action::Action::RefundPayment { payment_id, amount: None };
    let mut conn = world.pool.acquire().await.unwrap();
    world.acting("kim").perform(&mut conn, &refund, &crate::world::reason("고객 요청")).await.unwrap();
    world.run_due_jobs().await;
    world.card_now(id, "REJECT_CARD_PAYMENT").await;
    world.live_until("2026-12-23").await;
    let today = world.today();
    let day = |month: common::commands::calendar::Month, date: &str| {
        let date: NaiveDate = date.parse().unwrap();
        let day = month.days.into_iter().find(|day| day.date == date).unwrap();
        [day.charged, day.failed, day.refunded, day.expected].map(|sum| (sum.count, sum.amount))
    };
    let november = month_of(&mut conn, "2026-11-01".parse().unwrap(), today).await.unwrap();
    assert_eq!(day(november, "2026-11-22"), [(1, 9_900), (0, 0), (1, 9_900), (0, 0)]);
    let december = month_of(&mut conn, today, today).await.unwrap();
    assert_eq!(day(december.clone(), "2026-12-22"), [(0, 0), (1, 9_900), (0, 0), (0, 0)]);
    assert_eq!(day(december, "2026-12-25"), [(0, 0), (0, 0), (0, 0), (1, 9_900)], "the next try");
    assert_eq!(world.net(id).await, 0);
}
