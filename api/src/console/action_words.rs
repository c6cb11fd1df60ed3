//! What the buttons and headings of actions say.

use crate::language::Language;

/// Action, Korean, English.
#[rustfmt::skip]
const LABELS: &[(&str, &str, &str)] = &[
    ("payment.look_up", "지금 토스에 조회", "Query the gateway now"),
    ("payment.refund", "환불", "Refund"),
    ("payment.claim_paid", "결제됨으로 확정", "Resolve as paid"),
    ("payment.claim_not_paid", "미결제로 확정", "Resolve as not paid"),
    ("payment.agree_not_paid", "미결제에 동의", "Agree: not paid"),
    ("email.resend", "다시 보내기", "Send again"),
    ("access.refused", "권한 없는 시도", "Refused attempt"),
    ("clock.advance", "테스트 시계 이동", "Test clock moved"),
    ("job.retry", "지금 다시 시도", "Retry now"),
    ("job.snooze", "미루기", "Snooze"),
    ("job.discard", "폐기", "Discard"),
    ("subscription.cancel", "해지", "Cancel"),
    ("subscription.end", "즉시 종료", "End at once"),
    ("subscription.pause_charging", "결제 멈추기", "Pause charges"),
    ("subscription.resume_charging", "결제 다시 켜기", "Resume charges"),
    ("invoice.charge", "청구하기", "Charge"),
    ("invoice.forgive", "면제하기", "Forgive"),
    ("discrepancy.accept", "불일치 인정", "Accept"),
    ("event.replay", "다시 전송", "Replay"),
    ("charging.switch_on", "모든 결제 켜기", "Switch charging on"),
    ("charging.switch_off", "모든 결제 끄기", "Switch charging off"),
    ("events.switch_on", "이벤트 전송 켜기", "Switch events on"),
    ("events.switch_off", "이벤트 전송 끄기", "Switch events off"),
    ("operator.add", "운영자 추가", "Operator added"),
    ("operator.link", "일회용 링크 발급", "One-time link made"),
    ("operator.disable", "운영자 중지", "Operator disabled"),
    ("operator.password", "비밀번호 설정", "Password set"),
    ("operator.end_session", "로그인 끝냄", "Session ended"),
    ("operator.end_sessions", "로그인 모두 끝냄", "Sessions ended"),
    ("instance.release", "설치 연결 해제", "Instance released"),
    ("customer.set_email", "고객 메일 주소 변경", "Customer's address changed"),
    ("customer.erase", "고객 정보 삭제", "Customer erased"),
    ("scan.start", "일일 실행 요청", "Daily run asked for"),
    ("reconcile.start", "대조 요청", "Comparison asked for"),
    ("plan.set", "플랜 변경", "Plan set"),
    ("price_change.announce", "가격 변경 예고", "Price change announced"),
    ("price_change.withdraw", "가격 변경 철회", "Price change withdrawn"),
    ("import.batch", "가져오기", "Import"),
    ("operator.totp_on", "2단계 인증 설정", "Second factor set up"),
    ("operator.totp_off", "2단계 인증 해제", "Second factor taken away"),
    ("operator.totp_reset", "2단계 인증 초기화", "Reset second factor"),
];

/// What a button says.
pub(super) fn label(action: &str, language: Language) -> &'static str {
    let known = LABELS.iter().find(|(name, _, _)| *name == action);
    known.map_or(language.choose("작업", "Action"), |(_, ko, en)| language.choose(ko, en))
}
