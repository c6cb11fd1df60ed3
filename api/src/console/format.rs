//! How times and amounts are written on a page.

use chrono::{DateTime, TimeDelta, Utc};
use common::domain::calendar::{seoul_date, seoul_time};
use common::visible_text;

/// `2026-11-29 22:00` in Seoul; on hover to the millisecond, for programs in UTC.
pub(super) fn time_element(at: DateTime<Utc>) -> String {
    element(at, &format!("{} {}", seoul_date(at), seoul_time(at).format("%H:%M")))
}

/// `22:00:05` in Seoul.
pub(super) fn clock_element(at: DateTime<Utc>) -> String {
    element(at, &seoul_time(at).format("%H:%M:%S").to_string())
}

fn element(at: DateTime<Utc>, text: &str) -> String {
    let (date, time) = (seoul_date(at), seoul_time(at));
    format!(
        "<time datetime=\"{}\" title=\"{date} {} KST\">{text}</time>",
        at.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
        time.format("%H:%M:%S%.3f"),
    )
}

/// `1,234`.
pub(super) fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `94,800원`. A sum may be larger than any single amount.
pub(super) fn won(amount: i64) -> String {
    format!("{}원", count(amount))
}

/// `45s`, `12m 5s`, `3h 20m`, `2d 4h`: the two largest units.
pub(super) fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// More than any name, reason or message that is worth reading in a list.
const MAX_CHARS: usize = 300;

/// What others wrote: nothing in it is unseen, and it is not so long that it hides the rest of the page.
pub(super) fn clip(text: &str) -> String {
    let text = visible_text::plain(text);
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_times_read_as_a_korean_reader_expects() {
        assert_eq!([0, 999, 94_800, -1_234_567].map(count), ["0", "999", "94,800", "-1,234,567"]);
        assert_eq!(won(4_000_000_000), "4,000,000,000원");
        let at = "2026-11-29T13:00:05.25Z".parse().unwrap();
        assert_eq!(
            time_element(at),
            "<time datetime=\"2026-11-29T13:00:05.250Z\" title=\"2026-11-29 22:00:05.250 KST\">2026-11-29 22:00</time>"
        );
    }
}
