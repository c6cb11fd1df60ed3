//! The last word of each test: the bank's book, our books and the emails, side by side.

use mail_parser::MessageParser;
use uuid::Uuid;

use crate::system::System;

const PAID: &str = "집체크 구독 결제 완료";
const REFUNDED: &str = "집체크 환불 완료";

/// One subscription's money, in won.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) captures: u64,
    pub(crate) refunds: u64,
    pub(crate) net: i64,
    /// Statuses of its payments and of its invoices, oldest first.
    pub(crate) payments: Vec<String>,
    pub(crate) invoices: Vec<String>,
    /// Subjects of the e-mails that went out.
    pub(crate) emails: Vec<String>,
}

impl Books {
    /// So many periods of the personal plan: each charged once, settled once, told once.
    pub(crate) fn paid(periods: usize) -> Self {
        let count = u32::try_from(periods).unwrap();
        Self {
            captures: count.into(),
            refunds: 0,
            net: 9_900 * i64::from(count),
            payments: vec!["completed".to_owned(); periods],
            invoices: vec!["paid".to_owned(); periods],
            emails: vec![PAID.to_owned(); periods],
        }
    }

    /// The first payment was taken once and given back once.
    pub(crate) fn refunded() -> Self {
        let emails = vec![PAID.to_owned(), REFUNDED.to_owned()];
        Self { refunds: 1, net: 0, payments: vec!["refunded".to_owned()], emails, ..Self::paid(1) }
    }
}

impl System {
    /// For a test with one subscription: the emails are everybody's.
    pub(crate) async fn books(&self, id: Uuid) -> Books {
        let ledger = self.ledger(id).await;
        let payments =
            sqlx::query_scalar("select status from payments where subscription_id = $1 order by created_at")
                .bind(id);
        let invoices =
            sqlx::query_scalar("select status from invoices where subscription_id = $1 order by period_no")
                .bind(id);
        Books {
            captures: ledger.charges,
            refunds: ledger.cancels,
            net: ledger.net,
            payments: payments.fetch_all(&self.pool).await.unwrap(),
            invoices: invoices.fetch_all(&self.pool).await.unwrap(),
            emails: self.emails(),
        }
    }

    fn emails(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.mail_folder()).unwrap().map(|entry| entry.unwrap().path());
        let emails = files.filter(|path| path.extension().is_some_and(|extension| extension == "eml"));
        // One that is just being written has not arrived.
        let mut subjects: Vec<String> = emails
            .filter_map(|path| {
                let bytes = std::fs::read(path).unwrap();
                Some(MessageParser::default().parse(&bytes)?.subject()?.to_owned())
            })
            .collect();
        subjects.sort();
        subjects
    }
}
