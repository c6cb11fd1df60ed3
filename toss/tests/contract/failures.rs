//! A line that refuses, hangs, breaks or talks nonsense.

use toss::{Account, ChargeOutcome, LookupOutcome, ReasonKind, WhyKind};

use crate::stub::{
    Scripted, Stub, answer_with, billing_key, charge_request, key, payment, unreachable_client,
};

async fn charge(scripted: Scripted) -> WhyKind {
    let stub = Stub::start(vec![scripted]).await;
    let outcome = stub.impatient_client().charge(&billing_key(), &charge_request(), &key()).await;
    assert_eq!(stub.received().len(), 1, "a lost charge is not sent again by itself");
    let ChargeOutcome::Unknown(why) = outcome else { panic!("{outcome:?}") };
    why.kind
}

#[tokio::test]
async fn a_refused_connection_is_not_sent_and_burns_no_key() {
    let outcome = unreachable_client().await.charge(&billing_key(), &charge_request(), &key()).await;
    let ChargeOutcome::NotSent(reason) = outcome else { panic!("{outcome:?}") };
    assert_eq!((reason.kind, reason.key_is_burnt), (ReasonKind::Unavailable, false));
}

#[tokio::test]
async fn an_unknown_host_is_not_sent() {
    let toss = toss::Toss::new(crate::stub::config("http://toss.invalid")).unwrap();
    let outcome = toss.charge(&billing_key(), &charge_request(), &key()).await;
    assert!(matches!(outcome, ChargeOutcome::NotSent(_)), "{outcome:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_unknown() {
    assert_eq!(charge(Scripted::Hang).await, WhyKind::Timeout);
}

#[tokio::test]
async fn a_line_cut_before_in_or_after_the_head_is_unknown() {
    let Scripted::Raw(whole) = answer_with(200, "", &payment().to_string()) else { panic!() };
    let cuts = [0, 1, 20, whole.find("\r\n\r\n").unwrap() + 4, whole.len() - 1];
    for cut in cuts {
        assert_eq!(charge(Scripted::Raw(whole[..cut].to_owned())).await, WhyKind::CutLine, "{cut}");
    }
}

#[tokio::test]
async fn a_refusal_cut_short_is_unknown() {
    let Scripted::Raw(whole) = answer_with(403, "", r#"{"code":"REJECT_CARD_PAYMENT","message":"x"}"#) else {
        panic!()
    };
    assert_eq!(charge(Scripted::Raw(whole[..whole.len() - 3].to_owned())).await, WhyKind::CutLine);
}

#[tokio::test]
async fn garbage_is_unknown() {
    for (status, body) in
        [(200, "<html>ok</html>"), (200, ""), (200, "{\"status\":\"DONE\""), (403, "Forbidden")]
    {
        assert_eq!(charge(answer_with(status, "", body)).await, WhyKind::Undecodable, "{body}");
    }
    assert_eq!(charge(Scripted::Raw("SSH-2.0-OpenSSH\r\n".to_owned())).await, WhyKind::CutLine);
    assert_eq!(charge(answer_with(502, "", "<html>Bad Gateway</html>")).await, WhyKind::ServerError);
}

#[tokio::test]
async fn a_lookup_nobody_answers_says_nothing_about_the_payment() {
    let stub = Stub::start(vec![Scripted::Hang]).await;
    let LookupOutcome::Unavailable(why) =
        stub.impatient_client().payment_by_key(Account::Billing, "pk").await
    else {
        panic!()
    };
    assert_eq!(why.kind, WhyKind::Timeout);
    let nobody = unreachable_client().await.payment_by_order_id(Account::Billing, "order-1").await;
    let LookupOutcome::Unavailable(why) = nobody else { panic!() };
    assert_eq!(why.kind, WhyKind::NotHeard(ReasonKind::Unavailable));
}
