//! Logging in and out, lock-outs, one-time links, and how a session ends.

use axum::http::{Method, header};
use common::domain::operator::Role;
use common::store::{operator_sessions, operators};
use serde_json::json;
use sqlx::PgPool;

use super::browser::{Browser, EMAIL, PASSWORD, put};
use crate::support::{Answer, Api};

/// An operator with a password; nobody is logged in.
async fn kim(api: &Api) -> Browser<'_> {
    put(&api.pool, EMAIL, Role::Operator).await;
    let mut browser = Browser::new(api);
    let token = browser.link(EMAIL).await;
    browser.post(&format!("/console/link/{token}"), &[("password", PASSWORD), ("again", PASSWORD)]).await;
    sqlx::query("delete from operator_sessions").execute(&api.pool).await.unwrap();
    browser.cookie = None;
    browser
}

async fn execute(api: &Api, sql: &'static str) {
    sqlx::query(sql).execute(&api.pool).await.unwrap();
}

fn is_today(answer: &Answer) -> bool {
    answer.status == 200 && answer.page().contains("<h1>오늘</h1>")
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_logs_in_comes_back_to_the_page_and_logs_out(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = kim(&api).await;
    let asked = browser.get("/console/settings?x=1").await;
    assert_eq!(asked.location(), "/console/login?next=%2Fconsole%2Fsettings%3Fx%3D1");
    let login = browser.get(asked.location()).await;
    assert!(login.page().contains("value=\"/console/settings?x=1\""), "{}", login.page());
    let form = [("email", " Kim@Example.com "), ("password", PASSWORD), ("next", "/console/settings?x=1")];
    let answer = browser.post("/console/login", &form).await;
    assert_eq!((answer.status.as_u16(), answer.location()), (303, "/console/settings?x=1"));
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-console=") && !cookie.contains("Domain"), "{cookie}");
    for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
    assert!(is_today(&browser.get("/console").await));
    let before = browser.cookie.clone();
    assert!(browser.post("/console/logout", &[]).await.is_login());
    // The token itself has ended, not only the browser's copy.
    browser.cookie = before;
    assert!(browser.get("/console").await.is_login());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_never_leads_to_another_site(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = kim(&api).await;
    for next in ["https://evil.example", "//evil.example", "/\\evil.example", "/api/plans"] {
        let form = [("email", EMAIL), ("password", PASSWORD), ("next", next)];
        assert_eq!(browser.post("/console/login", &form).await.location(), "/console", "{next}");
        browser.cookie = None;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_password_and_an_unknown_address_look_alike(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = kim(&api).await;
    let wrong = browser.log_in(EMAIL, "wrong horse battery").await;
    let unknown = browser.log_in("lee@example.com", PASSWORD).await;
    assert_eq!((wrong.status.as_u16(), unknown.status.as_u16()), (401, 401));
    assert_eq!(wrong.page().replace(EMAIL, ""), unknown.page().replace("lee@example.com", ""));
    assert!(browser.cookie.is_none());
    assert!(!wrong.page().contains("wrong horse"));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_fifth_wrong_password_locks_the_account_for_a_while(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = kim(&api).await;
    for _ in 0..5 {
        assert_eq!(browser.log_in(EMAIL, "wrong").await.status, 401);
    }
    // Even the right one, and without a look at it.
    assert_eq!(browser.log_in(EMAIL, PASSWORD).await.status, 429);
    execute(&api, "update operator_login_failures set locked_until = clock_timestamp()").await;
    assert_eq!(browser.log_in(EMAIL, "wrong").await.status, 401);
    assert_eq!(browser.log_in(EMAIL, PASSWORD).await.status, 429);
    execute(&api, "update operator_login_failures set locked_until = clock_timestamp()").await;
    assert_eq!(browser.log_in(EMAIL, PASSWORD).await.location(), "/console");
    let left: i64 =
        sqlx::query_scalar("select count(*) from operator_login_failures where subject like 'account:%'")
            .fetch_one(&api.pool)
            .await
            .unwrap();
    assert_eq!(left, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn many_wrong_passwords_at_once_do_not_slip_past_the_lock(pool: PgPool) {
    let api = Api::new(pool);
    kim(&api).await;
    let guesses = (0..12).map(|_| async { Browser::new(&api).log_in(EMAIL, "wrong").await.status.as_u16() });
    let statuses = futures::future::join_all(guesses).await;
    // One that found no free place to be hashed counts, too.
    assert_eq!(statuses.iter().filter(|status| **status != 429).count(), 5, "{statuses:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_idle_session_an_old_one_and_a_disabled_operator_are_out(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = kim(&api).await;
    for end in [
        "update operator_sessions set seen_at = clock_timestamp() - interval '31 minutes'",
        "update operator_sessions set created_at = clock_timestamp() - interval '12 hours 1 minute'",
        "update operators set disabled_at = clock_timestamp()",
    ] {
        browser.log_in(EMAIL, PASSWORD).await;
        assert!(is_today(&browser.get("/console").await));
        execute(&api, end).await;
        assert!(browser.get("/console").await.is_login(), "{end}");
        execute(&api, "delete from operator_sessions").await;
        execute(&api, "update operators set disabled_at = null").await;
        browser.cookie = None;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_meets_what_changed_while_it_was_checked(pool: PgPool) {
    let api = Api::new(pool);
    kim(&api).await;
    for change in [
        "update operators set password_hash = 'another'",
        "update operators set disabled_at = clock_timestamp()",
    ] {
        let before: (Option<String>,) =
            sqlx::query_as("select password_hash from operators").fetch_one(&api.pool).await.unwrap();
        let mut tx = api.pool.begin().await.unwrap();
        sqlx::query(change).execute(&mut *tx).await.unwrap();
        // The login reads the row as it was, and waits for the change before it opens a session.
        let mut browser = Browser::new(&api);
        let login = browser.log_in(EMAIL, PASSWORD);
        let commit = async {
            let waits = "select exists (select from pg_stat_activity where datname = current_database()
                                                                      and wait_event_type = 'Lock')";
            let is_waiting = async || sqlx::query_scalar(waits).fetch_one(&api.pool).await.unwrap();
            testing::eventually("the login waits", async || is_waiting().await).await;
            tx.commit().await.unwrap();
        };
        assert_eq!(futures::future::join(login, commit).await.0.status, 401, "{change}");
        let sessions: i64 =
            sqlx::query_scalar("select count(*) from operator_sessions").fetch_one(&api.pool).await.unwrap();
        assert_eq!(sessions, 0, "{change}");
        sqlx::query("update operators set password_hash = $1, disabled_at = null")
            .bind(before.0)
            .execute(&api.pool)
            .await
            .unwrap();
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_that_refreshes_itself_does_not_extend_the_session(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = kim(&api).await;
    browser.log_in(EMAIL, PASSWORD).await;
    let age = "update operator_sessions set seen_at = clock_timestamp() - interval '20 minutes'";
    let seen = "select seen_at > clock_timestamp() - interval '1 minute' from operator_sessions";
    execute(&api, age).await;
    let live = [("x-live", "1"), ("sec-fetch-site", "same-origin")];
    assert_eq!(browser.send(Method::GET, "/console", &live, "").await.status, 200);
    let is_fresh: bool = sqlx::query_scalar(seen).fetch_one(&api.pool).await.unwrap();
    assert!(!is_fresh);
    browser.get("/console").await;
    let is_fresh: bool = sqlx::query_scalar(seen).fetch_one(&api.pool).await.unwrap();
    assert!(is_fresh);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_link_sets_one_password_and_ends_every_session(pool: PgPool) {
    let api = Api::new(pool);
    let mut thief = kim(&api).await;
    thief.log_in(EMAIL, PASSWORD).await;
    let mut browser = Browser::new(&api);
    let path = format!("/console/link/{}", browser.link(EMAIL).await);
    // Looking at the link uses nothing up.
    assert_eq!(browser.get(&path).await.status, 200);
    let opened = browser.get(&path).await;
    assert_eq!(opened.headers[header::REFERRER_POLICY], "no-referrer");
    for (password, again) in [("short", "short"), ("a new password", "another password")] {
        let answer = browser.post(&path, &[("password", password), ("again", again)]).await;
        assert_eq!(answer.status, 422);
    }
    let form = [("password", "a new password"), ("again", "a new password")];
    assert_eq!(browser.post(&path, &form).await.location(), "/console");
    assert!(is_today(&browser.get("/console").await));
    assert!(thief.get("/console").await.is_login());
    assert_eq!(Browser::new(&api).post(&path, &form).await.status, 404);
    assert_eq!(thief.log_in(EMAIL, PASSWORD).await.status, 401);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_set_password_and_an_ended_session_are_on_record(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = kim(&api).await;
    browser.log_in(EMAIL, PASSWORD).await;
    Browser::new(&api).log_in(EMAIL, PASSWORD).await;
    let other: uuid::Uuid =
        sqlx::query_scalar("select id from operator_sessions order by created_at desc, id desc limit 1")
            .fetch_one(&api.pool)
            .await
            .unwrap();
    let end = format!("/console/settings/sessions/{other}/end");
    assert_eq!(browser.post(&end, &[]).await.location(), "/console/settings");
    // It has ended already.
    assert_eq!(browser.post(&end, &[]).await.status, 404);
    let rows: Vec<(String, String)> =
        sqlx::query_as("select action, actor from operator_actions order by id")
            .fetch_all(&api.pool)
            .await
            .unwrap();
    let by_kim = |action: &str| (action.to_owned(), format!("operator:{EMAIL}"));
    assert_eq!(rows, [by_kim("operator.password"), by_kim("operator.end_session")]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_link_that_has_run_out_sets_nothing(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = kim(&api).await;
    let path = format!("/console/link/{}", browser.link(EMAIL).await);
    execute(&api, "update operators set link_expires_at = clock_timestamp()").await;
    assert_eq!(browser.get(&path).await.status, 404);
    let form = [("password", "a new password"), ("again", "a new password")];
    assert_eq!(browser.post(&path, &form).await.status, 404);
    assert_eq!(browser.log_in(EMAIL, PASSWORD).await.location(), "/console");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_ends_own_sessions_and_an_admin_those_of_others(pool: PgPool) {
    let api = Api::new(pool);
    let mut kim = kim(&api).await;
    kim.log_in(EMAIL, PASSWORD).await;
    let mut admin = Browser::with_role(&api, Role::Admin).await;
    let mut conn = api.pool.acquire().await.unwrap();
    let sessions = operator_sessions::list(&mut conn, None).await.unwrap();
    let id = |email: &str| sessions.iter().find(|session| session.email == email).unwrap().id;
    let others = format!("/console/settings/sessions/{}/end", id("admin@example.com"));
    assert_eq!(kim.post(&others, &[]).await.status, 404);
    let operator = operators::find_login(&mut conn, EMAIL).await.unwrap().unwrap().operator;
    let all = format!("/console/settings/operators/{}/sessions/end", operator.id);
    assert_eq!(kim.post(&all, &[]).await.status, 403);
    assert!(is_today(&kim.get("/console").await));
    assert_eq!(admin.post(&all, &[]).await.location(), "/console/settings");
    assert!(kim.get("/console").await.is_login());
    assert!(is_today(&admin.get("/console").await));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_link_from_elsewhere_is_opened_by_ourselves_first(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = kim(&api).await;
    let from = [("sec-fetch-site", "cross-site")];
    let answer = browser.send(Method::GET, "/console/settings?a=1&b=2", &from, "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.page().contains("content=\"0;url=/console/settings?a=1&amp;b=2\""), "{}", answer.page());
}

#[sqlx::test(migrations = "../migrations")]
async fn the_language_is_the_browsers_until_the_operator_chooses(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    let english = [("accept-language", "en"), ("sec-fetch-site", "same-origin")];
    let page = browser.send(Method::GET, "/console", &english, "").await;
    assert!(page.page().contains("<html lang=\"en\">") && page.page().contains("<h1>Today</h1>"));
    let session = browser.cookie.clone().unwrap();
    browser.post("/console/settings/language", &[("language", "ko")]).await;
    browser.cookie = Some(format!("{session}; {}", browser.cookie.unwrap()));
    assert!(browser.send(Method::GET, "/console", &english, "").await.page().contains("<html lang=\"ko\">"));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_page_is_a_page_with_the_search_field(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    for path in ["/console/nowhere", "/console/", "/console/jobs/x/y/z"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.page().contains("role=\"search\""), "{path}");
    }
    let wrong_method = browser.send(Method::PUT, "/console", &[("sec-fetch-site", "same-origin")], "").await;
    assert_eq!(wrong_method.status, 405);
    assert!(wrong_method.page().contains("<h1>"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_database_that_is_away_is_said_so_and_asked_again(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    api.pool.close().await;
    let answer = browser.get("/console").await;
    assert_eq!(answer.status, 503);
    assert!(answer.page().contains("http-equiv=\"refresh\"") && answer.page().contains("데이터베이스"));
    let form = browser.post("/console/settings/language", &[("language", "ko")]).await;
    assert_eq!(form.status, 503);
    assert!(!form.page().contains("http-equiv"), "a form is never sent again by itself");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_viewers_api_token_may_not_act(pool: PgPool) {
    let api = Api::new(pool);
    put(&api.pool, EMAIL, Role::Viewer).await;
    let path = "/api/payments/0192f0c1-5c00-7000-8000-000000000001/refund";
    let viewer = crate::support::Customer::with_token(format!("a token of {EMAIL}"));
    let body = json!({ "reason": "고객 요청" });
    api.post(&viewer, path, &body).await.assert_problem(403, "forbidden");
    put(&api.pool, EMAIL, Role::Operator).await;
    api.post(&viewer, path, &body).await.assert_problem(404, "not_found");
}
