//! The lists of money: payments, refunds, cards, discrepancies and invoices on hold.

use common::store::StoreError;
use common::store::console::{Filter, money};
use sqlx::PgConnection;

use super::cell::{Cell, subscription_path};
use super::list::{Choice, Field, List, Position, Row};
use super::page::Section;
use crate::language::Language;

pub(super) struct Payments;

impl List for Payments {
    const SECTION: Section = Section::Payments;
    const PATH: &'static str = "/console/payments";
    const STATES: &'static [(&'static str, Choice)] = &[
        ("completed", ("완료", "Completed")),
        ("failed", ("실패", "Failed")),
        ("unknown", ("불명", "Unknown")),
        ("review", ("확인 필요", "Needs review")),
        ("pending", ("진행 중", "Pending")),
        ("partially_refunded", ("일부 환불", "Partially refunded")),
        ("refunded", ("환불", "Refunded")),
    ];
    const FIELDS: &'static [Field] = &[Field::Cause, Field::Subscription];

    const BULK: &'static [&'static str] = &["payment.look_up"];

    fn columns(language: Language) -> Vec<&'static str> {
        let t = |ko, en| language.choose(ko, en);
        vec![
            t("주문 번호", "Order id"),
            t("고객", "Customer"),
            t("금액", "Amount"),
            t("상태", "Status"),
            t("종류", "Kind"),
            t("토스 코드", "Toss code"),
            t("만든 시각", "Made"),
            t("끝난 시각", "Settled"),
        ]
    }

    async fn rows(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let rows = money::payments(conn, filter).await?.into_iter().map(|payment| Row {
            position: Position::Id(payment.id),
            href: Some(format!("{}#p-{}", subscription_path(payment.subscription_id), payment.id)),
            cells: vec![
                Cell::Code(payment.order_id),
                Cell::Subscription(payment.subscription_id, payment.customer_name),
                Cell::Won(payment.amount.into()),
                Cell::State(payment.status),
                Cell::Text(format!("{} {}", payment.kind, payment.attempt_no)),
                Cell::code(payment.toss_code.as_deref()),
                Cell::Time(payment.created_at),
                Cell::time(payment.settled_at),
            ],
        });
        Ok(rows.collect())
    }
}

pub(super) struct Refunds;

impl List for Refunds {
    const SECTION: Section = Section::Refunds;
    const PATH: &'static str = "/console/refunds";
    const STATES: &'static [(&'static str, Choice)] = &[
        ("failed", ("실패", "Failed")),
        ("pending", ("진행 중", "Pending")),
        ("unknown", ("불명", "Unknown")),
        ("completed", ("완료", "Completed")),
    ];
    const FIELDS: &'static [Field] = &[Field::Cause, Field::Subscription];

    fn columns(language: Language) -> Vec<&'static str> {
        let t = |ko, en| language.choose(ko, en);
        vec![
            t("주문 번호", "Order id"),
            t("고객", "Customer"),
            t("금액", "Amount"),
            t("상태", "Status"),
            t("이유", "Reason"),
            t("누가", "By whom"),
            t("토스 코드", "Toss code"),
            t("토스 메시지", "Toss message"),
            t("만든 시각", "Made"),
            t("끝난 시각", "Settled"),
        ]
    }

    async fn rows(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let rows = money::refunds(conn, filter).await?.into_iter().map(|refund| Row {
            position: Position::Id(refund.id),
            href: Some(format!("{}#r-{}", subscription_path(refund.subscription_id), refund.id)),
            cells: vec![
                Cell::Code(refund.order_id),
                Cell::Subscription(refund.subscription_id, refund.customer_name),
                Cell::Won(refund.amount.into()),
                Cell::State(refund.status),
                Cell::Text(refund.reason),
                Cell::Code(refund.requested_by),
                Cell::code(refund.toss_code.as_deref()),
                Cell::text(refund.toss_message.as_deref()),
                Cell::Time(refund.created_at),
                Cell::time(refund.settled_at),
            ],
        });
        Ok(rows.collect())
    }
}

/// Card registrations.
pub(super) struct Cards;

impl List for Cards {
    const SECTION: Section = Section::Cards;
    const PATH: &'static str = "/console/cards";
    const STATES: &'static [(&'static str, Choice)] = &[
        ("refused", ("거절", "Refused")),
        ("pending", ("대기", "Pending")),
        ("unknown", ("불명", "Unknown")),
        ("issued", ("발급됨", "Issued")),
        ("proving", ("확인 중", "Being verified")),
        ("applied", ("등록됨", "Applied")),
        ("dropped", ("버림", "Dropped")),
    ];
    const FIELDS: &'static [Field] = &[Field::Cause, Field::Subscription];

    fn columns(language: Language) -> Vec<&'static str> {
        let t = |ko, en| language.choose(ko, en);
        vec![
            t("고객", "Customer"),
            t("카드", "Card"),
            t("상태", "Status"),
            t("토스 코드", "Toss code"),
            t("토스 메시지", "Toss message"),
            t("만든 시각", "Made"),
            t("끝난 시각", "Settled"),
        ]
    }

    async fn rows(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let rows = money::cards(conn, filter).await?.into_iter().map(|card| Row {
            position: Position::Id(card.id),
            href: Some(format!("{}#c-{}", subscription_path(card.subscription_id), card.id)),
            cells: vec![
                Cell::Subscription(card.subscription_id, card.customer_name),
                Cell::code(card.card_number.as_deref()),
                Cell::State(card.status),
                Cell::code(card.toss_code.as_deref()),
                Cell::text(card.toss_message.as_deref()),
                Cell::Time(card.created_at),
                Cell::time(card.settled_at),
            ],
        });
        Ok(rows.collect())
    }
}

pub(super) struct HeldInvoices;

impl List for HeldInvoices {
    const SECTION: Section = Section::HeldInvoices;
    const PATH: &'static str = "/console/invoices";
    const STATES: &'static [(&'static str, Choice)] = &[];
    const FIELDS: &'static [Field] = &[Field::Subscription];

    const BULK: &'static [&'static str] = &["invoice.charge", "invoice.forgive"];

    fn columns(language: Language) -> Vec<&'static str> {
        let t = |ko, en| language.choose(ko, en);
        vec![
            t("고객", "Customer"),
            t("구독 상태", "Subscription"),
            t("회차", "Period no."),
            t("기간 시작", "Period from"),
            t("기간 끝", "Period to"),
            t("금액", "Amount"),
            t("보류 시작", "On hold since"),
        ]
    }

    async fn rows(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let rows = money::held_invoices(conn, filter).await?.into_iter().map(|invoice| Row {
            position: Position::Id(invoice.id),
            href: Some(format!("{}#i-{}", subscription_path(invoice.subscription_id), invoice.id)),
            cells: vec![
                Cell::Subscription(invoice.subscription_id, invoice.customer_name),
                Cell::State(invoice.subscription_status),
                Cell::Number(invoice.period_no.into()),
                Cell::Text(invoice.period_start.to_string()),
                Cell::Text(invoice.period_end.to_string()),
                Cell::Won(invoice.amount.into()),
                Cell::time(invoice.held_since),
            ],
        });
        Ok(rows.collect())
    }
}

pub(super) struct Discrepancies;

impl List for Discrepancies {
    const SECTION: Section = Section::Discrepancies;
    const PATH: &'static str = "/console/discrepancies";
    const STATES: &'static [(&'static str, Choice)] = &[
        ("open", ("열림", "Open")),
        ("accepted", ("인정함", "Accepted")),
        ("resolved", ("해소됨", "Resolved")),
    ];
    const FIELDS: &'static [Field] = &[Field::Kind];

    fn columns(language: Language) -> Vec<&'static str> {
        let t = |ko, en| language.choose(ko, en);
        vec![
            t("날짜", "Date"),
            t("종류", "Kind"),
            t("상태", "State"),
            t("우리 금액", "Ours"),
            t("토스 금액", "Toss's"),
            t("주문 번호", "Order id"),
            t("대상", "Reference"),
            t("처음 발견", "First seen"),
            t("결말", "End"),
        ]
    }

    async fn rows(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let rows = money::discrepancies(conn, filter).await?.into_iter().map(|row| {
            let state = row.state();
            Row {
                position: Position::Id(row.id),
                href: Some(format!("/console/discrepancies/{}", row.id)),
                cells: vec![
                    Cell::Text(row.date.to_string()),
                    Cell::Code(row.kind),
                    Cell::State(state.to_owned()),
                    row.our_amount.map_or(Cell::Empty, Cell::Won),
                    row.their_amount.map_or(Cell::Empty, Cell::Won),
                    Cell::code(row.order_id.as_deref()),
                    Cell::Code(row.reference),
                    Cell::Time(row.first_seen_at),
                    Cell::text(row.resolution.or(row.acceptance).as_deref()),
                ],
            }
        });
        Ok(rows.collect())
    }
}
