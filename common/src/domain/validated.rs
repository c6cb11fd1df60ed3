//! Values that come from outside, checked once: what passes fits the database and the gateway.
//!
//! The API's request structs are made of these types. serde carries an error as text only, so the error of a value that
//! does not fit is the English sentence of its [`Rule`], and [`Rule::of_error`] finds the rule again.

use std::fmt;

use chrono::NaiveDate;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::{
    calendar::Cycle, email_address::is_address, ending::RefundPolicy, money::Won, payment::OUR_ORDERS,
};

/// What a value has to be, as the end of a sentence that begins with the name of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub ko: &'static str,
    pub en: &'static str,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.en)
    }
}

impl Rule {
    pub const REQUIRED: Self = Self { ko: "항목이 필요합니다", en: "is required" };
    pub const TEXT: Self = Self { ko: "항목은 문자열이어야 합니다", en: "must be a string" };
    pub const OBJECT: Self = Self { ko: "항목은 객체여야 합니다", en: "must be an object" };
    pub const POSITIVE_WON: Self = Self {
        ko: "항목은 1원 이상의 정수여야 합니다",
        en: "must be a whole number of won, 1 or more",
    };
    pub const CYCLE: Self =
        Self { ko: "항목은 monthly 또는 yearly여야 합니다", en: "must be monthly or yearly" };
    pub const REFUND_POLICY: Self =
        Self { ko: "항목은 pro_rata 또는 none이어야 합니다", en: "must be pro_rata or none" };
    pub const DATE: Self = Self {
        ko: "항목은 2026-12-22 형식의 날짜여야 합니다",
        en: "must be a date like 2026-12-22",
    };

    const OF_OTHER_TYPES: [Self; 4] = [Self::POSITIVE_WON, Self::CYCLE, Self::REFUND_POLICY, Self::DATE];

    /// The rule that an error of serde reports, by its text; `serde_json` appends the place in the document.
    pub fn of_error(error: &str) -> Option<Self> {
        let sentence = error.split_once(" at line ").map_or(error, |(sentence, _)| sentence);
        if sentence.starts_with("missing field") || sentence.starts_with("invalid type: null,") {
            return Some(Self::REQUIRED);
        }
        if sentence.ends_with("expected a string") {
            return Some(Self::TEXT);
        }
        if sentence.contains("expected struct") {
            return Some(Self::OBJECT);
        }
        // serde_json refuses a number that no f64 holds before any type sees it.
        if sentence.ends_with("expected a whole number of won") || sentence == "number out of range" {
            return Some(Self::POSITIVE_WON);
        }
        Self::OF_OTHER_TYPES.iter().chain(&TEXT_RULES).find(|rule| rule.en == sentence).copied()
    }
}

/// Declares text types, each with its length in characters, a further condition, and its rule in both languages.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $min:literal..=$max:literal, $fits:expr, $ko:literal, $en:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $name(String);

            impl $name {
                pub const RULE: Rule = Rule { ko: $ko, en: $en };

                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl TryFrom<String> for $name {
                type Error = Rule;

                fn try_from(text: String) -> Result<Self, Rule> {
                    let fits: fn(&str) -> bool = $fits;
                    let is_valid = ($min..=$max).contains(&text.chars().count()) && fits(&text);
                    if is_valid { Ok(Self(text)) } else { Err(Self::RULE) }
                }
            }

            impl From<$name> for String {
                fn from(value: $name) -> Self {
                    value.0
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    Self::try_from(String::deserialize(deserializer)?).map_err(D::Error::custom)
                }
            }
        )*

        const TEXT_RULES: [Rule; [$($name::RULE),*].len()] = [$($name::RULE),*];
    };
}

texts! {
    /// Toss's name of a payment, from the payment window.
    PaymentKey: 1..=200, is_printable, "항목은 1~200자여야 합니다", "must be 1 to 200 printable characters";
    /// The shop's name of a purchase. Toss takes 6 to 64 of these characters (docs.tosspayments.com/reference, `orderId`).
    OrderId: 6..=64, |text| has_only(text, "-_") && !text.starts_with(OUR_ORDERS),
        "항목은 영문, 숫자, -, _ 6~64자여야 하며 AUTO_로 시작할 수 없습니다",
        "must be 6 to 64 characters of A-Z a-z 0-9 - _ and not begin with AUTO_";
    /// Under which a payment window is opened. Toss's browser SDK takes 2 to 50 of these.
    CustomerKey: 2..=50, |text| has_only(text, "-_=.@"),
        "항목은 영문, 숫자, -, _, =, ., @ 2~50자여야 합니다",
        "must be 2 to 50 characters of A-Z a-z 0-9 - _ = . @";
    /// The customer key of a subscription that is imported, or on record. Toss's servers take 2 to 300 of these
    /// (docs.tosspayments.com/reference, `customerKey`); its browser SDK opens windows for at most 50.
    RecordedCustomerKey: 2..=300, |text| has_only(text, "-_=.@"),
        "항목은 영문, 숫자, -, _, =, ., @ 2~300자여야 합니다",
        "must be 2 to 300 characters of A-Z a-z 0-9 - _ = . @";
    /// The registration window's one-time key, good for one billing key.
    AuthKey: 1..=300, is_printable, "항목은 1~300자여야 합니다", "must be 1 to 300 printable characters";
    EmailAddress: 3..=254, is_address, "항목은 이메일 주소여야 합니다", "must be an e-mail address";
    /// A customer's name. One that would look empty in an e-mail is refused.
    PersonName: 1..=100, |text| is_printable(text) && has_visible(text),
        "항목은 보이는 글자를 포함한 1~100자여야 합니다",
        "must be 1 to 100 printable characters, one of them visible";
    PlanCode: 1..=50, is_printable, "은(는) 판매 중인 플랜이 아닙니다", "is not a plan on sale";
    /// Why a customer cancels, in lines of their own.
    CancelReason: 0..=500, has_lines_only, "항목은 500자 이하여야 합니다", "must be at most 500 characters";
    /// Why an operator gives money back. Toss takes 200 characters (`cancelReason`), and the customer reads it.
    RefundReason: 1..=200, |text| is_printable(text) && has_visible(text),
        "항목은 보이는 글자를 포함한 1~200자여야 합니다",
        "must be 1 to 200 printable characters, one of them visible";
    /// Paragraphs as a customer was shown them.
    ShownText: 1..=4000, |text| has_lines_only(text) && has_visible(text),
        "항목은 1~4000자여야 합니다", "must be 1 to 4000 characters";
    /// The caller's name of one request, from a header.
    IdempotencyKey: 1..=255, |text| text.bytes().all(|byte| byte.is_ascii_graphic()),
        "헤더는 영문 1~255자여야 합니다", "must be 1 to 255 visible ASCII characters";
}

/// An amount of 1 won or more. As JSON an integer: not `94800.0`, not `"94800"`, nothing rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositiveWon(Won);

impl PositiveWon {
    pub fn won(self) -> Won {
        self.0
    }
}

impl<'de> Deserialize<'de> for PositiveWon {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PositiveWonVisitor)
    }
}

struct PositiveWonVisitor;

impl serde::de::Visitor<'_> for PositiveWonVisitor {
    type Value = PositiveWon;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of won")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<PositiveWon, E> {
        let won = Won::new(number).ok().filter(|won| *won > Won::ZERO);
        won.map(PositiveWon).ok_or_else(|| E::custom(Rule::POSITIVE_WON))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<PositiveWon, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A civil date, written `2026-12-22`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CivilDate(pub NaiveDate);

impl<'de> Deserialize<'de> for CivilDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // chrono also reads `2026-1-2` and years of more digits.
        let date = text.parse().ok().filter(|_| text.len() == "2026-12-22".len());
        date.map(Self).ok_or_else(|| D::Error::custom(Rule::DATE))
    }
}

impl<'de> Deserialize<'de> for Cycle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|_| D::Error::custom(Rule::CYCLE))
    }
}

impl<'de> Deserialize<'de> for RefundPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|_| D::Error::custom(Rule::REFUND_POLICY))
    }
}

fn has_only(text: &str, marks: &str) -> bool {
    text.chars().all(|char| char.is_ascii_alphanumeric() || marks.contains(char))
}

/// PostgreSQL cannot hold U+0000, and no name, key or address has a control character.
pub(super) fn is_printable(text: &str) -> bool {
    !text.chars().any(|char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}'))
}

fn has_lines_only(text: &str) -> bool {
    text.chars().all(|char| !char.is_control() || matches!(char, '\n' | '\r' | '\t'))
}

/// Whether a reader sees anything: fillers, joiners, direction marks and blanks alone look like an empty text.
pub(super) fn has_visible(text: &str) -> bool {
    use GeneralCategory as G;
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let category = CodePointMapData::<GeneralCategory>::new();
    text.chars().any(|char| {
        // The blank braille cell is a symbol by category, and shows nothing.
        char != '\u{2800}'
            && !ignorable.contains(char)
            && !matches!(
                category.get(char),
                G::SpaceSeparator
                    | G::LineSeparator
                    | G::ParagraphSeparator
                    | G::Control
                    | G::Format
                    | G::Surrogate
                    | G::Unassigned
                    | G::PrivateUse
                    | G::NonspacingMark
                    | G::EnclosingMark
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, Option<Rule>> {
        serde_json::from_str(json).map_err(|error| Rule::of_error(&error.to_string()))
    }

    fn is_order_id(text: &str) -> bool {
        OrderId::try_from(text.to_owned()).is_ok()
    }

    #[test]
    fn only_a_json_integer_of_one_won_or_more_is_an_amount() {
        assert_eq!(read::<PositiveWon>("94800").unwrap().won().get(), 94_800);
        for wrong in [
            "0",
            "-1",
            "-94800",
            "94800.0",
            "94800.5",
            "9.48e4",
            "1e999",
            "\"94800\"",
            "true",
            "[]",
            "{}",
            "2147483648",
            "99999999999999999999",
            "-0",
        ] {
            assert_eq!(read::<PositiveWon>(wrong), Err(Some(Rule::POSITIVE_WON)), "{wrong}");
        }
        assert_eq!(read::<PositiveWon>("null"), Err(Some(Rule::REQUIRED)));
    }

    #[test]
    fn an_order_id_is_what_toss_takes() {
        for right in ["ORDER_1729657033847", "abc-_9", &"a".repeat(64)] {
            assert!(is_order_id(right), "{right}");
        }
        for wrong in [
            "AUTO_01a204b53c4570dab6faed7e91d0009e_1_1",
            "",
            "short",
            &"a".repeat(65),
            "ORDER 123",
            "ORDER/123",
            "주문번호123456",
            "ORDER\x00123",
        ] {
            assert!(!is_order_id(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_name_needs_a_visible_character() {
        let is_name = |text: &str| PersonName::try_from(text.to_owned()).is_ok();
        for right in ["홍길동", "Ann-Marie O'Neill", "ㅤ홍", "李", "😀", "É", "123"] {
            assert!(is_name(right), "{right:?}");
        }
        let looks_empty = [
            " ",
            "\u{3164}",
            "\u{ffa0}",
            "\u{115f}\u{1160}",
            "\u{2800}",
            "\u{200b}",
            "\u{200e}\u{202e}",
            "\u{feff}",
            "\u{a0}",
            "\u{3000}",
            "\u{2060}",
            "\u{ad}",
            "\u{34f}",
            "\u{180e}",
            "\u{e0020}",
            "\u{fe0f}",
            "\u{301}",
            "\u{e000}",
        ];
        for wrong in looks_empty {
            assert!(!is_name(wrong), "{wrong:?}");
        }
        for control in ["a\0", "a\nb", "a\u{85}b", "a\u{2028}b"] {
            assert!(!is_name(control), "{control:?}");
        }
    }

    #[test]
    fn a_refund_reason_needs_a_visible_character() {
        assert!(RefundReason::try_from("\u{3164}\u{200d}".to_owned()).is_err());
        assert!(RefundReason::try_from("고객 요청".to_owned()).is_ok());
    }

    #[test]
    fn a_cancel_reason_may_be_empty_and_may_have_lines() {
        assert!(CancelReason::try_from(String::new()).is_ok());
        assert!(CancelReason::try_from("비싸서\n그만".to_owned()).is_ok());
        assert!(CancelReason::try_from("a\0".to_owned()).is_err());
        assert!(CancelReason::try_from("가".repeat(501)).is_err());
    }

    #[test]
    fn an_error_of_serde_leads_back_to_its_rule() {
        assert_eq!(read::<PaymentKey>("1"), Err(Some(Rule::TEXT)));
        assert_eq!(read::<PaymentKey>("\"\""), Err(Some(PaymentKey::RULE)));
        assert_eq!(read::<PersonName>("null"), Err(Some(Rule::REQUIRED)));
        assert_eq!(read::<Cycle>("\"Monthly\""), Err(Some(Rule::CYCLE)));
        assert_eq!(read::<RefundPolicy>("\"all\""), Err(Some(Rule::REFUND_POLICY)));
        assert_eq!(read::<CivilDate>("\"2026-1-2\"").map(|date| date.0), Err(Some(Rule::DATE)));
        assert_eq!(read::<OrderId>("\"\\ud800\""), Err(None), "half a surrogate pair is no text");
    }
}
