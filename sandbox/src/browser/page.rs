//! The window's HTML. Everything that came from outside is escaped.

use std::fmt::Write as _;

use super::window::{Kind, Visit};

const STYLE: &str = "body{font:16px/1.5 'Apple SD Gothic Neo','Noto Sans KR',sans-serif;background:#f2f4f6;\
color:#191f28;margin:0;padding:24px}main{max-width:420px;margin:0 auto;background:#fff;border-radius:16px;\
padding:24px;box-shadow:0 2px 12px #0001}h1{font-size:20px;margin:0 0 16px}.amount{font-size:28px;font-weight:700}\
label{display:block;margin:12px 0 4px;font-size:14px;color:#4e5968}input{width:100%;box-sizing:border-box;\
padding:12px;border:1px solid #d1d6db;border-radius:8px;font-size:16px}.row{display:flex;gap:12px}.row>div{flex:1}\
button{width:100%;padding:14px;border:0;border-radius:8px;font-size:16px;margin-top:16px;background:#3182f6;\
color:#fff}button.plain{background:#f2f4f6;color:#4e5968;margin-top:8px}table{width:100%;font-size:13px;\
color:#4e5968;margin-top:20px;border-collapse:collapse}td,th{padding:4px 0;text-align:left}\
.note{font-size:13px;color:#8b95a1}";

pub(super) fn form(visit: &Visit, payment_key: Option<&str>) -> String {
    let billing = visit.kind == Kind::Billing;
    let (title, button) = if billing {
        ("자동결제 카드 등록", "등록하기")
    } else {
        ("카드 결제", "결제하기")
    };
    let mut body = format!("<h1>{title}</h1>");
    let _ = write!(body, "{}", summary(visit));
    body.push_str("<form method=\"post\" action=\"/sandbox/window\" autocomplete=\"off\">");
    let kind = match visit.kind {
        Kind::Widget => "widget",
        Kind::Payment => "payment",
        Kind::Billing => "billing",
    };
    let hidden = [
        ("kind", Some(kind)),
        ("successUrl", Some(visit.success_url.as_str())),
        ("failUrl", Some(visit.fail_url.as_str())),
        ("customerKey", Some(visit.customer_key.as_str())),
        ("paymentKey", payment_key),
    ];
    for (name, value) in hidden {
        if let Some(value) = value {
            let _ = write!(body, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value));
        }
    }
    body.push_str(FIELDS);
    let _ = write!(
        body,
        "<button name=\"action\" value=\"pay\">{button}</button>\
         <button class=\"plain\" name=\"action\" value=\"cancel\" formnovalidate>취소</button></form>{CARDS}"
    );
    document(title, &body)
}

pub(super) fn notice(text: &str) -> String {
    let body = format!(
        "<h1>{}</h1><p class=\"note\">브라우저의 뒤로 가기로 돌아가 다시 입력해 주세요.</p>",
        escaped(text)
    );
    document("결제", &body)
}

const FIELDS: &str = "<label for=\"card\">카드번호</label>\
<input id=\"card\" name=\"cardNumber\" inputmode=\"numeric\" required pattern=\"[0-9 \\-]{13,23}\" \
value=\"4300-0000-0000-0001\">\
<div class=\"row\"><div><label for=\"expiry\">유효기간 (MM/YY)</label>\
<input id=\"expiry\" name=\"expiry\" value=\"12/30\"></div>\
<div><label for=\"birth\">생년월일 (6자리)</label><input id=\"birth\" name=\"birth\" value=\"900101\"></div></div>";

const CARDS: &str = "<table><tr><th>테스트 카드</th><th>결과</th></tr>\
<tr><td>4300-0000-0000-0001</td><td>성공</td></tr>\
<tr><td>4300-0000-0000-0002</td><td>잔액 부족</td></tr>\
<tr><td>4300-0000-0000-0003</td><td>한도 초과</td></tr>\
<tr><td>4300-0000-0000-0004</td><td>정지 카드</td></tr></table>\
<p class=\"note\">샌드박스입니다. 실제 결제는 이루어지지 않습니다.</p>";

fn summary(visit: &Visit) -> String {
    let mut text = String::new();
    if let Some(name) = &visit.order_name {
        let _ = write!(text, "<div>{}</div>", escaped(name));
    }
    if let Some(amount) = visit.amount {
        let _ = write!(text, "<div class=\"amount\">{}원</div>", grouped(amount));
    }
    if let Some(name) = &visit.customer_name {
        let _ = write!(text, "<div class=\"note\">구매자 {}</div>", escaped(name));
    }
    text
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"ko\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title} – 토스 샌드박스</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// `94,800`
fn grouped(amount: i64) -> String {
    let digits = amount.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn won_are_grouped_by_thousands() {
        assert_eq!(grouped(94_800), "94,800");
        assert_eq!(grouped(100), "100");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        assert_eq!(escaped("<b a='\"'>&"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
    }
}
