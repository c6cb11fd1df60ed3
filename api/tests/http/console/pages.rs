//! What the pages show: search, a subscription's timeline, failures by cause, lists with filters, and their CSV files.

use common::{domain::operator::Role, id::subscription_ref, store::payments};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::browser::Browser;
use crate::support::{Api, Customer, order, order_with};
use crate::worker;

const ORDER: &str = "ORDER_1729657033847";
const HOSTILE: &str = "<script>alert(1)</script>\u{202E}=1+1";

/// A paid subscription of customer 1, and a declined purchase of customer 2.
async fn shop(pool: PgPool) -> (Api, Uuid) {
    let api = Api::new(pool);
    api.confirm(&Customer::new(1), &order(ORDER)).await;
    worker::pay(&api.pool, ORDER, true).await;
    api.confirm(&Customer::new(2), &order("ORDER_DECLINED")).await;
    worker::decline(&api.pool, "ORDER_DECLINED").await;
    let mut conn = api.pool.acquire().await.unwrap();
    let paid = payments::find_by_order(&mut conn, ORDER).await.unwrap().unwrap();
    drop(conn);
    (api, paid.subscription_id)
}

#[sqlx::test(migrations = "../migrations")]
async fn one_hit_of_a_search_leads_to_its_page(pool: PgPool) {
    let (api, id) = shop(pool).await;
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    let (page, reference) =
        (format!("/console/subscriptions/{}", subscription_ref(id)), subscription_ref(id));
    for text in [
        ORDER.to_owned(),
        format!("tviva_{ORDER}"),
        reference.clone(),
        id.to_string(),
        Customer::new(1).id.to_string(),
        format!("%20{reference}%20"),
    ] {
        let answer = browser.get(&format!("/console/search?q={text}")).await;
        assert!(answer.location().starts_with(&page), "{text}: {} {}", answer.status, answer.location());
    }
    let job: i64 = sqlx::query_scalar("select min(id) from jobs").fetch_one(&api.pool).await.unwrap();
    let answer = browser.get(&format!("/console/search?q={job}")).await;
    assert_eq!(answer.location(), format!("/console/jobs/{job}"));
}

#[sqlx::test(migrations = "../migrations")]
async fn several_hits_are_listed_and_none_is_said_so(pool: PgPool) {
    let (api, _) = shop(pool).await;
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    for text in ["USER@exam", "%ED%99%8D%EA%B8%B8"] {
        let answer = browser.get(&format!("/console/search?q={text}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.page().matches("<a data-row").count()),
            (200, 2),
            "{text}"
        );
    }
    for text in ["nobody", "%25", "_", "%00", "-1", &"9".repeat(400), "a%27--"] {
        let answer = browser.get(&format!("/console/search?q={text}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.page().matches("<a data-row").count()),
            (200, 0),
            "{text}"
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_subscriptions_page_explains_its_charges(pool: PgPool) {
    let (api, id) = shop(pool).await;
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    let page = browser.get(&format!("/console/subscriptions/{id}")).await;
    assert_eq!(page.status, 200);
    for text in
        ["홍길동", "user@example.com", "94,800원", ORDER, "다음 정기 결제", "completed", "confirm-payment"]
    {
        assert!(page.page().contains(text), "{text} is missing: {}", page.page());
    }
    let declined = browser.get("/console/search?q=ORDER_DECLINED").await.location().to_owned();
    let page = browser.get(declined.split('#').next().unwrap()).await;
    assert!(
        page.page().contains("REJECT_CARD_PAYMENT") && page.page().contains("잔액 부족"),
        "{}",
        page.page()
    );
    assert_eq!(browser.get("/console/subscriptions/sub_1").await.status, 404);
    assert_eq!(browser.get(&format!("/console/subscriptions/{}", Uuid::nil())).await.status, 404);
}

#[sqlx::test(migrations = "../migrations")]
async fn failures_are_grouped_by_cause_without_ids(pool: PgPool) {
    let (api, _) = shop(pool).await;
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    let insert =
        "insert into jobs (kind, args, state, run_at, due_at, max_attempts, created_at, finished_at, last_error)
        select 'send-email', '{}', 'failed', now(), now(), 25, now(), now() - (n || ' minutes')::interval,
               'mailbox ' || n || ' of 0192f0c1-5c00-7000-8000-00000000000' || n || E' is full\\nat line 7'
          from generate_series(1, 9) n";
    sqlx::query(insert).execute(&api.pool).await.unwrap();
    let page = browser.get("/console/failures?window=1h").await;
    assert!(page.page().contains("<code>mailbox # of # is full</code>"), "{}", page.page());
    assert!(page.page().contains("9건 운영자를 기다림"), "{}", page.page());
    assert!(page.page().contains("REJECT_CARD_PAYMENT"));
    let items = "/console/jobs?state=failed&kind=send-email&cause=mailbox+%23+of+%23+is+full";
    assert!(
        page.page().contains(&items.replace('&', "&#38;"))
            || page.page().contains(&items.replace('&', "&amp;"))
    );
    assert_eq!(browser.get(items).await.page().matches("<a data-row").count(), 9);
}

/// A refund that Toss refused, a card that it refused, a webhook about the payment, and a discrepancy.
async fn troubles(api: &Api, id: Uuid) {
    for sql in [
        "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, status, toss_code,
                              sent_at, created_at, settled_at)
         select gen_random_uuid(), id, 1000, '고객 요청', 'operator:kim', 'k', gen_random_uuid(), 'failed',
                'NOT_CANCELABLE_PAYMENT', now() - interval '1 s', now(), now()
           from payments where subscription_id = $1",
        "insert into card_registrations (id, subscription_id, user_id, auth_key_hash, customer_key, idempotency_key, status,
                                         toss_code, created_at, settled_at)
         select gen_random_uuid(), id, user_id, 'hash', 'c', gen_random_uuid(), 'refused', 'INVALID_CARD_EXPIRATION', now(), now()
           from subscriptions where id = $1",
        "insert into webhook_events_in (id, transmission_id, received_at, headers, body, event_type, state, note, handled_at,
                                        subscription_id)
         values ('0192f0c1-5c00-7000-8000-0000000000bb', 't-1', now(), '{}', '{}', 'PAYMENT_STATUS_CHANGED', 'handled',
                 'booked before', now(), $1)",
        "insert into discrepancies (id, date, kind, reference, payment_id, our_amount, their_amount, first_seen_at, last_seen_at)
         select '0192f0c1-5c00-7000-8000-0000000000cc', '2026-11-28', 'amount_differs', 'ref-1', id, 94800, 9900, now(), now()
           from payments where subscription_id = $1",
    ] {
        sqlx::query(sql).bind(id).execute(&api.pool).await.unwrap();
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn failed_refunds_and_refused_cards_are_listed(pool: PgPool) {
    let (api, id) = shop(pool).await;
    troubles(&api, id).await;
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    let failures = browser.get("/console/failures").await;
    for (path, code) in [
        ("/console/refunds?state=failed&cause=NOT_CANCELABLE_PAYMENT", "NOT_CANCELABLE_PAYMENT"),
        ("/console/cards?state=refused&cause=INVALID_CARD_EXPIRATION", "INVALID_CARD_EXPIRATION"),
    ] {
        let link = path.replace('&', "&#38;");
        assert!(failures.page().contains(&link), "{link}: {}", failures.page());
        let list = browser.get(path).await;
        assert_eq!(list.page().matches("<a data-row").count(), 1, "{path}");
        assert!(list.page().contains(code));
        let none = browser.get(&path.replace("cause=", "cause=x")).await;
        assert_eq!(none.page().matches("<a data-row").count(), 0, "{path}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_timeline_shows_webhooks_calls_and_actions(pool: PgPool) {
    let (api, id) = shop(pool).await;
    troubles(&api, id).await;
    let mut operator = Browser::with_role(&api, Role::Operator).await;
    let act = format!("/console/act/subscription.pause_charging/{id}");
    assert_eq!(operator.post(&act, &[("reason", "고객 문의")]).await.status, 303);
    let page = operator.get(&format!("/console/subscriptions/{id}")).await;
    for text in [
        "수신 웹훅 PAYMENT_STATUS_CHANGED",
        "/console/webhooks/in/0192f0c1-5c00-7000-8000-0000000000bb",
        "걸린 시간",
        "1,000 ms",
        "운영자 작업: 결제 멈추기",
        "operator:operator@example.com",
    ] {
        assert!(page.page().contains(text), "{text}: {}", page.page());
    }
    let list = operator.get(&format!("/console/webhooks/in?subscription={id}")).await;
    assert_eq!(list.page().matches("<a data-row").count(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_discrepancy_has_a_page_with_its_action(pool: PgPool) {
    let (api, id) = shop(pool).await;
    troubles(&api, id).await;
    let mut browser = Browser::with_role(&api, Role::Operator).await;
    let path = "/console/discrepancies/0192f0c1-5c00-7000-8000-0000000000cc";
    assert!(browser.get("/console/discrepancies").await.page().contains(path));
    let page = browser.get(path).await;
    for text in
        ["94,800원", "9,900원", "결제 금액이 서로 다릅니다", &subscription_ref(id), "discrepancy.accept"]
    {
        assert!(page.page().contains(text), "{text}: {}", page.page());
    }
    let act = "/console/act/discrepancy.accept/0192f0c1-5c00-7000-8000-0000000000cc";
    assert_eq!(browser.post(act, &[("reason", "알고 있음")]).await.status, 303);
    let page = browser.get(path).await;
    assert!(page.page().contains("알고 있음") && !page.page().contains("/console/act/"), "{}", page.page());
    assert_eq!(browser.get(&path.replace("cc", "cd")).await.status, 404);
}

#[sqlx::test(migrations = "../migrations")]
async fn settings_show_switches_and_the_installation(pool: PgPool) {
    let (api, _) = shop(pool).await;
    let mut admin = Browser::with_role(&api, Role::Admin).await;
    let set =
        "insert into settings (name, value) values ('instance', '{\"id\": \"prod\", \"merchant\": \"m\"}'),
                   ('events', '{\"enabled\": true, \"endpoint\": \"https://shop.example\"}')";
    sqlx::query(set).execute(&api.pool).await.unwrap();
    let page = admin.get("/console/settings").await;
    for text in ["charging.switch_off", "events.switch_off", "https://shop.example", "<code>prod</code>"] {
        assert!(page.page().contains(text), "{text}: {}", page.page());
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn pages_of_a_list_neither_skip_nor_repeat_a_row(pool: PgPool) {
    let (api, _) = shop(pool).await;
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    // All of one second, as a scan makes them.
    let insert = "insert into jobs (kind, args, run_at, due_at, max_attempts, created_at)
        select 'send-email', '{}', now(), now(), 25, now() from generate_series(1, 120)";
    sqlx::query(insert).execute(&api.pool).await.unwrap();
    let (mut path, mut seen) = ("/console/jobs?kind=send-email&state=available".to_owned(), Vec::new());
    loop {
        let answer = browser.get(&path).await;
        let links = answer.page().split("<a data-row href=\"").skip(1);
        seen.extend(links.map(|rest| rest.split('"').next().unwrap().to_owned()));
        let Some(next) = answer.page().split("rel=\"next\" href=\"").nth(1) else { break };
        path = next.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((count, seen.len()), (120, 120));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_csv_file_holds_every_row_and_no_formula(pool: PgPool) {
    let (api, _) = shop(pool).await;
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    let insert =
        "insert into jobs (kind, args, run_at, due_at, max_attempts, created_at, state, finished_at, last_error)
        select 'send-email', '{}', now(), now(), 25, now(), 'failed', now(), '=cmd|''/c calc''!A0, \"quoted\"'
          from generate_series(1, 4500)";
    sqlx::query(insert).execute(&api.pool).await.unwrap();
    let answer = browser.get("/console/csv/jobs?kind=send-email&state=failed").await;
    let text = answer.page();
    assert!(text.starts_with("\u{FEFF}번호,종류,"), "{}", &text[..40]);
    assert_eq!(text.lines().count(), 4_501);
    assert!(text.contains("\"'=cmd|'/c calc'!A0, \"\"quoted\"\"\""), "{}", text.lines().nth(1).unwrap());
    assert!(answer.headers["content-disposition"].to_str().unwrap().contains("jobs.csv"));
}

#[sqlx::test(migrations = "../migrations")]
async fn every_list_and_its_file_open_with_any_filter(pool: PgPool) {
    let (api, id) = shop(pool).await;
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    for list in [
        "jobs",
        "payments",
        "refunds",
        "cards",
        "subscriptions",
        "emails",
        "webhooks/in",
        "webhooks/out",
        "discrepancies",
        "invoices",
        "audit",
        "actions",
    ] {
        for query in [
            String::new(),
            format!("subscription={id}&since=30d"),
            "state=failed&kind=x&cause=y&actor=z&since=2026-01-01&until=1h".to_owned(),
            "before=1".to_owned(),
            format!("before={id}"),
            "before=nonsense&since=never&subscription=%00".to_owned(),
        ] {
            for path in [format!("/console/{list}?{query}"), format!("/console/csv/{list}?{query}")] {
                assert_eq!(browser.get(&path).await.status, 200, "{path}");
            }
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn no_text_of_a_customer_breaks_a_page(pool: PgPool) {
    let api = Api::new(pool);
    let mut order = order_with("customerName", json!(HOSTILE.replace('\u{202E}', "")));
    order["orderId"] = json!(ORDER);
    api.confirm(&Customer::new(1), &order).await;
    worker::pay(&api.pool, ORDER, true).await;
    // What older rows, imports and hands on the database may hold.
    let longest = format!("{HOSTILE}{}", "가".repeat(10_000));
    for sql in
        ["update users set name = $1", "update subscriptions set customer_name = $1, cancel_reason = $1"]
    {
        sqlx::query(sql).bind(&longest).execute(&api.pool).await.unwrap();
    }
    sqlx::query("update jobs set note = $1").bind(&longest).execute(&api.pool).await.unwrap();
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    let subscription: Uuid =
        sqlx::query_scalar("select id from subscriptions").fetch_one(&api.pool).await.unwrap();
    for path in [
        "/console/payments",
        "/console/subscriptions",
        "/console/jobs",
        "/console/search?q=%3Cscript",
        &format!("/console/subscriptions/{subscription}"),
    ] {
        let answer = browser.get(path).await;
        let page = answer.page();
        assert!(!page.contains("<script>alert") && !page.contains('\u{202E}'), "{path}");
        assert!(page.len() < 60_000, "{path}: {} bytes", page.len());
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_email_is_shown_in_a_frame_that_runs_nothing(pool: PgPool) {
    let (api, _) = shop(pool).await;
    let mut browser = Browser::with_role(&api, Role::Viewer).await;
    let insert = "insert into emails (id, kind, unique_key, user_id, subscription_id, to_address, subject, body_html,
                                      body_text, message_id, created_at)
        select '0192f0c1-5c00-7000-8000-0000000000aa', 'k', 'k', user_id, id, 'a@example.com', 's',
               '<p style=\"color:red\">hello</p><script>alert(1)</script>', 'hello', 'm', now() from subscriptions limit 1";
    sqlx::query(insert).execute(&api.pool).await.unwrap();
    let page = browser.get("/console/emails/0192f0c1-5c00-7000-8000-0000000000aa").await;
    assert!(page.page().contains("<iframe class=\"preview\" sandbox src="));
    let preview = browser.get("/console/emails/0192f0c1-5c00-7000-8000-0000000000aa/preview").await;
    let policy = preview.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("sandbox;")
            && policy.contains("default-src 'none'")
            && !policy.contains("script-src")
    );
    assert_eq!(preview.headers["x-frame-options"], "SAMEORIGIN");
}
