// The customer's subscriptions: cancel, undo it, and another card.

import { call, customerKey, koreanDate, show, token, won } from './api.js';

const words = {
  incomplete: '결제 확인 중', active: '이용 중', past_due: '결제 실패, 다시 시도 예정', suspended: '일시정지', canceled: '해지됨',
};

function button(text, act, kind = 'plain') {
  const element = Object.assign(document.createElement('button'), { type: 'button', textContent: text, className: kind });
  element.addEventListener('click', async () => {
    element.disabled = true;
    document.getElementById('error').hidden = true;
    try {
      await act();
      await draw();
    } catch (error) {
      show('error', error.message);
      element.disabled = false;
    }
  });
  return element;
}

// No question asked twice: a cancel can be undone until the paid period ends.
const cancel = ({ id }) => call('POST', '/api/subscriptions/cancel', { subscriptionId: id, reason: '' });
const resume = ({ id }) => call('POST', `/api/subscriptions/${id}/resume`);

function newCard({ id }) {
  const payment = window.TossPayments(window.CHECKOUT.billingClientKey).payment({ customerKey: customerKey() });
  return payment.requestBillingAuth({
    method: 'CARD',
    successUrl: `${location.origin}/checkout/success?flow=card&subscription=${id}`,
    failUrl: `${location.origin}/checkout/fail`,
  });
}

function until(it) {
  if (it.status === 'canceled') return `${koreanDate(it.accessUntil)} 전까지 이용할 수 있습니다.`;
  if (!it.nextBillingDate) return '카드를 등록하면 다시 시작됩니다.';
  return `다음 결제일 ${koreanDate(it.nextBillingDate)}`;
}

function view(it, plans) {
  const box = document.createElement('section');
  box.className = 'box';
  const name = plans.find(({ code }) => code === it.plan)?.name ?? it.plan;
  const lines = [
    ['h2', `${name} ${it.billingCycle === 'yearly' ? '연간' : '월간'} ${won(it.amount)}`],
    ['p', words[it.status]],
    ['p', until(it)],
    ['p', it.card ? `카드 ${it.card.number ?? '등록됨'}` : '등록된 카드가 없습니다.'],
  ];
  box.append(...lines.map(([tag, text]) => Object.assign(document.createElement(tag), { textContent: text })));
  if (it.status === 'canceled') {
    if (it.hasAccess) box.append(button('해지 취소', () => resume(it), 'strong'));
  } else {
    box.append(button(it.card ? '카드 변경' : '카드 등록', () => newCard(it)), button('구독 해지', () => cancel(it)));
  }
  return box;
}

async function draw() {
  const [{ plans }, { subscriptions }] = await Promise.all([call('GET', '/api/plans'), call('GET', '/api/subscriptions')]);
  const views = subscriptions.map((it) => view(it, plans));
  const none = Object.assign(document.createElement('p'), { textContent: '구독이 없습니다.' });
  document.getElementById('list').replaceChildren(...(views.length ? views : [none]));
}

if (token()) draw().catch((error) => show('error', error.message));
else show('error', '로그인이 필요합니다. 화면에 안내된 주소로 다시 접속해 주세요.');
