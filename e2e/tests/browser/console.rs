//! The operators' console in a real browser: accounts, every page at both widths, light and dark, script on and off.
//!
//! With `CONSOLE_PICTURES=<folder>` the pictures of the README are written there.

use std::path::PathBuf;

use common::domain::operator::Role;
use ops::operator::{Console, NewOperator, add};
use secrecy::ExposeSecret;
use sqlx::PgPool;

use crate::{
    page::{Page, Screen},
    shop::Shop,
};

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
    let added = add(&mut conn, new, chrono::DateTime::UNIX_EPOCH).await.unwrap();
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
}

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
    let lists = [
        "",
        "/failures?window=7d",
        "/payments",
        "/subscriptions",
        "/jobs",
        "/invoices",
        "/discrepancies",
        "/emails",
        "/webhooks/in",
        "/webhooks/out",
        "/audit",
        "/settings",
        "/calendar",
        "/calendar/2100-01-01",
        "/bulk/job.retry?state=failed",
        "/actions",
        "/search?q=customer",
        "/nowhere",
    ];
    let mut pages: Vec<String> = lists.iter().map(|path| format!("/console{path}")).collect();
    pages.push(format!("/console/subscriptions/{subscription}"));
    pages.push(format!("/console/jobs/{job}"));
    pages.push(format!("/console/emails/{email}"));
    pages.push(format!("/console/webhooks/out/{event}"));
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
