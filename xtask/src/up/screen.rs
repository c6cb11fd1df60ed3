//! What a person sees once everything runs: one screen, and nothing to look up.

use super::operator::{self, Operator};
use super::settings::Settings;
use super::{first_steps, token};
use crate::postgres::DatabaseUrl;
use crate::project::Project;

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
    let steps = first_steps::text(settings, &billing);
    let (database, dev) = (database.without_password(), dev.display());
    let (email, user) = (operator::EMAIL, token::CUSTOMER);
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
