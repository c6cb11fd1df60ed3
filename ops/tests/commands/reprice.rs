//! New prices: who is told to be concerned and when, what is refused and why, and what the lists and reports say.

use chrono::{DateTime, Utc};
use common::domain::calendar::Cycle;
use common::domain::money::Won;
use ops::action::{Author, parse_reason};
use ops::reprice::{PriceRequest, Reached, Repriced};
use ops::{OpsError, consents, plans, price_changes, reprice, scan, subscription_history};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::program::{billing, url};
use crate::seed::{active_subscription, author, start};

fn won(amount: i64) -> Won {
    Won::new(amount).unwrap()
}

fn to(price: i64, from: &str) -> PriceRequest {
    PriceRequest {
        plan: "personal".into(),
        monthly: Some(won(price)),
        yearly: None,
        was: None,
        from: from.parse().unwrap(),
        reason: "higher costs".into(),
    }
}

async fn run(
    conn: &mut PgConnection,
    request: &PriceRequest,
    now: DateTime<Utc>,
) -> Result<Repriced, OpsError> {
    let author = Author { reason: parse_reason(&request.reason)?, ..author("kim", now) };
    reprice::reprice(conn, request, false, &author).await
}

async fn refusal(conn: &mut PgConnection, request: &PriceRequest) -> (u8, String) {
    let error = run(conn, request, start()).await.unwrap_err();
    (error.exit_code(), error.to_string())
}

async fn price(conn: &mut PgConnection) -> i32 {
    plans::list(conn).await.unwrap().0[0].monthly.get()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dry_run_says_whom_it_would_reach_when_and_writes_nothing(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    active_subscription(&mut conn).await;
    let canceled = active_subscription(&mut conn).await.id;
    sqlx::query("update subscriptions set status = 'canceled', canceled_at = now() where id = $1")
        .bind(canceled)
        .execute(&mut *conn)
        .await
        .unwrap();
    let would =
        reprice::reprice(&mut conn, &to(12_900, "2027-02-01"), true, &author("kim", start())).await.unwrap();
    insta::assert_snapshot!(would, @r"
    personal monthly: 9,900원 → 12,900원, renewals from 2027-02-01 on
    new subscribers pay 12,900원 from now on

    FIRST CHARGE ON  SUBSCRIPTIONS  NEED A CONSENT
    2027-02-22       1              1

    1 concerned, 1 need a consent, 1 may come later

    a dry run: nothing was announced
    ");
    assert_eq!(price(&mut conn).await, 9_900);
    assert!(price_changes::list(&mut conn, start()).await.unwrap().0.is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn both_cycles_are_announced_at_once_or_not_at_all(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    active_subscription(&mut conn).await;
    let request = PriceRequest { yearly: Some(won(94_800)), ..to(12_900, "2027-02-01") };
    assert_eq!(refusal(&mut conn, &request).await, (2, "it costs 94,800원 already".into()));
    assert_eq!(price(&mut conn).await, 9_900);
    let done =
        run(&mut conn, &PriceRequest { yearly: Some(won(118_800)), ..request }, start()).await.unwrap();
    let seen: Vec<_> =
        done.prices.iter().map(|price| (price.billing_cycle.as_str(), price.subscriptions)).collect();
    assert_eq!(seen, [("monthly", 1), ("yearly", 0)]);
    let date = "2027-02-22".parse().unwrap();
    assert_eq!(done.prices[0].dates, [Reached { date, subscriptions: 1, need_a_consent: 1 }]);
    assert_eq!(price(&mut conn).await, 12_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn every_mistake_is_named(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    active_subscription(&mut conn).await;
    let soon = "2026-12-22 is too soon to ask everybody 30 days before: the first date for a higher price is 2026-12-23";
    assert_eq!(refusal(&mut conn, &to(12_900, "2026-12-22")).await, (2, soon.into()));
    let past = refusal(&mut conn, &to(7_900, "2026-11-21")).await;
    assert_eq!(past, (2, "2026-11-21 is over: the first date is 2026-11-22".into()));
    assert_eq!(refusal(&mut conn, &to(9_900, "2027-02-01")).await, (2, "it costs 9,900원 already".into()));
    let unknown = PriceRequest { plan: "team".into(), ..to(12_900, "2027-02-01") };
    assert_eq!(refusal(&mut conn, &unknown).await, (1, "there is no plan team".into()));
    let none = PriceRequest { monthly: None, ..to(12_900, "2027-02-01") };
    assert!(refusal(&mut conn, &none).await.1.contains("--monthly, --yearly or both"));
    let silent = PriceRequest { reason: " ".into(), ..to(12_900, "2027-02-01") };
    assert!(refusal(&mut conn, &silent).await.1.contains("reason"));
    let small = refusal(&mut conn, &to(99, "2027-02-01")).await;
    assert!(small.0 == 2 && small.1.contains("at least 100 won"), "{small:?}");
    let both = PriceRequest { yearly: Some(won(118_800)), was: Some(won(7_900)), ..to(12_900, "2027-02-01") };
    assert!(refusal(&mut conn, &both).await.1.contains("--was"));
    let off = PriceRequest { was: Some(won(7_900)), ..to(12_900, "2027-02-01") };
    let off = refusal(&mut conn, &off).await;
    assert!(off.0 == 1 && off.1.contains("the plan costs 9,900원"), "{off:?}");

    let first = run(&mut conn, &to(12_900, "2027-02-01"), start()).await.unwrap().prices[0].id.unwrap();
    let second = refusal(&mut conn, &to(14_900, "2027-03-01")).await;
    assert!(second.0 == 1 && second.1.contains("withdraw it first") && second.1.contains(&first.to_string()));
    let set = plans::PlanChange { monthly: Some(won(9_900)), ..plans::PlanChange::default() };
    let set = plans::set(&mut conn, "personal", set, &author("kim", start())).await.unwrap_err();
    assert!(set.to_string().contains("withdraw it first"), "{set}");
    price_changes::withdraw(&mut conn, first, &author("lee", start())).await.unwrap();
    run(&mut conn, &to(14_900, "2027-03-01"), start()).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn no_price_is_set_again_from_which_a_price_change_leads_away(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    run(&mut conn, &to(12_900, "2027-02-01"), start()).await.unwrap();
    let set = |price| plans::PlanChange { monthly: Some(won(price)), ..plans::PlanChange::default() };
    let later = at("2027-02-01T00:00:00Z");
    let refused = plans::set(&mut conn, "personal", set(9_900), &author("kim", later)).await.unwrap_err();
    assert!(refused.to_string().contains("billing plans reprice"), "{refused}");
    plans::set(&mut conn, "personal", set(13_900), &author("kim", later)).await.unwrap();
    assert_eq!(price(&mut conn).await, 13_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn who_pays_something_else_is_left_alone_unless_named(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = active_subscription(&mut conn).await.id;
    sqlx::query("update subscriptions set amount = 7900").execute(&mut *conn).await.unwrap();
    let done = run(&mut conn, &to(12_900, "2027-02-01"), start()).await.unwrap();
    assert_eq!(done.prices[0].subscriptions, 0);
    let later = at("2027-02-02T00:00:00Z");
    let named = PriceRequest { was: Some(won(7_900)), ..to(12_900, "2027-03-06") };
    let done = run(&mut conn, &named, later).await.unwrap();
    assert_eq!((done.prices[0].subscriptions, done.prices[0].new_subscribers_pay_it), (1, false));
    let id = subscription_history::show(&mut conn, id, later).await.unwrap().changes[0].price_change_id;
    price_changes::withdraw(&mut conn, id.unwrap(), &author("kim", later)).await.unwrap();
    assert_eq!(price(&mut conn).await, 12_900, "the plan's price is not its");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_list_the_report_the_history_and_the_scan_show_it(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    let id = run(&mut conn, &to(12_900, "2027-01-01"), start()).await.unwrap().prices[0].id.unwrap();
    let listed = price_changes::list(&mut conn, start()).await.unwrap();
    assert_eq!((listed.0[0].id, listed.0[0].status.as_str(), listed.0[0].pending), (id, "announced", 1));
    assert!(listed.to_string().contains("higher costs"), "{listed}");
    let report = consents::report(&mut conn, id).await.unwrap();
    assert!(report.to_string().ends_with("\n1 subscriptions, 1 not yet asked\n"), "{report}");
    let history = subscription_history::show(&mut conn, subscription.id, start()).await.unwrap();
    assert_eq!((history.changes[0].status.as_str(), history.changes[0].to_amount), ("pending", 12_900));
    for told in [&id.to_string(), "CHANGES\nASKED", "12900", "CONSENTS\nnone\n"] {
        assert!(history.to_string().contains(told), "{told}\n{history}");
    }
    sqlx::query("update subscriptions set next_billing_date = '2027-01-21T15:00:00Z'")
        .execute(&mut *conn)
        .await
        .unwrap();
    let due = scan::dry_run(&mut conn, Some("2027-01-22".parse().unwrap()), start()).await.unwrap();
    let line = &due.due[0];
    assert_eq!((line.amount, line.old_amount, line.would_end), (12_900, Some(9_900), true));
    assert_eq!((due.subscriptions, due.would_end, due.total), (1, 1, 0));
    assert!(due.to_string().contains("personal 9,900원; NO CONSENT: ends"), "{due}");
    sqlx::query(
        "insert into consents (id, plan_change_id, subscription_id, plan, billing_cycle, old_amount, new_amount,
                               effective_on, shown_text, given_by, given_at)
         select gen_random_uuid(), id, subscription_id, to_plan, to_cycle, from_amount, to_amount, effective_on,
                '동의합니다', 'customer:x', '2027-01-02T00:00:00Z' from plan_changes",
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    let due = scan::dry_run(&mut conn, Some("2027-01-22".parse().unwrap()), start()).await.unwrap();
    assert_eq!((due.would_end, due.total), (0, 12_900));
    assert_eq!(consents::report(&mut conn, id).await.unwrap().totals["consented"], 1);
    let history = subscription_history::show(&mut conn, subscription.id, start()).await.unwrap();
    assert!(history.to_string().contains("동의합니다"), "{history}");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_words_of_the_command_line_do_all_of_it_in_json(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let subscription = active_subscription(&mut conn).await;
    assert_eq!(subscription.cycle, Cycle::Monthly);
    let ask = async |words: &[&str]| -> (Option<i32>, Value) {
        let output = billing(Some(&url(&pool)), &[("USER", "kim")], words).await;
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
    };
    let wanted = [
        "plans",
        "reprice",
        "personal",
        "--monthly",
        "12900",
        "--from",
        "2099-02-01",
        "--reason",
        "costs",
        "--json",
    ];
    let (code, done) = ask(&wanted).await;
    assert_eq!((code, &done["prices"][0]["newAmount"]), (Some(0), &12_900.into()));
    let id = done["prices"][0]["id"].as_str().unwrap();
    let (_, listed) = ask(&["plans", "price-changes", "--json"]).await;
    assert_eq!((&listed[0]["id"], &listed[0]["requestedBy"]), (&id.into(), &"operator:kim".into()));
    let (_, report) = ask(&["plans", "consents", id, "--json"]).await;
    assert_eq!(report["totals"]["not_yet_asked"], 1);
    let (_, withdrawn) = ask(&["plans", "withdraw", id, "--reason", "a mistake", "--json"]).await;
    assert_eq!(withdrawn["priceChange"]["status"], "withdrawn");
    assert_eq!(ask(&["plans", "withdraw", id, "--reason", "again"]).await.0, Some(1));
    assert_eq!(ask(&["plans", "consents", "0192f0c1-a2b3-7c4d-8e5f-60718293a4b5"]).await.0, Some(1));
}
