//! The test clock: an admin moves it forward. With live keys no process follows it, and this page does not exist.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{Datelike, TimeDelta};
use common::clock::{Clock, ClockKind, LAST_YEAR};
use common::commands::operate;
use common::domain::action::TargetKind;
use common::domain::actor::Reason;
use common::store::operator_actions::NewAction;
use common::store::settings;
use serde::Deserialize;
use serde_json::json;

use super::act::actor;
use super::failure::{ConsoleError, Failure};
use super::page::{Page, Section, render};
use super::session::{Client, Session};
use crate::app::App;

#[derive(Template)]
#[template(path = "console/clock.html")]
struct ClockPage {
    page: Page,
}

#[derive(Deserialize)]
pub(super) struct Move {
    /// `31d`, `2h`, `15m`.
    by: String,
}

pub(super) async fn show(State(app): State<Arc<App>>, client: Client) -> Result<Response, ConsoleError> {
    if matches!(app.clock, Clock::System) {
        return Err(Failure::NotFound.into());
    }
    render(&ClockPage { page: Page::of(&app, &client, Section::Clock) })
}

pub(super) async fn advance(
    State(app): State<Arc<App>>,
    client: Client,
    session: Session,
    Form(form): Form<Move>,
) -> Result<Response, ConsoleError> {
    if matches!(app.clock, Clock::System) {
        return Err(Failure::NotFound.into());
    }
    let by = span(&form.by).ok_or(Failure::Malformed)?;
    let (from, by_text) = (app.clock.now(), form.by.trim().to_owned());
    let to = from.checked_add_signed(by).filter(|to| to.year() <= LAST_YEAR).ok_or(Failure::Conflict)?;
    let reason = Reason::parse(&format!("test clock moved by {by_text}")).map_err(|_| Failure::Malformed)?;
    let action = NewAction {
        actor: &actor(&session, &client),
        action: "clock.advance",
        target_kind: TargetKind::Switch,
        target_id: "test_clock",
        subscription_id: None,
        reason: &reason,
        before: &json!({ "now": from }),
        after: &json!({ "now": to }),
        request_key: None,
        bulk_id: None,
    };
    app.transaction::<_, ConsoleError>(async |tx| {
        if settings::join_clock(tx, ClockKind::Test).await?.kind == ClockKind::System {
            return Err(Failure::Conflict.into());
        }
        settings::move_clock(tx, by.num_milliseconds()).await?;
        operate::record(tx, &action, from).await?;
        Ok(())
    })
    .await?;
    Ok(Redirect::to("/console/clock").into_response())
}

/// A whole number of days, hours or minutes, forward only.
fn span(text: &str) -> Option<TimeDelta> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = number.parse::<u32>().ok().filter(|number| *number > 0)?;
    match unit {
        "d" => TimeDelta::try_days(number.into()),
        "h" => TimeDelta::try_hours(number.into()),
        "m" => TimeDelta::try_minutes(number.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_by_whole_days_hours_and_minutes() {
        assert_eq!(span(" 31d "), Some(TimeDelta::days(31)));
        assert_eq!((span("2h"), span("15m")), (Some(TimeDelta::hours(2)), Some(TimeDelta::minutes(15))));
        for wrong in ["", "d", "0d", "-1d", "1.5h", "1w", "1é", "99999999999d"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }
}
