// Calls to the billing API: who the customer is, errors in words, and answers that take a while.

const { api } = window.CHECKOUT;
const ASK_AGAIN_MS = 2000;
const GIVE_UP_AFTER_MS = 60000;

// A no of the API: `code` is for programs, `message` is Korean and may be shown.
export class Problem extends Error {
  constructor(status, body) {
    super(body.message || '잠시 후 다시 시도해 주세요.');
    this.status = status;
    this.code = body.code;
    this.field = body.field;
    // Which subscription another card can still pay for, or which one lives already.
    this.subscriptionId = body.subscriptionId;
    this.nextAction = body.nextAction;
  }
}

// In your shop the token comes from your login. Here it comes once in the link, after the #, which no server sees.
export function token() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given) {
    sessionStorage.setItem('token', given);
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem('token');
}

// Toss knows the customer by the user's id. Reading it here proves nothing: the API checks the token itself.
export function customerKey() {
  const claims = token().split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
  return JSON.parse(atob(claims)).sub;
}

export async function call(method, path, body) {
  const answer = await fetch(api + path, {
    method,
    headers: {
      'Accept-Language': 'ko',
      ...(token() && { Authorization: `Bearer ${token()}` }),
      ...(body && { 'Content-Type': 'application/json' }),
    },
    body: body && JSON.stringify(body),
  });
  const json = await answer.json();
  if (!answer.ok) throw new Problem(answer.status, json);
  // A virtual account waits for days: that is an answer to show, not one to wait for.
  if (answer.status === 202 && json.status !== 'waiting_for_deposit') return { processing: json.statusUrl };
  return json;
}

// Sends what must be done once, and stays with it until it is known what became of it. The same request again is the
// same order: a lost answer is asked for again, and nothing is charged twice.
export async function settle(method, path, body, onWait = () => {}) {
  const deadline = Date.now() + GIVE_UP_AFTER_MS;
  let ask = () => call(method, path, body);
  for (;;) {
    try {
      const answer = await ask();
      if (!answer.processing) return answer;
      ask = () => call('GET', answer.processing);
    } catch (error) {
      const isNo = error instanceof Problem && error.status < 500 && error.status !== 429;
      if (isNo || Date.now() > deadline) throw error;
    }
    if (Date.now() > deadline) throw new Problem(202, { code: 'processing', message: '결제 결과를 아직 확인하고 있습니다.' });
    onWait();
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

export const won = (amount) => `${amount.toLocaleString('ko-KR')}원`;

export function koreanDate(date) {
  const [year, month, day] = date.split('-').map(Number);
  return `${year}년 ${month}월 ${day}일`;
}

// What was ordered, kept in this tab while Toss has the page.
export const order = {
  save: (fields) => sessionStorage.setItem('order', JSON.stringify(fields)),
  read: () => JSON.parse(sessionStorage.getItem('order') || 'null'),
};

export const show = (id, text) => {
  const element = document.getElementById(id);
  if (text !== undefined) element.textContent = text;
  element.hidden = false;
  return element;
};
