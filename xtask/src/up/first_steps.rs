//! The three commands that the screen offers; each works as printed after `. .dev/env`.

use super::settings::Settings;

/// Pays at the sandbox as the payment window would, then confirms as the frontend would.
const SUBSCRIBE: &str = r#"ORDER=order-$(date +%s)
     KEY=$(curl -s $SANDBOX_URL/sandbox/payments -H 'content-type: application/json' \
       -d '{"orderId":"'$ORDER'","amount":9900,"cardNumber":"4300-0000-0000-0001"}' | grep -o '"paymentKey":"[^"]*' | cut -d'"' -f4)
     curl -s $API_URL/api/payments/confirm -H "authorization: Bearer $CUSTOMER_TOKEN" -H 'content-type: application/json' \
       -d '{"paymentKey":"'$KEY'","orderId":"'$ORDER'","amount":9900,"plan":"personal","billingCycle":"monthly","customerEmail":"customer@example.com","customerName":"Kim"}'"#;

pub(crate) fn text(settings: &Settings, billing: &str) -> String {
    let clock = if settings.find("CLOCK") == Some("test") { "" } else { "   (needs CLOCK=test)" };
    format!(
        "  1. Subscribe:
     {SUBSCRIBE}
  2. A month later the renewal is charged:
     {billing} clock advance 31d{clock}
  3. What the system did and will do:
     {billing} jobs list
"
    )
}
