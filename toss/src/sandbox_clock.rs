//! Moves the clock of a Toss sandbox along with ours, so that a year can be played in a minute.

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Method;
use serde_json::json;
use url::Url;

use crate::Toss;
use crate::reply::{NotSent, Reply};
use crate::transport::About;

/// Why the sandbox's clock did not move. None of these concerns money; carry on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SandboxClockError {
    /// Nothing was sent.
    #[error("Toss itself has no clock to set")]
    RealToss,
    /// 404 from a stand-in that has no clock.
    #[error("the sandbox answered HTTP {http_status}")]
    Refused { http_status: u16 },
    #[error("the sandbox did not answer: {0}")]
    Unreachable(String),
}

impl Toss {
    /// `PUT {base}/sandbox/clock` with `{"now": RFC 3339}` in UTC; never sent to tosspayments.com, and without secrets.
    pub async fn set_sandbox_clock(&self, now: DateTime<Utc>) -> Result<(), SandboxClockError> {
        if is_real(&self.base_url) {
            return Err(SandboxClockError::RealToss);
        }
        let body = json!({ "now": now.to_rfc3339_opts(SecondsFormat::Micros, true) });
        let request =
            self.bare_request(Method::PUT, &["sandbox", "clock"]).map(|request| request.json(&body));
        match self.send(About { operation: "set_sandbox_clock", order_id: None, secret: None }, request).await
        {
            Reply::Answered(answer) if (200..300).contains(&answer.http_status) => Ok(()),
            Reply::Answered(answer) => Err(SandboxClockError::Refused { http_status: answer.http_status }),
            Reply::NotSent(NotSent::Unreachable(message) | NotSent::Malformed(message))
            | Reply::Lost { message, .. } => Err(SandboxClockError::Unreachable(message)),
        }
    }
}

fn is_real(base_url: &Url) -> bool {
    let name = base_url.domain().unwrap_or_default().trim_end_matches('.');
    name == "tosspayments.com" || name.ends_with(".tosspayments.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_toss_itself_is_real() {
        let real = |url: &str| is_real(&Url::parse(url).unwrap());
        assert!(real("https://api.tosspayments.com") && real("https://API.tosspayments.com./x"));
        assert!(
            !real("http://127.0.0.1:8090") && !real("http://nottosspayments.com") && !real("http://sandbox")
        );
    }
}
