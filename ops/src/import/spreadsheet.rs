//! Values that a spreadsheet has changed. Excel and others rewrite what they take for numbers, dates or formulas, so
//! each value of a CSV file is checked for their traces before it is read as what its column holds.

/// Columns of free text, in which only error values and formulas are damage.
const FREE_TEXT: [&str; 2] = ["customer_name", "cancel_reason"];
/// Columns that may hold digits alone.
const NUMBERS: [&str; 2] = ["amount", "anchor_day"];
const DATES: [&str; 4] = ["next_billing_date", "created_at", "updated_at", "canceled_at"];

/// The days that Excel counts from 30 December 1899: 1 January 2000 to 31 December 2099.
const SERIAL_DATES: std::ops::RangeInclusive<u32> = 36_526..=73_050;

/// Says what a spreadsheet did to the value, or `None` when it left no trace.
pub(crate) fn damage(column: &str, text: &str) -> Option<&'static str> {
    if is_error_value(text) {
        return Some("is an error value of a spreadsheet");
    }
    if text.starts_with('=') || text.starts_with("\"=") {
        return Some("is a formula of a spreadsheet: export the value itself");
    }
    if text.starts_with('\'') {
        return Some("begins with a spreadsheet's text mark ('): export the value itself");
    }
    if FREE_TEXT.contains(&column) {
        return None;
    }
    if is_filler(text) {
        return Some("is too narrow a column of a spreadsheet, not the value");
    }
    if is_scientific(text) {
        return Some("is a number in a spreadsheet's scientific notation: its digits are lost");
    }
    if DATES.contains(&column) {
        return is_serial_date(text)
            .then_some("is a spreadsheet's number for a date: format the column as 2026-12-22");
    }
    if NUMBERS.contains(&column) {
        return number_format(text);
    }
    if is_boolean(text) {
        return Some("is a spreadsheet's TRUE or FALSE");
    }
    (has_grouping(text) || is_decimal(text)).then_some("is formatted as a number by a spreadsheet")
}

/// `#NAME?`, `#REF!`, `#N/A` and any other word that a spreadsheet writes in place of a value; also `Err:502`.
fn is_error_value(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "/_".contains(c))
    };
    let upper = text.to_ascii_uppercase();
    let hash = upper.strip_prefix('#').is_some_and(|rest| {
        let named = rest.strip_suffix(['!', '?']).is_some_and(is_word);
        named || ["N/A", "N/D", "NV", "SPILL", "BUSY", "GETTING_DATA", "ERROR"].contains(&rest)
    });
    let libre = upper.strip_prefix("ERR:").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    hash || libre
}

/// `########`: the column was too narrow when the file was written.
fn is_filler(text: &str) -> bool {
    text.len() > 1 && text.bytes().all(|byte| byte == b'#')
}

/// `1.2E+05`, `9E15`.
fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return false };
    let signed = exponent.starts_with(['+', '-']);
    let exponent = exponent.trim_start_matches(['+', '-']);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let number = |part: &str| digits(&part.trim_start_matches('-').replacen(['.', ','], "", 1));
    number(mantissa) && digits(exponent) && (signed || mantissa.contains(['.', ',']) || exponent.len() <= 2)
}

/// `44927`: 1 January 2023. With a fraction for the time of day, too.
fn is_serial_date(text: &str) -> bool {
    let whole = text.split_once(['.', ',']).map_or(text, |(whole, _)| whole);
    whole.parse().is_ok_and(|day: u32| SERIAL_DATES.contains(&day))
}

/// What is no plain run of digits in a column of numbers.
fn number_format(text: &str) -> Option<&'static str> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let has_digits = text.chars().any(char::is_numeric);
    let is_formatted =
        text.chars().all(|c| c.is_numeric() || c.is_whitespace() || "₩￦\\원$.,-+%()".contains(c));
    (has_digits && is_formatted).then_some("is formatted as a number by a spreadsheet: write digits only")
}

/// `1,000`.
fn has_grouping(text: &str) -> bool {
    let mut groups = text.split(',');
    let first = groups.next().unwrap_or_default();
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mut others = groups.peekable();
    others.peek().is_some()
        && (1..=3).contains(&first.len())
        && digits(first)
        && others.all(|group| group.len() == 3 && digits(group))
}

/// `1234.0`: what an id of digits becomes. Other decimals are no damage: a customer key may hold a point.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(whole, fraction)| {
        digits(whole) && !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0')
    })
}

fn is_boolean(text: &str) -> bool {
    text == "TRUE" || text == "FALSE"
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 16] = [
        "id",
        "user_id",
        "plan",
        "billing_cycle",
        "billing_key",
        "customer_key",
        "amount",
        "status",
        "next_billing_date",
        "customer_email",
        "customer_name",
        "created_at",
        "updated_at",
        "canceled_at",
        "cancel_reason",
        "anchor_day",
    ];

    #[test]
    fn error_values_and_formulas_are_found_in_every_column() {
        let values = [
            "#NAME?",
            "#REF!",
            "#VALUE!",
            "#DIV/0!",
            "#N/A",
            "#NUM!",
            "#NULL!",
            "#SPILL!",
            "#CALC!",
            "#GETTING_DATA",
            "#BLOCKED!",
            "#ref!",
            "Err:502",
            "=\"4300\"",
            "=A1",
            "'0123",
        ];
        for column in COLUMNS {
            for value in values {
                assert!(damage(column, value).is_some(), "{column}: {value}");
            }
        }
    }

    #[test]
    fn number_formats_are_found_in_every_column_of_values() {
        for column in COLUMNS.into_iter().filter(|column| !FREE_TEXT.contains(column)) {
            for value in ["1.2E+05", "1,2E+05", "9E+15", "4.30012E15", "########"] {
                assert!(damage(column, value).is_some(), "{column}: {value}");
            }
        }
        for value in ["1,000", "9,900", "9900.00", "₩9,900", "9 900", "9900원", "-9900", "(9900)", "９９００"]
        {
            assert!(damage("amount", value).is_some(), "{value}");
        }
        for column in ["id", "billing_key", "customer_key", "plan"] {
            for value in ["1,234,567", "1234.0", "TRUE"] {
                assert!(damage(column, value).is_some(), "{column}: {value}");
            }
        }
        for value in ["44927", "46378.375", "46378,5"] {
            assert!(damage("next_billing_date", value).is_some(), "{value}");
        }
    }

    #[test]
    fn undamaged_values_are_left_alone() {
        let right = [
            ("id", "12345"),
            ("id", "0192f0c1-a2b3-7c4d-8e5f-60718293a4b5"),
            ("id", "1E2F"),
            ("id", "44927"),
            ("billing_key", "Z_t5vOvQxrj4499PeiJcjen28-V2RyqgYTwN44Rdzk0="),
            ("billing_key", "#k1"),
            ("billing_key", "bk_2E10x"),
            ("customer_key", "user.12@shop"),
            ("amount", "9900"),
            ("anchor_day", "31"),
            ("next_billing_date", "2026-12-22"),
            ("next_billing_date", "2026-12-22T00:00:00+09:00"),
            ("customer_name", "E2E 1,000"),
            ("customer_name", "#1 fan"),
            ("cancel_reason", "1.2E+05"),
            ("customer_email", "a@b.kr"),
        ];
        for (column, value) in right {
            assert_eq!(damage(column, value), None, "{column}: {value}");
        }
    }
}
