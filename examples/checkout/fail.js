// Toss sends the customer here when nothing was paid. Its words are shown as text, never as HTML.

const query = new URLSearchParams(location.search);
const words = {
  PAY_PROCESS_CANCELED: '결제를 취소하셨습니다.',
  NOT_FOUND_PAYMENT_SESSION: '결제 시간이 지났습니다.',
};
document.getElementById('reason').textContent =
  words[query.get('code')] ?? query.get('message') ?? '다시 시도해 주세요.';
