//! Ending at once: what goes back, what is answered the second time, and what is refused.

use chrono::TimeDelta;
use common::domain::ending::RefundPolicy;
use ops::action::ActionOptions;
use ops::end::EndRequest;
use ops::{OpsError, end};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::seed::{acting, active_subscription, start};

async fn ended(
    conn: &mut PgConnection,
    id: Uuid,
    refund: RefundPolicy,
    reason: &str,
) -> Result<end::EndedSubscription, OpsError> {
    let options = ActionOptions { reason: Some(reason.to_owned()), dry_run: false };
    let request = EndRequest { id, refund, options };
    end::end(conn, &request, &acting("kim", start() + TimeDelta::days(15))).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_end_is_the_same_end_with_the_same_refund(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = active_subscription(&mut conn).await.id;
    let first = ended(&mut conn, id, RefundPolicy::ProRata, "고객 요청").await.unwrap();
    let text = first.to_string();
    assert!(text.contains("2026-12-07") && text.contains("14 of 30 days were not used"), "{text}");
    let refund = first.refund.unwrap();
    assert_eq!((refund.amount.get(), refund.status.as_str()), (9_900 * 14 / 30, "pending"));
    let again = ended(&mut conn, id, RefundPolicy::ProRata, "고객 요청").await.unwrap();
    assert_eq!(again.refund.map(|refund| refund.id), Some(refund.id));
    let other = ended(&mut conn, id, RefundPolicy::None, "고객 요청").await.unwrap_err();
    assert!(matches!(other, OpsError::Refused(_)), "{other}");
    let jobs: i64 = sqlx::query_scalar("select count(*) from jobs where kind = 'refund-payment'")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert_eq!(jobs, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_bad_reason_and_an_unknown_subscription_write_nothing(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = active_subscription(&mut conn).await.id;
    for bad in ["", " ", "ab", "a\nbc"] {
        let refused = ended(&mut conn, id, RefundPolicy::None, bad).await.unwrap_err();
        assert_eq!(refused.exit_code(), 2, "{refused}");
    }
    let too_long = ended(&mut conn, id, RefundPolicy::None, &"가".repeat(201)).await.unwrap_err();
    assert!(too_long.to_string().contains("200 characters"), "{too_long}");
    let missing = ended(&mut conn, Uuid::nil(), RefundPolicy::None, "고객 요청").await.unwrap_err();
    assert!(matches!(missing, OpsError::NotFound(_)), "{missing}");
    let endings: i64 =
        sqlx::query_scalar("select count(*) from subscription_endings").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(endings, 0);
}
