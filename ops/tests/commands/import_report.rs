//! `billing import` with wrong rows: a report, and a failure.

use sqlx::PgPool;

use crate::import::{KEYS, count, csv, row};
use crate::program::{billing, url};

#[sqlx::test(migrations = "../migrations")]
async fn wrong_rows_are_a_failure_in_text_and_in_json(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    std::fs::write(&file, csv(&[row(1, "gone", "x")])).unwrap();
    let words = ["import", "--first-charge-after", "2026-11-25", "--apply", file.to_str().unwrap()];
    for json in [&["--json"][..], &[]] {
        let all = [&words[..], json].concat();
        let output = billing(Some(&url(&pool)), &[("BILLING_KEY_ENCRYPTION_KEYS", KEYS)], &all).await;
        assert_eq!(output.status.code(), Some(1), "{all:?}");
        assert!(!output.stdout.is_empty(), "the report is printed");
    }
    assert_eq!(count(&pool, "subscriptions").await, 0);
}
