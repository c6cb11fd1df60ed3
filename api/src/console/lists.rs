//! The lists: subscriptions, jobs, e-mails, webhooks in and out, and both audit logs.

use common::id::subscription_ref;
use common::store::console::{Filter, jobs, lists, subscription};
use common::store::operator_actions::ActionFilter;
use common::store::{StoreError, operator_actions};
use sqlx::PgConnection;

use super::cell::{Cell, subscription_path};
use super::list::{Choice, Field, List, Position, Row};
use super::page::Section;
use crate::language::Language;

pub(super) struct Jobs;

impl List for Jobs {
    const SECTION: Section = Section::Jobs;
    const PATH: &'static str = "/console/jobs";
    const STATES: &'static [(&'static str, Choice)] = &[
        ("attention", ("확인 필요", "Needs a look")),
        ("available", ("대기", "Waiting")),
        ("running", ("실행 중", "Running")),
        ("failed", ("실패", "Failed")),
        ("parked", ("멈춤", "Parked")),
        ("done", ("완료", "Done")),
        ("discarded", ("폐기", "Discarded")),
    ];
    const FIELDS: &'static [Field] = &[Field::Kind, Field::Subscription, Field::Cause];

    const BULK: &'static [&'static str] = &["job.retry", "job.discard"];

    fn columns(language: Language) -> Vec<&'static str> {
        let t = |ko, en| language.choose(ko, en);
        vec![
            t("번호", "Job"),
            t("종류", "Kind"),
            t("상태", "State"),
            t("시도", "Try"),
            t("실행 시각", "Runs at"),
            t("끝난 시각", "Ended"),
            t("오류 또는 메모", "Error or note"),
        ]
    }

    async fn rows(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let rows = jobs::list(conn, filter).await?.into_iter().map(|job| Row {
            position: Position::Number(job.id),
            href: Some(format!("/console/jobs/{}", job.id)),
            cells: vec![
                Cell::Code(job.id.to_string()),
                Cell::Code(job.kind),
                Cell::State(job.state),
                Cell::Text(format!("{}/{}", job.attempt, job.max_attempts)),
                Cell::Time(job.run_at),
                Cell::time(job.finished_at),
                Cell::text(job.last_error.or(job.note).as_deref()),
            ],
        });
        Ok(rows.collect())
    }
}

pub(super) struct Subscriptions;

impl List for Subscriptions {
    const SECTION: Section = Section::Subscriptions;
    const PATH: &'static str = "/console/subscriptions";
    const STATES: &'static [(&'static str, Choice)] = &[
        ("active", ("이용 중", "Active")),
        ("past_due", ("연체", "Past due")),
        ("suspended", ("일시정지", "Suspended")),
        ("incomplete", ("시작 전", "Incomplete")),
        ("canceled", ("해지", "Canceled")),
    ];
    const FIELDS: &'static [Field] = &[Field::Plan];

    fn columns(language: Language) -> Vec<&'static str> {
        let t = |ko, en| language.choose(ko, en);
        vec![
            t("고객", "Customer"),
            t("이메일", "E-mail"),
            t("상태", "Status"),
            t("플랜", "Plan"),
            t("금액", "Amount"),
            t("카드", "Card"),
            t("다음 결제", "Next billing"),
            t("만든 시각", "Made"),
        ]
    }

    async fn rows(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let rows = subscription::list(conn, filter).await?.into_iter().map(|row| Row {
            position: Position::Id(row.id),
            href: Some(subscription_path(row.id)),
            cells: vec![
                Cell::Subscription(row.id, row.customer_name),
                Cell::Text(row.customer_email),
                Cell::State(row.status),
                Cell::Text(format!("{} {}", row.plan, row.billing_cycle)),
                Cell::Won(row.amount.into()),
                Cell::Text(if row.has_card { "✓" } else { "–" }.to_owned()),
                Cell::Time(row.next_billing_date),
                Cell::Time(row.created_at),
            ],
        });
        Ok(rows.collect())
    }
}

pub(super) struct Emails;

impl List for Emails {
    const SECTION: Section = Section::Emails;
    const PATH: &'static str = "/console/emails";
    const STATES: &'static [(&'static str, Choice)] = &[
        ("queued", ("대기", "Queued")),
        ("sent", ("보냄", "Sent")),
        ("failed", ("실패", "Failed")),
        ("dropped", ("보내지 않음", "Dropped")),
    ];
    const FIELDS: &'static [Field] = &[Field::Kind, Field::Subscription];

    const BULK: &'static [&'static str] = &["email.resend"];

    fn columns(language: Language) -> Vec<&'static str> {
        let t = |ko, en| language.choose(ko, en);
        vec![
            t("제목", "Subject"),
            t("받는 사람", "To"),
            t("상태", "Status"),
            t("종류", "Kind"),
            t("만든 시각", "Written"),
            t("끝난 시각", "Ended"),
            t("오류", "Error"),
        ]
    }

    async fn rows(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let rows = lists::emails(conn, filter).await?.into_iter().map(|email| Row {
            position: Position::Id(email.id),
            href: Some(format!("/console/emails/{}", email.id)),
            cells: vec![
                Cell::Text(email.subject),
                Cell::Subscription(email.subscription_id, email.to_address),
                Cell::State(email.status),
                Cell::Code(email.kind),
                Cell::Time(email.created_at),
                Cell::time(email.settled_at),
                Cell::text(email.last_error.as_deref()),
            ],
        });
        Ok(rows.collect())
    }
}

pub(super) struct WebhooksIn;

impl List for WebhooksIn {
    const SECTION: Section = Section::WebhooksIn;
    const PATH: &'static str = "/console/webhooks/in";
    const STATES: &'static [(&'static str, Choice)] = &[
        ("received", ("받음", "Received")),
        ("handled", ("처리함", "Handled")),
        ("ignored", ("무시함", "Ignored")),
        ("failed", ("실패", "Failed")),
    ];
    const FIELDS: &'static [Field] = &[Field::Kind, Field::Subscription];

    fn columns(language: Language) -> Vec<&'static str> {
        let t = |ko, en| language.choose(ko, en);
        vec![
            t("전송 ID", "Transmission"),
            t("종류", "Type"),
            t("구독", "Subscription"),
            t("상태", "State"),
            t("결과", "Result"),
            t("받은 시각", "Received"),
            t("처리 시각", "Handled"),
        ]
    }

    async fn rows(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let rows = lists::webhooks(conn, filter).await?.into_iter().map(|webhook| Row {
            position: Position::Id(webhook.id),
            href: Some(format!("/console/webhooks/in/{}", webhook.id)),
            cells: vec![
                Cell::Code(webhook.transmission_id),
                Cell::code(webhook.event_type.as_deref()),
                webhook
                    .subscription_id
                    .map_or(Cell::Empty, |id| Cell::Subscription(id, subscription_ref(id))),
                Cell::State(webhook.state),
                Cell::text(webhook.note.as_deref()),
                Cell::Time(webhook.received_at),
                Cell::time(webhook.handled_at),
            ],
        });
        Ok(rows.collect())
    }
}

pub(super) struct WebhooksOut;

impl List for WebhooksOut {
    const SECTION: Section = Section::WebhooksOut;
    const PATH: &'static str = "/console/webhooks/out";
    const STATES: &'static [(&'static str, Choice)] = &[
        ("pending", ("대기", "Pending")),
        ("delivered", ("전달함", "Delivered")),
        ("failed", ("실패", "Failed")),
        ("none", ("받는 곳 없음", "No endpoint")),
    ];
    const FIELDS: &'static [Field] = &[Field::Kind, Field::Subscription];

    fn columns(language: Language) -> Vec<&'static str> {
        let t = |ko, en| language.choose(ko, en);
        vec![
            t("순번", "No."),
            t("종류", "Type"),
            t("구독", "Subscription"),
            t("상태", "State"),
            t("시도", "Tries"),
            t("만든 시각", "Written"),
            t("마지막 시도", "Last tried"),
            t("오류", "Error"),
        ]
    }

    async fn rows(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let rows = lists::events_out(conn, filter).await?.into_iter().map(|event| Row {
            position: Position::Number(event.seq),
            href: Some(format!("/console/webhooks/out/{}", event.id)),
            cells: vec![
                Cell::Number(event.seq),
                Cell::Code(event.kind),
                Cell::Subscription(event.subscription_id, subscription_ref(event.subscription_id)),
                Cell::State(event.state),
                Cell::Number(event.tries.into()),
                Cell::Time(event.created_at),
                Cell::time(event.last_tried_at),
                Cell::text(event.last_error.as_deref()),
            ],
        });
        Ok(rows.collect())
    }
}

pub(super) struct Audit;

impl List for Audit {
    const SECTION: Section = Section::Audit;
    const PATH: &'static str = "/console/audit";
    const STATES: &'static [(&'static str, Choice)] = &[];
    const FIELDS: &'static [Field] = &[Field::Actor, Field::Kind, Field::Subscription];

    fn columns(language: Language) -> Vec<&'static str> {
        let t = |ko, en| language.choose(ko, en);
        vec![
            t("시각", "When"),
            t("누가", "By whom"),
            t("무엇을", "What"),
            t("구독", "Subscription"),
            t("이유", "Why"),
            t("이전", "Before"),
            t("이후", "After"),
        ]
    }

    async fn rows(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let rows = lists::audit(conn, filter).await?.into_iter().map(|entry| Row {
            position: Position::Number(entry.id),
            href: Some(format!("{}#a-{}", subscription_path(entry.subscription_id), entry.id)),
            cells: vec![
                Cell::Time(entry.at),
                Cell::Code(entry.actor),
                Cell::Code(entry.what),
                Cell::Subscription(entry.subscription_id, subscription_ref(entry.subscription_id)),
                Cell::Text(entry.why),
                Cell::Code(entry.before.to_string()),
                Cell::Code(entry.after.to_string()),
            ],
        });
        Ok(rows.collect())
    }
}

pub(super) struct Actions;

impl List for Actions {
    const SECTION: Section = Section::Actions;
    const PATH: &'static str = "/console/actions";
    const STATES: &'static [(&'static str, Choice)] = &[];
    const FIELDS: &'static [Field] = &[Field::Actor, Field::Kind, Field::Subscription];

    fn columns(language: Language) -> Vec<&'static str> {
        let t = |ko, en| language.choose(ko, en);
        vec![
            t("시각", "When"),
            t("누가", "By whom"),
            t("무엇을", "What"),
            t("대상", "Target"),
            t("이유", "Reason"),
            t("경로", "From"),
        ]
    }

    async fn rows(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let wanted = ActionFilter {
            actor: filter.actor.clone(),
            action: filter.kind.clone(),
            subscription_id: filter.subscription_id,
            since: filter.since,
            until: filter.until,
            before_id: filter.before_number,
            ..ActionFilter::default()
        };
        let rows = operator_actions::page(conn, &wanted, filter.limit).await?.into_iter().map(|row| Row {
            position: Position::Number(row.id),
            href: Some(format!("/console/actions/{}", row.id)),
            cells: vec![
                Cell::Time(row.at),
                Cell::Code(row.actor),
                Cell::Code(row.action),
                Cell::Code(format!("{} {}", row.target_kind, row.target_id)),
                Cell::Text(row.reason),
                Cell::Text(match row.address {
                    Some(address) => format!("{} {address}", row.channel),
                    None => row.channel,
                }),
            ],
        });
        Ok(rows.collect())
    }
}
