//! Every mail as a customer gets it, and what must hold of all of them.

use url::Url;

use super::{samples::*, *};

/// The words a reader of the HTML sees, and the addresses behind them, one after another.
fn seen(html: &str) -> String {
    let body = html.split_once("<body").unwrap().1;
    let mut words = String::new();
    for piece in body.split('<') {
        let (tag, after) = piece.split_once('>').unwrap_or(("", piece));
        if let Some((_, rest)) = tag.split_once("href=\"") {
            words.push_str(rest.split_once('"').unwrap().0);
        }
        words.push('\n');
        words.push_str(after);
    }
    words.replace("&#38;", "&")
}

#[test]
fn every_email_reads_as_it_was_agreed() {
    for (kind, mail) in every_email(&brand(), "홍길동") {
        insta::assert_snapshot!(format!("{kind}.txt"), mail.text);
        insta::assert_snapshot!(format!("{kind}.html"), mail.html);
    }
}

#[test]
fn subjects_are_those_of_the_guide_under_any_brand() {
    let brand = Brand { name: "우리집".into(), ..brand() };
    let mut subjects: Vec<_> =
        every_email(&brand, "홍길동").into_iter().map(|(_, mail)| mail.subject).collect();
    subjects.dedup();
    assert_eq!(
        subjects,
        [
            "우리집 구독 결제 완료",
            "우리집 구독 결제 실패",
            "우리집 구독 일시정지",
            "우리집 구독 갱신 안내",
            "우리집 구독 취소 완료",
            "우리집 결제 카드 등록 안내",
            "우리집 첫 결제 실패 안내",
            "우리집 구독 종료 안내",
            "우리집 입금 안내",
            "우리집 구독 신청 취소 안내",
            "우리집 환불 완료",
            "우리집 요금 변경 동의 요청",
            "우리집 구독 종료 안내",
        ]
    );
}

#[test]
fn the_text_says_everything_that_the_html_says() {
    for (kind, mail) in every_email(&brand(), "홍길동") {
        let only_in_html = ["영수증 보기"];
        for line in seen(&mail.html).lines().map(str::trim).filter(|line| !only_in_html.contains(line)) {
            assert!(mail.text.contains(line), "{kind}: {line:?} is missing from\n{}", mail.text);
        }
    }
}

#[test]
fn a_customers_name_cannot_inject_markup() {
    for (kind, mail) in every_email(&brand(), r#"<script>alert("x")</script><a href='//evil'>"#) {
        assert!(!mail.html.contains("<script"), "{kind}");
        assert!(!mail.html.contains("<a href='"), "{kind}");
        assert!(mail.html.contains("&#60;script&#62;"), "{kind}: the name is still shown\n{}", mail.html);
    }
}

#[test]
fn a_customers_name_cannot_add_lines_to_the_text() {
    let plain = every_email(&brand(), "홍길동");
    let broken = every_email(&brand(), "홍길동\r\n\r\n입금 계좌:\u{2028}110-000\n");
    for ((kind, plain), (_, broken)) in plain.into_iter().zip(broken) {
        assert_eq!(broken.text.lines().count(), plain.text.lines().count(), "{kind}");
        assert!(broken.text.contains("홍길동 입금 계좌: 110-000 님, 안녕하세요."), "{kind}");
    }
}

#[test]
fn a_subject_is_one_line_whatever_the_brand_is_called() {
    let brand = Brand { name: "집체크\r\nBcc: all@zip.example".into(), ..brand() };
    for (kind, mail) in every_email(&brand, "홍길동") {
        assert!(!mail.subject.contains(['\r', '\n']), "{kind}: {:?}", mail.subject);
    }
}

#[test]
fn a_customer_without_a_name_is_greeted_all_the_same() {
    for name in ["", " \n"] {
        for (kind, mail) in every_email(&brand(), name) {
            assert!(mail.text.contains("\n고객님, 안녕하세요.\n"), "{kind}");
        }
    }
}

#[test]
fn every_email_shows_the_way_to_cancel() {
    for (kind, mail) in every_email(&brand(), "홍길동") {
        assert!(mail.text.contains(&format!("구독 관리 및 취소: {SUBSCRIPTION_PAGE}\n")), "{kind}");
        assert!(mail.html.contains(&format!("href=\"{SUBSCRIPTION_PAGE}\"")), "{kind}");
    }
}

#[test]
fn the_success_mail_names_amount_next_date_and_receipt() {
    let mail = payment_succeeded(&brand(), &succeeded("홍길동")).unwrap();
    for words in ["94,800원", "2026년 12월 22일", "2027년 12월 22일", RECEIPT] {
        assert!(mail.text.contains(words), "{words}");
    }
}

#[test]
fn the_success_mail_asks_for_a_card_where_there_is_none() {
    let cardless = PaymentSucceeded { next_date: None, ..succeeded("홍길동") };
    let mail = payment_succeeded(&brand(), &cardless).unwrap();
    assert!(mail.text.contains("카드가 아직 등록되지 않았습니다"));
    assert!(mail.text.contains(CARD_PAGE));
    assert!(!mail.text.contains("다음 결제일"));
    assert!(!payment_succeeded(&brand(), &succeeded("홍길동")).unwrap().text.contains(CARD_PAGE));
}

#[test]
fn a_receipt_address_that_is_no_web_address_is_left_out() {
    let odd = PaymentSucceeded { receipt_url: Some("javascript:alert(1)"), ..succeeded("홍길동") };
    let mail = payment_succeeded(&brand(), &odd).unwrap();
    assert!(!mail.html.contains("javascript") && !mail.text.contains("영수증"));
}

#[test]
fn the_failure_mail_names_reason_retry_date_and_link() {
    for (failure, reason) in
        [(failed("홍길동"), "카드 잔액이 부족합니다."), (failed_for_good("홍길동"), "정지된 카드입니다.")]
    {
        let mail = payment_failed(&brand(), &failure).unwrap();
        for part in [&mail.text, &mail.html] {
            for words in [reason, "2026년 12월 25일", CARD_PAGE] {
                assert!(part.contains(words), "{words}");
            }
        }
    }
}

#[test]
fn a_dead_card_is_never_said_to_be_tried_again() {
    let retried = payment_failed(&brand(), &failed("홍길동")).unwrap();
    let dead = payment_failed(&brand(), &failed_for_good("홍길동")).unwrap();
    assert!(retried.text.contains("다시 결제를 시도합니다"));
    assert!(!dead.text.contains("다시 결제를 시도합니다"));
    assert!(dead.text.contains("등록하시면 19,900원이 바로 결제됩니다"));
}

#[test]
fn the_renewal_notice_names_the_last_day_to_cancel() {
    let mail = renewal_notice(&brand(), &renewing("홍길동")).unwrap();
    for words in ["2027년 1월 1일에", "94,800원", "2026년 12월 31일까지", SUBSCRIPTION_PAGE] {
        assert!(mail.text.contains(words), "{words}");
    }
}

#[test]
fn the_cancel_mail_promises_no_day_that_is_not_paid_for() {
    let mail = subscription_canceled(&brand(), &canceled("홍길동")).unwrap();
    assert!(mail.text.contains("2026년 12월 21일까지"));
    assert!(mail.text.contains("2026년 12월 22일 0시에"));
    assert!(!mail.text.contains("2026년 12월 22일까지"));
    assert!(mail.text.contains("취소를 되돌리실 수 있습니다"));
}

#[test]
fn a_cancel_with_nothing_left_to_use_offers_no_undo() {
    let ended = SubscriptionCanceled { has_access: false, ..canceled("홍길동") };
    let mail = subscription_canceled(&brand(), &ended).unwrap();
    assert!(!mail.text.contains("되돌리실") && !mail.text.contains("12월"));
}

#[test]
fn the_consent_mail_names_its_last_day_and_what_silence_does() {
    for m in [dearer("홍길동"), requested("홍길동")] {
        let mail = consent_request(&brand(), &m).unwrap();
        let new = m.new_amount.to_string();
        for words in ["2027년 1월 31일까지 동의하지 않으시면", "2027년 2월 1일 0시에 종료", "9,900원", &new]
        {
            assert!(mail.text.contains(words), "{words}: {}", mail.text);
        }
    }
    let own = consent_request(&brand(), &requested("홍길동")).unwrap();
    assert!(own.text.contains("변경 신청을 취소하시면 지금 요금으로"));
}

#[test]
fn a_public_address_that_cannot_carry_links_is_an_error() {
    let brand = Brand { public_url: Url::parse("mailto:help@zip.example").unwrap(), ..brand() };
    assert!(matches!(payment_failed(&brand, &failed("홍길동")), Err(RenderError::PublicUrl(_))));
}
