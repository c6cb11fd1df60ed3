// Stand-in for Toss's browser SDK (v2): the same calls, but the payment window is the sandbox's own page.
(function () {
  'use strict';
  var origin = new URL(document.currentScript.src, location.href).origin;

  function fail(code, message) {
    var error = new Error(message);
    error.name = code;
    error.code = code;
    return error;
  }

  function openWindow(fields) {
    var url = new URL('/sandbox/window', origin);
    Object.keys(fields).forEach(function (name) {
      var value = fields[name];
      if (value !== undefined && value !== null) url.searchParams.set(name, String(value));
    });
    location.assign(url.toString());
    return new Promise(function () {}); // as with Toss: the page goes away
  }

  function absolute(request) {
    if (!request || !request.successUrl || !request.failUrl) {
      throw fail('INVALID_PARAMETERS', 'successUrl and failUrl are required: the sandbox only redirects.');
    }
    return {
      successUrl: new URL(request.successUrl, location.href).toString(),
      failUrl: new URL(request.failUrl, location.href).toString(),
      customerName: request.customerName,
      customerEmail: request.customerEmail,
      orderId: request.orderId,
      orderName: request.orderName
    };
  }

  function payment(clientKey, customerKey) {
    return {
      requestBillingAuth: async function (request) {
        if (!request || (request.method !== 'CARD' && request.method !== undefined)) {
          throw fail('NOT_SUPPORTED_METHOD', 'The sandbox registers cards only.');
        }
        if (customerKey === 'ANONYMOUS') {
          throw fail('INVALID_CUSTOMER_KEY', 'A billing key needs a customerKey of its own.');
        }
        return openWindow(Object.assign(absolute(request), { kind: 'billing', customerKey: customerKey }));
      },
      requestPayment: async function (request) {
        if (!request || ['CARD', 'VIRTUAL_ACCOUNT', undefined].indexOf(request.method) < 0) {
          throw fail('NOT_SUPPORTED_METHOD', 'The sandbox takes cards and virtual accounts only.');
        }
        var amount = request.amount && typeof request.amount === 'object' ? request.amount.value : request.amount;
        return openWindow(
          Object.assign(absolute(request), { kind: 'payment', customerKey: customerKey, amount: amount, method: request.method })
        );
      }
    };
  }

  function box(selector, title, text) {
    var place = document.querySelector(selector);
    if (!place) throw fail('INVALID_SELECTOR', 'No element matches ' + selector + '.');
    var frame = document.createElement('div');
    frame.style.cssText = 'border:1px solid #d7dce1;border-radius:8px;padding:16px;font:15px sans-serif';
    var heading = document.createElement('strong');
    heading.textContent = title;
    var line = document.createElement('p');
    line.style.margin = '8px 0 0';
    line.textContent = text;
    frame.append(heading, line);
    place.replaceChildren(frame);
    return frame;
  }

  function widgets(clientKey, customerKey) {
    var amount = null;
    return {
      setAmount: async function (wanted) {
        if (!wanted || !(wanted.value > 0)) throw fail('INVALID_AMOUNT', 'amount.value must be positive.');
        amount = wanted.value;
      },
      renderPaymentMethods: async function (options) {
        if (amount === null) throw fail('AMOUNT_NOT_SET', 'Call setAmount() first.');
        var frame = box(options.selector, '결제 방법', '신용·체크카드, 가상계좌 (샌드박스)');
        return {
          on: function () {},
          getSelectedPaymentMethod: async function () { return { code: 'CARD' }; },
          destroy: async function () { frame.remove(); }
        };
      },
      renderAgreement: async function (options) {
        var frame = box(options.selector, '약관 동의', '결제 서비스 이용 약관에 동의합니다. (샌드박스)');
        return { on: function () {}, destroy: async function () { frame.remove(); } };
      },
      requestPayment: async function (request) {
        if (amount === null) throw fail('AMOUNT_NOT_SET', 'Call setAmount() first.');
        return openWindow(
          Object.assign(absolute(request), { kind: 'widget', customerKey: customerKey, amount: amount })
        );
      }
    };
  }

  function TossPayments(clientKey) {
    if (!/^test_g?ck_/.test(String(clientKey))) {
      throw fail('INVALID_CLIENT_KEY', 'The sandbox takes client keys that begin with test_ck_ or test_gck_.');
    }
    var forWidgets = clientKey.indexOf('test_gck_') === 0;
    function customer(options) {
      if (!options || !options.customerKey) throw fail('INVALID_CUSTOMER_KEY', 'customerKey is required.');
      return options.customerKey;
    }
    return {
      payment: function (options) {
        if (forWidgets) {
          throw fail('NotSupportedWidgetKeyError', '결제위젯 연동 키는 지원하지 않습니다. API 개별 연동 키를 사용해주세요.');
        }
        return payment(clientKey, customer(options));
      },
      widgets: function (options) {
        if (!forWidgets) {
          throw fail(
            'NotSupportedAPIIndividualKeyError',
            'API 개별 연동 키는 지원하지 않습니다. 결제위젯 연동 키를 사용해주세요.'
          );
        }
        return widgets(clientKey, customer(options));
      }
    };
  }
  TossPayments.ANONYMOUS = 'ANONYMOUS';
  window.TossPayments = TossPayments;
})();
