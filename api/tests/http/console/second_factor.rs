//! One-time codes: set up, asked for at the login, used once, and taken away.

use chrono::{DateTime, Utc};
use common::domain::{operator::Role, totp::TotpSecret};
use sqlx::PgPool;

use super::browser::{Browser, EMAIL, PASSWORD, put};
use crate::support::{Answer, Api};

const PATH: &str = "/console/settings/second-factor";

/// The value of the form's hidden field.
fn secret_in(page: &str) -> String {
    let field = page.split("name=\"secret\" value=\"").nth(1).unwrap();
    field.split('"').next().unwrap().replace("&#61;", "=").replace("&#43;", "+").replace("&#x3d;", "=")
}

async fn database_time(api: &Api) -> DateTime<Utc> {
    sqlx::query_scalar("select clock_timestamp()").fetch_one(&api.pool).await.unwrap()
}

/// What the app shows now.
async fn code(api: &Api, secret: &TotpSecret) -> String {
    secret.code(database_time(api).await).unwrap()
}

/// As if the last used code were long past.
async fn forget_used_steps(api: &Api) {
    sqlx::query("update operator_totp set last_step = 0").execute(&api.pool).await.unwrap();
}

/// An operator who is logged in with a second factor, its secret, and the page with the recovery codes.
async fn with_second_factor(api: &Api) -> (Browser<'_>, TotpSecret, Vec<String>) {
    put(&api.pool, EMAIL, Role::Operator).await;
    let mut browser = Browser::new(api);
    let token = browser.link(EMAIL).await;
    browser.post(&format!("/console/link/{token}"), &[("password", PASSWORD), ("again", PASSWORD)]).await;
    let page = browser.get(PATH).await;
    let field = secret_in(page.page());
    let secret = TotpSecret::from_base64(&field).unwrap();
    let shown =
        browser.post(&format!("{PATH}/on"), &[("secret", &field), ("code", &code(api, &secret).await)]).await;
    assert_eq!(shown.status, 200, "{}", shown.page());
    let codes =
        shown.page().split("<li><code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned());
    let codes = codes.collect();
    (browser, secret, codes)
}

async fn log_in(browser: &mut Browser<'_>, code: &str) -> Answer {
    browser.cookie = None;
    browser.post("/console/login", &[("email", EMAIL), ("password", PASSWORD), ("code", code)]).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_needs_a_code_that_works_once(pool: PgPool) {
    let api = Api::new(pool);
    let (mut browser, secret, _) = with_second_factor(&api).await;
    // The code that set it up is used up, too.
    let step: i64 =
        sqlx::query_scalar("select last_step from operator_totp").fetch_one(&api.pool).await.unwrap();
    let used = secret.code(DateTime::from_timestamp(step * 30, 0).unwrap()).unwrap();
    assert_eq!(log_in(&mut browser, &used).await.status, 401);
    forget_used_steps(&api).await;
    for wrong in ["", "000000", "ABCD-EFGH-IJKL-MNOP"] {
        let answer = log_in(&mut browser, wrong).await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert!(browser.cookie.is_none());
    }
    sqlx::query("delete from operator_login_failures").execute(&api.pool).await.unwrap();
    let code = code(&api, &secret).await;
    assert_eq!(log_in(&mut browser, &code).await.location(), "/console");
    assert_eq!(log_in(&mut browser, &code).await.status, 401);
}

#[sqlx::test(migrations = "../migrations")]
async fn wrong_codes_lock_the_account(pool: PgPool) {
    let api = Api::new(pool);
    let (mut browser, secret, _) = with_second_factor(&api).await;
    forget_used_steps(&api).await;
    for _ in 0..5 {
        assert_eq!(log_in(&mut browser, "000000").await.status, 401);
    }
    assert_eq!(log_in(&mut browser, &code(&api, &secret).await).await.status, 429);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_recovery_code_works_once(pool: PgPool) {
    let api = Api::new(pool);
    let (mut browser, _, codes) = with_second_factor(&api).await;
    assert_eq!(codes.len(), 10);
    assert_eq!(log_in(&mut browser, &codes[0].to_lowercase()).await.location(), "/console");
    assert!(browser.get(PATH).await.page().contains("<b>9</b>"));
    assert_eq!(log_in(&mut browser, &codes[0]).await.status, 401);
    assert_eq!(log_in(&mut browser, &codes[1].replace('-', " ")).await.location(), "/console");
}

#[sqlx::test(migrations = "../migrations")]
async fn neither_secret_nor_recovery_code_is_stored_readably(pool: PgPool) {
    let api = Api::new(pool);
    let (_, secret, codes) = with_second_factor(&api).await;
    let stored: String = sqlx::query_scalar(
        "select (select string_agg(totp::text, ' ') from operator_totp totp)
             || (select string_agg(codes::text, ' ') from operator_recovery_codes codes)
             || (select string_agg(actions::text, ' ') from operator_actions actions)",
    )
    .fetch_one(&api.pool)
    .await
    .unwrap();
    let base64 = secrecy::ExposeSecret::expose_secret(&secret.to_base64()).to_owned();
    for readable in [base64, secret.to_text(), secret.to_text().replace('-', ""), codes[0].clone()] {
        assert!(!stored.contains(&readable), "{stored}");
    }
    assert!(stored.contains("operator.totp_on"), "{stored}");
}

#[sqlx::test(migrations = "../migrations")]
async fn it_is_taken_away_with_a_code_only(pool: PgPool) {
    let api = Api::new(pool);
    let (mut browser, secret, _) = with_second_factor(&api).await;
    forget_used_steps(&api).await;
    let off = format!("{PATH}/off");
    assert_eq!(browser.post(&off, &[("code", "000000")]).await.status, 422);
    assert_eq!(browser.post(&off, &[("code", &code(&api, &secret).await)]).await.location(), PATH);
    assert_eq!(log_in(&mut browser, "").await.location(), "/console");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_link_does_not_replace_the_second_factor(pool: PgPool) {
    let api = Api::new(pool);
    let (mut browser, _, codes) = with_second_factor(&api).await;
    let mut thief = Browser::new(&api);
    let path = format!("/console/link/{}", browser.link(EMAIL).await);
    assert!(thief.get(&path).await.page().contains("name=\"code\""));
    let new = "another long password";
    for wrong in ["", "000000"] {
        let form = [("password", new), ("again", new), ("code", wrong)];
        assert_eq!(thief.post(&path, &form).await.status, 401, "{wrong}");
    }
    assert!(thief.get("/console").await.is_login());
    // The link was not used up, and the old password still works.
    assert_eq!(log_in(&mut browser, &codes[0]).await.location(), "/console");
    let form = [("password", new), ("again", new), ("code", &codes[1])];
    assert_eq!(browser.post(&path, &form).await.location(), "/console");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_admin_resets_it_with_a_reason(pool: PgPool) {
    let api = Api::new(pool);
    let (mut kim, _, _) = with_second_factor(&api).await;
    let id: uuid::Uuid =
        sqlx::query_scalar("select operator_id from operator_totp").fetch_one(&api.pool).await.unwrap();
    let path = format!("/console/act/operator.totp_reset/{id}");
    assert_eq!(kim.post(&path, &[("reason", "lost the phone")]).await.status, 403);
    let mut admin = Browser::with_role(&api, Role::Admin).await;
    assert!(admin.get(&path).await.page().contains("비밀번호만으로"));
    assert_eq!(admin.post(&path, &[("reason", "")]).await.status, 422);
    let done = admin.post(&path, &[("reason", "lost the phone")]).await;
    assert!(done.location().starts_with("/console/actions/"), "{}", done.page());
    assert!(admin.get(done.location()).await.page().contains("lost the phone"));
    assert_eq!(log_in(&mut kim, "").await.location(), "/console");
    assert_eq!(admin.post(&path, &[("reason", "once more")]).await.status, 409);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_admins_session_does_not_reset_its_own(pool: PgPool) {
    let api = Api::new(pool);
    let (mut kim, _, codes) = with_second_factor(&api).await;
    sqlx::query("update operators set role = 'admin'").execute(&api.pool).await.unwrap();
    let id: uuid::Uuid =
        sqlx::query_scalar("select operator_id from operator_totp").fetch_one(&api.pool).await.unwrap();
    let path = format!("/console/act/operator.totp_reset/{id}");
    assert!(!kim.get("/console/settings").await.page().contains(&path));
    assert!(kim.get(&path).await.page().contains("본인의 2단계 인증"));
    assert_eq!(kim.post(&path, &[("reason", "lost the phone")]).await.status, 409);
    assert_eq!(log_in(&mut kim, "").await.status, 401);
    assert_eq!(log_in(&mut kim, &codes[0]).await.location(), "/console");
    // Another admin does.
    let mut other = Browser::with_role(&api, Role::Admin).await;
    assert!(other.get("/console/settings").await.page().contains(&path));
    assert!(other.post(&path, &[("reason", "lost the phone")]).await.location().starts_with("/console/"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_first_code_sets_nothing_up(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    let secret = secret_in(browser.get(PATH).await.page());
    let answer = browser.post(&format!("{PATH}/on"), &[("secret", &secret), ("code", "000000")]).await;
    assert_eq!(answer.status, 422);
    // The app holds the secret already: the same is offered again.
    assert_eq!(secret_in(answer.page()), secret);
    let short = browser.post(&format!("{PATH}/on"), &[("secret", "c2hvcnQ="), ("code", "000000")]).await;
    assert_eq!(short.status, 400);
    let stored: i64 =
        sqlx::query_scalar("select count(*) from operator_totp").fetch_one(&api.pool).await.unwrap();
    assert_eq!(stored, 0);
}
