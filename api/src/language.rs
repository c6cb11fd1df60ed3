//! In which language a customer is told what went wrong: Korean, unless they prefer English.

use axum::http::{HeaderMap, header::ACCEPT_LANGUAGE};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Korean,
    English,
}

impl Language {
    /// The sentence in this language.
    pub(crate) fn choose(self, korean: &'static str, english: &'static str) -> &'static str {
        match self {
            Self::Korean => korean,
            Self::English => english,
        }
    }

    /// The one with the higher weight in `Accept-Language` (RFC 9110, section 12.5.4); Korean when equal.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let header = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let weight = |language| {
            let weights = header.split(',').filter_map(|range| weight_for(range, language));
            weights.fold(None, |highest: Option<f32>, weight| {
                Some(highest.map_or(weight, |highest| highest.max(weight)))
            })
        };
        match (weight("ko"), weight("en")) {
            (None, Some(english)) if english > 0.0 => Self::English,
            (Some(korean), Some(english)) if english > korean => Self::English,
            _ => Self::Korean,
        }
    }
}

fn weight_for(range: &str, language: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    let primary = parts.next()?.split('-').next()?;
    if !primary.eq_ignore_ascii_case(language) {
        return None;
    }
    Some(parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(header: &str) -> Language {
        Language::of(&HeaderMap::from_iter([(ACCEPT_LANGUAGE, header.parse().unwrap())]))
    }

    #[test]
    fn korean_is_spoken_unless_english_is_preferred() {
        for korean in ["", "*", "fr", "ko", "ko-KR,ko;q=0.9,en-US;q=0.8", "en;q=0.3, ko;q=0.5", "en;q=0"] {
            assert_eq!(chosen(korean), Language::Korean, "{korean}");
        }
        for english in ["en", "en-US,en;q=0.9,ko;q=0.8", "fr, EN-gb;q=0.4"] {
            assert_eq!(chosen(english), Language::English, "{english}");
        }
    }
}
