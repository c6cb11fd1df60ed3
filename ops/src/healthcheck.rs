//! `billing healthcheck`: asks a process whether it is ready, for containers that have neither a shell nor curl.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::{OpsError, session::Session};

const TIMEOUT: Duration = Duration::from_secs(4);
const MAX_ANSWER: u64 = 4 * 1024;

/// Ask a process whether it is ready; exit 0 when it answers 200
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  billing healthcheck http://127.0.0.1:8080/readyz
  billing healthcheck http://127.0.0.1:8081/healthz")]
pub struct HealthcheckRequest {
    /// What is asked: /readyz for being able to serve, /healthz for being alive
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080/readyz")]
    pub url: Url,
}

#[derive(Debug, Serialize)]
pub struct Healthy {
    url: String,
    status: u16,
}

impl std::fmt::Display for Healthy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} answers {}", self.url, self.status)
    }
}

impl HealthcheckRequest {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (host, port) = match (self.url.scheme(), self.url.host_str(), self.url.port_or_known_default()) {
            ("http", Some(host), Some(port)) => (host.trim_matches(['[', ']']).to_owned(), port),
            _ => return Err(OpsError::Usage("write http://host:port/readyz or …/healthz".to_owned())),
        };
        let unhealthy = |why: String| OpsError::Refused(format!("{} is not healthy: {why}", self.url));
        let asking = tokio::time::timeout(TIMEOUT, ask(&host, port, self.url.path())).await;
        let (status, body) = match asking {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(unhealthy(error.to_string())),
            Err(_) => return Err(unhealthy(format!("no answer within {} s", TIMEOUT.as_secs()))),
        };
        if status != 200 {
            return Err(unhealthy(format!("it answers {status}: {}", body.trim())));
        }
        session.print(&Healthy { url: self.url.to_string(), status })
    }
}

/// One GET in the plainest HTTP: status and body.
async fn ask(host: &str, port: u16, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect((host, port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("that is no answer of HTTP"))?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}
