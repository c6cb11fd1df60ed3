//! Keyset pages: `?limit=&cursor=`, newest first. A cursor names the last row seen and means nothing to the caller.

use axum::{extract::FromRequestParts, http::request::Parts};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use common::domain::validated::Rule;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::error::ApiError;

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// What a page is asked for with.
#[derive(Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// How many at most.
    #[param(required = false, minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: usize,
    /// `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    pub(crate) cursor: Option<Position>,
}

/// When the last row seen was made, to the microsecond as PostgreSQL keeps it, and its id.
pub(crate) type Position = (DateTime<Utc>, Uuid);

impl Page {
    fn read(query: &str) -> Result<Self, ApiError> {
        let mut page = Self { limit: DEFAULT_LIMIT, cursor: None };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "limit" => page.limit = limit(&value)?,
                "cursor" => page.cursor = Some(position(&value)?),
                _ => {}
            }
        }
        Ok(page)
    }

    /// One more row than is shown tells whether there is a next page.
    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.limit.saturating_add(1)).unwrap_or(i64::MAX)
    }

    /// Removes the extra row. Returns the cursor of the next page, if there is one.
    pub(crate) fn paginate<T>(&self, rows: &mut Vec<T>, position: impl Fn(&T) -> Position) -> Option<String> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        rows.last().filter(|_| more).map(|last| cursor(position(last)))
    }
}

impl<S: Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

fn limit(text: &str) -> Result<usize, ApiError> {
    let rule = Rule { ko: "항목은 1~100이어야 합니다", en: "must be 1 to 100" };
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| ApiError::invalid("limit", rule))
}

fn cursor((at, id): Position) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{}.{}", at.timestamp_micros(), id.simple()))
}

fn position(cursor: &str) -> Result<Position, ApiError> {
    let rule = Rule { ko: "항목이 올바르지 않습니다", en: "is not one that was handed out" };
    let read = || {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (micros, id) = text.split_once('.')?;
        let at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
        // Any real row is from this age; PostgreSQL holds fewer years than chrono does.
        (0..=9999).contains(&chrono::Datelike::year(&at)).then_some((at, Uuid::try_parse(id).ok()?))
    };
    read().ok_or_else(|| ApiError::invalid("cursor", rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_keeps_its_position_to_the_microsecond() {
        let at = (DateTime::from_timestamp_micros(1_795_000_000_123_456).unwrap(), Uuid::from_u128(7));
        let page = Page::read(&format!("limit=1&cursor={}", cursor(at))).unwrap();
        assert_eq!(page, Page { limit: 1, cursor: Some(at) });
    }

    #[test]
    fn bad_limits_and_made_up_cursors_are_refused_by_name() {
        let far = BASE64_URL_SAFE_NO_PAD.encode(format!("{}.{}", i64::MAX, Uuid::nil().simple()));
        for (query, name) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=-1", "limit"),
            ("limit=x", "limit"),
            ("limit=", "limit"),
            ("cursor=", "cursor"),
            ("cursor=abc", "cursor"),
            ("cursor=%FF", "cursor"),
            (&format!("cursor={far}"), "cursor"),
        ] {
            let refused = Page::read(query).unwrap_err();
            assert_eq!(refused.field(), Some(name), "{query}");
        }
        assert_eq!(Page::read("other=1").unwrap(), Page { limit: 20, cursor: None });
    }

    #[test]
    fn a_full_page_without_a_further_row_is_the_last() {
        let page = Page { limit: 2, cursor: None };
        let position = |row: &u128| (DateTime::UNIX_EPOCH, Uuid::from_u128(*row));
        assert_eq!(page.paginate(&mut vec![1, 2], position), None);
        let mut rows = vec![1, 2, 3];
        assert_eq!(page.paginate(&mut rows, position), Some(cursor(position(&2))));
        assert_eq!(rows, [1, 2]);
    }
}
