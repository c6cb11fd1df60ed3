//! Each role × each route, read from the router's own table.

use api::{Access, CONSOLE_ROUTES};
use axum::http::{Method, header};
use common::domain::operator::Role;
use sqlx::PgPool;

use super::browser::Browser;
use crate::support::Api;

const ROLES: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

/// The route's path with something in place of its parameters.
fn address(path: &str) -> String {
    let id = "0192f0c1-5c00-7000-8000-000000000001";
    let filled = path.split('/').map(|part| if part.starts_with('{') { id } else { part });
    filled.collect::<Vec<_>>().join("/")
}

#[sqlx::test(migrations = "../migrations")]
async fn a_route_is_for_its_role_and_higher_ones_only(pool: PgPool) {
    let api = Api::new(pool);
    for role in ROLES {
        for route in CONSOLE_ROUTES {
            let Access::Role(needed) = route.access else { continue };
            let mut browser = Browser::with_role(&api, role).await;
            let method = Method::from_bytes(route.method.as_bytes()).unwrap();
            let own = [("sec-fetch-site", "same-origin")];
            let answer = browser.send(method, &address(route.path), &own, "").await;
            let is_refused = answer.status == 403;
            assert_eq!(is_refused, role < needed, "{role} {} {}", route.method, route.path);
            let is_logout = route.path == "/console/logout";
            assert_eq!(answer.is_login(), is_logout, "{role} {} {}", route.method, route.path);
            assert!(!answer.status.is_server_error(), "{role} {} {}", route.method, route.path);
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_session_every_route_leads_to_the_login(pool: PgPool) {
    let api = Api::new(pool);
    for route in CONSOLE_ROUTES {
        let method = Method::from_bytes(route.method.as_bytes()).unwrap();
        let path = address(route.path);
        let own = [("sec-fetch-site", "same-origin")];
        let answer = Browser::new(&api).send(method, &path, &own, "").await;
        match route.access {
            Access::Role(_) => assert!(answer.is_login(), "{} {path}: {}", route.method, answer.status),
            Access::Anyone | Access::Asset => assert!(!answer.is_login(), "{} {path}", route.method),
        }
    }
    let unknown = Browser::new(&api).get("/console/nowhere?x=1").await;
    assert_eq!(unknown.location(), "/console/login?next=%2Fconsole%2Fnowhere%3Fx%3D1");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_form_of_another_site_does_nothing(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = Browser::with_role(&api, Role::Admin).await;
    for route in CONSOLE_ROUTES.iter().filter(|route| route.method == "POST") {
        let path = address(route.path);
        for site in ["cross-site", "same-site", "none"] {
            let answer = browser.post_from(site, &path, &[]).await;
            assert_eq!(answer.status, 403, "{site} {path}");
        }
        let foreign = [("origin", "https://evil.example")];
        assert_eq!(browser.send(Method::POST, &path, &foreign, "").await.status, 403, "{path}");
        assert_eq!(browser.send(Method::POST, &path, &[], "").await.status, 403, "{path}");
    }
    assert_eq!(browser.get("/console").await.status, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn every_answer_forbids_inline_code_and_keeping(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = Browser::with_role(&api, Role::Admin).await;
    let pages = CONSOLE_ROUTES.iter().filter(|route| route.method == "GET").map(|route| address(route.path));
    for path in pages.chain(["/console/nowhere".to_owned(), "/console/".to_owned()]) {
        let answer = browser.get(&path).await;
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{path}");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        let page = answer.page();
        assert!(!page.contains(" style=") && !page.contains(" onclick="), "{path}");
        assert_eq!(page.matches("<script").count(), page.matches("<script src=").count(), "{path}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_style_sheet_and_the_script_are_kept_by_their_hash(pool: PgPool) {
    let api = Api::new(pool);
    let mut browser = Browser::new(&api);
    let page = browser.get("/console/login").await;
    let files: Vec<&str> =
        page.page().split('"').filter(|text| text.starts_with("/console/assets/")).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        let answer = browser.get(file).await;
        assert_eq!(answer.status, 200);
        assert!(answer.headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    }
}
