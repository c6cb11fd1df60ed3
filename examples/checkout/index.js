// The first page: what is bought, for how much, and then over to Toss's payment window.

import { call, customerKey, order, show, token, won } from './api.js';

const form = document.getElementById('form');
const button = document.getElementById('subscribe');
const { widgetClientKey, billingClientKey } = window.CHECKOUT;
let plans = [];
let widgets;

const chosen = () => Object.fromEntries(new FormData(form));
const price = (plan) => (chosen().billingCycle === 'yearly' ? plan.yearlyAmount : plan.monthlyAmount);
const chosenPlan = () => plans.find((plan) => plan.code === chosen().plan) ?? plans[0];

function drawPlans() {
  const kept = chosen().plan ?? order.read()?.plan ?? plans[0].code;
  const choices = plans.map((plan) => {
    const label = document.createElement('label');
    const input = Object.assign(document.createElement('input'), { type: 'radio', name: 'plan', value: plan.code });
    input.checked = plan.code === kept;
    const amount = document.createElement('strong');
    amount.textContent = won(price(plan));
    label.append(input, ` ${plan.name} `, amount);
    return label;
  });
  document.getElementById('plans').replaceChildren(...choices);
}

// The widget shows the amount; the price itself is the server's, which refuses any other.
async function drawPayment() {
  const isWidget = chosen().flow === 'widget';
  document.getElementById('widget').hidden = !isWidget;
  button.textContent = `${won(price(chosenPlan()))} 구독 시작하기`;
  if (!isWidget) return;
  const amount = { currency: 'KRW', value: price(chosenPlan()) };
  if (widgets) {
    await widgets.setAmount(amount);
    return;
  }
  widgets = window.TossPayments(widgetClientKey).widgets({ customerKey: customerKey() });
  await widgets.setAmount(amount);
  await Promise.all([
    widgets.renderPaymentMethods({ selector: '#payment-method', variantKey: 'DEFAULT' }),
    widgets.renderAgreement({ selector: '#agreement', variantKey: 'AGREEMENT' }),
  ]);
}

// Toss takes 6 to 64 letters, digits, - and _. A new order each time: the same one again would be the same payment.
function newOrderId() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return `ORDER_${Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

async function pay() {
  const { plan, billingCycle, customerName, customerEmail, flow } = chosen();
  order.save({ plan, billingCycle, amount: price(chosenPlan()), customerName, customerEmail, flow });
  const back = {
    successUrl: `${location.origin}/checkout/success?flow=${flow}`,
    failUrl: `${location.origin}/checkout/fail`,
    customerName,
    customerEmail,
  };
  if (flow === 'billing') {
    const payment = window.TossPayments(billingClientKey).payment({ customerKey: customerKey() });
    await payment.requestBillingAuth({ method: 'CARD', ...back });
  } else {
    const orderName = `집체크 ${chosenPlan().name} ${billingCycle === 'yearly' ? '연간' : '월간'} 구독`;
    await widgets.requestPayment({ orderId: newOrderId(), orderName, ...back });
  }
}

form.addEventListener('change', () => {
  drawPlans();
  drawPayment();
});
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true;
  try {
    await pay();
  } catch (error) {
    show('error', error.message);
    button.disabled = false;
  }
});
// The way back from Toss may find this page as it was left.
window.addEventListener('pageshow', () => { button.disabled = plans.length === 0; });

async function begin() {
  if (!token()) {
    show('login');
    return;
  }
  const before = order.read();
  for (const [name, value] of Object.entries(before ?? {})) {
    if (name !== 'plan' && form.elements[name]) form.elements[name].value = value;
  }
  ({ plans } = await call('GET', '/api/plans'));
  drawPlans();
  await drawPayment();
  button.disabled = false;
}

begin().catch(() => show('error', '잠시 후 다시 접속해 주세요.'));
