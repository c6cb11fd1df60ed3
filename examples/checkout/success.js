// Toss sends the customer back here: the guide's confirm, or the registered card, goes to the API.

import { Problem, call, customerKey, koreanDate, order, settle, show, won } from './api.js';

const query = new URLSearchParams(location.search);
const cycles = { monthly: '월간', yearly: '연간' };

// The amount goes along as Toss gave it; the API compares it with the plan's price before any money moves.
function confirm() {
  const { plan, billingCycle, customerEmail, customerName } = order.read();
  return settle('POST', '/api/payments/confirm', {
    paymentKey: query.get('paymentKey'),
    orderId: query.get('orderId'),
    amount: Number(query.get('amount')),
    customerEmail,
    customerName,
    plan,
    billingCycle,
  }, wait);
}

// The authKey is good once; the same one again is the same registration.
function register(path, fields) {
  const card = { authKey: query.get('authKey'), customerKey: query.get('customerKey') };
  return settle('POST', path, { ...card, ...fields }, wait);
}

function finish() {
  switch (query.get('flow')) {
    case 'card':
      return register(`/api/subscriptions/${encodeURIComponent(query.get('subscription'))}/payment-method`, {});
    case 'billing': {
      const { plan, billingCycle, amount, customerEmail, customerName } = order.read();
      return register('/api/subscriptions', { plan, billingCycle, amount, customerEmail, customerName });
    }
    default:
      return confirm();
  }
}

// A subscription whose first payment was declined waits 23 hours for another card: no second one is begun.
function payWithAnotherCard(subscription) {
  const payment = window.TossPayments(window.CHECKOUT.billingClientKey).payment({ customerKey: customerKey() });
  return payment.requestBillingAuth({
    method: 'CARD',
    successUrl: `${location.origin}/checkout/success?flow=card&first=yes&subscription=${subscription}`,
    failUrl: `${location.origin}/checkout/fail`,
  });
}

// The customer has a subscription already: nothing was charged, and this is what helps.
function refuseSecond({ message, nextAction }) {
  const labels = { register_payment_method: '카드 등록하기', resume: '구독 계속하기' };
  const retry = document.getElementById('retry');
  retry.href = '/checkout/subscriptions';
  retry.textContent = labels[nextAction] ?? '내 구독 보기';
  retry.hidden = false;
  show('failed-title', '이미 구독 중입니다');
  show('reason', message);
  show('failed');
}

function refuse(problem) {
  if (problem.code === 'already_subscribed') {
    refuseSecond(problem);
    return;
  }
  const unpaid = problem.subscriptionId ?? (query.get('first') && query.get('subscription'));
  document.getElementById('retry').hidden = Boolean(unpaid);
  if (unpaid) show('other-card').onclick = () => payWithAnotherCard(unpaid);
  show('reason', problem.message);
  show('failed');
}

function wait() {
  document.getElementById('wait-note').textContent = '카드사의 응답을 기다리고 있습니다. 창을 닫아도 결제는 한 번만 처리됩니다.';
}

function list(id, facts) {
  document.getElementById(id).replaceChildren(...facts.flatMap(([name, value]) => [
    Object.assign(document.createElement('dt'), { textContent: name }),
    Object.assign(document.createElement('dd'), { textContent: value }),
  ]));
}

const koreanMoment = (instant) => new Date(instant).toLocaleString('ko-KR', {
  timeZone: 'Asia/Seoul', dateStyle: 'long', timeStyle: 'short',
});

// The subscription begins with the deposit; the status URL and an e-mail tell of it.
function drawAccount({ bank, accountNumber, holderName, amount, dueAt }) {
  list('account', [
    ['은행', bank],
    ['계좌번호', accountNumber],
    ['예금주', holderName],
    ['입금 금액', won(amount)],
    ['입금 기한', koreanMoment(dueAt)],
  ]);
  document.title = '입금 대기 – 집체크';
  show('deposit');
}

async function draw({ status, virtualAccount, subscription, nextAction }) {
  if (status === 'waiting_for_deposit') {
    drawAccount(virtualAccount);
    return;
  }
  const { plans } = await call('GET', '/api/plans');
  const plan = plans.find(({ code }) => code === subscription.plan);
  const facts = [
    ['플랜', `${plan?.name ?? subscription.plan} ${cycles[subscription.billingCycle]}`],
    ['결제 금액', won(subscription.amount)],
    ['다음 결제일', subscription.nextBillingDate ? koreanDate(subscription.nextBillingDate) : '없음'],
  ];
  list('facts', facts);
  document.getElementById('card-needed').hidden = nextAction !== 'register_payment_method';
  document.title = '구독 시작 – 집체크';
  if (query.get('flow') === 'card' && !query.get('first')) show('done-title', '카드가 등록되었습니다');
  show('done');
}

async function begin() {
  for (const id of ['done', 'deposit', 'failed', 'unsure']) document.getElementById(id).hidden = true;
  show('waiting');
  try {
    await draw(await finish());
  } catch (error) {
    // No answer is not a no: the money may have moved.
    if (!(error instanceof Problem) || error.status >= 500 || error.code === 'processing') {
      show('unsure');
    } else {
      refuse(error);
    }
  }
  document.getElementById('waiting').hidden = true;
}

const isOrder = query.get('flow') !== 'card';
if (!isOrder) document.getElementById('retry').href = '/checkout/subscriptions';
if (isOrder && !order.read()) {
  document.getElementById('waiting').hidden = true;
  show('reason', '주문 정보를 찾을 수 없습니다. 결제는 이루어지지 않았습니다. 처음부터 다시 시도해 주세요.');
  show('failed');
} else {
  document.getElementById('ask-again').addEventListener('click', begin);
  document.getElementById('check-deposit').addEventListener('click', begin);
  begin();
}
