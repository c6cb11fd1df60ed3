//! The operators' console in a real browser: accounts, every page at both widths, light and dark, script on and off.
//!
//! With `CONSOLE_PICTURES=<folder>` the pictures of the README are written there.

use std::path::PathBuf;

use common::domain::actor::{Actor, Reason};
use common::domain::operator::Role;
use common::domain::totp::TotpSecret;
use ops::action::Author;
use ops::operator::{Console, NewOperator, add};
use secrecy::ExposeSecret;
use sqlx::PgPool;

use crate::page::{Page, Screen};
use crate::shop::Shop;

const EMAIL: &str = "kim@example.com";
const PASSWORD: &str = "correct horse battery";
const GOOD: &str = "4300-0000-0000-0001";
const NO_BALANCE: &str = "4300-0000-0000-0002";
const STOPPED: &str = "4300-0000-0000-0004";

/// The one-time link of a new operator.
async fn link(pool: &PgPool, shop: &Shop, role: Role) -> String {
    let mut conn = pool.acquire().await.unwrap();
    let console = Console { console_url: shop.api_url.parse().unwrap() };
    let new = NewOperator { email: EMAIL.to_owned(), role: Some(role), token: None, console };
    let actor = Actor::command_line("test", "root", None);
    let author =
        Author { actor, reason: Reason::parse("a test").unwrap(), now: chrono::DateTime::UNIX_EPOCH };
    let added = add(&mut conn, new, &author).await.unwrap();
    added.link.link.expose_secret().to_owned()
}

/// An operator who has just set their password.
async fn operator(pool: &PgPool, shop: &Shop, role: Role) -> Page {
    let mut page = Page::on_a_phone().await;
    page.open(&link(pool, shop, role).await).await;
    page.write("새 비밀번호", PASSWORD).await;
    page.write("한 번 더", PASSWORD).await;
    page.touch("저장하고 로그인").await;
    page.arrives("/console").await;
    page
}

async fn fits_without_errors(page: &mut Page) {
    page.fits_everybody().await;
    assert_eq!(page.errors().await, Vec::<String>::new());
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_sets_a_password_logs_out_and_in_again(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let mut page = operator(&pool, &shop, Role::Admin).await;
    page.sees("확인할 일").await;
    fits_without_errors(&mut page).await;
    page.touch("로그아웃").await;
    page.arrives("/console/login").await;
    page.open(&format!("{}/console/jobs?state=failed", shop.api_url)).await;
    page.arrives("/console/login").await;
    fits_without_errors(&mut page).await;
    for _ in 0..5 {
        page.write("이메일", EMAIL).await;
        page.write("비밀번호", "wrong horse battery").await;
        page.touch("로그인").await;
        page.sees("올바르지 않습니다").await;
        fits_without_errors(&mut page).await;
        page.open(&format!("{}/console/login?next=/console/jobs", shop.api_url)).await;
        page.arrives("/console/login").await;
    }
    page.write("이메일", EMAIL).await;
    page.write("비밀번호", PASSWORD).await;
    page.touch("로그인").await;
    page.sees("여러 번 실패했습니다").await;
    fits_without_errors(&mut page).await;
    let unlock = sqlx::query("update operator_login_failures set locked_until = clock_timestamp()");
    unlock.execute(&pool).await.unwrap();
    page.write("비밀번호", PASSWORD).await;
    page.touch("로그인").await;
    page.arrives("/console/jobs").await;
    fits_without_errors(&mut page).await;
}

/// One paid, one declined softly, one for good, and a job that failed.
async fn fill(pool: &PgPool, shop: &Shop) {
    shop.buys(1, "홍길동", GOOD).await;
    shop.buys(2, "김하나", NO_BALANCE).await;
    shop.buys(3, "이두리", STOPPED).await;
    let failed = "insert into jobs (kind, args, subject, state, run_at, due_at, max_attempts, created_at, finished_at, last_error)
        select 'send-email', '{}', '{}', 'failed', now(), now(), 25, now(), now() - (n || ' minutes')::interval,
               'mailbox ' || n || ' is full' from generate_series(1, 7) n";
    sqlx::query(failed).execute(pool).await.unwrap();
    for sql in [
        "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, status, toss_code,
                              created_at, settled_at)
         select gen_random_uuid(), id, 1000, '고객 요청', 'operator:kim', 'k', gen_random_uuid(), 'failed',
                'NOT_CANCELABLE_PAYMENT', now(), now() from payments where status = 'completed' limit 1",
        "insert into card_registrations (id, subscription_id, user_id, auth_key_hash, customer_key, idempotency_key, status,
                                         toss_code, created_at, settled_at)
         select gen_random_uuid(), id, user_id, 'hash', 'c', gen_random_uuid(), 'refused', 'INVALID_CARD_EXPIRATION', now(), now()
           from subscriptions limit 1",
        "insert into webhook_events_in (id, transmission_id, received_at, headers, body, event_type, state, note, handled_at)
         values (gen_random_uuid(), 't-1', now(), '{}', '{\"a\": 1}', 'PAYMENT_STATUS_CHANGED', 'failed', 'for a day now', now())",
        "insert into discrepancies (id, date, kind, reference, payment_id, our_amount, their_amount, first_seen_at, last_seen_at)
         select gen_random_uuid(), '2026-11-28', 'amount_differs', 'ref-1', id, 94800, 9900, now(), now() from payments limit 1",
        "insert into operator_actions (at, actor, channel, os_user, action, target_kind, target_id, reason, before, after)
         values (now(), 'operator:kim', 'command_line', 'root', 'plan.set', 'plan', 'pro', 'a test', '{\"a\": 1}', '{\"a\": 2}')",
    ] {
        sqlx::query(sql).execute(pool).await.unwrap();
    }
}

/// Pages without an id.
const LISTS: [&str; 21] = [
    "",
    "/failures?window=7d",
    "/payments",
    "/refunds",
    "/cards",
    "/subscriptions",
    "/jobs",
    "/invoices",
    "/discrepancies",
    "/emails",
    "/webhooks/in",
    "/webhooks/out",
    "/audit",
    "/settings",
    "/settings/second-factor",
    "/calendar",
    "/calendar/2100-01-01",
    "/bulk/job.retry?state=failed",
    "/actions",
    "/search?q=customer",
    "/nowhere",
];

/// The path of every page, with something to show on each.
async fn pages(pool: &PgPool) -> Vec<String> {
    let one = async |sql: &'static str| -> String {
        sqlx::query_scalar::<_, Option<String>>(sql).fetch_one(pool).await.unwrap().unwrap()
    };
    let subscription =
        one("select 'sub_' || replace(subscription_id::text, '-', '') from payments where status = 'completed' limit 1")
            .await;
    let job = one("select min(id)::text from jobs").await;
    let email = one("select max(id::text) from emails").await;
    let event = one("select max(id::text) from webhook_events_out").await;
    let mut pages: Vec<String> = LISTS.iter().map(|path| format!("/console{path}")).collect();
    pages.push(format!("/console/subscriptions/{subscription}"));
    pages.push(format!("/console/jobs/{job}"));
    pages.push(format!("/console/emails/{email}"));
    pages.push(format!("/console/webhooks/out/{event}"));
    for (list, table) in [
        ("webhooks/in", "webhook_events_in"),
        ("discrepancies", "discrepancies"),
        ("actions", "operator_actions"),
    ] {
        let newest = sqlx::AssertSqlSafe(format!("select max(id::text) from {table}"));
        let id: String = sqlx::query_scalar(newest).fetch_one(pool).await.unwrap();
        pages.push(format!("/console/{list}/{id}"));
    }
    let paid = one("select id::text from payments where status = 'completed' limit 1").await;
    pages.push(format!("/console/act/payment.refund/{paid}"));
    pages
}

fn pictures() -> Option<PathBuf> {
    std::env::var_os("CONSOLE_PICTURES").map(PathBuf::from)
}

#[sqlx::test(migrations = "../migrations")]
async fn every_page_fits_both_screens_in_light_and_dark(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let mut page = operator(&pool, &shop, Role::Admin).await;
    fill(&pool, &shop).await;
    let paths = pages(&pool).await;
    for (screen, is_dark, has_script) in [
        (Screen::Desktop, false, true),
        (Screen::Desktop, true, false),
        (Screen::Phone, false, false),
        (Screen::Phone, true, true),
    ] {
        page.show_on(screen).await;
        page.be_dark(is_dark).await;
        page.allow_script(has_script).await;
        for path in &paths {
            page.open(&format!("{}{path}", shop.api_url)).await;
            page.arrives(path.split('?').next().unwrap()).await;
            fits_without_errors(&mut page).await;
            if let Some(folder) = pictures() {
                let name = path.trim_start_matches("/console").replace(['/', '?', '='], "-");
                let file = format!("{screen:?}-{}{name}.png", if is_dark { "dark" } else { "light" });
                std::fs::write(folder.join(file), page.picture().await).unwrap();
            }
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_violation_of_the_policy_is_an_error(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let mut page = operator(&pool, &shop, Role::Viewer).await;
    assert_eq!(page.errors().await, Vec::<String>::new());
    page.run("document.body.append(Object.assign(document.createElement('style'), { textContent: 'p { color: red }' })), true")
        .await;
    let errors = page.errors().await;
    assert!(errors.iter().any(|error| error.contains("Content Security Policy")), "{errors:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_with_a_one_time_code(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let mut page = operator(&pool, &shop, Role::Viewer).await;
    page.open(&format!("{}/console/settings/second-factor", shop.api_url)).await;
    page.sees("2단계 인증").await;
    fits_without_errors(&mut page).await;
    let field = page.run("document.querySelector('input[name=secret]')?.value").await;
    let secret = TotpSecret::from_base64(field.as_str().unwrap()).unwrap();
    let code = async || {
        let now = sqlx::query_scalar("select clock_timestamp()").fetch_one(&pool).await.unwrap();
        secret.code(now).unwrap()
    };
    page.write("앱의 6자리 코드", &code().await).await;
    page.touch("켜기").await;
    page.sees("복구 코드").await;
    fits_without_errors(&mut page).await;
    sqlx::query("update operator_totp set last_step = 0").execute(&pool).await.unwrap();
    page.touch("로그아웃").await;
    page.arrives("/console/login").await;
    page.write("이메일", EMAIL).await;
    page.write("비밀번호", PASSWORD).await;
    page.write("인증 앱 코드", &code().await).await;
    page.touch("로그인").await;
    page.arrives("/console").await;
    fits_without_errors(&mut page).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn the_keyboard_alone_leads_everywhere(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let mut page = operator(&pool, &shop, Role::Viewer).await;
    fill(&pool, &shop).await;
    page.press("g").await;
    page.press("p").await;
    page.arrives("/console/payments").await;
    page.press("j").await;
    page.press("j").await;
    page.press("Enter").await;
    page.sees("토스 코드").await;
    page.press("?").await;
    page.sees("단축키").await;
    page.press("Escape").await;
    page.press("/").await;
    for key in ["O", "R", "D", "E", "R", "_", "0", "0", "0", "0", "0", "0", "0", "0", "0", "1"] {
        page.press(key).await;
    }
    page.press("Enter").await;
    page.sees("홍길동").await;
    assert!(page.location().await.starts_with("/console/subscriptions/sub_"));
    assert_eq!(page.errors().await, Vec::<String>::new());
}
