//! The form of every action: what it will do, the reason, and the confirmation. The rules are the commands'.

use std::sync::Arc;

use askama::Template;
use axum::extract::{MatchedPath, Path, RawForm, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, TimeDelta, Utc};
use common::commands::operate;
use common::commands::operate::{ActionError, ActionRequest, Preview};
use common::domain::action::{Action, Effect, Target};
use common::domain::actor::{Actor, Channel, Reason};
use common::domain::ending::RefundPolicy;
use common::domain::money::Won;
use common::id::{new_key, parse_event_ref, parse_subscription_ref};
use common::store::StoreError;
use uuid::Uuid;

use super::action_words::label;
use super::cell::subscription_path;
use super::failure::{ConsoleError, Failure};
use super::list::FilterValues;
use super::page::{Page, render};
use super::session::{Client, Session};
use crate::app::App;
use crate::language::Language;

/// What an action is asked with besides its target.
const PARAMETERS: [&str; 4] = ["amount", "policy", "hours", "paymentKey"];
const MAX_SNOOZE_HOURS: i64 = 90 * 24;

#[derive(Template)]
#[template(path = "console/act.html")]
struct ActPage {
    page: Page,
    label: &'static str,
    target: String,
    back: String,
    path: String,
    parameters: Vec<(&'static str, String)>,
    /// None: a parameter is missing or wrong.
    preview: Option<Outcome>,
    notice: Notice,
    reason: String,
    key: String,
}

/// A preview in the operator's language.
struct Outcome {
    refused: Option<String>,
    effects: Vec<String>,
    changes: Vec<(String, String, String)>,
    version: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    None,
    /// The target is not what was shown; the page shows what it is now.
    Changed,
    /// It stood so before.
    Unchanged,
    WrongReason,
    WrongParameter,
    KeyTaken,
}

impl Notice {
    fn status(self) -> StatusCode {
        match self {
            Self::None | Self::Unchanged => StatusCode::OK,
            Self::Changed | Self::KeyTaken => StatusCode::CONFLICT,
            Self::WrongReason | Self::WrongParameter => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// An action as a URL names it.
struct Asking {
    name: String,
    id: String,
    given: FilterValues,
}

impl Asking {
    fn new(route: &MatchedPath, id: String, given: FilterValues) -> Self {
        let name = route.as_str().split('/').nth(3).unwrap_or_default().to_owned();
        Self { name, id, given }
    }

    fn path(&self) -> String {
        format!("/console/act/{}/{}", self.name, self.id)
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let names = PARAMETERS.into_iter().filter(|name| has_parameter(&self.name, name));
        names.map(|name| (name, self.given.get(name).unwrap_or_default().to_owned())).collect()
    }

    fn action(&self, now: DateTime<Utc>) -> Result<Action, Unusable> {
        let id = || Uuid::try_parse(&self.id).map_err(|_| Unusable::Target);
        let number = || self.id.parse().map_err(|_| Unusable::Target);
        let subscription = || parse_subscription_ref(&self.id).ok_or(Unusable::Target);
        Ok(match self.name.as_str() {
            "payment.look_up" => Action::LookUpPayment(id()?),
            "payment.refund" => Action::RefundPayment { payment_id: id()?, amount: self.amount()? },
            "payment.claim_paid" => {
                let payment_key = self.given.get("paymentKey").ok_or(Unusable::Parameter)?.to_owned();
                Action::ClaimPaid { payment_id: id()?, payment_key }
            }
            "payment.claim_not_paid" => Action::ClaimNotPaid(id()?),
            "payment.agree_not_paid" => Action::AgreeNotPaid(id()?),
            "job.retry" => Action::RetryJob(number()?),
            "job.snooze" => Action::SnoozeJob { job_id: number()?, until: self.until(now)? },
            "job.discard" => Action::DiscardJob(number()?),
            "subscription.cancel" => Action::CancelSubscription(subscription()?),
            "subscription.end" => {
                Action::EndSubscription { subscription_id: subscription()?, policy: self.policy()? }
            }
            "subscription.pause_charging" => Action::PauseCharging(subscription()?),
            "subscription.resume_charging" => Action::ResumeCharging(subscription()?),
            "invoice.charge" => Action::ChargeInvoice(id()?),
            "invoice.forgive" => Action::ForgiveInvoice(id()?),
            "email.resend" => Action::ResendEmail(id()?),
            "discrepancy.accept" => Action::AcceptDiscrepancy(id()?),
            "event.replay" => Action::ReplayEvent(parse_event_ref(&self.id).ok_or(Unusable::Target)?),
            "charging.switch_on" => Action::SwitchCharging { on: true },
            "charging.switch_off" => Action::SwitchCharging { on: false },
            "events.switch_on" => Action::SwitchEvents { on: true },
            "events.switch_off" => Action::SwitchEvents { on: false },
            "operator.totp_reset" => Action::ResetTotp(id()?),
            _ => return Err(Unusable::Target),
        })
    }

    /// None: all that is left.
    fn amount(&self) -> Result<Option<Won>, Unusable> {
        let Some(text) = self.given.get("amount") else { return Ok(None) };
        let digits: String = text.chars().filter(|c| !matches!(c, ',' | '원' | ' ')).collect();
        let won = digits.parse().ok().and_then(|won: i64| Won::new(won).ok()).filter(|won| won.get() > 0);
        won.map(Some).ok_or(Unusable::Parameter)
    }

    fn policy(&self) -> Result<RefundPolicy, Unusable> {
        match self.given.get("policy").unwrap_or("pro_rata") {
            "pro_rata" => Ok(RefundPolicy::ProRata),
            "none" => Ok(RefundPolicy::None),
            _ => Err(Unusable::Parameter),
        }
    }

    fn until(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, Unusable> {
        let hours = self.given.get("hours").unwrap_or("1").parse().map_err(|_| Unusable::Parameter)?;
        let is_possible = (1..=MAX_SNOOZE_HOURS).contains(&hours);
        if is_possible { Ok(now + TimeDelta::hours(hours)) } else { Err(Unusable::Parameter) }
    }
}

enum Unusable {
    Target,
    Parameter,
}

fn has_parameter(action: &str, parameter: &str) -> bool {
    matches!(
        (action, parameter),
        ("payment.refund", "amount")
            | ("payment.claim_paid", "paymentKey")
            | ("subscription.end", "policy")
            | ("job.snooze", "hours")
    )
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    client: Client,
    session: Session,
    route: MatchedPath,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ConsoleError> {
    let asking = Asking::new(&route, id, FilterValues::read(query.as_deref()));
    let is_asked = asking.parameters().iter().any(|(_, value)| !value.is_empty());
    let notice = match asking.action(app.clock.now()) {
        Err(Unusable::Parameter) if is_asked => Notice::WrongParameter,
        _ => Notice::None,
    };
    form(&app, &client, &session, &asking, notice, String::new()).await
}

pub(super) async fn perform(
    State(app): State<Arc<App>>,
    client: Client,
    session: Session,
    route: MatchedPath,
    Path(id): Path<String>,
    RawForm(body): RawForm,
) -> Result<Response, ConsoleError> {
    let given = FilterValues::read(std::str::from_utf8(&body).ok());
    let reason_text = given.get("reason").unwrap_or_default().to_owned();
    let asking = Asking::new(&route, id, given);
    let now = app.clock.now();
    let action = match asking.action(now) {
        Ok(action) => action,
        Err(Unusable::Target) => return Err(Failure::NotFound.into()),
        Err(Unusable::Parameter) => {
            return form(&app, &client, &session, &asking, Notice::WrongParameter, reason_text).await;
        }
    };
    let Ok(reason) = Reason::parse(&reason_text) else {
        return form(&app, &client, &session, &asking, Notice::WrongReason, reason_text).await;
    };
    let actor = actor(&session, &client);
    let request = ActionRequest {
        action: &action,
        actor: &actor,
        reason: &reason,
        seen: asking.given.get("seen"),
        key: asking.given.get("key"),
        bulk_id: None,
    };
    let performed = app.transaction(async |tx| operate::perform(tx, &app.brand, &request, now).await).await;
    let notice = match performed {
        Ok(done) => match done.audit_id {
            Some(id) => return Ok(Redirect::to(&format!("/console/actions/{id}")).into_response()),
            None => Notice::Unchanged,
        },
        // The form shows why, as it stands now.
        Err(ActionError::Changed { .. } | ActionError::Refused(_)) => Notice::Changed,
        Err(ActionError::KeyTaken) => Notice::KeyTaken,
        Err(error) => return Err(failed(error)),
    };
    form(&app, &client, &session, &asking, notice, reason_text).await
}

async fn form(
    app: &App,
    client: &Client,
    session: &Session,
    asking: &Asking,
    notice: Notice,
    reason: String,
) -> Result<Response, ConsoleError> {
    let now = app.clock.now();
    let (preview, target) = match asking.action(now) {
        Ok(action) => {
            let mut conn = app.pool.acquire().await?;
            let actor = actor(session, client);
            let preview = operate::preview(&mut conn, &app.brand, &action, &actor, now).await;
            (Some(preview.map_err(failed)?), action.target().to_string())
        }
        Err(Unusable::Target) => return Err(Failure::NotFound.into()),
        Err(Unusable::Parameter) => (None, asking.id.clone()),
    };
    let label = label(&asking.name, client.language);
    let page = ActPage {
        page: Page::new(app, client, None, label),
        label,
        target,
        back: preview.as_ref().map_or_else(
            || "/console".to_owned(),
            |preview| page_of(<&str>::from(preview.target_kind), &preview.target_id, preview.subscription_id),
        ),
        path: asking.path(),
        parameters: asking.parameters(),
        preview: preview.map(|preview| outcome(preview, client.language)),
        notice,
        reason,
        key: new_key().to_string(),
    };
    let mut response = render(&page)?;
    *response.status_mut() = notice.status();
    Ok(response)
}

fn outcome(preview: Preview, language: Language) -> Outcome {
    let words = |effect: &Effect| match language {
        Language::Korean => effect.ko(),
        Language::English => effect.en(),
    };
    Outcome {
        refused: preview.refused.map(|refused| match language {
            Language::Korean => refused.ko(),
            Language::English => refused.to_string(),
        }),
        effects: preview.effects.iter().map(words).collect(),
        changes: changes(&preview.before, &preview.after),
        version: preview.version,
    }
}

/// The members that differ: name, before, after.
pub(super) fn changes(
    before: &serde_json::Value,
    after: &serde_json::Value,
) -> Vec<(String, String, String)> {
    let text = |value: Option<&serde_json::Value>| match value {
        None | Some(serde_json::Value::Null) => "–".to_owned(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return Vec::new() };
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let differing = names.filter(|name| before.get(*name) != after.get(*name));
    differing.map(|name| (name.clone(), text(before.get(name)), text(after.get(name)))).collect()
}

pub(super) fn actor(session: &Session, client: &Client) -> Actor {
    let address = client.address.map(|ip| ip.to_string());
    Actor::operator(session.operator_id, &session.email, Channel::Console, address)
}

/// What a POST to this path would change, for the audit row of one that was refused.
pub(super) fn target_of(path: &str) -> Target {
    let mut parts = path.split('/').skip(3);
    let (name, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let asking = Asking { name: name.to_owned(), id: id.to_owned(), given: FilterValues::default() };
    asking.action(DateTime::UNIX_EPOCH).map_or(Target::Switch("console"), |action| action.target())
}

/// Where a target is looked at.
pub(super) fn page_of(kind: &str, id: &str, subscription_id: Option<Uuid>) -> String {
    let subscription = subscription_id.map(subscription_path);
    match (kind, subscription) {
        ("job", _) => format!("/console/jobs/{id}"),
        ("event", _) => format!("/console/webhooks/out/{id}"),
        ("email", _) => format!("/console/emails/{id}"),
        ("operator", _) => "/console/settings".to_owned(),
        ("discrepancy", _) => format!("/console/discrepancies/{id}"),
        ("payment", Some(page)) => format!("{page}#p-{id}"),
        ("invoice", Some(page)) => format!("{page}#i-{id}"),
        (_, Some(page)) => page,
        (_, None) => "/console".to_owned(),
    }
}

fn failed(error: ActionError) -> ConsoleError {
    match error {
        ActionError::NotFound(_) => Failure::NotFound.into(),
        ActionError::Store(error) => error.into(),
        ActionError::Queue(error) => StoreError::from(error).into(),
        other => ConsoleError::internal(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_that_differ_are_shown() {
        let before = serde_json::json!({ "status": "active", "amount": 1, "pausedAt": null });
        let after = serde_json::json!({ "status": "active", "amount": 2, "pausedAt": "now", "new": true });
        let text = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        let expected = [text("amount", "1", "2"), text("pausedAt", "–", "now"), text("new", "–", "true")];
        assert_eq!(changes(&before, &after), expected);
    }

    #[test]
    fn an_amount_is_read_as_people_write_it_and_never_guessed() {
        let amount = |text: &str| {
            let given = FilterValues::read(Some(&format!("amount={text}")));
            Asking { name: "payment.refund".to_owned(), id: String::new(), given }.amount().ok()
        };
        assert_eq!(amount("9%2C900원"), Some(Some(Won::new(9_900).unwrap())));
        assert_eq!(amount(""), Some(None));
        for wrong in ["0", "-1", "1.5", "9900won", "99999999999"] {
            assert_eq!(amount(wrong), None, "{wrong}");
        }
    }
}
