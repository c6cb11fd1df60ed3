//! How values of Toss's JSON are read: strict about money, forgiving about ornament.

use chrono::{DateTime, FixedOffset, NaiveDateTime};
use secrecy::SecretString;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

/// The largest whole number a JSON float carries exactly.
const EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;
const KST_SECONDS: i32 = 9 * 3600;

/// Whole won. Toss documents a JSON number: `9900` and `9900.0` are both 9,900 won, `9900.5` is nothing.
pub(crate) fn won<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = Number::deserialize(deserializer)?;
    whole(&number).ok_or_else(|| D::Error::custom("an amount is a whole number of won"))
}

/// As [`won`], where Toss may leave the amount out.
pub(crate) fn maybe_won<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match Option::<Number>::deserialize(deserializer)? {
        None => Ok(None),
        Some(number) => {
            whole(&number).map(Some).ok_or_else(|| D::Error::custom("an amount is a whole number of won"))
        }
    }
}

fn whole(number: &Number) -> Option<i64> {
    if let Some(integer) = number.as_i64() {
        return Some(integer);
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT_FLOAT)?;
    format!("{float:.0}").parse().ok()
}

/// A list that Toss sends as `null` when it is empty.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A field that decides nothing about money: an odd card or receipt must not turn a paid charge into an unknown one.
pub(crate) fn or_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

/// As [`or_none`], for text that must not be shown.
pub(crate) fn secret_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    let text: Option<String> = or_none(deserializer)?;
    Ok(text.map(SecretString::from))
}

/// A time with offset; one without is Korean time, as in Toss's webhooks and query parameters.
pub(crate) fn time_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DateTime<FixedOffset>>, D::Error> {
    let text: Option<String> = or_none(deserializer)?;
    Ok(text.as_deref().and_then(time))
}

fn time(text: &str) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(text).ok().or_else(|| {
        let naive: NaiveDateTime = text.parse().ok()?;
        naive.and_local_timezone(FixedOffset::east_opt(KST_SECONDS)?).single()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Sample {
        #[serde(deserialize_with = "won")]
        amount: i64,
    }

    fn amount(json: &str) -> Option<i64> {
        serde_json::from_str::<Sample>(&format!("{{\"amount\":{json}}}")).ok().map(|sample| sample.amount)
    }

    #[test]
    fn whole_amounts_are_read_however_they_are_written() {
        assert_eq!(amount("9900"), Some(9_900));
        assert_eq!(amount("9900.0"), Some(9_900));
        assert_eq!(amount("9.9e3"), Some(9_900));
        assert_eq!(amount("-500"), Some(-500));
    }

    #[test]
    fn anything_but_whole_won_is_not_an_amount() {
        for bad in ["9900.5", "\"9900\"", "null", "1e300", "18446744073709551615", "true"] {
            assert_eq!(amount(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_time_without_offset_is_korean() {
        let with = time("2027-01-31T09:00:00+09:00").unwrap();
        assert_eq!(time("2027-01-31T09:00:00").unwrap(), with);
        assert_eq!(time("2027-01-31T00:00:00Z").unwrap(), with);
        assert!(time("2026-01-02T14:46:59.65327").is_some());
        assert!(time("soon").is_none());
    }
}
