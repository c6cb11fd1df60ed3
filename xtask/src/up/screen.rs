//! What a person sees once everything runs: one screen, and nothing to look up.

use super::accounts::{CUSTOMER, OPERATOR_EMAIL, Operator};
use super::settings::Settings;
use crate::postgres::DatabaseUrl;
use crate::project::Project;

/// Pays at the sandbox as the payment window would, then confirms as the frontend would.
const SUBSCRIBE: &str = r#"ORDER=order-$(date +%s)
     KEY=$(curl -s $SANDBOX_URL/sandbox/payments -H 'content-type: application/json' \
       -d '{"orderId":"'$ORDER'","amount":9900,"cardNumber":"4300-0000-0000-0001"}' | grep -o '"paymentKey":"[^"]*' | cut -d'"' -f4)
     curl -s $API_URL/api/payments/confirm -H "authorization: Bearer $CUSTOMER_TOKEN" -H 'content-type: application/json' \
       -d '{"paymentKey":"'$KEY'","orderId":"'$ORDER'","amount":9900,"plan":"personal","billingCycle":"monthly","customerEmail":"customer@example.com","customerName":"Kim"}'"#;

pub(crate) fn compose(
    project: &Project,
    settings: &Settings,
    database: &DatabaseUrl,
    operator: &Operator,
    customer_token: &str,
) -> anyhow::Result<String> {
    let api = settings.base_url("API_ADDR")?;
    let worker = settings.base_url("WORKER_ADDR")?;
    let sandbox = settings.base_url("SANDBOX_ADDR")?;
    let dev = project.dev()?;
    let mail = settings.get("MAIL_URL")?;
    let mail = mail.strip_prefix("file://").unwrap_or("sent by the server in MAIL_URL");
    let binary = project.binary("billing")?;
    let billing = binary.strip_prefix(&project.root).unwrap_or(&binary).display().to_string();
    let steps = first_steps(settings, &billing);
    let (database, dev) = (database.without_password(), dev.display());
    let (email, user) = (OPERATOR_EMAIL, CUSTOMER);
    let Operator { token: operator_token, link } = operator;
    Ok(format!(
        "
Everything runs. Ctrl-C stops it all.

  API       {api}   docs {api}/docs
  console   {api}/console   log in as {email}; first, or after a forgotten password:
            {link}
  worker    {worker}/readyz   {worker}/metrics
  sandbox   {sandbox}
  checkout  {sandbox}/checkout#token={customer_token}
  database  {database}   (password in {dev}/env)
  e-mail    {mail}
  logs      {dev}/log
  operator  {email}   token {operator_token}
  customer  user {user}, token
            {customer_token}

In another shell, in this folder:  set -a; . .dev/env; set +a
{steps}"
    ))
}

/// The three commands that the screen offers. Each works as printed after `. .dev/env`.
fn first_steps(settings: &Settings, billing: &str) -> String {
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
