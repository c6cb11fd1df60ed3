//! 카드 정보 입력 → "구독 시작하기" → /checkout/success → 구독 시작, with what goes wrong on the way.

use sqlx::PgPool;

use crate::{page::Page, shop::Shop};

const GOOD: &str = "4300-0000-0000-0001";
const NO_BALANCE: &str = "4300-0000-0000-0002";
const NO_BALANCE_SAID: &str = "한도초과 혹은 잔액부족";

/// Fills in the first page and goes to the payment window.
async fn order(page: &mut Page, flow: &str) {
    page.sees("94,800원").await;
    page.fits_everybody().await;
    page.touch(flow).await;
    page.write("이름", "홍길동").await;
    page.write("이메일", "hong@example.com").await;
    page.touch("구독 시작하기").await;
}

/// Enters the card in the sandbox's payment window.
async fn enter_card(page: &mut Page, number: &str, button: &str) {
    page.sees("테스트 카드").await;
    page.fits_everybody().await;
    page.write("카드번호", number).await;
    page.touch(button).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_declined_customer_tries_another_card_and_subscribes(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let mut page = shop.customer().await;
    order(&mut page, "결제위젯으로 결제").await;
    enter_card(&mut page, NO_BALANCE, "결제하기").await;
    page.sees("결제하지 못했습니다").await;
    page.sees(NO_BALANCE_SAID).await;
    page.fits_everybody().await;
    assert_eq!(shop.ledger().net, 0);

    page.touch("다시 시도하기").await;
    // What was written is still there.
    page.touch("94,800원 구독 시작하기").await;
    enter_card(&mut page, GOOD, "결제하기").await;
    page.sees("구독이 시작되었습니다").await;
    page.sees("퍼스널 연간").await;
    page.sees("94,800원").await;
    page.fits_everybody().await;
    assert_eq!((shop.ledger().net, shop.ledger().charges), (94_800, 1));

    // The same page again is the same order.
    page.reload().await;
    page.sees("구독이 시작되었습니다").await;
    assert_eq!((shop.ledger().net, shop.ledger().charges), (94_800, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_declined_registered_card_is_replaced_by_another(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let mut page = shop.customer().await;
    order(&mut page, "자동결제 카드 등록").await;
    enter_card(&mut page, NO_BALANCE, "등록하기").await;
    page.sees("결제하지 못했습니다").await;
    page.sees(NO_BALANCE_SAID).await;
    page.fits_everybody().await;
    page.reload().await;
    page.sees(NO_BALANCE_SAID).await;

    page.touch("다른 카드로 결제하기").await;
    enter_card(&mut page, GOOD, "등록하기").await;
    page.sees("구독이 시작되었습니다").await;
    page.sees("94,800원").await;
    page.reload().await;
    page.sees("구독이 시작되었습니다").await;
    assert_eq!((shop.ledger().net, shop.ledger().charges), (94_800, 1));
    page.touch("내 구독 보기").await;
    page.sees("이용 중").await;
}

#[sqlx::test(migrations = "../migrations")]
async fn closing_the_payment_window_pays_nothing(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let mut page = shop.customer().await;
    order(&mut page, "결제위젯으로 결제").await;
    page.sees("테스트 카드").await;
    page.touch("취소").await;
    page.sees("결제를 취소하셨습니다.").await;
    page.fits_everybody().await;
    page.touch("다시 시도하기").await;
    page.touch("구독 시작하기").await;
    enter_card(&mut page, GOOD, "결제하기").await;
    page.sees("구독이 시작되었습니다").await;
    assert_eq!((shop.ledger().net, shop.ledger().charges), (94_800, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customer_cancels_takes_it_back_and_registers_another_card(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let mut page = shop.customer().await;
    order(&mut page, "결제위젯으로 결제").await;
    enter_card(&mut page, GOOD, "결제하기").await;
    page.touch("내 구독 보기").await;
    page.sees("이용 중").await;
    page.fits_everybody().await;
    page.touch("구독 해지").await;
    page.sees("전까지 이용할 수 있습니다.").await;
    page.touch("해지 취소").await;
    page.sees("다음 결제일").await;
    page.touch("카드 변경").await;
    enter_card(&mut page, GOOD, "등록하기").await;
    page.sees("카드가 등록되었습니다").await;
    assert_eq!((shop.ledger().net, shop.ledger().charges), (94_800, 1));
}
