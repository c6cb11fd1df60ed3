//! An operator's browser: it keeps the cookie, says where its forms come from, and follows no redirect.

use axum::body::Body;
use axum::http::{Method, Request, header};
use common::domain::operator::{Operator, Role};
use common::id::{new_id, new_key};
use common::secret_token;
use common::store::operator_sessions::NewSession;
use common::store::{operator_sessions, operators};
use sqlx::PgPool;
use url::form_urlencoded;

use crate::support::{Answer, Api};

pub(crate) const EMAIL: &str = "kim@example.com";
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const HOST: &str = "billing.example";

pub(crate) struct Browser<'a> {
    api: &'a Api,
    pub(crate) cookie: Option<String>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(api: &'a Api) -> Self {
        Self { api, cookie: None }
    }

    /// Logged in as an operator with this role, made for the purpose. No password is hashed for it.
    pub(crate) async fn with_role(api: &'a Api, role: Role) -> Self {
        let email = format!("{role}@example.com");
        let operator = put(&api.pool, &email, role).await;
        let token = format!("session-of-{role}");
        let new = NewSession {
            id: new_key(),
            operator_id: operator.id,
            token_hash: &secret_token::hash(&token),
            address: None,
            user_agent: None,
        };
        let mut conn = api.pool.acquire().await.unwrap();
        sqlx::query("delete from operator_sessions where operator_id = $1")
            .bind(operator.id)
            .execute(&mut *conn)
            .await
            .unwrap();
        operator_sessions::open(&mut conn, new).await.unwrap();
        Self { api, cookie: Some(format!("__Host-console={token}")) }
    }

    /// A one-time link's token, as `billing operator link` makes it.
    pub(crate) async fn link(&self, email: &str) -> String {
        let token = format!("a-link-of-{}", email.replace('@', "-"));
        let mut conn = self.api.pool.acquire().await.unwrap();
        operators::put_link(&mut conn, email, &secret_token::hash(&token), 24).await.unwrap().unwrap();
        token
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[("sec-fetch-site", "same-origin")], "").await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.post_from("same-origin", path, form).await
    }

    pub(crate) async fn post_from(&mut self, site: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(Method::POST, path, &[("sec-fetch-site", site)], &body).await
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, HOST)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let answer = self.api.send(request.body(Body::from(body.to_owned())).unwrap()).await;
        if let Some(set) = answer.headers.get(header::SET_COOKIE) {
            self.cookie = Some(set.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        answer
    }

    pub(crate) async fn log_in(&mut self, email: &str, password: &str) -> Answer {
        self.post("/console/login", &[("email", email), ("password", password)]).await
    }
}

impl Answer {
    pub(crate) fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn page(&self) -> &str {
        self.body.as_str().unwrap_or_default()
    }

    /// Whether it sends to the login page.
    pub(crate) fn is_login(&self) -> bool {
        self.status == 303 && self.location().starts_with("/console/login")
    }
}

pub(crate) async fn put(pool: &PgPool, email: &str, role: Role) -> Operator {
    let mut conn = pool.acquire().await.unwrap();
    let token = secret_token::hash(&format!("a token of {email}"));
    let id = new_id(chrono::DateTime::UNIX_EPOCH);
    operators::put(&mut conn, id, email, Some(role), &token).await.unwrap()
}
