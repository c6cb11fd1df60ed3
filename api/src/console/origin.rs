//! Whether a form was sent by our own page: the browser says so in `Sec-Fetch-Site`, or at least in `Origin`.

use axum::http::{HeaderMap, header};
use url::Url;

/// A request that changes something must come from a page of this very origin. One that names neither header comes from no
/// browser, and the console serves nothing else.
pub(super) fn is_own_form(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    match (text(header::ORIGIN.as_str()), text(header::HOST.as_str())) {
        (Some(origin), Some(host)) => authority(origin).is_some_and(|own| own.eq_ignore_ascii_case(host)),
        _ => false,
    }
}

/// Host and port of an origin; the port is left out where it is the scheme's own, as in `Host`.
fn authority(origin: &str) -> Option<String> {
    let url = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn is_own(given: &[(&'static str, &'static str)]) -> bool {
        let headers = given
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        is_own_form(&headers.collect())
    }

    #[test]
    fn only_a_page_of_the_same_origin_may_send_a_form() {
        let host = ("host", "billing.example");
        for (expected, given) in [
            (true, &[host, ("sec-fetch-site", "same-origin")][..]),
            (false, &[host, ("sec-fetch-site", "same-site")]),
            (false, &[host, ("sec-fetch-site", "cross-site"), ("origin", "https://billing.example")]),
            (false, &[host, ("sec-fetch-site", "none")]),
            (true, &[host, ("origin", "https://billing.example")]),
            (true, &[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")]),
            (false, &[host, ("origin", "https://billing.example:8443")]),
            (false, &[host, ("origin", "https://evil.example")]),
            (false, &[host, ("origin", "null")]),
            (false, &[host]),
            (false, &[("origin", "https://billing.example")]),
        ] {
            assert_eq!(is_own(given), expected, "{given:?}");
        }
    }
}
